"""Weights: boundary terms and data against the equation where it matters, at the solution."""

import math

import pytest
import torch
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.linear.balance import balance, balance_scales
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("one_thread")

LINE = dg.Box([0.0], [1.0])


def line_field(cells=32, seed=0):
    grid = dg.FeatureGrid(
        1, cells, lower=0.0, upper=1.0, basis=dg.BSpline(7), dtype=torch.float64, seed=seed
    )
    return dg.Field(grid, dg.LinearDecoder(1, seed=seed))


def at(count):
    return torch.linspace(0, 1, count, dtype=torch.float64)[:, None]


def porous():
    """(u u')' = f of u = 1 + x^2: all of the left side vanishes at u = 0."""
    return dg.Problem(
        LINE,
        [
            dg.Term(
                "pde",
                dg.Interior(),
                lambda x, u: u.gradient[:, :, 0] ** 2 + u.value * u.laplacian - (6 * x**2 + 2),
                order=2,
            ),
            dg.Term("ends", dg.Boundary(), lambda x, u: u.value - 1 - x**2),
        ],
    )


def largest_error(field, exact):
    with torch.no_grad():
        return float((field(at(301)) - exact(at(301))).abs().max())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equation_that_vanishes_at_zero_keeps_its_boundary_values(seed):
    field = line_field(seed=seed)
    solution = dg.solve(porous(), field, progress=False)
    assert solution.reason.startswith("converged")
    assert largest_error(field, lambda x: 1 + x**2) < 1e-10


def test_weights_far_off_at_the_start_are_balanced_again_at_the_solution():
    # A guess keeps the boundary values from being fitted first.
    field, right = line_field(), line_field()
    start = dg.solve(porous(), field, progress=False, guess=lambda x: 0.1 + 0 * x, steps=60)
    known = dg.solve(porous(), right, progress=False, guess=lambda x: 1 + x**2)
    assert largest_error(field, lambda x: 1 + x**2) < 1e-10
    weights = start.report.findings.weights["ends"], known.report.findings.weights["ends"]
    assert 0.1 < weights[0] / weights[1] < 10


def test_weights_balanced_again_resume_as_if_there_had_been_no_break(tmp_path):
    whole, broken = line_field(), line_field()
    options = {"progress": False, "guess": 0.1}
    dg.solve(porous(), whole, steps=6, **options)
    dg.solve(porous(), broken, steps=2, out=tmp_path, **options)
    del options["guess"]
    dg.solve(porous(), broken, steps=6, out=tmp_path, resume=True, **options)
    assert largest_error(broken, whole) < 1e-9


def fit(count, scale=1.0, noise=None, weight=1.0):
    """Poisson's equation on a line with values in place of boundary conditions."""
    x = at(count)
    return dg.Problem(
        LINE,
        [
            dg.Term("pde", dg.Interior(dg.Lattice((65,), ends=True)), lambda x, u: u.laplacian, 2),
            dg.Term(
                "data",
                dg.Points(x),
                lambda x, u, y: scale * (u.value - y),
                data=x.clone(),
                noise=noise,
                weight=weight,
            ),
        ],
    )


def weight_of_data(problem):
    objective = Objective(problem, line_field(), resample=False)
    balance(NormalOperator(objective), objective)
    return objective.weights[1]


def test_data_weigh_by_what_they_see_whatever_their_number_and_scale():
    one = weight_of_data(fit(20))
    # Each datum has 1 / N of the mean square, and here 32 cells are all seen by both.
    assert weight_of_data(fit(200)) == pytest.approx(one, rel=0.3)
    assert weight_of_data(fit(20, scale=1e3)) == pytest.approx(1e-6 * one)
    assert weight_of_data(fit(20, weight=7.0)) == pytest.approx(7 * one)


def test_noise_limits_the_weight_of_data():
    exact = weight_of_data(fit(20))
    assert weight_of_data(fit(20, noise=1e-12)) == pytest.approx(exact)
    spread = float(at(20).std(correction=0))
    # u'' over the unit box weighs as much as u: (s / noise)^2 is the limit itself.
    assert weight_of_data(fit(20, noise=0.1)) == pytest.approx((spread / 0.1) ** 2)
    assert weight_of_data(fit(20, scale=10.0, noise=1.0)) == pytest.approx(
        (spread / 0.1) ** 2 / 100
    )
    assert weight_of_data(fit(20, noise=0.1, weight=3.0)) == pytest.approx(3 * (spread / 0.1) ** 2)


def test_balanced_weights_are_a_fixed_point():
    objective = Objective(fit(20, noise=0.1), line_field(), resample=False)
    normal = NormalOperator(objective)
    balance(normal, objective)
    for again in (normal, NormalOperator(objective)):
        assert balance_scales(again, objective)[1] == pytest.approx(1.0)


def noisy(noise):
    """u'' = -c sin(pi x) with noisy values of u; c is unknown, u = sin(pi x) for c = pi^2."""
    x = at(101)[1:-1]
    random = torch.Generator().manual_seed(5)
    data = torch.sin(math.pi * x) + 0.05 * torch.randn(
        x.shape, generator=random, dtype=torch.float64
    )
    c = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    terms = [
        dg.Term(
            "pde", dg.Interior(), lambda x, u: u.laplacian + c * torch.sin(math.pi * x), order=2
        ),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
        dg.Term("data", dg.Points(x), lambda x, u, y: u.value - y, data=data, noise=noise),
    ]
    return dg.Problem(LINE, terms, {"c": c})


def test_data_with_known_noise_are_not_followed_into_it():
    errors = []
    for noise in (None, 0.05):
        field = line_field()
        dg.solve(noisy(noise), field, progress=False)
        errors.append(largest_error(field, lambda x: torch.sin(math.pi * x)))
    assert errors[1] < 0.03  # of 99 values with an error of 0.05 each
    assert errors[1] < 0.5 * errors[0]


def test_noise_is_positive():
    for noise in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="noise is"):
            dg.Term("d", dg.Points(at(3)), lambda x, u, y: u.value - y, data=at(3), noise=noise)
