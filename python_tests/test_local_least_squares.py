"""Least squares on local levels: products with the rows, weights, corners, and kinds of terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import normal
from cases_of_local_levels import CASES, INSIDE, LEFT, grid_with
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.linear.leaf_table import LeafTable
from dinfgrid_cuda.solvers.linear.local_points import boundary_power, highest_order, interior_power
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.rows import rows
from dinfgrid_cuda.solvers.linear.scattered_table import ScatteredTable
from dinfgrid_cuda.solvers.linear.truncated_assembly import truncated_matrix
from dinfgrid_cuda.solvers.linear.truncation import truncation
from dinfgrid_cuda.solvers.linear.unknown_nodes import free_nodes, unknown_nodes

pytest.importorskip("scipy")

SQUARE = dg.Box((0.0, 0.0), (1.0, 1.0))
# A box that begins where a periodic axis begins: its last point is the first one.
AT_THE_SEAM = ((dg.Box((0.0, 0.25), (0.5, 0.75)),), {"boundary": ("periodic", "ghost")})
TRUNCATED = [name for name in CASES if name not in ("crossing", "several levels")]


def tables_of(name: str) -> tuple[ScatteredTable, LeafTable]:
    boxes, options = AT_THE_SEAM if name == "at the seam" else CASES[name]
    spec = grid_with(*boxes, **options).spec
    x = torch.rand(200, spec.dim, generator=torch.Generator().manual_seed(0)).double()
    x[:5] = torch.tensor([0.0, 1.0, 0.25, 0.5, 0.75]).double()[:, None]
    x[5] = torch.nextafter(x[3], x[0])
    basis, used = truncation(spec), torch.arange(0, jet_size(spec.dim, 2), 2)
    assert basis is not None
    return ScatteredTable(x, spec, 2, used), LeafTable(x, spec, 2, used, basis)


@pytest.mark.parametrize("name", [*TRUNCATED, "at the seam"])
def test_the_finest_level_around_a_point_gives_what_all_levels_give(name: str) -> None:
    every, finest = tables_of(name)
    free = free_nodes(every.spec)
    assert free is not None
    features = normal(every.spec.total_nodes, 2) * free[:, None]
    y = every.gather(features)
    torch.testing.assert_close(
        finest.gather(features), y, rtol=0, atol=1e-13 * float(y.abs().max())
    )
    r = normal(*y.shape)
    z = every.scatter(r)
    torch.testing.assert_close(finest.scatter(r), z, rtol=0, atol=1e-13 * float(z.abs().max()))


def operator_of(x: Tensor, grid: dg.FeatureGrid) -> Any:
    def residual(x: Tensor, u: dg.Jet) -> Tensor:
        return u.laplacian + x[:, :1] * u.value

    term = dg.Term("e", dg.Points(x), residual, order=2)
    field = dg.Field(grid, dg.IdentityDecoder(grid.out_channels))
    normal_of = NormalOperator(Objective(dg.Problem(SQUARE, [term]), field, resample=False))
    return normal_of.operators[0]


def test_points_at_the_end_of_a_period_belong_to_the_box_at_its_beginning() -> None:
    grid = grid_with(*AT_THE_SEAM[0], **AT_THE_SEAM[1])
    y = torch.linspace(0.3, 0.7, 40).double()
    operator = operator_of(torch.stack([torch.ones_like(y), y], 1), grid)
    basis = truncation(grid.spec)
    assert basis is not None
    a = np.concatenate([block.toarray() for block in rows(operator, grid.spec, 1)])
    expected = basis.change.T @ (a.T @ a) @ basis.change
    found = truncated_matrix(operator, grid.spec, 1, basis).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["nested", "crossing", "spanning"])
def test_the_diagonal_and_the_seen_functions_are_those_of_the_rows(name: str) -> None:
    boxes, options = CASES[name]
    grid = grid_with(*boxes, **options)
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(1)).double() * 0.6
    operator = operator_of(x, grid)
    a = np.concatenate([block.toarray() for block in rows(operator, grid.spec, 1)])
    squares = (a**2).sum(axis=0)
    diagonal = operator.diagonal()
    np.testing.assert_allclose(diagonal[:, 0].numpy(), squares, atol=1e-13 * squares.max())
    assert np.array_equal(operator.table.seen().numpy(), squares > 0)
    trace, seen = operator.trace()  # of all points, which are few
    assert trace == pytest.approx(squares.sum(), rel=1e-12)
    assert seen == (squares > 0).sum()


def test_rows_weigh_by_the_order_of_equations_and_conditions() -> None:
    def term(order: int, region: Any) -> dg.Term:
        return dg.Term(f"{order} {region}", region, lambda x, u: u.value, order=order)

    orders = (1, 2, 3, 4)
    assert [interior_power(term(m, dg.Interior())) for m in orders] == [0, 2, 3, 4]
    powers = [[boundary_power(term(q, dg.Boundary()), m) for q in (0, 1)] for m in orders]
    assert powers == [[-1, 1], [-1, 1], [-2, 0], [-3, -1]]
    problem = dg.Problem(SQUARE, [term(1, dg.Interior()), term(3, dg.Boundary())])
    assert highest_order(problem) == 1


def wave(x: Tensor) -> Tensor:
    return torch.sin(3 * x[:, 0]) * torch.exp(x[:, 1])


def error_of(field: dg.Field, exact: Any, shape: Any = SQUARE) -> float:
    x = dg.Interior(dg.Uniform()).sample(4000, shape, dtype=torch.float64)
    with torch.no_grad():
        return float((field(x)[:, 0] - exact(x)).norm() / exact(x).norm())


def solve(shape: Any, terms: list[dg.Term], field: Any, **options: Any) -> dg.Solution:
    problem = dg.Problem(shape, terms, **options)
    return dg.solve(problem, field, "least-squares", progress=False)


def test_a_plate_is_as_accurate_with_a_finer_box_in_it_as_without() -> None:
    def slope(x: Tensor, u: dg.Jet) -> Tensor:
        gradient = torch.stack([3 * torch.cos(3 * x[:, 0]) * torch.exp(x[:, 1]), wave(x)], 1)
        return u.normal_derivative[:, 0] - (gradient * u.normal).sum(dim=1)

    terms = [
        dg.Term("plate", dg.Interior(), lambda x, u: u.bilaplacian[:, 0] - 64 * wave(x), order=4),
        dg.Term("value", dg.Boundary(), lambda x, u: u.value[:, 0] - wave(x), order=0),
        dg.Term("slope", dg.Boundary(), slope, order=1),
    ]
    errors = []
    for boxes in ((), (INSIDE,)):
        field = dg.Field(grid_with(*boxes, degree=7))
        solve(SQUARE, terms, field)
        errors.append(error_of(field, wave))
    assert errors[0] < 1e-6
    # Residuals weigh differently from cell to cell. With h^(m - 1) in place of h^(m / 2), as for
    # m = 2, the error is more than three times as large.
    assert errors[1] < 2 * errors[0]


L = dg.Polygon([(-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)])


def corner(x: Tensor) -> Tensor:
    angle = torch.atan2(x[:, 1], x[:, 0])
    angle = torch.where(angle < -1e-12, angle + 2 * math.pi, angle)
    return x.norm(dim=1) ** (2 / 3) * torch.sin(2 / 3 * angle)


def solved_at_corner(levels: int) -> tuple[float, int]:
    boxes = [dg.Box((-(2.0**-k),) * 2, (2.0**-k,) * 2) for k in range(1, levels + 1)]
    grid = grid_with(*boxes, degree=5, cells=12, lower=-1.0)
    with torch.no_grad():
        grid.features.zero_()
    field = dg.Field(grid)
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
        dg.Term("bc", dg.Boundary(), lambda x, u: u.value[:, 0] - corner(x), order=0),
    ]
    solve(L, terms, field)
    return error_of(field, corner, L), grid.unknown_count


def test_the_error_at_a_corner_falls_exponentially_with_the_levels() -> None:
    (first, few), (second, more), (third, most) = (solved_at_corner(n) for n in (1, 3, 5))
    # u itself is r^(2/3), in last cells that are 2^-2 times as large two levels later.
    assert second < first / 2 ** (4 / 3)
    assert third < second / 2 ** (4 / 3)
    assert most - more == more - few  # as many more unknowns each time


def test_a_hole_as_small_as_a_coarse_cell_is_seen_by_finer_levels() -> None:
    centre, radius = (0.55, 0.525), 0.125

    def exact(x: Tensor) -> Tensor:
        return (x - x.new_tensor(centre)).norm(dim=1).log() + x[:, 0] * x[:, 1]

    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
        dg.Term("bc", dg.Boundary(), lambda x, u: u.value[:, 0] - exact(x), order=0),
    ]
    shape, errors = SQUARE - dg.Disk(centre, radius), []
    nested = (dg.Box((0.125, 0.125), (1.0, 1.0)), dg.Box((0.25, 0.25), (0.875, 0.8125)))
    for boxes in ((), nested):
        grid = grid_with(*boxes, degree=5)
        with torch.no_grad():
            grid.features.zero_()
        field = dg.Field(grid)
        solve(shape, terms, field)
        errors.append(error_of(field, exact, shape))
    assert errors[0] > 1e-3
    assert errors[1] < errors[0] / 2**8  # two halvings, of order 4 = degree - 1 or more


@pytest.mark.parametrize("kind", ["several outputs", "parameter", "complex", "mean", "energy"])
def test_terms_of_every_kind_are_solved_on_local_levels(kind: str) -> None:
    channels = 2 if kind in ("several outputs", "complex") else 1
    grid = grid_with(LEFT, degree=5, channels=channels, cells=6)
    with torch.no_grad():
        grid.features.zero_()
    field = dg.Field(grid, dg.IdentityDecoder(channels))
    parameters: dict[str, Any] = {}

    def pde(x: Tensor, u: dg.Jet) -> Tensor:
        return u.laplacian[:, 0] + 8 * wave(x)

    def bc(x: Tensor, u: dg.Jet) -> Tensor:
        return u.value[:, 0] - wave(x)

    others: list[dg.Term] = []
    if kind == "several outputs":  # the second is the laplacian of the first

        def pde(x: Tensor, u: dg.Jet) -> Tensor:
            second = u.value[:, 1]
            return torch.stack([u.laplacian[:, 0] - second, second + 8 * wave(x)], 1)
    elif kind == "complex":  # the wave times 1 + 2i

        def pde(x: Tensor, u: dg.Jet) -> Tensor:
            return u.as_complex().laplacian[:, 0] + 8 * (1 + 2j) * wave(x)

        def bc(x: Tensor, u: dg.Jet) -> Tensor:
            return u.as_complex().value[:, 0] - (1 + 2j) * wave(x)
    elif kind == "parameter":
        source = parameters["source"] = torch.nn.Parameter(torch.zeros(1).double())

        def pde(x: Tensor, u: dg.Jet) -> Tensor:
            return u.laplacian[:, 0] - source * wave(x)

        x = 0.1 + 0.8 * torch.rand(20, 2, generator=torch.Generator().manual_seed(3)).double()
        others = [dg.Term("data", dg.Points(x), bc, order=0)]
    elif kind == "mean":
        x = dg.Lattice((25, 25))
        average = float(wave(dg.Interior(x).sample(625, SQUARE, dtype=torch.float64)).mean())

        def equation(x: Tensor, u: dg.Jet) -> Tensor:
            return u.laplacian[:, 0] + 8 * wave(x) + u.value.mean() - average

        others = [dg.Term("pde", dg.Interior(x), equation, order=2)]
    inside = [] if kind == "mean" else [dg.Term("pde", dg.Interior(), pde, order=2)]
    if kind == "energy":

        def density(x: Tensor, u: dg.Jet) -> Tensor:
            return 0.5 * u.gradient.square().sum(dim=(1, 2)) - 8 * wave(x) * u.value[:, 0]

        inside = [dg.Term("pde", dg.Interior(), density, order=1, loss="integral")]
        bounded = dg.Term("bc", dg.Boundary(), bc, order=0, weight=1e6)
    else:
        bounded = dg.Term("bc", dg.Boundary(), bc, order=0)
    solve(SQUARE, [*inside, *others, bounded], field, parameters=parameters)
    # Splines of degree 5 in cells of h = 1/6 leave about (3 h)^6 / 6! of sin 3x.
    # A penalty of 1e6 leaves an error of du/dn / 1e6 at the boundary.
    assert error_of(field, wave) < (1e-5 if kind == "energy" else 3e-5)
    if kind == "parameter":
        assert parameters["source"].item() == pytest.approx(-8, rel=1e-3)
    if kind == "complex":
        torch.testing.assert_close(grid.features[:, 1], 2 * grid.features[:, 0], rtol=0, atol=1e-6)


def test_columns_of_held_features_are_empty_and_those_of_unknowns_are_not() -> None:
    grid = grid_with(INSIDE)
    term = dg.Term("e", dg.Interior(), lambda x, u: u.value, order=0)
    matrix = dg.term_matrix(dg.Field(grid), term)
    filled = np.asarray((matrix != 0).sum(axis=0)).reshape(-1) > 0
    free, solved_for = free_nodes(grid.spec), unknown_nodes(grid.spec)
    assert free is not None
    assert solved_for is not None
    assert not filled[~free.numpy()].any()
    assert filled[solved_for.numpy()].all()


def test_rows_of_one_grid_are_moved_to_a_finer_one() -> None:
    grid, finer = grid_with(LEFT), grid_with(*CASES["nested"][0])
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(4)).double()
    moved, made = operator_of(x, grid).on(finer.spec), operator_of(x, finer)
    features = normal(finer.spec.total_nodes, 1) * finer.mask
    nothing = torch.zeros(0).double()
    expected = made.forward(features, nothing)
    torch.testing.assert_close(moved.forward(features, nothing), expected, rtol=0, atol=1e-9)
