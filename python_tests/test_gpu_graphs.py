"""CUDA graphs: every call can be captured once and replayed with other inputs."""

from __future__ import annotations

import gpu
import pytest
import torch
from cases import make_spec, normal, points_in

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size

pytestmark = gpu.ON_GPU


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_captured_gather_sees_new_points_and_features(dim: int, dtype: torch.dtype) -> None:
    for basis in (Gaussian(rho=2), BSpline(3)):
        spec = make_spec(dim, basis, "ghost")
        x = points_in(spec, 300).to(gpu.DEVICE, dtype)
        features = normal(spec.total_nodes, 2).to(gpu.DEVICE, dtype)
        replay, (y,) = gpu.capture(lambda: [functional.gather(x, features, spec, 2)])  # noqa: B023
        for seed in (3, 4):
            x.copy_(points_in(spec, 300, seed=seed))
            features.copy_(normal(*features.shape, seed=seed))
            replay()
            assert torch.equal(y, functional.gather(x, features, spec, 2))


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", gpu.SCATTERS)
def test_a_captured_scatter_sees_new_points_and_values(dim: int, kind: str) -> None:
    spec, scatter = make_spec(dim, Gaussian(rho=2), "ghost"), gpu.SCATTERS[kind]
    x = points_in(spec, 300).to(gpu.DEVICE)
    y = normal(300, jet_size(dim, 1), 2 * spec.levels).to(gpu.DEVICE)
    replay, results = gpu.capture(lambda: [scatter(x, y, spec, 1)])
    for seed in (3, 4):
        x.copy_(points_in(spec, 300, seed=seed))
        y.copy_(normal(*y.shape, seed=seed))
        replay()
        expected = scatter(x, y, spec, 1)
        gpu.assert_close(results, [expected])
        assert kind == "atomic" or torch.equal(results[0], expected)


@pytest.mark.parametrize("decoder", ["linear", "mlp"])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_a_captured_loss_and_gradient_see_new_points_and_parameters(dim: int, decoder: str) -> None:
    field = gpu.make_field(dim, decoder, constrained=True)
    spec = field.grid.spec
    x = points_in(spec, 300).to(gpu.DEVICE)
    replay, results = gpu.capture(lambda: gpu.loss_and_gradients(field, x))
    for seed in (3, 4):
        x.copy_(points_in(spec, 300, seed=seed))
        with torch.no_grad():
            for parameter in field.parameters():
                parameter.copy_(normal(*parameter.shape, seed=seed))
        replay()
        gpu.assert_close(results, gpu.loss_and_gradients(field, x))


def test_a_captured_training_step_trains_as_an_eager_one() -> None:
    states = []
    for captured in (False, True):
        field = gpu.make_field()
        x = points_in(field.grid.spec, 300).to(gpu.DEVICE)
        optimizer = torch.optim.Adam(field.parameters(), lr=1e-2, capturable=True)
        # The steps of capture() are undone, so that both runs start alike.
        start = [parameter.detach().clone() for parameter in field.parameters()]

        def step(field=field, x=x, optimizer=optimizer) -> list[torch.Tensor]:
            loss = gpu.laplacian_loss(field, x)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return [loss.detach()]

        with gpu.deterministic():
            replay, _ = gpu.capture(step)
            with torch.no_grad():
                for parameter, value in zip(field.parameters(), start, strict=True):
                    parameter.copy_(value)
                for state in optimizer.state.values():
                    for tensor in state.values():
                        tensor.zero_()
            for _ in range(10):
                if captured:
                    replay()
                else:
                    step()
        states.append([parameter.detach().clone() for parameter in field.parameters()])
    gpu.assert_close(states[1], states[0], bound=1e-9)
    assert not torch.equal(states[0][0], start[0])
