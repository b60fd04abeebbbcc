"""Unknown parameters, continuation, stalled iterations, and the matrix of a term."""

import math

import numpy as np
import pytest
import torch
from solving import helmholtz, make_field, wave
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers import CheckpointError, SolveError
from dinfgrid_cuda.solvers.choose import choose
from dinfgrid_cuda.solvers.linear import routes

BOX = dg.Box([-1.0, -1.0], [1.0, 1.0])
LINE = dg.Box(0.0, 1.0)


def inverse(start, points=60):
    """a u'' + b u = q for u = sin(pi x), with u measured at some points: a = 0.3, b = 2."""
    a, b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in start)

    def equation(x, u):
        q = (2 - 0.3 * math.pi**2 * (1 + x)) * torch.sin(math.pi * x)
        return a * (1 + x) * u.laplacian + b * u.value - q

    x = torch.rand(points, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    terms = [
        dg.Term("equation", dg.Interior(), equation, order=2),
        dg.Term(
            "measured",
            dg.Points(x),
            lambda x, u, d: u.value - d,
            data=torch.sin(math.pi * x),
            weight=1e4,
        ),
    ]
    return dg.Problem(LINE, terms, {"a": a, "b": b}), a, b


@pytest.mark.parametrize("route", ["direct", "matrix-free"])
def test_unknown_coefficients_are_found_with_the_field(route):
    problem, a, b = inverse((1.0, 1.0))
    field = make_field(cells=16, box=LINE)
    assert "Gauss-Newton" in choose(problem, field).reason
    dg.solve(problem, field, dg.LeastSquares(linear=route), progress=False)
    # The interpolation error of the septic spline, 1e-9, times the residual's weight.
    tolerance = 1e-6 if route == "direct" else 1e-4
    assert float(a.detach()) == pytest.approx(0.3, abs=tolerance)
    assert float(b.detach()) == pytest.approx(2.0, abs=10 * tolerance)


def test_unknown_parameters_are_in_the_checkpoint(tmp_path):
    problem, a, b = inverse((1.0, 1.0))
    dg.solve(problem, make_field(cells=8, box=LINE), progress=False, steps=3, out=tmp_path)
    saved = float(a.detach()), float(b.detach())
    again, a2, b2 = inverse((5.0, 5.0))
    field = make_field(cells=8, box=LINE)
    dg.solve(again, field, progress=False, steps=3, out=tmp_path, resume=True)
    assert (float(a2.detach()), float(b2.detach())) == saved
    without = dg.Problem(LINE, again.terms)
    with pytest.raises(CheckpointError, match="problem's parameters"):
        dg.solve(without, field, progress=False, steps=3, out=tmp_path, resume=True)


def bratu(factor):
    """u'' + factor exp(u) = 0, u = 0 at the ends: solvable up to a factor of 3.5138."""
    return dg.Problem(
        LINE,
        [
            dg.Term("bratu", dg.Interior(), lambda x, u: u.laplacian + factor * u.value.exp(), 2),
            dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
        ],
    )


def test_continuation_reaches_what_lies_far_from_the_start():
    field = make_field(cells=16, box=LINE)
    solution = dg.continuation(bratu, field, 0.5, 3.5, progress=False, steps=30)
    # The lower solution is -2 log(cosh(s (1 - 2 x)) / cosh(s)) with factor = 8 (s / cosh s)^2.
    lower, upper = 0.0, 1.1996786  # the branch turns where s tanh s = 1
    for _ in range(80):
        s = (lower + upper) / 2
        lower, upper = (s, upper) if 8 * (s / math.cosh(s)) ** 2 < 3.5 else (lower, s)
    middle = field(torch.tensor([[0.5]], dtype=torch.float64))
    assert float(middle.detach()) == pytest.approx(2 * math.log(math.cosh(s)), rel=1e-6)
    assert solution.reason.startswith("converged")


@pytest.mark.slow
def test_continuation_past_a_turning_point_says_where_it_ended():
    field = make_field(cells=8, box=LINE)
    with pytest.raises(SolveError, match=r"no convergence beyond [23]\.\d+; the field holds"):
        dg.continuation(bratu, field, 1.0, 6.0, progress=False, steps=15, smallest_step=0.05)
    assert bool(field.grid.features.isfinite().all())


@pytest.mark.slow
def test_stalled_iteration_keeps_its_best_and_says_what_to_try(tmp_path):
    field = make_field(cells=8, box=LINE)
    solution = dg.solve(bratu(20.0), field, progress=False, steps=200, out=tmp_path)
    totals = solution.history.totals
    assert solution.loss == min(totals)
    assert totals == sorted(totals, reverse=True)
    assert solution.checkpoint.exists()


def test_matrix_of_a_term_is_its_derivative_by_the_features():
    field = make_field(cells=6, levels=2, basis=dg.BSpline(5))
    term = dg.Term("e", dg.Interior(), lambda x, u: u.laplacian + x[:, :1] * u.value - 1, order=2)
    matrix = dg.term_matrix(field, term)
    x = dg.Lattice((13, 13), ends=True)(0, BOX, dtype=torch.float64)
    assert matrix.shape == (len(x), field.grid.features.numel())

    def residual():
        with torch.no_grad():
            return term.residual(x, field.jet(x, 2))[:, 0].numpy()

    before = residual()
    change = torch.randn_like(field.grid.features)
    with torch.no_grad():
        field.grid.features.add_(change)
    moved = matrix @ change.flatten().numpy()
    np.testing.assert_allclose(residual() - before, moved, rtol=1e-9, atol=1e-9)


def test_matrix_gives_the_solution_of_solve():
    problem = helmholtz()
    field = make_field(cells=8)
    dg.solve(problem, field, dg.LeastSquares(balance=False), progress=False)
    blocks, given = [], []
    for term in problem.terms:
        blocks.append(dg.term_matrix(field, term).toarray())
        zero = make_field(cells=8)
        with torch.no_grad():
            zero.grid.features.zero_()
        shape = (17, 17)
        region = (
            dg.Interior(dg.Lattice(shape, ends=True))
            if term.name == "equation"
            else dg.Boundary(shape=shape)
        )
        x = region.sample(4096, BOX, dtype=torch.float64)
        with torch.no_grad():
            given.append(term.residual(x, zero.jet(x, term.order)).flatten().numpy())
        scale = len(given[-1]) ** -0.5
        blocks[-1], given[-1] = scale * blocks[-1], scale * given[-1]
    features = np.linalg.lstsq(np.concatenate(blocks), -np.concatenate(given), rcond=1e-10)[0]
    zero.grid.features.data.copy_(torch.from_numpy(features)[:, None])
    x = dg.Uniform()(500, BOX, dtype=torch.float64)
    with torch.no_grad():
        difference = (zero(x) - field(x)).abs().max()
        error = (field(x)[:, 0] - wave(x)).abs().max()
    assert float(difference) < 1e-2 * float(error)


def test_energy_has_no_matrix():
    term = dg.Term("energy", dg.Interior(), lambda x, u: u.value**2, loss="mean")
    with pytest.raises(ValueError, match="is an energy; only residuals have rows"):
        dg.term_matrix(make_field(), term)


@pytest.mark.parametrize("start", [4.0, 6.0])
def test_factor_of_the_unknown_field_is_found_from_a_poor_start(start):
    # The first step holds k: with features near zero nothing depends on it.
    k = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    terms = [
        dg.Term("wave", dg.Interior(), lambda x, u: u.laplacian + k**2 * u.value, order=2),
        dg.Term(
            "measured",
            dg.Points(x),
            lambda x, u, d: u.value - d,
            data=torch.sin(5 * x),
            weight=1e3,
        ),
    ]
    dg.solve(dg.Problem(LINE, terms, {"k": k}), make_field(cells=16, box=LINE), progress=False)
    assert float(k.detach()) == pytest.approx(5.0, abs=1e-4)


def test_parameters_are_held_in_the_first_step_only_if_they_would_leap():
    field = make_field(cells=16, box=LINE)
    problem, a, b = inverse((1.0, 1.0))
    dg.solve(problem, field, progress=False, steps=1, guess=0.0)  # any change fits u = 0
    assert (float(a.detach()), float(b.detach())) == (1.0, 1.0)
    dg.solve(problem, field, progress=False)
    problem, a, b = inverse((0.31, 1.95))
    dg.solve(problem, field, progress=False, steps=1)  # from the solution's u
    assert float(a.detach()) == pytest.approx(0.3, abs=1e-3)
    assert float(b.detach()) == pytest.approx(2.0, abs=1e-2)


def test_matrix_of_a_complex_residual_is_not_scaled():
    field = make_field(cells=4)
    term = dg.Term("c", dg.Interior(), lambda x, u: (1 + 2j) * u.value)
    real = dg.term_matrix(field, dg.Term("r", dg.Interior(), lambda x, u: u.value)).toarray()
    both = dg.term_matrix(field, term).toarray()
    np.testing.assert_allclose(both[::2], real, atol=1e-12)
    np.testing.assert_allclose(both[1::2], 2 * real, atol=1e-12)


@pytest.mark.parametrize("route", ["direct", "matrix-free"])
def test_energy_in_two_terms_is_minimised_by_every_route(route):
    # 1/2 u'^2 - u with u = 0 at the ends: u = x (1 - x) / 2, exactly of the form B net.
    middles = dg.Interior(dg.Lattice((200,)))
    terms = [
        dg.Term("slope", middles, lambda x, u: u.gradient.square().sum((1, 2)) / 2, 1, loss="mean"),
        dg.Term("load", middles, lambda x, u: -u.value[:, 0], loss="mean"),
    ]
    hold = dg.BoxConstraint(lambda x: torch.zeros_like(x[:, 0]), factor="polynomial")
    grid = make_field(cells=8, box=LINE, basis=dg.BSpline(3)).grid
    field = dg.Field(grid, dg.LinearDecoder(1, bias=False), hold)
    dg.solve(dg.Problem(LINE, terms), field, dg.LeastSquares(linear=route), progress=False)
    x = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None]
    with torch.no_grad():
        error = (field(x) - x * (1 - x) / 2).abs().max()
    assert float(error) < 1 / 200**2  # of the midpoint rule


def test_residual_for_the_points_of_the_solve_alone_is_solved_and_saved(tmp_path):
    region = dg.Interior(dg.Lattice((70, 70), ends=True))
    x = region.sampler(0, BOX, dtype=torch.float64)
    given = wave(x)[:, None]
    term = dg.Term("fit", region, lambda x, u: u.value - given)
    field = make_field(cells=16)
    solution = dg.solve(dg.Problem(BOX, [term]), field, progress=False, out=tmp_path)
    assert solution.checkpoint.exists()
    assert "fit" not in solution.report.fresh
    assert solution.report.rms["fit"] < 1e-6


def test_iterations_cut_short_are_not_called_converged(monkeypatch):
    def short(*arguments):
        return routes.Route("matrix-free", "as asked", limit=2)

    monkeypatch.setattr("dinfgrid_cuda.solvers.methods.present_system.choose_route", short)
    problem = helmholtz(variable=True)
    solution = dg.solve(problem, make_field(cells=12), progress=False, steps=40)
    assert not solution.reason.startswith("converged")


def test_parameter_that_nothing_determines_is_named():
    k = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    terms = [
        dg.Term("load", dg.Interior(), lambda x, u: u.laplacian + k, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    problem = dg.Problem(LINE, terms, {"k": k})
    notes = dg.solve(problem, make_field(cells=8, box=LINE), progress=False).report.findings.notes
    assert any("'k' is not determined" in note for note in notes)
    known = inverse((1.0, 1.0))[0]
    notes = dg.solve(known, make_field(cells=8, box=LINE), progress=False).report.findings.notes
    assert not any("not determined" in note for note in notes)


def test_outputs_that_share_a_feature_are_named():
    grid = make_field(cells=4).grid
    field = dg.Field(grid, dg.LinearDecoder(2))
    term = dg.Term("two", dg.Interior(), lambda x, u: u.value - torch.cat([x[:, :1], x[:, 1:]], 1))
    notes = dg.solve(dg.Problem(BOX, [term]), field, progress=False).report.findings.notes
    assert any("2 outputs are multiples of 1 features" in note for note in notes)
