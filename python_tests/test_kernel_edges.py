"""The compiled kernels at the edges: odd sizes, bad points, memory layouts, threads, tables."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases import BASES, MATRIX, ROUNDINGS, allowed, compare, error, make_spec, normal, points_in
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels import reference, tables
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.spec import GridSpec


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 513])
def test_every_tail_of_a_block_is_computed(n: int, device: str) -> None:
    for dtype in (torch.float32, torch.float64):
        if n:
            compare(make_spec(2, Gaussian(), "ghost"), device, n=n, dtype=dtype, outside=0.0)
    empty = functional.gather(
        torch.empty(0, 2, device=device),
        torch.zeros(make_spec(2, Gaussian(), "ghost").total_nodes, 2, device=device),
        make_spec(2, Gaussian(), "ghost"),
        2,
    )
    assert empty.shape == (0, 6, 6)


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
@pytest.mark.parametrize("basis", [Gaussian(), Gaussian(rho=12, epsilon=0.4)])
def test_a_grid_of_one_cell_matches_the_reference(basis: Basis, boundary: str, device: str) -> None:
    for dim in (1, 2):
        compare(make_spec(dim, basis, boundary, cells=(1,) * dim, levels=1), device)


def test_points_on_nodes_and_corners_match_the_reference(device: str) -> None:
    for boundary in ("ghost", "clamp", "periodic"):
        spec = make_spec(
            2, Gaussian(), boundary, cells=(4, 4), lower=(-1.0, -1.0), upper=(1.0, 1.0)
        )
        axis = torch.linspace(-1, 1, 9, dtype=torch.float64)
        x = torch.cartesian_prod(axis, axis)
        features = normal(spec.total_nodes, 1)
        y = functional.gather(x.to(device), features.to(device), spec, 2).cpu()
        assert error(y, reference.gather(x, features, spec, 2)) < ROUNDINGS


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_point_that_is_not_finite_gives_nan_and_touches_no_other(
    bad: float, basis: Basis, device: str
) -> None:
    for boundary in ("ghost", "clamp", "periodic"):
        if not allowed(basis, boundary, 2):
            continue
        spec = make_spec(2, basis, boundary)
        order = min(1, 2 * basis.rho - 1)
        x = points_in(spec, 20).to(device)
        features = normal(spec.total_nodes, 1).to(device)
        clean = functional.gather(x, features, spec, order)
        x[7, 1] = bad
        y = functional.gather(x, features, spec, order)
        assert y[7].isnan().all()
        others = torch.arange(20, device=device) != 7
        assert torch.equal(y[others], clean[others])
        assert functional.scatter(x, y.nan_to_num(), spec, order).isnan().any()


def test_huge_and_distant_points_stay_in_bounds(device: str) -> None:
    for basis, boundary in ((Gaussian(), "ghost"), (BSpline(3), "periodic"), (Gaussian(), "clamp")):
        spec = make_spec(3, basis, boundary) if basis.rho < 3 else make_spec(2, basis, boundary)
        for size in (1e3, 1e10, 1e30, 1e300):
            x = size * normal(50, spec.dim).to(device)
            y = functional.gather(x, normal(spec.total_nodes, 2).to(device), spec, 2)
            functional.scatter(x, y, spec, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("epsilon", "rho"), [(1.0, 3), (1.0, 12), (0.5, 12), (3.0, 12), (8.0, 3)])
def test_outside_the_box_the_functions_of_the_edge_cell_go_on(
    epsilon: float, rho: int, dtype: torch.dtype, device: str
) -> None:
    for boundary in ("ghost", "clamp"):
        # Coordinates are cells, and exact in float32.
        spec = make_spec(
            1, Gaussian(epsilon, rho), boundary, cells=(8,), levels=1, lower=(0.0,), upper=(8.0,)
        )
        out = torch.tensor([0.25, 0.5, 2.0, 5.0, 7.0, 12.0, 20.0, 100.0, 1e4], dtype=torch.float64)
        x = torch.cat([-out, 8 + out])[:, None]
        features = normal(spec.total_nodes, 1)
        y = functional.gather(x.to(device, dtype), features.to(device, dtype), spec, 2).cpu()
        expected = reference.gather(x, features.to(dtype).double(), spec, 2)
        # The exponents are differences of numbers as large as a |s| rho, which are rounded.
        exponents = 1 + 2 * epsilon**2 * (out.max() if dtype == torch.float64 else 100.0) * rho
        sizes = features.abs().max() * torch.tensor([1, 1, 1]) * (2 * epsilon**2 * rho) ** 2
        allowance = 16 * float(exponents) * torch.finfo(dtype).eps * sizes
        assert ((y - expected).abs() <= allowance).all()


def test_a_fine_grid_of_little_reach_scatters_like_the_reference(device: str) -> None:
    """Tiles are wider than the reach there, to keep their number down."""
    compare(make_spec(2, BSpline(1), "periodic", cells=(300, 301), levels=1), device, n=9000)


def test_memory_of_any_stride_is_accepted(device: str) -> None:
    spec = make_spec(2, Gaussian(), "ghost")
    x, features = points_in(spec, 10).to(device), normal(spec.total_nodes, 3).to(device)
    expected = functional.gather(x, features, spec, 1)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    transposed = features.t().contiguous().t()
    assert not strided.is_contiguous()
    assert not transposed.is_contiguous()
    assert torch.equal(functional.gather(strided, transposed, spec, 1), expected)
    one = torch.ones((), dtype=torch.float64, device=device)
    spread = functional.scatter(x, one.expand(10, 3, 9), spec, 1)
    whole = functional.scatter(x, torch.ones(10, 3, 9, dtype=x.dtype, device=device), spec, 1)
    assert torch.equal(spread, whole) or device == "cuda"
    assert torch.allclose(spread, whole, rtol=1e-12)


def test_scatter_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    try:
        for dtype in (torch.float32, torch.float64):
            spec = make_spec(2, Gaussian(), "ghost", cells=(64, 64), levels=4)
            x, y = points_in(spec, 20000).to(dtype), normal(20000, 3, 8).to(dtype)
            results = []
            for threads in (1, 2, 3, 2, 1):
                torch.set_num_threads(threads)
                results.append(functional.scatter(x, y, spec, 1))
            assert all(torch.equal(result, results[0]) for result in results)
    finally:
        torch.set_num_threads(before)


def line(basis: Basis, boundary: str, **changes: Any) -> GridSpec:
    """A grid of one axis."""
    return make_spec(1, basis, boundary, **changes)


def tables_of(spec: GridSpec, x: Tensor, order: int, device: str) -> Tensor:
    """Derivatives [N, order + 1, nodes] of the weight of every node: a gather of unit features."""
    unit = torch.eye(spec.total_nodes, dtype=x.dtype)
    return functional.gather(x.to(device), unit.to(device), spec, order, "sum").cpu()


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
@pytest.mark.parametrize("basis", [*BASES, Gaussian(epsilon=0.4, rho=12)], ids=repr)
def test_a_gather_of_unit_features_is_the_table_of_the_reference(
    basis: Basis, boundary: str, device: str
) -> None:
    if not allowed(basis, boundary, 1):
        return
    # Fewer cells than 2 rho as well, where nodes are met twice.
    for cells, levels in ((8, 3), (32, 1)):
        spec = line(basis, boundary, cells=(cells,), levels=levels)
        x = points_in(spec, 11)
        expected = torch.zeros(11, 6, spec.total_nodes, dtype=x.dtype)
        for level in range(levels):
            nodes, derivatives = tables.axis_tables(x[:, 0], spec, level, 0, 5)
            nodes = nodes + spec.level_offset(level)
            for m, table in enumerate(derivatives):
                expected[:, m].scatter_add_(1, nodes, table)
        assert error(tables_of(spec, x, 5, device), expected) < ROUNDINGS


def test_weights_sum_to_one_and_their_derivatives_to_zero(device: str) -> None:
    lines = [(basis, boundary) for dim, basis, boundary in MATRIX if dim == 1]
    for basis, boundary in lines:
        if not basis.normalize:
            continue
        spec = line(basis, boundary, levels=1)
        weights = tables_of(spec, points_in(spec, 50), 5, device)
        sums, sizes = weights.sum(2), weights.abs().sum(2).amax(0)
        assert (sums[:, 0] - 1).abs().max() < 1e-14
        assert (sums[:, 1:].abs().amax(0) <= 1e-13 * sizes[1:] + 1e-300).all()
