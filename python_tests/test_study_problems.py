"""The problems and classical solvers of the studies: their sources, solutions and orders."""

import numpy as np
import pytest
import torch

pytest.importorskip("dinfgrid_cuda.suite.studies")
pytest.importorskip("scipy")

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.jet_algebra import by_autograd
from dinfgrid_cuda.suite.studies import classical_solvers, interpolation, manufactured
from dinfgrid_cuda.suite.studies.elliptic import PROBLEMS


def points(dim, count=40):
    random = torch.Generator().manual_seed(0)
    return torch.rand(count, dim, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_sources_of_elliptic_problems_belong_to_their_solutions(problem):
    x = points(2)
    u = dg.Jet(by_autograd(lambda y: problem.exact(y)[:, None], x, 2), 2, 2)
    a = dg.Jet(by_autograd(lambda y: problem.coefficient(y)[:, :1], x, 1), 2, 1)
    torch.testing.assert_close(a.gradient[:, 0], problem.coefficient(x)[:, 1:])
    flux = a.value * u.laplacian + (a.gradient * u.gradient)[:, 0].sum(dim=1, keepdim=True)
    expected = (flux + problem.wavenumber**2 * u.value)[:, 0]
    torch.testing.assert_close(problem.source(x), expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_coefficients_vary_by_the_contrast(problem):
    line = torch.linspace(0, 1, 101, dtype=torch.float64)
    a = problem.coefficient(torch.cartesian_prod(line, line))[:, 0]
    assert float(a.max() / a.min()) == pytest.approx(problem.contrast, rel=1e-6)


def test_differences_are_of_second_order_and_collocation_of_all():
    problem = PROBLEMS[1]
    coarse, fine = (classical_solvers.differences_lu(problem, n) for n in (32, 64))
    assert np.log2(coarse.error / fine.error) == pytest.approx(2, abs=0.1)
    assert classical_solvers.chebyshev(problem, 24).error < 1e-10
    sine, direct = (
        solve(PROBLEMS[0], 32)
        for solve in (classical_solvers.differences_sine, classical_solvers.differences_lu)
    )
    assert sine.error == pytest.approx(direct.error, rel=1e-6)


@pytest.mark.parametrize("name", manufactured.EXACT)
def test_manufactured_laplacians(name):
    x = points(3)
    found = manufactured.laplacian(manufactured.EXACT[name], x)
    h, total = 1e-4, 0.0
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = h
        exact = manufactured.EXACT[name]
        total = total + (exact(x + step) + exact(x - step) - 2 * exact(x)) / h**2
    torch.testing.assert_close(found, total, rtol=1e-5, atol=1e-5)


def test_linear_interpolation_hides_second_derivatives_from_a_loss():
    rows = {(row["basis"], row["derivative"]): row["rms"] for row in interpolation.derivatives()}
    linear, cubic = "B-spline 1 (linear)", "B-spline 3"
    assert rows[linear, "u_xx"] == rows[linear, "u_xxxx"] == rows[cubic, "u_xxxx"] == 0
    assert rows[linear, "u_xy"] > 0.1
    assert rows[cubic, "u_xx"] > 0.1
    slopes = {(row["basis"], row["loss"]): row["gradient"] for row in interpolation.gradients()}
    assert slopes[linear, "Laplacian"] == slopes[linear, "bilaplacian"] == 0
    assert slopes[linear, "gradient"] > 0
    assert slopes[cubic, "Laplacian"] > 0
