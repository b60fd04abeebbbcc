"""A second GPU: tensors decide where a call runs, not the current device."""

from __future__ import annotations

import gpu
import pytest
import torch
from cases import make_spec, normal, points_in

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import Gaussian

pytestmark = gpu.ON_GPU

SECOND = "cuda:1"
SPEC = make_spec(2, Gaussian(), "ghost", cells=(64, 64))


@pytest.fixture(autouse=True)
def two_gpus() -> None:
    gpu.need_second_gpu()


def test_a_call_runs_where_its_tensors_are() -> None:
    x, features = points_in(SPEC, 3_000), normal(SPEC.total_nodes, 2)
    y = functional.gather(x, features, SPEC, 1)
    expected = functional.scatter(x, y, SPEC, 1)
    with torch.cuda.device(0):
        x, features = x.to(SECOND), features.to(SECOND)
        gathered = functional.gather(x, features, SPEC, 1)
        gpu.assert_close([gathered], [y])
        for scatter in gpu.SCATTERS.values():
            added = scatter(x, gathered, SPEC, 1)
            assert added.device == gathered.device == x.device
            gpu.assert_close([added], [expected])
        assert torch.cuda.current_device() == 0


def test_a_loss_and_its_gradient_stay_on_their_device() -> None:
    field = gpu.make_field(2, "mlp", "cpu", constrained=True)
    x = points_in(field.grid.spec, 500)
    expected = gpu.loss_and_gradients(field, x)
    with torch.cuda.device(0):
        actual = gpu.loss_and_gradients(field.to(SECOND), x.to(SECOND))
        assert all(tensor.device == torch.device(SECOND) for tensor in actual)
        gpu.assert_close(actual, expected)
        assert torch.cuda.current_device() == 0


def test_the_stream_is_that_of_the_tensors_device() -> None:
    """With a stream of the second GPU busy, and its own points copied behind the delay."""
    features = normal(SPEC.total_nodes, 2).to(SECOND)
    before, after = points_in(SPEC, 3_000).to(SECOND), points_in(SPEC, 3_000, seed=1).to(SECOND)
    expected = functional.gather(after, features, SPEC, 1)
    side = torch.cuda.Stream(device=SECOND)
    torch.cuda.synchronize(SECOND)
    with torch.cuda.stream(side):
        x = before.clone()
        torch.cuda._sleep(100_000_000)
        x.copy_(after)
        with torch.cuda.device(0):
            result = functional.gather(x, features, SPEC, 1)
    side.synchronize()
    assert torch.equal(result, expected)


def test_tensors_on_two_gpus_are_refused_by_name() -> None:
    x, features = points_in(SPEC, 5).to("cuda:0"), normal(SPEC.total_nodes, 1).to(SECOND)
    with pytest.raises(ValueError, match="x is on cuda:0 and features is on cuda:1; move one"):
        functional.gather(x, features, SPEC)
    with pytest.raises(ValueError, match="x is on cuda:0 and y is on cuda:1; move one"):
        functional.scatter(x, normal(5, 1, SPEC.levels).to(SECOND), SPEC)
    with pytest.raises(ValueError, match="x is on cuda:0 and the field on cuda:1"):
        gpu.make_field(device=SECOND).jet(x, 2)
    with pytest.raises(RuntimeError, match="x is on cuda:0 but the other argument is on cuda:1"):
        torch.ops.dinfgrid.gather(x, features, SPEC.ints, SPEC.floats, 0, True)


@pytest.mark.parametrize("kind", gpu.SCATTERS)
def test_a_graph_is_captured_on_the_second_gpu(kind: str) -> None:
    x = points_in(SPEC, 500).to(SECOND)
    y = normal(500, 3, 2 * SPEC.levels).to(SECOND)
    with torch.cuda.device(SECOND):
        replay, results = gpu.capture(lambda: [gpu.SCATTERS[kind](x, y, SPEC, 1)])
        x.copy_(points_in(SPEC, 500, seed=4))
        replay()
        gpu.assert_close(results, [gpu.SCATTERS[kind](x, y, SPEC, 1)])
