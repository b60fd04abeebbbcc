"""[N, 1] against [N]: caught for every N, wherever the N numbers come from; N columns pass."""

from functools import partial

import pytest
import solving
import torch

import dinfgrid_cuda as dg

BOX = dg.Box([0.0, 0.0], [1.0, 1.0])
LINE = dg.Box([0.0], [1.0])
COUNTS = (2, 3, 5, 8, 9, 20, 40)


make_field = partial(solving.make_field, lower=0.0, basis=dg.BSpline(5), decoder="linear")


def sensors(count):
    return dg.Uniform()(count, BOX, seed=3, dtype=torch.float64)


def residuals(x):
    """Residuals that broadcast, by what holds the N numbers, and the data they need."""
    numbers = torch.cos(x[:, 0])
    return {
        "constant": (lambda x, u: u.value - numbers, None),
        "data": (lambda x, u, data: u.value - data, numbers),
        "function": (lambda x, u: u.value - torch.cos(x[:, 0]), None),
        "row": (lambda x, u: u.value[:, 0] - numbers[:, None], None),
        "noise": (lambda x, u: ((u.value - numbers) / numbers).tanh(), None),
        "later": (lambda x, u: u.value - (x[:, :1] * numbers).sin(), None),
        "stacked": (lambda x, u: torch.cat([u.value, u.value - numbers], 1), None),
        "in place of an operator": (lambda x, u: torch.sub(u.value, other=numbers), None),
    }


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("kind", list(residuals(sensors(2))))
def test_as_many_numbers_as_points_against_one_value_each_are_caught(kind, count, order):
    x = sensors(count)
    residual, data = residuals(x)[kind]
    term = dg.Term("fit", dg.Points(x), residual, order=order, data=data)
    field = make_field(2)
    with pytest.raises(ValueError, match=rf"'fit'.*broadcasting \[{count}\] with \[{count}, 1\]"):
        term.evaluate(x, field.jet(x, order), data)


@pytest.mark.parametrize("method", ["auto", "least-squares", "lbfgs", "adam"])
def test_ends_of_a_line_against_two_numbers_are_caught_by_every_method(method):
    given = torch.tensor([0.0, 1.0], dtype=torch.float64)
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value - given),
    ]
    with pytest.raises(ValueError, match=r"'ends'.*broadcasting \[2\] with \[2, 1\]"):
        dg.solve(dg.Problem(LINE, terms), make_field(1), method, steps=2, progress=False)


def columns(kind, count):
    """Residuals of ``count`` columns, by their kind."""
    numbers = torch.arange(1.0, 1 + count, dtype=torch.float64)
    return {
        "channels": lambda x, u: u.value - numbers,
        "channels and their numbers": lambda x, u: u.value - x[:, :1] * numbers,
        "columns of one value": lambda x, u: torch.cat(
            [u.value[:, :1] * (k * x[:, :1]).cos() for k in range(count)], 1
        ),
        "more columns than points": lambda x, u: torch.cat([u.value, x[:, :1] * u.value], 1),
        "a row meant as one": lambda x, u: u.value[:, :1] * numbers[None],
        "one function for all channels": lambda x, u: u.value - x[:, :1].cos(),
        "a linear layer": lambda x, u: torch.nn.functional.linear(
            u.value[:, :1], numbers[:, None], numbers
        ),
    }[kind]


KINDS = (
    "channels",
    "channels and their numbers",
    "columns of one value",
    "more columns than points",
    "a row meant as one",
    "one function for all channels",
    "a linear layer",
)


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_as_many_columns_as_points_are_a_residual(kind, count):
    x = sensors(count)
    field = make_field(2, channels=count, out=count)
    term = dg.Term("fit", dg.Points(x), columns(kind, count))
    assert term.evaluate(x, field.jet(x, 0), None).shape == (
        count,
        2 * count if kind == "more columns than points" else count,
    )


def test_two_channels_at_two_ends_are_found():
    goal = torch.tensor([1.0, 2.0], dtype=torch.float64)
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value - x * goal),
    ]
    field = make_field(1, channels=2, out=2)
    dg.solve(dg.Problem(LINE, terms), field, progress=False)
    x = torch.tensor([[0.25], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(field(x), x * goal, rtol=0, atol=1e-8)


HIDDEN = {
    "summed": lambda x, u: (u.value - x[:, 0]).sum(-1),
    "mean square": lambda x, u: (x[:, 0] + u.value).square().mean(1, keepdim=True),
    "row": lambda x, u: (u.value[:, 0] - x[:, :1]).sum(1),
}


@pytest.mark.parametrize("method", ["auto", "lbfgs", "adam"])
@pytest.mark.parametrize("kind", HIDDEN)
def test_sides_that_broadcast_before_a_sum_are_caught(kind, method):
    term = dg.Term("fit", dg.Interior(), HIDDEN[kind], points=9)
    with pytest.raises(ValueError, match=r"'fit': inside the residual .* to \[N, N\]"):
        dg.solve(dg.Problem(LINE, [term]), make_field(1), method, steps=1, progress=False)


PAIRS = {
    "of the field": lambda x, u: (u.value - u.value[:, 0]).mean(1),
    "a kernel of the points": lambda x, u: ((x - x[:, 0]).exp() * u.value[:, 0]).mean(1) - 1,
    "a separable kernel": lambda x, u: (x.exp() * u.value[:, 0]).mean(1) - 1,
    "two wells": lambda x, u: (u.value - x.new_tensor([1.0, 2.0])).prod(1),
    "pairs that are meant": lambda x, u: (u.value[:, 0][:, None] - x[:, 0][None]).mean(1),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs_that_are_meant_are_solved(kind):
    x = torch.linspace(0, 1, 2 if kind == "two wells" else 9, dtype=torch.float64)[:, None]
    term = dg.Term("fit", dg.Points(x), PAIRS[kind])
    solution = dg.solve(dg.Problem(LINE, [term]), make_field(1), "lbfgs", steps=3, progress=False)
    assert solution.loss <= solution.history.totals[0]


def test_a_sum_over_pairs_of_points_is_no_broadcast_residual():
    x = sensors(5)
    field = make_field(2)
    pairs = dg.Term("pairs", dg.Points(x), lambda x, u: (u.value - u.value[:, 0]).sum(1))
    assert pairs.evaluate(x, field.jet(x, 0), None).shape == (5,)
