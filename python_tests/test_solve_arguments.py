"""solve() refuses what it cannot use in one line, before the first step."""

import math
from functools import partial

import pytest
import solving
import torch

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.kernels.basis import Gaussian
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import solve


def fit(dim=2):
    box = Box((-1.0,) * dim, (1.0,) * dim)
    return Problem(box, [Term("fit", Interior(), lambda x, u: u.value[:, 0] - 1, points=8)])


make_field = partial(
    solving.make_field, cells=4, basis=Gaussian(), decoder=None, dtype=torch.float32
)


def refused(kind, message, problem=None, field=None, **settings):
    with pytest.raises(kind, match=message) as caught:
        solve(problem or fit(), field or make_field(), progress=False, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "newton"}, "must be one of auto, least-squares, lbfgs, adam"),
        ({"steps": -1}, "steps is -1"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": math.inf}, "lr is inf"),
        ({"method": "lbfgs", "decay": (0.1, 10)}, "decay belongs to Adam"),
        ({"decay": (2.0, 10)}, "0 < factor <= 1"),
        ({"method": "lbfgs", "memory": 0}, "memory is 0"),
        ({"patience": -1}, "patience is -1; it must be >= 1"),
        ({"max_seconds": -1.0}, "max_seconds is -1"),
        ({"checkpoint_seconds": math.nan}, "checkpoint_seconds is nan"),
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
        ({"lr": "a"}, "lr is 'a'; it must be a number, positive"),
        ({"decay": 0.1}, r"decay is 0.1; pass \(factor, interval\)"),
        ({"decay": (0.1, 2.5)}, r"decay is \(0.1, 2.5\)"),
        ({"method": "lbfgs", "memory": 1.5}, "memory is 1.5"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"patience": 2.5}, "patience is 2.5"),
        ({"target_loss": "low"}, "target_loss is 'low'"),
        ({"extra": {"a": torch.zeros(1)}}, "extra must be JSON data"),
        ({"extra": [1]}, r"extra is \[1\]; pass a dict"),
    ],
)
def test_values_of_another_type_are_refused(settings, message):
    refused(TypeError, f"solve: {message}", **settings)


@pytest.mark.parametrize("field", [torch.nn.Linear(2, 1), lambda x: x])
def test_field_without_jet_is_told_what_is_needed(field):
    refused(TypeError, r"pass a Field, or an nn.Module with a method jet\(x, order\)", field=field)


def test_what_is_no_problem_is_refused():
    refused(TypeError, "problem is a list; pass a Problem", problem=[1])


def test_problem_of_another_dimension_is_refused():
    refused(ValueError, "box is 1-D, but the field is 2-D", problem=fit(1))


def test_infinite_times_mean_no_limit():
    settings = {"steps": 1, "max_seconds": math.inf, "checkpoint_seconds": math.inf}
    assert solve(fit(), make_field(), progress=False, **settings).steps == 1
