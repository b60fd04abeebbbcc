"""What solve() chooses, and that both routes of least squares end at the same u."""

import pytest
import torch
from solving import helmholtz, make_field, relative_error, wave
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers import SolveError
from dinfgrid_cuda.solvers.linear import matrix_free, routes

MATRIX_FREE = dg.LeastSquares(linear=dg.MatrixFree())


def quietly(problem, field, **options):
    return dg.solve(problem, field, progress=False, **options)


@pytest.mark.parametrize(
    ("residual", "loss", "method", "reason"),
    [
        (lambda x, u: u.value - 1, "square", "least-squares", "residuals are linear"),
        (lambda x, u: u.value**2 - 1, "square", "least-squares", "Gauss-Newton"),
        (lambda x, u: u.value**2 - u.value, "mean", "least-squares", "energy is quadratic"),
        (lambda x, u: torch.cosh(u.value), "mean", "lbfgs", "neither a square nor quadratic"),
    ],
)
def test_method_follows_from_how_the_features_enter(residual, loss, method, reason):
    terms = [dg.Term("one", dg.Interior(), residual, loss=loss, points=200)]
    problem = dg.Problem(dg.Box([-1.0, -1.0], [1.0, 1.0]), terms)
    report = quietly(problem, make_field(cells=4), steps=1).report
    assert report.method == method
    assert reason in report.reason


def test_networks_and_learning_rates_are_trained():
    problem = helmholtz()
    mlp = dg.Field(make_field(cells=4).grid, dg.MLPDecoder(1, hidden=4))
    assert quietly(problem, mlp, steps=1).report.method == "lbfgs"
    assert quietly(problem, make_field(cells=4), method="adam", steps=1).report.method == "adam"


def test_nonlinear_parameter_makes_a_linear_equation_nonlinear():
    factor = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    terms = [
        dg.Term("scaled", dg.Interior(), lambda x, u: factor * u.value - 2 * x[:, :1]),
        # Fixes u, and so the factor, which the first term alone leaves free.
        dg.Term("known", dg.Interior(), lambda x, u: u.value - x[:, :1]),
    ]
    problem = dg.Problem(dg.Box([-1.0, -1.0], [1.0, 1.0]), terms, {"factor": factor})
    report = quietly(problem, make_field(cells=4)).report
    assert "Gauss-Newton" in report.reason
    assert float(factor.detach()) == pytest.approx(2.0, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("dim", [2, 3])
def test_matrix_free_route_ends_where_the_direct_one_does(dim, variable):
    cells = {2: 12, 3: 6}[dim]
    found = []
    for route in ("direct", "matrix-free"):
        field = make_field(dim, cells)
        solution = quietly(
            helmholtz(dim, variable=variable), field, method=dg.LeastSquares(linear=route)
        )
        assert solution.report.findings.route == route
        found.append(relative_error(field, wave, dg.Box([-1.0] * dim, [1.0] * dim)))
    # Both are the minimiser, found to a part of its distance to the solution.
    assert found[1] == pytest.approx(found[0], rel=0.1)


@pytest.mark.slow
def test_levels_precondition_like_a_multigrid():
    box = dg.Box(-1, 1)
    x = dg.Uniform()(4000, box, dtype=torch.float64)
    slope = dg.Term("slope", dg.Points(x), lambda x, u: u.gradient.flatten(1) - x, order=1)
    ends = dg.Term("ends", dg.Boundary(), lambda x, u: u.value)
    taken = []
    for levels in (1, 7):
        field = make_field(cells=512, box=box, levels=levels, basis=dg.BSpline(3))
        report = quietly(dg.Problem(box, [slope, ends]), field, method=MATRIX_FREE, steps=1).report
        taken.append(report.findings.iterations)
    assert taken[1] < taken[0] / 2


def test_large_constant_coefficients_iterate_and_small_ones_are_factorised(monkeypatch):
    monkeypatch.setattr(routes, "QUICK", 1e6)
    field = make_field(cells=16)
    findings = quietly(helmholtz(), field).report.findings
    assert findings.route == "matrix-free"
    assert findings.iterations < 100
    assert relative_error(field, wave, dg.Box([-1, -1], [1, 1])) < 1e-7
    monkeypatch.setattr(routes, "QUICK", 1e10)
    assert quietly(helmholtz(), make_field(cells=16)).report.findings.route == "direct"


def test_iterations_that_do_not_suffice_give_way_to_a_factor(monkeypatch):
    monkeypatch.setattr(routes, "QUICK", 1e6)
    monkeypatch.setattr(routes, "TRIAL", 3)
    field = make_field(cells=16)
    findings = quietly(helmholtz(), field).report.findings
    assert findings.route == "direct"
    assert "3 iterations of conjugate gradients did not suffice" in findings.route_reason
    assert relative_error(field, wave, dg.Box([-1, -1], [1, 1])) < 1e-7


def test_problem_too_large_for_a_factor_is_iterated(monkeypatch):
    monkeypatch.setattr(routes, "free_memory", lambda: 1e5)
    field = make_field(cells=12)
    findings = quietly(helmholtz(variable=True), field).report.findings
    assert findings.route == "matrix-free"
    assert "free" in findings.route_reason
    assert relative_error(field, wave, dg.Box([-1, -1], [1, 1])) < 1e-5


def test_unknown_route_is_refused():
    with pytest.raises(ValueError, match="linear is 'fast', but it must be one of"):
        dg.LeastSquares(linear="fast")


def test_infinite_coefficient_is_named():
    def infinite(x, u):
        return u.value + torch.where(x[:, :1] > 0.9, torch.inf, 0.0) * u.value.detach()

    problem = dg.Problem(
        dg.Box([-1.0, -1.0], [1.0, 1.0]), [dg.Term("one", dg.Interior(), infinite)]
    )
    with pytest.raises(SolveError, match="the loss is"):
        quietly(problem, make_field(cells=4), method="least-squares")


def test_single_precision_is_solved_to_its_rounding():
    field = make_field(cells=10, dtype=torch.float32, basis=dg.BSpline(5))
    quietly(helmholtz(), field)
    # Second derivatives round to eps / h^2 of u; the least eigenvalue divides by 2 pi^2 - 1.
    bound = torch.finfo(torch.float32).eps * 5**2 * 10
    assert relative_error(field, wave, dg.Box([-1, -1], [1, 1])) < max(bound, 3e-4)


def test_limit_of_the_iterations_is_generous():
    assert matrix_free.LIMIT > routes.TRIAL


@pytest.mark.parametrize("dim", [2, 3])
def test_fast_diagonalisation_on_three_cells(dim):
    """More nodes an axis than two points a cell tell apart: u stayed 0, and that was converged."""

    def exact(x):
        return torch.cos(x.sum(dim=1, keepdim=True))

    box = dg.Box([0.0] * dim, [1.0] * dim)
    problem = dg.Problem(
        box,
        [
            dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian + dim * exact(x), order=2),
            dg.Term("rim", dg.Boundary(), lambda x, u: u.value - exact(x)),
        ],
    )
    field = make_field(box=box, cells=3, basis=dg.BSpline(5))
    dg.solve(problem, field, MATRIX_FREE, progress=False)
    assert relative_error(field, lambda x: exact(x)[:, 0], box) < 1e-6
