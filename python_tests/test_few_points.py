"""Residuals that are small at their points alone are told, by every method."""

import math
import warnings

import pytest
import torch
from solving import helmholtz, make_field, relative_error, wave

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.diagnosis.few_points import notes_on_residuals, residuals_at_zero

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("one_thread")

BOX = dg.Box([-1.0, -1.0], [1.0, 1.0])


def on_points(count, seed=0):
    """`helmholtz` with its equation on fixed random points."""
    equation, rim = helmholtz().terms
    cloud = dg.Points(dg.Uniform()(count, BOX, seed, dtype=torch.float64))
    few = dg.Term("equation", cloud, equation.residual, order=2)
    return dg.Problem(BOX, [few, dg.Term("rim", dg.Boundary(), rim.residual, weight=100.0)])


def told(solution):
    notes = solution.report.findings.notes
    return [note for note in notes if "between its points" in note or "not small" in note]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "steps"), [("adam", 400), ("lbfgs", 100)])
def test_fewer_points_than_features_are_told_by_every_method(method, steps):
    field = make_field(cells=24, levels=2, basis=dg.BSpline(5))
    with pytest.warns(RuntimeWarning, match="between its points"):
        solution = dg.solve(on_points(150), field, method, steps=steps, progress=False, seed=1)
    assert relative_error(field, wave, BOX) > 0.1
    assert "150 fixed points for 841 nodes" in told(solution)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "steps"), [("adam", 200), ("lbfgs", 60), ("auto", None)])
def test_enough_points_are_not_warned_of(method, steps):
    for problem in (helmholtz(), on_points(3000)):
        field = make_field(cells=8)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            solution = dg.solve(problem, field, method, steps=steps, progress=False)
        assert not told(solution)


def test_residual_between_the_points_is_compared_with_that_of_zero():
    problem = helmholtz()
    field = make_field()
    zero = residuals_at_zero(problem, field)
    assert zero["equation"] == pytest.approx(0.5 * (2 * math.pi**2 - 1), rel=0.05)
    small = {"equation": 1e-6, "rim": 1e-9}
    notes = notes_on_residuals
    assert not notes(problem, small, {"equation": 9e-6}, zero)
    assert not notes(problem, small, {"equation": 5e-3 * zero["equation"]}, zero)
    assert "'equation'" in notes(problem, small, {"equation": 0.2}, zero)[0]
    assert not notes(problem, {"equation": 0.9 * zero["equation"]}, {}, zero, converged=False)
    assert "not small" in notes(problem, {"equation": 0.9 * zero["equation"]}, {}, zero)[0]


def test_terms_that_contradict_each_other_are_not_called_solved_without_a_note():
    terms = [
        dg.Term("one", dg.Interior(), lambda x, u: u.value - 1.0),
        dg.Term("other", dg.Interior(), lambda x, u: u.value + 1.0),
    ]
    solution = dg.solve(dg.Problem(BOX, terms), make_field(cells=4), progress=False)
    assert told(solution) or not solution.reason.startswith("converged")
