"""The reference against the definition: the weights of the paper, differentiated by autograd."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dinfgrid_cuda.kernels import reference, tables
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size, multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec

EPS = torch.finfo(torch.float64).eps


def make_spec(dim: int = 2, basis: Basis | None = None, **changes: Any) -> GridSpec:
    settings: dict[str, Any] = {
        "cells": (4, 2, 4, 2)[:dim],
        "levels": 2,
        "basis": basis or Gaussian(rho=2),
        "boundary": ("ghost",) * dim,
        "lower": (-1.0, 0.5, 0.0, -2.0)[:dim],
        "upper": (1.5, 2.0, 1.0, 3.0)[:dim],
    }
    return GridSpec(dim=dim, **{**settings, **changes})


def random_points(spec: GridSpec, n: int, seed: int = 0) -> Tensor:
    unit = torch.rand(n, spec.dim, dtype=torch.float64, generator=_random(seed))
    lower, upper = (torch.tensor(c, dtype=torch.float64) for c in (spec.lower, spec.upper))
    return lower + unit * (upper - lower)


def random_features(spec: GridSpec, channels: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(spec.total_nodes, channels, dtype=torch.float64, generator=_random(seed))


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def differentiated(x: Tensor, features: Tensor, spec: GridSpec, order: int) -> Tensor:
    """The jet by nested autograd through the (2 rho)^dim formulation."""
    x = x.detach().requires_grad_()

    def derivative(u: Tensor, alpha: tuple[int, ...]) -> Tensor:
        for axis, times in enumerate(alpha):
            for _ in range(times):
                u = torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, axis]
        return u

    value = reference.value(x, features, spec)
    columns = [
        torch.stack([derivative(u, alpha) for u in value.unbind(1)], dim=1)
        for alpha in multi_indices(spec.dim, order)
    ]
    return torch.stack(columns, dim=1)


CASES = [
    (1, Gaussian(), ("ghost",), 4),
    (1, Gaussian(epsilon=0.5, rho=12), ("clamp",), 3),
    (1, Gaussian(rho=5, window="smooth"), ("periodic",), 4),
    (1, BSpline(7), ("ghost",), 5),
    (2, Gaussian(), ("clamp", "ghost"), 3),
    (2, Gaussian(rho=2, normalize=False), ("clamp", "periodic"), 3),
    (2, Gaussian(window="smooth", normalize=False), ("ghost", "periodic"), 2),
    (2, BSpline(5), ("periodic", "ghost"), 3),
    (3, Gaussian(rho=2), ("clamp", "periodic", "ghost"), 2),
    (3, BSpline(3), ("ghost", "periodic", "ghost"), 2),
    (4, Gaussian(rho=1), ("clamp", "periodic", "ghost", "ghost"), 2),
]


@pytest.mark.parametrize(("dim", "basis", "boundary", "order"), CASES)
def test_jet_is_the_nested_derivative_of_the_paper_formula(
    dim: int, basis: Basis, boundary: tuple[str, ...], order: int
) -> None:
    spec = make_spec(dim, basis, boundary=boundary)
    x, features = random_points(spec, 5), random_features(spec)
    jet = reference.gather(x, features, spec, order)
    expected = differentiated(x, features, spec, order)
    # Rounding grows with the largest derivative; both sides take some hundred operations.
    assert (jet - expected).abs().max() <= 1000 * EPS * expected.abs().max()


def test_value_is_the_sum_over_nodes_written_out_by_hand() -> None:
    spec = make_spec(2, Gaussian(epsilon=0.8, rho=2), levels=1, boundary=("clamp", "ghost"))
    features = random_features(spec, 1)
    grid = features.view(5, 2 + 3)
    x = torch.tensor([[-0.9, 1.9]], dtype=torch.float64)
    t = ((-0.9 + 1.0) * 4 / 2.5, (1.9 - 0.5) * 2 / 1.5)
    cell = (math.floor(t[0]), math.floor(t[1]))
    top = bottom = 0.0
    for i, j in itertools.product(range(-1, 3), repeat=2):
        row, column = min(max(cell[0] + i, 0), 4), cell[1] + j
        phi = math.exp(-0.64 * ((t[0] - row) ** 2 + (t[1] - column) ** 2))
        top += phi * grid[row, column + 1].item()
        bottom += phi
    for result in (reference.value(x, features, spec), reference.gather(x, features, spec)[:, 0]):
        assert abs(result.item() - top / bottom) <= 1e-14


@pytest.mark.parametrize("reduce", ["concat", "sum"])
@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_scatter_is_the_transpose_of_gather(reduce: str, boundary: str) -> None:
    spec = make_spec(2, boundary=(boundary,) * 2)
    x, features = random_points(spec, 9), random_features(spec)
    y = reference.gather(x, features, spec, 2, reduce)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=_random(2))
    left = (y * weights).sum()
    right = (features * reference.scatter(x, weights, spec, 2, reduce)).sum()
    assert abs(left - right) <= 100 * EPS * (y * weights).abs().sum()


def test_concat_puts_levels_side_by_side_and_sum_adds_them() -> None:
    spec = make_spec(2)
    x, features = random_points(spec, 4), random_features(spec, 3)
    apart = reference.gather(x, features, spec, 1)
    assert apart.shape == (4, 3, 6)
    together = reference.gather(x, features, spec, 1, "sum")
    torch.testing.assert_close(apart[..., :3] + apart[..., 3:], together)
    alone = features.clone()
    alone[spec.level_offset(1) :] = 0
    assert reference.gather(x, alone, spec, 1)[..., 3:].abs().max() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "basis", [Gaussian(rho=2), Gaussian(window="smooth"), BSpline(5)], ids=repr
)
@pytest.mark.parametrize("operation", [reference.gather, reference.scatter])
def test_operations_differentiate_to_third_order(basis: Basis, operation: Any) -> None:
    spec = make_spec(2, basis, cells=(2, 2), levels=1, boundary=("ghost", "periodic"))
    x = random_points(spec, 2).requires_grad_()
    if operation is reference.gather:
        second = random_features(spec, 1).requires_grad_()
    else:
        second = torch.randn(2, 3, 1, dtype=torch.float64, generator=_random(3)).requires_grad_()

    def slope(x: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        y = operation(x, second, spec, 1)
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        return torch.autograd.grad((weights * y * y).sum(), (x, second), create_graph=True)

    assert torch.autograd.gradcheck(lambda a, b: operation(a, b, spec, 1), (x, second))
    assert torch.autograd.gradcheck(slope, (x, second), fast_mode=True)
    assert torch.autograd.gradgradcheck(
        slope, (x, second), fast_mode=True, gen_non_contig_grad_outputs=True
    )


def test_differentiating_a_jet_gives_the_next_jet() -> None:
    spec = make_spec(2, Gaussian())
    x, features = random_points(spec, 3).requires_grad_(), random_features(spec, 1)
    jet = reference.gather(x, features, spec, 2)
    above = reference.gather(x, features, spec, 3)
    alpha = multi_indices(2, 2).index((1, 1))
    (slope,) = torch.autograd.grad(jet[:, alpha, 0].sum(), x)
    for axis, raised in enumerate([(2, 1), (1, 2)]):
        expected = above[:, multi_indices(2, 3).index(raised), 0]
        torch.testing.assert_close(slope[:, axis], expected, rtol=1e-10, atol=1e-10)


def test_points_outside_keep_the_polynomial_of_the_edge_cell() -> None:
    spec = make_spec(1, BSpline(5), levels=1)
    features = random_features(spec, 1)
    inside = torch.tensor([[-0.95]], dtype=torch.float64)
    outside = inside - 0.4
    taylor = reference.gather(inside, features, spec, 5)[0, :, 0]
    factors = [(-0.4) ** m / math.factorial(m) for m in range(6)]
    expected = (taylor * torch.tensor(factors, dtype=torch.float64)).sum()
    result = reference.gather(outside, features, spec)[0, 0, 0]
    assert abs(result - expected) <= 1e-12 * taylor.abs().max()


def test_normalised_gaussian_outside_is_the_same_formula() -> None:
    spec = make_spec(1, Gaussian(rho=2), levels=1)
    x = torch.tensor([[-1.3], [1.9]], dtype=torch.float64)
    features = random_features(spec, 1)
    torch.testing.assert_close(
        reference.gather(x, features, spec)[:, 0], reference.value(x, features, spec)
    )


def test_periodic_axes_repeat() -> None:
    spec = make_spec(2, Gaussian(), boundary=("periodic", "ghost"))
    x, features = random_points(spec, 6), random_features(spec)
    shifted = x + torch.tensor([2.5 * 3, 0.0], dtype=torch.float64)
    before = reference.gather(x, features, spec, 2)
    after = reference.gather(shifted, features, spec, 2)
    torch.testing.assert_close(before, after, rtol=1e-11, atol=1e-11)


def test_both_ends_of_a_periodic_axis_are_one_point() -> None:
    spec = make_spec(1, BSpline(5), boundary=("periodic",))
    features = random_features(spec)
    ends = torch.tensor([[-1.0], [1.5]], dtype=torch.float64)
    jet = reference.gather(ends, features, spec, 4)
    torch.testing.assert_close(jet[0], jet[1])


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_any_reach_fits_a_grid_of_one_cell(boundary: str) -> None:
    spec = make_spec(1, Gaussian(rho=12), cells=(1,), levels=1, boundary=(boundary,))
    ones = torch.ones(spec.total_nodes, 1, dtype=torch.float64)
    jet = reference.gather(random_points(spec, 5), ones, spec, 2)
    torch.testing.assert_close(jet[:, 0], torch.ones(5, 1, dtype=torch.float64))
    assert jet[:, 1:].abs().max() < 1e-12


def test_single_precision_is_as_accurate_as_its_rounding() -> None:
    spec = make_spec(2, Gaussian())
    x, features = random_points(spec, 50), random_features(spec)
    exact = reference.gather(x.float().double(), features.float().double(), spec, 2)
    single = reference.gather(x.float(), features.float(), spec, 2)
    # Positions in the cell carry an error of eps * cells, derivatives scale it by 1/h once more.
    eps, inverse_h = torch.finfo(torch.float32).eps, 4 / 1.5
    weights = tables.weights(x, spec, 0, 3).abs().sum(dim=2).max()
    assert (single.double() - exact).abs().max() <= 4 * eps * 4 * inverse_h * weights * 5


def test_nan_and_infinite_points_give_nan_and_harm_no_other() -> None:
    spec = make_spec(2)
    x, features = random_points(spec, 4), random_features(spec)
    bad = x.clone()
    bad[1, 0], bad[2, 1] = math.nan, math.inf
    clean, dirty = (reference.gather(points, features, spec, 1) for points in (x, bad))
    assert dirty[1:3, 0].isnan().all()
    assert torch.equal(dirty[[0, 3]], clean[[0, 3]])


def test_no_points_give_empty_results() -> None:
    spec = make_spec(3)
    none = torch.empty(0, 3, dtype=torch.float64)
    y = reference.gather(none, random_features(spec), spec, 2)
    assert y.shape == (0, jet_size(3, 2), 4)
    assert reference.scatter(none, y, spec, 2).abs().sum() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 6}, "order 6 were requested"),
        ({"order": -1}, "order -1 were requested"),
        ({"reduce": "mean"}, "reduce is 'mean'"),
        ({"x": torch.zeros(3, 3)}, r"\[N, 2\]"),
        ({"features": torch.zeros(3, 1)}, "features has 3 rows"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    spec = make_spec(2)
    good = {"x": torch.zeros(3, 2), "features": torch.zeros(spec.total_nodes, 1), "spec": spec}
    with pytest.raises(ValueError, match=message):
        reference.gather(**{**good, **arguments})
