"""Methods that users write: what they must return, and what is said where they do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from solving import line_field

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.methods.method import restored, saved_fields

LINE = dg.Box([0.0], [1.0])


def problem():
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian + 1, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    return dg.Problem(LINE, terms)


@dataclass(frozen=True)
class Kept(dg.State):
    """A state with something of any kind."""

    value: Any = 0


@dataclass(frozen=True)
class Descent(dg.Method):
    """Gradient descent."""

    rate: float = 1e-6
    value: Any = 0
    name: ClassVar[str] = "descent"

    def default_steps(self, field):
        return 3

    def init(self, objective):
        return Kept(value=self.value, work=objective)

    def step(self, state):
        losses = state.work.evaluate(state.step)
        with torch.no_grad():
            for parameter in state.work.parameters:
                parameter -= self.rate * parameter.grad
        return replace(state, losses=losses, step=state.step + 1)


def solve(method, **options):
    return dg.solve(problem(), line_field(), method, progress=False, **options)


@pytest.mark.parametrize(
    "value", [np.zeros(3), np.int64(3), 1j, {1, 2}, torch.ones(2) * 1j, {(1, 2): 3}, [object()]]
)
def test_a_state_that_cannot_be_saved_is_told_before_the_first_step(value, tmp_path):
    with pytest.raises(
        TypeError, match=r"Kept.value of Descent holds .*which a checkpoint"
    ) as told:
        solve(Descent(value=value), out=tmp_path)
    assert "\n" not in str(told.value)
    assert solve(Descent(value=value)).steps == 3  # without checkpoints it may hold anything


@pytest.mark.parametrize("value", [0, 1.5, "a", None, [1, (2.0, None)], {"a": torch.ones(2)}])
def test_what_a_state_may_hold_survives_a_checkpoint(value, tmp_path):
    solve(Descent(value=value), steps=1, out=tmp_path)
    assert solve(Descent(value=value), steps=2, out=tmp_path, resume=True).steps == 2


def test_a_number_may_change_its_type_on_the_way():
    start = Kept(value=0)
    assert restored(start, saved_fields(replace(start, value=0.5))).value == 0.5
    with pytest.raises(TypeError, match="value is a str"):
        restored(start, saved_fields(replace(start, value="a")))


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("init", lambda *_: None, "init returned a NoneType; it must return a State"),
        ("step", lambda *_: None, "step returned a NoneType; it must return a State"),
        ("step", lambda _, state: replace(state, losses=None), "whose losses are None"),
        (
            "step",
            lambda _, state: replace(state, losses=torch.ones(2)),
            r"of shape \[2\]; .* \[3\]",
        ),
        ("default_steps", lambda *_: None, "default_steps is None; it must be a whole number"),
        ("default_steps", lambda *_: 2.5, "default_steps is 2.5"),
    ],
)
def test_what_a_method_returns_wrongly_is_told(name, function, message, monkeypatch):
    monkeypatch.setattr(Descent, name, function)
    with pytest.raises(TypeError, match=message):
        solve(Descent())


def test_findings_that_are_none_do_not_lose_the_solution(monkeypatch):
    monkeypatch.setattr(Descent, "findings", lambda *_: None)
    report = solve(Descent()).report
    assert report.findings.unknown == "the method returned no findings"


def test_a_method_without_a_name_or_a_decorator_is_told(monkeypatch):
    class Plain(dg.Method):
        name = "plain"

        default_steps = init = step = lambda *_: None

    with pytest.raises(TypeError, match=r"Plain is no dataclass; put @dataclass\(frozen=True\)"):
        solve(Plain())
    monkeypatch.setattr(Descent, "name", "")
    with pytest.raises(TypeError, match="Descent.name is ''; give the method a name"):
        solve(Descent())


def test_a_method_that_does_not_keep_parameters_finite_does_not_say_so():
    with pytest.raises(dg.DivergedError, match="The field was trained on with it"):
        solve(Descent(rate=1e200), steps=50)
