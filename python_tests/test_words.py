"""Mistakes in a residual are told in one line that names the term and the way out."""

import pytest
import torch
from solving import line_field as make_field
from torch import nn

import dinfgrid_cuda as dg

BOX = dg.Box([0.0], [1.0])
METHODS = ("auto", "least-squares", "lbfgs", "adam")


def refused(residual, method="least-squares", order=0, region=None, data=None, **options):
    """The message of the error."""
    terms = [
        dg.Term("pde", region or dg.Interior(), residual, order=order, data=data),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    with pytest.raises((ValueError, IndexError, dg.DivergedError)) as caught:
        dg.solve(dg.Problem(BOX, terms), make_field(**options), method, steps=2, progress=False)
    message = str(caught.value)
    assert "'pde'" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("residual", "declared", "needed"),
    [
        (lambda x, u: u.laplacian, 0, 2),
        (lambda x, u: u.derivative((2,)), 1, 2),
        (lambda x, u: u.gradient[:, 0], 0, 1),
        (lambda x, u: u.bilaplacian, 2, 4),
    ],
)
def test_an_order_that_is_too_low_is_told_with_the_term(method, residual, declared, needed):
    message = refused(residual, method, declared)
    assert f"declares order={declared}" in message
    assert f"pass Term(..., order={needed})" in message


def test_the_order_of_another_jet_is_not_blamed_on_the_term():
    other = make_field().requires_grad_(False)
    message = refused(lambda x, u: u.value - other.jet(x, 1).laplacian, order=0)
    assert "laplacian needs order 2, but this jet holds orders 0 to 1" in message
    assert "declares" not in message


def unpacked(u):
    first, second = u
    return first, second


def by_autograd(x, u):
    return torch.autograd.grad(u.value.sum(), x, create_graph=True)[0]


def by_autograd_of_own_points(x, u):
    x.requires_grad_()
    return torch.autograd.grad(u.value.sum(), x, create_graph=True)[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("residual", [by_autograd, by_autograd_of_own_points])
def test_autograd_by_the_points_is_pointed_to_the_jet(method, residual):
    assert "take u.gradient (order=1)" in refused(residual, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "residual",
    [
        lambda x, u: u[2].value,
        lambda x, u: u[1:].value,
        lambda x, u: sum(part.value for part in unpacked(u)),
        lambda x, u: u[:2].value,
        lambda x, u: u.value[:, 2:],
        lambda x, u: u.value[:, 2],
    ],
)
def test_a_channel_that_the_field_lacks_is_told(method, residual):
    message = refused(residual, method)
    assert "the field has 1 channel" in message
    assert "FeatureGrid(channels=...)" in message


def test_channels_that_exist_are_given():
    field = make_field(channels=3, decoder=None)
    jet = dg.Field(field.grid, dg.LinearDecoder(3, seed=0)).jet(torch.rand(4, 1).double(), 0)
    assert len(jet[:3]) == 3
    assert len(jet[1:]) == 2
    assert len(jet[-1]) == len(jet[-1:]) == len(jet[::3]) == 1
    for wrong in (3, -4, slice(0, 4), slice(3, None)):
        with pytest.raises(IndexError, match="the field has 3 channels"):
            jet[wrong]


def test_an_infinite_residual_on_a_face_is_told_where():
    message = refused(lambda x, u: u.laplacian - 1 / x, order=2)
    assert "NaN or infinite at 1 of 17 points, x = (0)." in message
    assert "Interior(Lattice(shape, ends=False))" in message


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "residual",
    [
        lambda x, u: u.laplacian - u.value.log(),
        lambda x, u: u.laplacian - torch.exp(-8750 / u.value),
        lambda x, u: u.laplacian - (u.value - 50).sqrt(),
    ],
)
def test_a_residual_that_is_infinite_where_u_is_zero_is_told_to_start_elsewhere(method, residual):
    # The features themselves, of both signs: random weights might make all of u positive.
    message = refused(residual, method, 2, decoder="sum")
    assert "There u lies between -" in message
    assert "guess=" in message


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_finite_whatever_u_is_told_without_a_guess(method):
    message = refused(lambda x, u: u.laplacian - (x - 0.5).sqrt(), method, 2)
    assert "Check what the residual divides by" in message
    assert "guess" not in message


def test_data_that_are_not_finite_are_told():
    x = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)[:, None]
    data = torch.tensor([0.0, 1.0, float("nan"), 1.0, 0.0], dtype=torch.float64)[:, None]
    message = refused(lambda x, u, d: u.value - d, region=dg.Points(x), data=data)
    assert "at 1 of 5 points, x = (0.5). Its data are NaN or infinite there" in message


def test_a_complex_parameter_is_told_to_be_two_real_ones():
    unknown = nn.Parameter(torch.tensor([1 + 1j]))
    term = dg.Term("pde", dg.Interior(), lambda x, u: u.value * unknown)
    with pytest.raises(TypeError, match=r"'k' is complex.*view_as_real.*view_as_complex"):
        dg.Problem(BOX, [term], {"k": unknown})


def test_two_real_parameters_make_a_complex_one():
    goal = 0.3 - 0.7j
    unknown = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    x = torch.rand(20, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    terms = [
        dg.Term("fit", dg.Interior(), lambda x, u: u.value - 1),
        dg.Term("k", dg.Points(x), lambda x, u: torch.view_as_complex(unknown) * u.value - goal),
    ]
    problem = dg.Problem(BOX, terms, {"k": unknown})
    dg.solve(problem, make_field(), "least-squares", progress=False)
    assert unknown.tolist() == pytest.approx([goal.real, goal.imag], abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_solve_takes_its_gradients_under_no_grad(method, mode):
    field = make_field()
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian - 2, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    with mode():
        solution = dg.solve(dg.Problem(BOX, terms), field, method, steps=5, progress=False)
    assert solution.history.totals[-1] < solution.history.totals[0]
