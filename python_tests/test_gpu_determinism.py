"""Under torch.use_deterministic_algorithms(True) every result repeats bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gpu
import pytest
import torch
from cases import make_spec, normal
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import solve

pytestmark = gpu.ON_GPU

TIMES = 10
POINTS = 5_000


def same_every_time(call: Callable[[], list[Tensor]]) -> bool:
    first = [tensor.clone() for tensor in call()]
    return all(
        torch.equal(a, b) for _ in range(TIMES - 1) for a, b in zip(first, call(), strict=True)
    )


@pytest.mark.parametrize("kind", gpu.POINT_SETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_scatter_repeats_bit_for_bit(dim: int, dtype: torch.dtype, kind: str) -> None:
    cases: tuple[tuple[Basis, str], ...] = (
        (Gaussian(rho=2), "ghost"),
        (BSpline(3), "periodic"),
        (Gaussian(rho=1), "clamp"),
    )
    for basis, boundary in cases:
        spec = make_spec(dim, basis, boundary)
        x = gpu.point_set(kind, spec, POINTS).to(gpu.DEVICE, dtype)
        y = normal(POINTS, jet_size(dim, 1), 2 * spec.levels).to(gpu.DEVICE, dtype)
        assert same_every_time(lambda: [gpu.sorted_scatter(x, y, spec, 1)])  # noqa: B023


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_gather_repeats_bit_for_bit_without_being_told_to(dim: int) -> None:
    spec = make_spec(dim, Gaussian(rho=2), "ghost")
    x = gpu.point_set("random", spec, POINTS).to(gpu.DEVICE)
    features = normal(spec.total_nodes, 2).to(gpu.DEVICE)
    assert same_every_time(lambda: [functional.gather(x, features, spec, 2)])


@pytest.mark.parametrize("kind", gpu.POINT_SETS)
@pytest.mark.parametrize("decoder", ["linear", "mlp"])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_the_gradient_of_a_loss_repeats_bit_for_bit(dim: int, decoder: str, kind: str) -> None:
    field = gpu.make_field(dim, decoder, dtype=torch.float32, constrained=True)
    x = gpu.point_set(kind, field.grid.spec, POINTS).to(gpu.DEVICE, torch.float32)
    with gpu.deterministic():
        assert same_every_time(lambda: gpu.loss_and_gradients(field, x))


def test_another_stream_gives_the_same_bits() -> None:
    spec = make_spec(2, Gaussian(), "ghost", cells=(64, 64))
    x = gpu.point_set("random", spec, POINTS).to(gpu.DEVICE, torch.float32)
    y = normal(POINTS, 3, 2 * spec.levels).to(gpu.DEVICE, torch.float32)
    expected = gpu.sorted_scatter(x, y, spec, 1)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        result = gpu.sorted_scatter(x, y, spec, 1)
    torch.cuda.synchronize()
    assert torch.equal(result, expected)


@pytest.mark.parametrize("method", [{"method": "adam", "lr": 1e-2}, {"method": "lbfgs"}])
def test_a_solve_repeats_bit_for_bit(method: dict[str, Any]) -> None:
    problem = Problem(
        Box((-1.0, -1.0), (1.0, 1.0)),
        [Term("pde", Interior(), lambda x, u: u.laplacian[:, 0] - x[:, 0], 2, 1.0, 500)],
    )
    ends = []
    for _ in range(2):
        field = gpu.make_field(constrained=True)
        with gpu.deterministic():
            solve(problem, field, steps=20, seed=3, progress=False, **method)
        ends.append([parameter.detach() for parameter in field.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
