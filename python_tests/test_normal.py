"""The normal operator: tables on lattices, Kronecker sums and kernels against dense rows."""

import math

import numpy as np
import pytest
import solving
import torch
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.lattice.axes import as_lattice
from dinfgrid_cuda.solvers.lattice.fast_diagonal import FastDiagonal
from dinfgrid_cuda.solvers.linear.balance import balance
from dinfgrid_cuda.solvers.linear.conjugate_gradients import conjugate_gradients
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.matrix_free import suits
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.rows import rows

# Sums of a few thousand products of doubles in another order.
ROUNDING = 1e-11


def make_field(dim=2, cells=5, levels=1, channels=1, basis=None, boundary="ghost"):
    settings = {"boundary": boundary, "decoder": dg.LinearDecoder(1, bias=False, seed=0)}
    field = solving.make_field(
        dim, cells << (levels - 1), levels, channels, basis or dg.BSpline(5), **settings
    )
    field.decoder.layer.weight.requires_grad_(False)
    return field


def terms(dim, varying, scattered=False):
    def equation(x, u):
        factor = 1 + x[:, :1] ** 2 if varying else 2.0
        return factor * u.laplacian + u.derivative((1,) + (0,) * (dim - 1)) - 3 * u.value - 1

    sampler = dg.Uniform() if scattered else dg.Lattice((11,) * dim, ends=True)
    faces = dg.Boundary(shape=tuple(9 + axis for axis in range(dim)))
    return [
        dg.Term("equation", dg.Interior(sampler), equation, order=2, points=150),
        dg.Term("rim", faces, lambda x, u: u.value - 1, weight=7.0),
    ]


def dense(normal):
    spec, channels = normal.spec, normal.channels
    blocks = [block for operator in normal.operators for block in rows(operator, spec, channels)]
    features = np.concatenate([block.toarray() for block in blocks])
    parameters = np.concatenate([operator.columns.numpy() for operator in normal.operators])
    return np.concatenate([features, parameters], axis=1)


CASES = [
    # dim, varying, scattered, levels, channels, basis, boundary
    (1, False, False, 1, 1, dg.BSpline(5), "ghost"),
    (2, False, False, 1, 1, dg.BSpline(7), "ghost"),
    (2, False, False, 1, 2, dg.BSpline(3), "periodic"),
    (2, False, False, 1, 1, dg.Gaussian(), "clamp"),
    (3, False, False, 1, 1, dg.BSpline(3), "ghost"),
    (1, True, False, 1, 1, dg.BSpline(5), "ghost"),
    (2, True, False, 1, 1, dg.BSpline(5), "ghost"),
    (2, True, False, 1, 2, dg.BSpline(3), "periodic"),
    (2, True, False, 1, 1, dg.Gaussian(), "clamp"),
    (3, True, False, 1, 1, dg.BSpline(3), "ghost"),
    (2, False, False, 3, 2, dg.BSpline(5), "ghost"),
    (2, True, True, 2, 1, dg.Gaussian(), "ghost"),
    (3, True, True, 1, 1, dg.BSpline(3), "ghost"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operator_its_diagonal_and_its_matrix_are_those_of_the_rows(case):
    dim, varying, scattered, levels, channels, basis, boundary = case
    field = make_field(dim, 5, levels, channels, basis, boundary)
    problem = dg.Problem(dg.Box([-1] * dim, [1] * dim), terms(dim, varying, scattered))
    normal = NormalOperator(Objective(problem, field, resample=False))
    assert suits(normal) == (dim > 1 and not varying and not scattered and levels == 1)
    a = dense(normal)
    square = a.T @ a
    size = np.abs(square).max()
    v = torch.randn(normal.feature_count, dtype=torch.float64)
    np.testing.assert_allclose(normal(v).numpy(), square @ v.numpy(), atol=1e2 * ROUNDING * size)
    np.testing.assert_allclose(normal.diagonal().numpy(), np.diag(square), atol=ROUNDING * size)
    residuals = float(np.square(a @ v.numpy()).sum())
    assert float(normal.forward(v).square().sum()) == pytest.approx(residuals, rel=1e-11)
    np.testing.assert_allclose(normal.by_rows(v), square @ v.numpy(), atol=1e2 * ROUNDING * size)
    scaled = DirectSystem(normal).matrix
    order = scaled.order
    matrix = np.zeros_like(square)
    matrix[np.ix_(order, order)] = scaled.scaled.toarray()
    matrix *= np.outer(1 / scaled.scale, 1 / scaled.scale)
    np.testing.assert_allclose(matrix, square, atol=ROUNDING * size)


def test_parameters_are_columns_of_the_operator():
    field = make_field()
    speed = nn.Parameter(torch.tensor([0.5, 2.0], dtype=torch.float64))

    def equation(x, u):
        return speed[0] * u.laplacian + speed[1] ** 2 * u.value

    region = dg.Interior(dg.Lattice((7, 7)))
    problem = dg.Problem(
        dg.Box([-1, -1], [1, 1]), [dg.Term("e", region, equation, order=2)], {"speed": speed}
    )
    normal = NormalOperator(Objective(problem, field, resample=False))
    a = dense(normal)
    v = torch.randn(normal.feature_count + 2, dtype=torch.float64)
    np.testing.assert_allclose(normal(v).numpy(), a.T @ (a @ v.numpy()), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(normal.diagonal().numpy(), (a * a).sum(axis=0), rtol=1e-9)


def test_balance_makes_boundary_rows_weigh_as_much_as_the_equation():
    for cells in (8, 16):
        problem = dg.Problem(dg.Box([-1, -1], [1, 1]), terms(2, varying=True))
        objective = Objective(problem, make_field(cells=cells), resample=False)
        normal = NormalOperator(objective)
        balance(normal, objective)
        means = []
        for operators in normal.operators_of_terms:
            squares = sum(
                np.square(block.toarray()).sum(axis=0)
                for operator in operators
                for block in rows(operator, normal.spec, 1)
            )
            traces = [operator.trace() for operator in operators]
            means.append(squares.sum() / sum(seen for _, seen in traces))
        # The rim's own weight stays on top.
        assert means[1] == pytest.approx(7.0 * means[0], rel=1e-9)


def test_points_of_a_lattice_are_recognised_in_their_order_only():
    box = dg.Box([-1, 0], [1, 3])
    x = dg.Lattice((4, 3))(12, box)
    axes = as_lattice(x)
    assert [len(t) for t in axes] == [4, 3]
    assert as_lattice(x[torch.randperm(12, generator=torch.Generator().manual_seed(1))]) is None
    assert as_lattice(x[:11]) is None
    assert as_lattice(dg.Uniform()(12, box)) is None


@pytest.mark.parametrize(("boundary", "most"), [("periodic", 3), ("ghost", 30)])
def test_fast_diagonalisation_leaves_few_iterations(boundary, most):
    field = make_field(cells=12, boundary=boundary)
    region = dg.Interior(dg.Lattice((24, 24)))  # the middles of 2 x 2 squares a cell
    term = dg.Term(
        "screened",
        region,
        lambda x, u: torch.cat([u.gradient.flatten(1), u.value], dim=1),
        order=1,
    )
    objective = Objective(dg.Problem(dg.Box([-1, -1], [1, 1]), [term]), field, resample=False)
    normal = NormalOperator(objective)
    b = normal(torch.randn(normal.feature_count, dtype=torch.float64))
    found = conjugate_gradients(normal, b, FastDiagonal(normal.kronecker), 1e-9, 100)
    assert found.done
    assert found.iteration_count <= most
    plain = conjugate_gradients(normal, b, lambda r: r / normal.diagonal(), 1e-9, 100)
    assert found.iteration_count < plain.iteration_count / 2


def test_conjugate_gradients_solve_and_estimate_the_condition():
    values = torch.linspace(1, 100, 30, dtype=torch.float64)
    b = torch.randn(30, dtype=torch.float64)
    found = conjugate_gradients(lambda v: values * v, b, lambda r: r, 1e-12, 100)
    torch.testing.assert_close(found.x, b / values, rtol=1e-9, atol=1e-9)
    assert found.done
    assert found.iteration_count <= 60
    assert found.condition == pytest.approx(100, rel=0.01)
    early = conjugate_gradients(lambda v: values * v, b, lambda r: r, 1e-12, 3)
    assert not early.done
    assert early.iteration_count == 3
    torch.testing.assert_close(early.residual, b - values * early.x)
    assert math.isfinite(early.condition)
