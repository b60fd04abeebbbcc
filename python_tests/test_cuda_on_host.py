"""The layer that runs CUDA kernels on the CPU: right kernels compute, wrong ones are found."""

from __future__ import annotations

import ctypes
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cuda_on_host.library import KernelError, call, flavour, load
from torch import Tensor

SANITIZED = flavour() == "sanitized"

RIGHT = (
    "sum_with_barriers",
    "sum_with_shuffles",
    "histogram",
    "moments",
    "rotate_in_warp",
    "votes",
)

# Kernels of probes/wrong.cu in their order, and what must be said of each.
WRONG = {
    "race_on_shared": r"race: writes .* shared memory, which thread \(0, 0, 0\) wrote",
    "read_before_barrier": "reads byte .* shared memory, which nobody has written",
    "write_after_read": "race: .* shared memory",
    "shuffle_as_barrier": r"race: reads .* thread \(30, 0, 0\) wrote",
    "warp_barrier_between_warps": "reads byte .* nobody has written",
    "plain_beside_atomic": "race: reads .* updated atomically",
    "read_uninitialised": r"reads byte .* nobody has written; .*read_uninitialised",
    "read_of_other_block": r"reads byte 4 of dynamic .* nobody has written; block \(1, 0, 0\)",
    "barrier_in_branch": r"__syncthreads .* for thread \(5, 0, 0\), which has exited",
    "two_barriers": "__syncthreads in line .*, while thread .* waits at that in line",
    "barrier_against_shuffle": r"thread \(5, 0, 0\), which waits at __syncwarp",
    "shuffle_without_lane": r"a shuffle .* for thread \(9, 0, 0\), which has exited",
    "shuffle_outside_mask": "mask 0000ffff, which lacks the calling lane 16",
    "shuffle_from_outside_mask": "reads lane 16, which its mask 0000ffff lacks",
    "beyond_dynamic_shared": "writes 4 bytes at byte 512 of dynamic .* has 512",
    "beyond_array": "writes 4 bytes at byte 512 of result, which has 512",
    "race_on_global": "race: writes byte 0 of result, .* of this block wrote",
    "race_of_blocks": "race: reads byte 0 of result, .* of another block wrote",
    "misaligned": "8 bytes .* not aligned",
}
# The sanitized build sees no races: it finds misuse of barriers and shuffles, ...
BY_MEETINGS = (
    "barrier_in_branch",
    "two_barriers",
    "barrier_against_shuffle",
    "shuffle_without_lane",
    "shuffle_outside_mask",
    "shuffle_from_outside_mask",
)
# ... and ends the process at these.
BY_SANITIZERS = {
    "beyond_array": "AddressSanitizer: heap-buffer-overflow",
    "beyond_dynamic_shared": "AddressSanitizer: use-after-poison",
    "misaligned": "misaligned address",
}


def run_right(name: str, numbers: Tensor, blocks: int, threads: int, shared: int = 0) -> Tensor:
    result = torch.zeros(64)
    arguments = (RIGHT.index(name), blocks, threads, ctypes.c_size_t(shared), numbers)
    call(
        load("probes"),
        "run_right",
        (*arguments, len(numbers), result),
        {"numbers": numbers},
        {"result": result},
    )
    return result


def run_wrong(name: str) -> None:
    result = torch.zeros(128)
    call(load("probes"), "run_wrong", (list(WRONG).index(name), result), {}, {"result": result})


@pytest.fixture
def numbers() -> Tensor:
    """Multiples of 1/8, so that float32 sums are exact in any order."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 64, (1000,), generator=generator) / 8


def test_barriers_and_shared_memory_sum_up(numbers: Tensor) -> None:
    assert run_right("sum_with_barriers", numbers, 8, 128, 512)[0] == numbers.sum()


def test_shuffles_sum_up(numbers: Tensor) -> None:
    assert run_right("sum_with_shuffles", numbers, 8, 128)[0] == numbers.sum()


def test_atomics_on_shared_memory_count(numbers: Tensor) -> None:
    counts = torch.bincount(numbers.int(), minlength=8)
    assert torch.equal(run_right("histogram", numbers, 8, 128)[:8], counts.float())


def test_atomics_add_pairs(numbers: Tensor) -> None:
    expected = torch.stack([numbers.sum(), numbers.square().sum()])
    assert torch.equal(run_right("moments", numbers, 8, 128)[:2], expected)


def test_a_warp_barrier_orders_its_lanes(numbers: Tensor) -> None:
    rotated = run_right("rotate_in_warp", numbers, 1, 64)
    assert torch.equal(rotated, numbers[:64].view(2, 32).roll(-1, dims=1).flatten())


def test_votes_and_reductions_give_what_cuda_gives(numbers: Tensor) -> None:
    expected = [11, 1, 0, -26, 31, 496, 9, 17, 8, 11]
    assert run_right("votes", numbers, 1, 32)[:10].tolist() == expected


@pytest.mark.parametrize(
    ("number", "from_float", "from_double"),
    [
        (2.75, 2, 2),
        (-2.75, -2, -2),
        (3e9, 2**31 - 1, 2**31 - 1),
        (-math.inf, -(2**31), -(2**31)),
        (math.nan, 0, -(2**31)),
    ],
)
def test_conversions_saturate_like_the_hardware(
    number: float, from_float: int, from_double: int
) -> None:
    results = (ctypes.c_int(), ctypes.c_int())
    load("probes").convert(ctypes.c_double(number), *map(ctypes.byref, results))
    assert [result.value for result in results] == [from_float, from_double]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_found(name: str) -> None:
    if SANITIZED and name not in BY_MEETINGS:
        pytest.skip("the sanitized build finds this by ending the process, or not at all")
    with pytest.raises(KernelError, match=WRONG[name]):
        run_wrong(name)


@pytest.mark.skipif(not SANITIZED, reason="for DINFGRID_CUDA_ON_HOST=sanitized")
@pytest.mark.parametrize("name", BY_SANITIZERS)
def test_the_sanitizers_end_a_wrong_kernel(name: str) -> None:
    code = f"import test_cuda_on_host; test_cuda_on_host.run_wrong({name!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert BY_SANITIZERS[name] in ended.stderr


def test_a_right_kernel_runs_after_a_wrong_one(numbers: Tensor) -> None:
    test_a_wrong_kernel_is_found("barrier_in_branch")
    assert run_right("sum_with_barriers", numbers, 8, 128, 512)[0] == numbers.sum()


@pytest.mark.parametrize(
    ("grid", "threads", "shared", "limit", "error"),
    [
        ((1, 1, 1), (1024, 1, 1), 0, 0, 0),
        ((1, 1, 1), (1025, 1, 1), 0, 0, 9),
        ((1, 1, 1), (32, 33, 1), 0, 0, 9),
        ((1, 1, 1), (1, 1, 65), 0, 0, 9),
        ((1, 1, 1), (0, 1, 1), 0, 0, 9),
        ((0, 1, 1), (32, 1, 1), 0, 0, 9),
        ((2**31, 1, 1), (32, 1, 1), 0, 0, 9),
        ((1, 65536, 1), (32, 1, 1), 0, 0, 9),
        ((1, 1, 65536), (32, 1, 1), 0, 0, 9),
        ((1, 1, 1), (32, 1, 1), 48 * 1024 + 1, 0, 1),
        ((1, 1, 1), (32, 1, 1), 227 * 1024, 227 * 1024, 0),
        ((1, 1, 1), (32, 1, 1), 0, 227 * 1024 + 1, 1),
        ((1, 1, 1), (32, 1, 1), 48 * 1024, 48 * 1024, 0),
    ],
)
def test_what_a_device_refuses_is_refused(
    grid: tuple[int, ...], threads: tuple[int, ...], shared: int, limit: int, error: int
) -> None:
    three = ctypes.c_uint * 3
    launch = load("probes").launch_nothing
    assert launch(three(*grid), three(*threads), ctypes.c_size_t(shared), limit) == error
