"""solve() refuses what it cannot use in one line, before the first step."""

import math

import pytest
import torch

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import (
    LBFGS,
    Adam,
    Alternating,
    Direct,
    LeastSquares,
    Output,
    Stop,
    TimeSlabs,
    solve,
)


def fit(dim=2):
    box = Box((-1.0,) * dim, (1.0,) * dim)
    return Problem(box, [Term("fit", Interior(), lambda x, u: u.value[:, 0] - 1, points=8)])


def make_field(dim=2):
    return Field(FeatureGrid(dim, 4, seed=0))


def refused(kind, message, problem=None, field=None, **settings):
    with pytest.raises(kind, match=message) as caught:
        solve(problem or fit(), field or make_field(), progress=False, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "newton"}, "must be one of auto, least-squares, lbfgs, adam"),
        ({"method": "least_squares"}, "did you mean 'least-squares'"),
        ({"steps": -1}, "steps is -1"),
        ({"resume": True}, "needs out"),
    ],
)
def test_values_out_of_range_are_refused(settings, message):
    refused(ValueError, f"solve: .*{message}", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": "3"}, "steps is '3'; it must be a whole number >= 0"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"method": Adam}, "method is the class Adam; pass one of auto"),
        ({"method": 3}, "method is 3; pass one of auto"),
        ({"stop": 60}, r"stop is 60; pass Stop\(...\)"),
        ({"step": 3}, "there is no argument 'step'; did you mean 'steps'"),
    ],
)
def test_values_of_another_type_are_refused(settings, message):
    refused(TypeError, f"solve: {message}", **settings)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (Adam, {"lr": 0.0}, "Adam: lr is 0.0"),
        (Adam, {"lr": math.inf}, "Adam: lr is inf"),
        (Adam, {"decay": (2.0, 10)}, "Adam: .*0 < ratio <= 1"),
        (LBFGS, {"memory": 0}, "LBFGS: memory is 0"),
        (LeastSquares, {"linear": "drect"}, "LeastSquares: linear is .*did you mean 'direct'"),
        (Alternating, {"joint": "maybe"}, "Alternating: joint is 'maybe'; pass True"),
        (Stop, {"patience": -1}, "Stop: patience is -1; it must be >= 1"),
        (Stop, {"seconds": -1.0}, "Stop: seconds is -1"),
        (Output, {"folder": "runs", "every": math.nan}, "Output: every is nan"),
        (Output, {"folder": ""}, "Output: folder is ''; name a folder"),
    ],
)
def test_options_out_of_range_are_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (Adam, {"lr": "a"}, "Adam: lr is 'a'; it must be a number, positive"),
        (Adam, {"decay": 0.1}, r"Adam: decay is 0.1; pass \(ratio, interval\)"),
        (Adam, {"decay": (0.1, 2.5)}, r"Adam: decay is \(0.1, 2.5\)"),
        (LBFGS, {"memory": 1.5}, "LBFGS: memory is 1.5"),
        (LeastSquares, {"linear": Direct}, "LeastSquares: linear is the class Direct"),
        (TimeSlabs, {"inner": Adam()}, r"TimeSlabs: inner is Adam.*pass LeastSquares"),
        (Stop, {"patience": 2.5}, "Stop: patience is 2.5"),
        (Stop, {"loss": "low"}, "Stop: loss is 'low'"),
        (Stop, {"when": 3}, "Stop: when is 3; pass a function"),
        (Output, {"folder": "runs", "extra": {"a": torch.zeros(1)}}, "extra must be JSON data"),
        (Output, {"folder": "runs", "extra": [1]}, r"Output: extra is \[1\]; pass a dict"),
    ],
)
def test_options_of_another_type_are_refused(make, settings, message):
    with pytest.raises(TypeError, match=message):
        make(**settings)


@pytest.mark.parametrize("field", [torch.nn.Linear(2, 1), lambda x: x])
def test_field_without_jet_is_told_what_is_needed(field):
    refused(TypeError, r"pass a Field, or an nn.Module with a method jet\(x, order\)", field=field)


def test_what_is_no_problem_is_refused():
    refused(TypeError, "problem is a list; pass a Problem", problem=[1])


def test_problem_of_another_dimension_is_refused():
    refused(ValueError, "box is 1-D, but the field is 2-D", problem=fit(1))


def test_infinite_times_mean_no_limit():
    assert Output("runs", every=math.inf).every == math.inf
    stop = Stop(seconds=math.inf)
    assert solve(fit(), make_field(), steps=1, stop=stop, progress=False).steps == 1
