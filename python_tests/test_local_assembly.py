"""Least squares on local levels: matrices, routes, and errors of smooth solutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases_of_local_levels import CASES, INSIDE, LEFT, functions, grid_with, interval, lattice, rank

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.refinement import Refined
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.linear import patch_assembly
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.patch_assembly import patch_matrix
from dinfgrid_cuda.solvers.linear.rows import rows
from dinfgrid_cuda.solvers.linear.truncated_assembly import spread, truncated_matrix
from dinfgrid_cuda.solvers.linear.truncation import truncation
from dinfgrid_cuda.solvers.linear.unknown_nodes import unknown_nodes

pytest.importorskip("scipy")

# Boxes of which some overlap, halved along different axes, have no truncated basis.
TRUNCATED = [name for name in CASES if name not in ("crossing", "several levels")]


def normal_operator(name: str, channels: int) -> NormalOperator:
    boxes, options = CASES[name]
    degree = 1 if options.get("dim") == 3 else 3
    grid = grid_with(*boxes, **{**options, "degree": degree, "channels": channels})
    field = dg.Field(grid, dg.IdentityDecoder(grid.out_channels))

    def equation(x: torch.Tensor, u: dg.Jet) -> torch.Tensor:
        slope = u.gradient[:, :, 0]
        return (1 + x[:, :1] ** 2) * u.value.flip(1) - slope + u.laplacian

    term = dg.Term("e", dg.Interior(dg.Uniform()), equation, order=2, points=300)
    box = dg.Box((0.0,) * grid.dim, (1.0,) * grid.dim)
    return NormalOperator(Objective(dg.Problem(box, [term]), field, resample=False))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_matrix_by_patches_is_that_of_the_rows(
    name: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if channels == 2:  # in many parts
        monkeypatch.setattr(patch_assembly, "COLLECTED", 1 << 10)
    normal = normal_operator(name, channels)
    free = unknown_nodes(normal.spec)
    assert free is not None
    for operator in normal.operators:
        blocks = [block.toarray() for block in rows(operator, normal.spec, channels)]
        a = np.concatenate(blocks) * np.repeat(free.numpy(), channels)
        expected = a.T @ a
        found = patch_matrix(operator, normal.spec, channels).toarray()
        np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_matrix_by_truncated_functions_is_that_of_the_rows(name: str, channels: int) -> None:
    normal = normal_operator(name, channels)
    basis = truncation(normal.spec)
    assert basis is not None
    change = spread(basis.change, channels).toarray()
    for operator in normal.operators:
        blocks = [block.toarray() for block in rows(operator, normal.spec, channels)]
        a = np.concatenate(blocks) @ change
        expected = a.T @ a
        found = truncated_matrix(operator, normal.spec, channels, basis).toarray()
        np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("name", [name for name in TRUNCATED if "layer" not in name])
def test_truncated_functions_are_a_basis_of_the_same_functions(name: str) -> None:
    boxes, options = CASES[name]
    degree = 3 if options.get("dim") == 1 else 1
    spec = grid_with(*boxes, **{**options, "degree": degree}).spec
    kept, basis = unknown_nodes(spec), truncation(spec)
    assert kept is not None
    assert basis is not None
    values = functions(spec, lattice(spec, max(max(own.halvings) for own in spec.local)))
    truncated = values @ torch.from_numpy(basis.change.toarray())
    count = int(kept.sum())
    assert rank(truncated[:, kept]) == count
    assert rank(torch.cat([truncated, values[:, kept]], 1)) == count
    # Where finer functions begin, coarse ones end: together they are 1, and none is negative.
    assert truncated.min() > -1e-12
    torch.testing.assert_close(truncated[:, kept].sum(1), torch.ones(len(values)).double())


@pytest.mark.parametrize("name", ["crossing", "several levels"])
def test_other_grids_have_no_truncated_basis(name: str) -> None:
    boxes, options = CASES[name]
    assert truncation(grid_with(*boxes, **options).spec) is None
    assert truncation(grid_with().spec) is None


def smooth(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * x[:, 0] + 1) * torch.cos(2 * x[:, -1])


def poisson(dim: int) -> dg.Problem:
    factor = 8.0 if dim == 2 else 16.0

    def equation(x: torch.Tensor, u: dg.Jet) -> torch.Tensor:
        return u.laplacian[:, 0] + factor * wave(x)

    def wave(x: torch.Tensor) -> torch.Tensor:
        return smooth(x) if dim == 2 else torch.sin(4 * x[:, 0] + 1)

    return dg.Problem(
        dg.Box((0.0,) * dim, (1.0,) * dim),
        [
            dg.Term("pde", dg.Interior(), equation, order=2),
            dg.Term("bc", dg.Boundary(), lambda x, u: u.value[:, 0] - wave(x), order=0),
        ],
    )


def solved(*boxes: dg.Box | Refined, exact: Any = smooth, dim: int = 2, **options: Any) -> float:
    linear = options.pop("linear", dg.Direct())
    field = dg.Field(grid_with(*boxes, dim=dim, degree=5, **{"cells": 12, **options}))
    dg.solve(poisson(dim), field, dg.LeastSquares(linear=linear), progress=False)
    x = torch.rand(2000, dim, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        return float((field(x)[:, 0] - exact(x)).square().mean().sqrt())


@pytest.mark.parametrize(
    "boxes",
    [
        (INSIDE,),
        (LEFT, dg.Box((0.0, 0.0), (0.25, 0.25))),
        (Refined(LEFT, (2, 0)), Refined(INSIDE, (0, 1))),
        (INSIDE, Refined(dg.Box((0.5, 0.25), (1.0, 1.0)), 1)),
    ],
)
def test_a_smooth_solution_is_found_as_well_with_a_box_anywhere(boxes: Any) -> None:
    uniform = solved()
    assert uniform < 1e-7
    # Weights of the residuals differ from cell to cell, so that the best fit is another one.
    assert solved(*boxes) < 2 * uniform


def test_a_box_over_all_of_a_line_is_as_good_as_a_finer_grid() -> None:
    def exact(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(4 * x[:, 0] + 1)

    coarse, finer = (solved(exact=exact, dim=1, cells=cells) for cells in (8, 16))
    assert finer < coarse / 8  # of order 4 = degree - 1 or more
    assert solved(interval(0.0, 1.0), exact=exact, dim=1, cells=8) < 2 * finer


def test_both_routes_find_the_same_field() -> None:
    fields = []
    for linear in (dg.Direct(), dg.MatrixFree()):
        grid = grid_with(INSIDE, degree=3)
        with torch.no_grad():
            grid.features.zero_()
        field = dg.Field(grid)
        dg.solve(poisson(2), field, dg.LeastSquares(linear=linear), progress=False)
        fields.append(field)
    x = torch.rand(500, 2, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        direct, free = (field(x) for field in fields)
    assert (direct - free).abs().max() < 1e-6 * direct.abs().max()


def test_held_features_stay_as_they_are() -> None:
    grid = grid_with(INSIDE, degree=5, cells=12)
    with torch.no_grad():
        grid.features.mul_(grid.mask)
    field = dg.Field(grid)
    dg.solve(poisson(2), field, "least-squares", progress=False)
    assert grid.mask is not None
    held = grid.mask[:, 0] == 0
    assert grid.features[held].count_nonzero() == 0
    assert grid.features[~held].abs().max() > 0.1
