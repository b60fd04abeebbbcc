"""max_seconds: looked at inside long steps, by a clock that ticks at each look."""

import math
import time

import pytest
import torch
from solving import make_field

import dinfgrid_cuda as dg
from dinfgrid_cuda import Stop, solve
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.linear.conjugate_gradients import conjugate_gradients
from dinfgrid_cuda.solvers.methods.least_squares import LeastSquares

# Coarse problems of a step or two.
pytestmark = pytest.mark.filterwarnings("ignore:solve. the residual")

BOX = dg.Box((0.0, 0.0), (1.0, 1.0))
LONG = Stop(seconds=1e6)


class Clock:
    """Stands still, and jumps past every deadline at look number ``at``."""

    def __init__(self, at):
        self.at, self.looks, self.late = at, 0, 0

    def __call__(self):
        self.looks += 1
        if self.looks < self.at:
            return 0.0
        self.late += 1
        return 1e9


def part(box=BOX):
    return make_field(cells=6, box=box, basis=dg.BSpline(5), decoder="linear")


def field(name="direct"):
    if name == "slabs":
        return dg.SlabField(part, BOX, 3)
    if name.startswith("products"):
        settings = {"cells": 4, "channels": 2, "basis": dg.BSpline(5), "seed": 0}
        grid = dg.FactorizedGrid(2, products="planes", lower=0.0, dtype=torch.float64, **settings)
        return dg.FactorizedField(grid, dg.LinearDecoder(1, seed=0))
    return part()


def problem(name="direct"):
    """Takes several steps: nonlinear, or products of features."""
    cube = 0.0 if name.startswith("products") else 1.0

    def steady(x, u):
        return u.laplacian + cube * u.value**3 - 10 - 50 * x[:, :1]

    def heat(x, u):
        return u.derivative((1, 0)) - u.derivative((0, 2)) + u.value**3 - 10 * x[:, :1]

    def side(x, u):
        return u.value - x[:, 1:]

    if name == "slabs":
        return dg.Problem(
            BOX,
            [
                dg.Term("equation", dg.Interior(), heat, 2),
                dg.Term("start", dg.Boundary(((0, "lower"),)), side),
                dg.Term("sides", dg.Boundary(((1, "lower"), (1, "upper"))), side),
            ],
        )
    terms = [dg.Term("equation", dg.Interior(), steady, 2), dg.Term("sides", dg.Boundary(), side)]
    return dg.Problem(BOX, terms)


METHODS = {
    "adam": dg.Adam(),
    "lbfgs": dg.LBFGS(),
    "direct": dg.LeastSquares(linear=dg.Direct()),
    "matrix-free": dg.LeastSquares(linear=dg.MatrixFree()),
    "slabs": dg.LeastSquares(),
    "products": dg.Alternating(joint=False),
    "products, joint": dg.Alternating(joint=True),
}


def run(name, steps, stop=LONG, **settings):
    settings = {"steps": steps, "stop": stop, "progress": False, **settings}
    return solve(problem(name), field(name), METHODS[name], **settings)


def looks_of(name, steps):
    """Looks at the clock up to the end of each step."""
    clock, marks = Clock(math.inf), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadline, "clock", clock)
        run(name, steps, Stop(seconds=1e6, when=lambda done, seconds: marks.append(clock.looks)))
    assert len(marks) == steps
    return marks


def cut_at(name, look, steps, **settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadline, "clock", Clock(look))
        return run(name, steps, **settings)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_step_that_is_cut_short_is_undone(name, share):
    first, second = looks_of(name, 2)
    assert second - first >= 2
    cut = cut_at(name, first + 2 + int(share * (second - first - 2)), 2)
    assert cut.steps == len(cut.history.totals) == 1
    assert cut.reason.startswith("used ")
    assert "asked for 1e+06 s" in cut.reason
    whole = run(name, 1)
    torch.testing.assert_close(cut.field.state_dict(), whole.field.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("name", METHODS)
def test_resume_after_a_cut_goes_on_from_the_last_whole_step(name, tmp_path):
    cut = cut_at(name, looks_of(name, 2)[1], 2, out=tmp_path / "cut")
    assert cut.steps == 1
    run(name, 1, out=tmp_path / "whole")
    ends = [run(name, 2, out=tmp_path / out, resume=True) for out in ("cut", "whole")]
    assert [end.steps for end in ends] == [2, 2]
    torch.testing.assert_close(*(end.field.state_dict() for end in ends), rtol=0, atol=0)


@pytest.mark.parametrize("name", METHODS)
def test_without_one_whole_step_the_first_features_come_back(name, tmp_path):
    cut = cut_at(name, looks_of(name, 1)[0], 1, out=tmp_path)
    assert cut.steps == cut.report.steps == 0
    assert "asked for 1e+06 s" in str(cut.report)
    before = run(name, 0).field.state_dict()
    torch.testing.assert_close(cut.field.state_dict(), before, rtol=0, atol=0)
    again, plain = run(name, 1, out=tmp_path, resume=True), run(name, 1)
    torch.testing.assert_close(again.field.state_dict(), plain.field.state_dict(), rtol=0, atol=0)


def test_a_slow_residual_ends_the_step_and_the_time_is_true():
    def slow(x, u):
        time.sleep(0.05)
        return u.value**3 - x[:, :1]

    sleepy = dg.Problem(BOX, [dg.Term("slow", dg.Interior(), slow, points=100)])
    cut = solve(sleepy, field(), "lbfgs", steps=1000, stop=Stop(seconds=0.5), progress=False)
    assert cut.steps < 1000
    assert cut.seconds >= 0.5
    assert "asked for 0.5 s" in cut.reason
    assert float(cut.reason.split()[1]) == pytest.approx(cut.seconds, abs=0.1)


def test_conjugate_gradients_end_at_the_first_look_after_the_deadline(monkeypatch):
    clock = Clock(10)
    monkeypatch.setattr(deadline, "clock", clock)
    scale = torch.linspace(1, 1e6, 500, dtype=torch.float64)
    with pytest.raises(deadline.OutOfTime), deadline.until(1.0):
        conjugate_gradients(lambda v: scale * v, torch.ones_like(scale), torch.clone, 1e-14, 400)
    assert clock.late == 1


def test_a_factorisation_that_would_take_too_long_is_not_begun(monkeypatch):
    monkeypatch.setattr(deadline, "clock", lambda: 0.0)
    with deadline.until(10.0):
        deadline.check_work(14 * deadline.RATE)
        with pytest.raises(deadline.OutOfTime, match="about 16 s was not begun"):
            deadline.check_work(16 * deadline.RATE)
    deadline.check_work(1e30)


def test_the_reason_names_a_factorisation_that_was_not_begun(monkeypatch):
    monkeypatch.setattr(deadline, "RATE", 1e-3)
    cut = run("direct", 3, Stop(seconds=60.0))
    assert cut.steps == 0
    assert "was not begun" in cut.reason


def test_an_inner_deadline_is_no_later_than_the_outer_one(monkeypatch):
    monkeypatch.setattr(deadline, "clock", lambda: 0.0)
    assert deadline.left() == math.inf
    with deadline.until(2.0):
        with deadline.until(5.0):
            assert deadline.left() == 2.0
        with deadline.until(1.0):
            assert deadline.left() == 1.0
        assert deadline.left() == 2.0
    assert deadline.left() == math.inf


@pytest.mark.parametrize(("spare", "looked"), [(1.0, True), (0.0, False)])
def test_findings_are_looked_for_only_while_there_is_time(spare, looked, monkeypatch):
    asked = []

    def findings(method, state):
        asked.append(deadline.left())
        deadline.check()
        return Findings()

    monkeypatch.setattr(LeastSquares, "findings", findings)
    cut = run("direct", 1, Stop(seconds=1e6 * spare))
    assert bool(asked) == looked
    assert all(1e6 < seconds < 1.2e6 for seconds in asked)
    assert ("the solve was cut short" in str(cut.report)) != looked


def test_findings_that_take_too_long_are_left_out(monkeypatch):
    def findings(method, state):
        raise deadline.OutOfTime("")

    monkeypatch.setattr(LeastSquares, "findings", findings)
    cut = run("direct", 1)
    assert cut.steps == 1
    assert cut.report.findings.unknown == "the solve was cut short"
