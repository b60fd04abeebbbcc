"""Timing in one process: medians, both sides of a comparison in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

Call = Callable[[], object]


def is_cuda(device: str) -> bool:
    """Whether times on this device are taken by CUDA events."""
    return torch.device(device).type == "cuda"


def seconds(call: Call, device: str) -> float:
    """The time of one call: wall clock on the CPU, CUDA events on a GPU."""
    return times(call, device, 1)[0]


def times(call: Call, device: str, repeats: int, before: Call | None = None) -> list[float]:
    """The times of `repeats` calls: wall clock on the CPU, CUDA events on a GPU.

    A GPU gets all calls queued before the first is waited for, so that it is not idle while the
    host prepares the next one.

    Args:
        before: runs before each call and is not counted.
    """
    measured = []
    marks = []
    for _ in range(repeats):
        if before is not None:
            before()
        if is_cuda(device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            marks.append((begin, end))
        else:
            start = time.perf_counter()
            call()
            measured.append(time.perf_counter() - start)
    if marks:
        torch.cuda.synchronize()
        measured = [begin.elapsed_time(end) / 1e3 for begin, end in marks]
    return measured


def cache_flush(device: str) -> Call | None:
    """A function that empties a GPU's L2 cache by writing four times its size; None on the CPU.

    It also keeps the GPU busy while the host launches the call that follows.
    """
    if not is_cuda(device):
        return None
    size = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0) or 64 << 20
    return torch.empty(4 * size, dtype=torch.int8, device=device).zero_


def median(call: Call, device: str, repeats: int, before: Call | None = None) -> float:
    """The median of `repeats` calls after some that are not counted: one, on a GPU three."""
    for _ in range(3 if is_cuda(device) else 1):
        call()
    return statistics.median(times(call, device, repeats, before))


def alternate(
    ours: Call, theirs: Call, repeats: int, per_turn: int, device: str = "cpu"
) -> tuple[list[float], list[float]]:
    """The times of two calls in turn, A B A B ..., so that a drift of the machine affects both.

    A turn of the faster side is the median of `per_turn` calls.
    """
    ours()
    turns: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        turns[0].append(statistics.median(times(ours, device, per_turn)))
        turns[1].append(seconds(theirs, device))
    return turns


def bandwidth(device: str, dtype: torch.dtype = torch.float32) -> float:
    """The measured memory bandwidth: bytes/s read and written by a copy of 2^26 numbers."""
    source = torch.ones(1 << 26, dtype=dtype, device=device)
    target = torch.empty_like(source)
    best = min(times(lambda: target.copy_(source), device, 5))
    return 2 * source.numel() * source.element_size() / best
