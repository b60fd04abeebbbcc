"""Gauss-Newton with a direct solver: rows, linear and nonlinear problems, energies, refusals."""

import math
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import solving
import torch
from solving import random_points

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers import SolveError
from dinfgrid_cuda.solvers.linear.rows import rows
from dinfgrid_cuda.solvers.linear.term_operators import term_operators
from dinfgrid_cuda.suite.cases.image.poisson_image import PoissonImage
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("one_thread")


def make_field(dim=2, cells=8, levels=1, channels=1, basis=None, constraint=None, **options):
    decoder = dg.LinearDecoder(channels if levels == 1 else 1, seed=2)
    basis = basis or dg.BSpline(5)
    settings = {"decoder": decoder, "seed": 1, **options}
    return solving.make_field(dim, cells, levels, channels, basis, constraint, **settings)


def wave(x):
    return torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:])


def poisson(n):
    return dg.Problem(
        dg.Box([-1, -1], [1, 1]),
        [
            dg.Term(
                "pde",
                dg.Interior(dg.Lattice((n, n))),
                order=2,
                residual=lambda x, u: (u.laplacian + 13 * wave(x))[:, 0],
            ),
            dg.Term(
                "boundary",
                dg.Boundary(sampler=dg.Lattice((n,), ends=True)),
                lambda x, u: u.value - wave(x),
                weight=1e4,
            ),
        ],
    )


def dense_rows(objective):
    spec, channels = objective.field.grid.spec, objective.field.grid.channels
    parts = [part for term in term_operators(objective, 0) for part in rows(term, spec, channels)]
    return np.concatenate([part.toarray() for part in parts])


def relative_error(field, exact):
    return solving.relative_error(field, exact, random_points(2000, field.dim))


# Rows


@pytest.mark.parametrize(
    ("dim", "levels", "channels", "options"),
    [
        (1, 1, 1, {}),
        (2, 1, 2, {}),
        (2, 2, 1, {"basis": dg.Gaussian(), "boundary": "clamp"}),
        (3, 1, 1, {"basis": dg.BSpline(3), "boundary": "periodic"}),
    ],
)
def test_rows_are_the_derivative_of_the_residual_by_the_features(dim, levels, channels, options):
    field = make_field(dim, 4, levels, channels, **options)
    x = 2 * torch.rand(7, dim, dtype=torch.float64) - 1

    def residual(x, u):
        first = u.value + u.laplacian * x[:, :1] + u.gradient[:, :, 0] ** 2
        return torch.complex(first, u.value**2)

    term = dg.Term("one", dg.Points(x), residual, order=2, weight=3.0)
    objective = Objective(dg.Problem(dg.Box([-1] * dim, [1] * dim), [term]), field)
    features = field.grid.features

    def scaled(values):
        with torch.no_grad():
            features.copy_(values.reshape(features.shape))
        r = torch.view_as_real(residual(x, field.jet(x, 2))).detach().reshape(-1)
        return r * math.sqrt(2 * 3.0 / (7 * field.out_channels))

    start = torch.randn(features.numel(), dtype=torch.float64)
    scaled(start)
    matrix = dense_rows(objective)
    direction = torch.randn_like(start)
    step = 1e-6
    slope = (scaled(start + step * direction) - scaled(start - step * direction)) / (2 * step)
    np.testing.assert_allclose(matrix @ direction.numpy(), slope.numpy(), rtol=1e-6, atol=1e-6)


def test_rows_of_an_energy_square_to_its_hessian():
    field = make_field()
    x = 2 * torch.rand(5, 2, dtype=torch.float64) - 1

    def density(x, u):
        each = 0.5 * u.laplacian**2 + u.value * u.value + torch.cos(x[:, :1]) * u.value
        return each[:, 0]

    term = dg.Term("energy", dg.Points(x), density, order=2, loss="mean", weight=2.0)
    objective = Objective(dg.Problem(dg.Box([-1, -1], [1, 1]), [term]), field)
    matrix = dense_rows(objective)
    features = field.grid.features
    objective.evaluate(0)
    before = features.grad.clone()
    direction = torch.randn_like(features)
    with torch.no_grad():
        features.add_(direction)
    objective.evaluate(0)
    change = (features.grad - before).flatten().numpy()
    np.testing.assert_allclose(
        matrix.T @ (matrix @ direction.flatten().numpy()), change, rtol=1e-9, atol=1e-9
    )


def test_decoding_the_gathered_features_is_the_jet():
    field = make_field(constraint=dg.BoxConstraint(1.0))
    x = 2 * torch.rand(9, 2, dtype=torch.float64) - 1
    decoded = field.decode(x, field.grid.gather(x, 2), 2)
    torch.testing.assert_close(decoded.components, field.jet(x, 2).components)


# Solves


def test_linear_problem_takes_one_step_to_the_accuracy_of_its_basis():
    field = make_field(cells=16, basis=dg.BSpline(7))
    solution = dg.solve(poisson(32), field, "least-squares", progress=False)
    assert relative_error(field, wave) < 1e-7
    assert solution.steps <= 4
    assert solution.reason.startswith("converged")


def test_error_falls_with_the_order_of_the_basis():
    errors = []
    for cells in (8, 16):
        field = make_field(cells=cells)
        dg.solve(poisson(2 * cells), field, "least-squares", progress=False)
        errors.append(relative_error(field, wave))
    assert errors[0] / errors[1] > 2**3.5  # quintic: order 4 in second derivatives, or more


def test_redundant_levels_change_nothing():
    one, three = make_field(cells=16), make_field(cells=16, levels=3)
    for field in (one, three):
        dg.solve(poisson(32), field, "least-squares", progress=False)
    assert relative_error(three, wave) < 2 * relative_error(one, wave)


def test_hard_constraint_is_part_of_the_system():
    field = make_field(cells=16, constraint=dg.BoxConstraint(wave, factor="polynomial"))
    problem = dg.Problem(dg.Box([-1, -1], [1, 1]), poisson(32).terms[:1])
    dg.solve(problem, field, "least-squares", progress=False)
    assert relative_error(field, wave) < 1e-5


def test_complex_wave_of_two_channels_is_solved():
    field = make_field(dim=1, cells=32, channels=2)
    k = 7.0

    def exact(x):
        return torch.exp(1j * k * x)

    terms = [
        dg.Term(
            "pde",
            dg.Interior(dg.Lattice((80,))),
            order=2,
            residual=lambda x, u: u.as_complex().laplacian + k * k * u.as_complex().value,
        ),
        dg.Term(
            "ends",
            dg.Boundary(),
            lambda x, u: u.as_complex().value - exact(x),
            weight=1e4,
        ),
    ]
    dg.solve(dg.Problem(dg.Box([-1], [1]), terms), field, "least-squares", progress=False)
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
    found = field.jet(x, 0).as_complex().value
    assert float((found - exact(x)).abs().max()) < 1e-4


def test_nonlinear_equation_converges_quadratically():
    """u'' = 6 u^2 with u = 1 / (x + 2)^2 (damped steps first, then full ones)."""
    field = make_field(dim=1, cells=16)

    def exact(x):
        return 1 / (x + 2) ** 2

    terms = [
        dg.Term(
            "pde",
            dg.Interior(dg.Lattice((40,))),
            order=2,
            residual=lambda x, u: u.laplacian - 6 * u.value**2,
        ),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value - exact(x), weight=1e4),
    ]
    solution = dg.solve(
        dg.Problem(dg.Box([-1], [1]), terms), field, "least-squares", progress=False
    )
    assert relative_error(field, exact) < 1e-5
    assert solution.steps <= 12


def string(points):
    """A string under a uniform load: the mean of its energy density."""
    term = dg.Term(
        "energy",
        dg.Interior(dg.Lattice((points,))),
        lambda x, u: 0.5 * u.gradient[:, :, 0] ** 2 - u.value,
        order=1,
        loss="mean",
    )
    return dg.Problem(dg.Box([-1], [1]), [term])


def test_energy_is_minimised_by_newton_steps():
    """-u'' = 1, u(+-1) = 0: u = (1 - x^2) / 2, whose energy is -1/3 (and -1/6 as a mean)."""
    field = make_field(dim=1, cells=4, constraint=dg.BoxConstraint(0.0, factor="polynomial"))
    solution = dg.solve(string(400), field, "least-squares", progress=False)
    midpoint = -1 / 6 - (2 / 400) ** 2 / 12  # the rule's value of the mean of x^2 - 1/2
    assert midpoint - 1e-6 < solution.loss <= midpoint  # the least of the sum, not of the integral
    assert relative_error(field, lambda x: (1 - x * x) / 2) < 1e-4


def test_lbfgs_minimises_the_same_energy():
    field = make_field(dim=1, cells=4, constraint=dg.BoxConstraint(0.0, factor="polynomial"))
    solution = dg.solve(string(400), field, "lbfgs", steps=100, progress=False)
    assert solution.loss == pytest.approx(-1 / 6, rel=1e-4)
    assert all(a >= b for a, b in pairwise(solution.history.totals))


def test_patience_counts_falls_of_a_negative_loss():
    field = make_field(dim=1, cells=4, constraint=dg.BoxConstraint(0.0))
    solution = dg.solve(
        string(50), field, dg.Adam(lr=1e-2), steps=60, stop=dg.Stop(patience=5), progress=False
    )
    assert solution.steps > 20
    assert solution.loss < 0


@pytest.mark.parametrize("power", [1, 3])
def test_resumed_solve_ends_as_the_uninterrupted_one(power, tmp_path):
    fields = [make_field(dim=1, cells=8) for _ in range(2)]
    term = dg.Term(
        "pde",
        dg.Interior(dg.Lattice((40,))),
        order=2,
        residual=lambda x, u: torch.cat([u.laplacian - u.value**power, u.value - x], dim=1),
    )
    problem = dg.Problem(dg.Box([-1], [1]), [term])
    dg.solve(problem, fields[0], "least-squares", steps=6, progress=False)
    dg.solve(problem, fields[1], "least-squares", steps=2, out=tmp_path, progress=False)
    resumed = make_field(dim=1, cells=8)
    dg.solve(problem, resumed, "least-squares", steps=6, out=tmp_path, resume=True, progress=False)
    torch.testing.assert_close(resumed.grid.features, fields[0].grid.features, atol=0, rtol=0)


# Refusals


def test_network_is_refused():
    network = dg.CoordinateNetwork(dg.Box([-1, -1], [1, 1]), hidden=8, layers=1)
    with pytest.raises(SolveError, match="needs a Field"):
        dg.solve(poisson(4), network, "least-squares", progress=False)


def test_residual_that_sees_no_feature_is_named():
    field = make_field(basis=dg.BSpline(1))
    term = dg.Term("pde", dg.Interior(), order=2, residual=lambda x, u: u.laplacian - 1)
    problem = dg.Problem(dg.Box([-1, -1], [1, 1]), [term])
    with pytest.raises(SolveError, match="do not depend on any feature"):
        dg.solve(problem, field, "least-squares", progress=False)


def test_too_few_points_are_warned_of():
    field = make_field(cells=16)
    with pytest.warns(RuntimeWarning, match="residuals do not determine the"):
        dg.solve(poisson(8), field, "least-squares", progress=False)


def test_factor_that_does_not_fit_is_refused_before_anything_is_formed(monkeypatch):
    monkeypatch.setattr("dinfgrid_cuda.solvers.linear.routes.free_memory", lambda: 1e6)
    with pytest.raises(SolveError, match=r"will take about .* GB, but 0.0 GB are free"):
        dg.solve(poisson(4), make_field(cells=64), dg.LeastSquares(linear="direct"), progress=False)


def test_missing_scipy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    with pytest.raises(SolveError, match="needs the package scipy"):
        dg.solve(poisson(4), make_field(), "least-squares", progress=False)


def test_unknown_loss_of_a_term_is_refused():
    with pytest.raises(ValueError, match="loss is 'sum'"):
        dg.Term("a", dg.Interior(), lambda x, u: u.value, loss="sum")


def test_complex_energy_is_refused():
    field = make_field(dim=1)
    term = dg.Term("e", dg.Interior(), lambda x, u: u.value + 1j * u.value, loss="mean")
    with pytest.raises(TypeError, match="an energy density is real"):
        dg.solve(dg.Problem(dg.Box([-1], [1]), [term]), field, "lbfgs", progress=False)


@pytest.mark.parametrize("basis", [dg.Gaussian(1.0, 4), dg.Gaussian(2.0, 3)])
def test_ghost_nodes_that_points_hardly_see_do_not_drown_the_field_in_rounding(basis):
    """An image from its gradient; scaled up like all others, faint features reach 1e14 and more."""
    pytest.importorskip("skimage")
    case = PoissonImage(size=32)
    setup = replace(Request(case).setup(), basis=basis)
    field = make_model(case, setup, "grid", 0)
    with pytest.warns(RuntimeWarning):  # the mean is open
        dg.solve(case.problem(setup), field, "least-squares", progress=False)
    assert float(field.get_parameter("grid.features").detach().abs().max()) < 1e9
    assert case.measure(field)["psnr_rescaled"].value > 28
