"""Streams: the kernels run on the current one, and the host never waits for the GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import gpu
import pytest
import torch
from cases import make_spec, normal, points_in
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import Gaussian

pytestmark = gpu.ON_GPU

SLEEP = 400_000_000  # cycles, 0.2 s: far longer than the host takes for a call
SPEC = make_spec(2, Gaussian(), "ghost", cells=(64, 64))
POINTS = 5_000


def calls() -> dict[str, Callable[[Tensor], Tensor]]:
    """Functions of the points; their other arguments are on the GPU already."""
    features = normal(SPEC.total_nodes, 2).to(gpu.DEVICE)
    y = normal(POINTS, 3, 2 * SPEC.levels, seed=2).to(gpu.DEVICE)
    field = gpu.make_field(2, "mlp", constrained=True)
    return {
        "gather": lambda x: functional.gather(x, features, SPEC, 1),
        "atomic": lambda x: functional.scatter(x, y, SPEC, 1),
        "deterministic": lambda x: gpu.sorted_scatter(x, y, SPEC, 1),
        "loss": lambda x: torch.cat([g.flatten() for g in gpu.loss_and_gradients(field, x)]),
    }


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """Makes torch raise where one of its functions waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def points(seed: int) -> Tensor:
    return points_in(SPEC, POINTS, seed=seed).to(gpu.DEVICE)


@pytest.mark.parametrize("name", ["gather", "atomic", "deterministic", "loss"])
def test_a_call_joins_the_current_stream_and_returns_at_once(name: str) -> None:
    call = calls()[name]
    before, after = points(0), points(1)
    expected = call(after)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        x = before.clone()
        call(x)  # loads kernels, and leaves memory of the right sizes to the stream
        side.synchronize()
        torch.cuda._sleep(SLEEP)
        x.copy_(after)  # a kernel on any other stream would still see the points of before
        result = call(x)
        done = side.record_event()
    waited = done.query()
    side.synchronize()
    assert not waited
    gpu.assert_close([result], [expected])


@pytest.mark.parametrize("name", ["gather", "atomic", "deterministic", "loss"])
def test_a_busy_default_stream_holds_up_no_other(name: str) -> None:
    call, x = calls()[name], points(0)
    expected = call(x)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        call(x)
    torch.cuda.synchronize()
    torch.cuda._sleep(SLEEP)
    slept = torch.cuda.current_stream().record_event()
    with torch.cuda.stream(side):
        result = call(x)
    side.synchronize()
    overtook = not slept.query()
    torch.cuda.synchronize()
    assert overtook
    gpu.assert_close([result], [expected])


def test_temporaries_stay_until_their_stream_is_done() -> None:
    """Memory that a queued scatter still uses is handed to nobody else."""
    call, x = calls()["deterministic"], points(0)
    expected = call(x)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(SLEEP)
        result = call(x)
    sizes = (POINTS, SPEC.levels * POINTS, 64 * 64 + 1, result.numel())
    overwritten = [
        torch.full((size,), -1, dtype=torch.int64, device=gpu.DEVICE)
        for size in sizes
        for _ in range(8)
    ]
    torch.cuda.synchronize()
    assert torch.equal(result, expected)
    assert all(bool((tensor == -1).all()) for tensor in overwritten)


@pytest.mark.parametrize("name", ["gather", "atomic", "deterministic", "loss"])
def test_no_function_of_torch_on_the_way_waits_for_the_gpu(name: str) -> None:
    call, x = calls()[name], points(0)
    call(x)
    with no_synchronisation():
        call(x)


@pytest.mark.parametrize("decoder", ["linear", "mlp"])
def test_derivatives_by_the_points_do_not_wait_for_the_gpu(decoder: str) -> None:
    field = gpu.make_field(2, decoder)
    x = points_in(field.grid.spec, 500).to(gpu.DEVICE).requires_grad_()

    def twice() -> None:
        (gradient,) = torch.autograd.grad(field(x).sum(), x, create_graph=True)
        gradient.square().sum().backward()

    twice()
    with no_synchronisation():
        twice()


def test_the_backward_pass_follows_the_stream_of_the_forward_pass() -> None:
    field = gpu.make_field(2, "mlp")
    x = points_in(field.grid.spec, 500).to(gpu.DEVICE)
    expected = gpu.loss_and_gradients(field, x)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        torch.cuda._sleep(SLEEP // 4)
        loss = gpu.laplacian_loss(field, x)
    torch.cuda.current_stream().wait_stream(side)
    gradients = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True)
    actual = [loss.detach(), *(g for g in gradients if g is not None)]
    torch.cuda.synchronize()
    gpu.assert_close(actual, expected)


def test_threads_with_streams_of_their_own_do_not_disturb_each_other() -> None:
    features = normal(SPEC.total_nodes, 2).to(gpu.DEVICE)
    expected = [functional.gather(points(seed), features, SPEC, 1) for seed in range(4)]
    torch.cuda.synchronize()

    def work(seed: int) -> bool:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            results = [functional.gather(points(seed), features, SPEC, 1) for _ in range(20)]
        stream.synchronize()
        return all(torch.equal(result, expected[seed]) for result in results)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
