"""The residuals that continue a field on a shape to the features outside it."""

import numpy as np
import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.linear.extension import Extension, Sight, extension_of

pytest.importorskip("scipy")
DOUBLE = torch.float64
RING = dg.Disk((0, 0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.25, name="hole")


def grid(degree=5, cells=9, shape=RING, **options):
    return dg.FeatureGrid.covering(
        shape, cells=cells, basis=dg.BSpline(degree), dtype=DOUBLE, seed=0, **options
    )


def extension(degree=5, shape=RING, **options):
    return Extension(Sight.of_shape(shape), grid(degree, shape=shape, **options).spec)


def interpolated(spec, function):
    """Features [nodes, 1] of the spline that is closest to a function in the whole grid."""
    box = dg.Box(spec.lower, spec.upper)
    x = dg.Lattice(tuple(4 * count for count in spec.cells), ends=True)(0, box, dtype=DOUBLE)
    rows = torch.zeros(len(x), spec.total_nodes, dtype=DOUBLE)
    rows.scatter_(1, tables.neighbours(x, spec, 0), tables.weights(x, spec, 0, 0)[:, 0])
    return torch.linalg.lstsq(rows, function(x), driver="gelsd").solution


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_polynomials_of_the_degree_are_continued_without_a_residual(degree):
    rows = extension(degree)

    def polynomial(x):
        return (x[:, :1] ** degree + 1) * (x[:, 1:] ** degree - x[:, 1:] + 2)

    features = interpolated(rows.spec, polynomial)
    size = float(features.abs().max())
    assert float(rows.differences(features).abs().max()) < 1e-8 * size
    other = torch.randn(features.shape, dtype=DOUBLE)
    assert float(rows.differences(other).abs().max()) > 1e-3


def test_features_are_weak_only_near_the_boundary_and_each_has_rows_on_every_axis():
    rows = extension()
    spec = rows.spec
    assert rows.weak.any()
    rows_of = np.zeros(spec.total_nodes, dtype=int)
    np.add.at(rows_of, rows.index.numpy().reshape(-1), 1)
    assert (rows_of[rows.weak] >= spec.dim).all()
    assert all(rows.weak[row].any() for row in rows.index.numpy())


def test_a_box_that_is_the_grid_needs_no_extension():
    box = dg.Box([0, 0], [1, 1])
    term = dg.Term("e", dg.Interior(dg.Lattice()), lambda x, u: u.laplacian, order=2)
    objective = Objective(dg.Problem(box, [term]), dg.Field(grid(shape=box)), resample=False)
    assert extension_of(objective) is None


@pytest.mark.parametrize("options", [{}, {"levels": 2, "cells": 8}], ids=str)
def test_rows_matrix_and_transpose_are_one_operator(options):
    rows = extension(**options)
    features = torch.randn(rows.spec.total_nodes, 2, dtype=DOUBLE)
    r = torch.randn(len(rows.index), 2, dtype=DOUBLE)
    forward = rows.differences(features)
    np.testing.assert_allclose(rows.matrix @ features.numpy(), forward.numpy(), atol=1e-13)
    expected = float((forward * r).sum())
    assert float((rows.transposed(r) * features).sum()) == pytest.approx(expected, rel=1e-11)
    assert np.abs(rows.matrix).sum(axis=1) == pytest.approx(np.ones(len(rows.index)))


def test_stencils_wrap_around_periodic_axes_only():
    channel = dg.Implicit(lambda x: x[:, 1].abs() - 0.37, (0, -0.4), (1, 0.4))
    spec = grid(3, (12, 9), channel, boundary=("periodic", "ghost")).spec
    rows = Extension(Sight.of_shape(channel), spec)
    nodes = np.array(np.unravel_index(rows.index.numpy(), spec.level_nodes(0)))
    steps = np.diff(nodes, axis=2)
    along, across = steps[0], steps[1]
    assert set(np.unique(along % spec.level_nodes(0)[0])) <= {0, 1}
    assert (along < 0).any()
    assert set(np.unique(across)) <= {0, 1}


def test_the_loss_is_that_of_its_weight_and_has_its_gradient():
    features = torch.nn.Parameter(torch.randn(grid().features.shape, dtype=DOUBLE))
    rows = Extension(Sight.of_shape(RING), grid().spec, features)
    rows.weigh(4.0)
    loss = rows()
    loss.backward()
    half = rows.transposed(rows.differences(features.detach()))
    torch.testing.assert_close(features.grad, 2 * rows.weight * half)
    assert float(loss.detach()) == pytest.approx(
        rows.weight * float(rows.differences(features.detach()).square().sum())
    )
