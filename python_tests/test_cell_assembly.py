"""A' A of scattered points, assembled cell by cell, is that of the rows."""

import numpy as np
import pytest
from solving import make_field

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.linear import cell_assembly
from dinfgrid_cuda.solvers.linear.cell_assembly import cell_matrix, suits_cells
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.rows import rows

pytest.importorskip("scipy")


def operators(dim=2, degree=3, channels=1, points=400, **options):
    options = {"cells": 5, **options}
    field = make_field(
        dim,
        basis=dg.BSpline(degree),
        channels=channels,
        decoder=dg.IdentityDecoder(channels),
        **options,
    )

    def equation(x, u):
        return (1 + x[:, :1] ** 2) * u.laplacian + u.value.flip(1) - u.gradient[:, :, 0]

    term = dg.Term("e", dg.Interior(dg.Uniform()), equation, order=2, points=points)
    problem = dg.Problem(dg.Box([-1] * dim, [1] * dim), [term])
    return NormalOperator(Objective(problem, field, resample=False))


@pytest.mark.parametrize(
    ("dim", "degree", "channels"), [(1, 5, 1), (2, 3, 1), (2, 5, 2), (3, 3, 1), (2, 7, 1)]
)
@pytest.mark.parametrize("held", [None, 1 << 12])
def test_matrix_is_that_of_the_rows(dim, degree, channels, held, monkeypatch):
    if held is not None:  # in many parts
        monkeypatch.setattr(cell_assembly, "PRODUCTS", held)
    normal = operators(dim, degree, channels)
    for operator in normal.operators:
        assert suits_cells(operator, normal.spec)
        blocks = [block.toarray() for block in rows(operator, normal.spec, channels)]
        a = np.concatenate(blocks)
        expected = a.T @ a
        found = cell_matrix(operator, normal.spec, channels).toarray()
        np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def test_few_points_and_other_grids_are_left_to_the_rows():
    assert not any(suits_cells(one, n.spec) for n in [operators(points=8)] for one in n.operators)
    for options in ({"boundary": "periodic"}, {"levels": 2, "cells": 6}):
        normal = operators(**options)
        assert not any(suits_cells(one, normal.spec) for one in normal.operators)
