"""Methods as values: states that lead on from each other, and methods of one's own."""

from __future__ import annotations

import copy
import dataclasses
import gc
import inspect
import weakref
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
import torch
from solving import line_field as make_field

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers.methods.method import copied, restored, saved_fields, settings

LINE = dg.Box(0.0, 1.0)
METHODS = {
    "adam": dg.Adam(lr=1e-2),
    "lbfgs": dg.LBFGS(),
    "least squares": dg.LeastSquares(),
}


def problem():
    """u'' = u^3 - 6 with u = 0 at the ends."""
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian - u.value**3 + 6, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    return dg.Problem(LINE, terms)


def begin(method):
    """The field, its objective, and the state before the first step."""
    u = make_field()
    objective = Objective(method.prepare(problem(), u), u, 0, method.resamples)
    return u, objective, method.init(objective)


@dataclass(frozen=True)
class DescentState(dg.State):
    """Momentum of each parameter."""

    momentum: list[torch.Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Descent(dg.Method):
    """Gradient descent with momentum, as a user would add it."""

    rate: float = 1e-5
    name: ClassVar[str] = "descent"

    def default_steps(self, field):
        return 10

    def init(self, objective):
        momentum = [torch.zeros_like(p) for p in objective.parameters]
        return DescentState(momentum=momentum, work=objective)

    def step(self, state):
        objective = state.work
        losses = objective.evaluate(state.step)
        momentum = [
            0.9 * m + p.grad for m, p in zip(state.momentum, objective.parameters, strict=True)
        ]
        with torch.no_grad():
            for p, m in zip(objective.parameters, momentum, strict=True):
                p -= self.rate * m
        return replace(state, losses=losses, step=state.step + 1, momentum=momentum)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_states_are_frozen_and_lead_to_lower_losses(method):
    _, objective, state = begin(method)
    first = float(objective.evaluate(0)[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step = 3
    for count in range(1, 4):
        state = method.step(state)
        assert state.step == count or state.converged
    assert float(state.losses[0]) < first


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_state_holds_all_that_the_next_step_needs(method):
    """The same step from the same state by other tools: to the last bit."""
    u, _, state = begin(method)
    state = method.step(method.step(state))
    kept, parameters = copied(state), copy.deepcopy(u.state_dict())
    after = method.step(state)
    other, _, start = begin(method)
    other.load_state_dict(parameters)
    again = method.step(restored(start, saved_fields(kept)))
    assert torch.equal(other.grid.features, u.grid.features)
    assert torch.equal(again.losses, after.losses)


def test_a_state_of_another_method_is_refused():
    adam, least = begin(dg.Adam())[2], begin(dg.LeastSquares())[2]
    with pytest.raises(TypeError, match="a GaussNewtonState has the fields losses, step"):
        restored(least, saved_fields(adam))


def test_options_that_a_resumed_solve_shares_are_all_but_the_free_ones():
    assert settings(dg.Adam(lr=1e-3)) == {"lr": "0.001", "decay": "None"}
    assert settings(dg.LeastSquares(dg.Direct())) == {"linear": "Direct()", "balance": "True"}


def test_methods_with_equal_options_are_equal():
    assert dg.LeastSquares(linear="direct") == dg.LeastSquares(linear=dg.Direct())
    assert dg.Adam() != dg.Adam(lr=1e-3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        dg.Adam().lr = 1.0


def test_a_method_of_ones_own_solves_and_resumes(tmp_path):
    whole = make_field()
    solution = dg.solve(problem(), whole, Descent(), steps=6, progress=False)
    assert solution.report.method == "descent"
    assert solution.history.totals[-1] < solution.history.totals[0]
    dg.solve(problem(), make_field(), Descent(), steps=2, out=tmp_path, progress=False)
    again = make_field()
    dg.solve(problem(), again, Descent(), steps=6, out=tmp_path, resume=True, progress=False)
    assert torch.equal(again.grid.features, whole.grid.features)


def test_solve_has_few_parameters():
    named = [
        parameter
        for parameter in inspect.signature(dg.solve).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    assert len(named) <= 11


@pytest.mark.parametrize(
    "method",
    [dg.LeastSquares(), dg.LBFGS(), dg.Adam(), dg.TimeSlabs()],
    ids=lambda m: type(m).__name__,
)
def test_a_solve_that_has_ended_keeps_nothing_in_memory(method, monkeypatch):
    """Its factor and buffers go with it, without a collection of cycles."""
    kept = []
    original = Objective.__init__

    def noted(self, *arguments, **options):
        original(self, *arguments, **options)
        kept.append(weakref.ref(self))

    monkeypatch.setattr(Objective, "__init__", noted)
    if isinstance(method, dg.TimeSlabs):
        terms = [
            dg.Term("equation", dg.Interior(), lambda x, u: u.derivative((1, 0)), order=1),
            dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - x[:, 1:]),
        ]
        box = dg.Box([0.0, 0.0], [1.0, 1.0])
        wanted = dg.Problem(box, terms)
        u = dg.SlabField(lambda part: line_field_in_time(part), box, 2)
    else:
        wanted, u = problem(), make_field()
    gc.disable()
    try:
        dg.solve(wanted, u, method, steps=3, progress=False)
        assert kept
        assert [one() for one in kept] == [None] * len(kept)
    finally:
        gc.enable()


def line_field_in_time(box):
    grid = dg.FeatureGrid(
        2, (2, 4), lower=box.lower, upper=box.upper, basis=dg.BSpline(5), dtype=torch.float64
    )
    return dg.Field(grid, dg.LinearDecoder(1, seed=0))
