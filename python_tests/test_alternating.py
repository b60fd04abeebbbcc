"""Least squares for products of features: its rows, its routes, and when it is chosen."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.choose import choose
from dinfgrid_cuda.solvers.linear.product_rows import ProductRows, groups, scattered
from dinfgrid_cuda.solvers.methods import alternating


def box(dim):
    return dg.Box((0.0,) * dim, (1.0,) * dim)


def field(dim, products="planes", decoder=None, **settings):
    settings = {"cells": 4, "channels": 2, "basis": dg.BSpline(5), "seed": 0, **settings}
    grid = dg.FactorizedGrid(dim, products=products, lower=0.0, dtype=torch.float64, **settings)
    return dg.FactorizedField(grid, decoder or dg.LinearDecoder(1, seed=0))


def halves(x):
    """The sum of sin(pi x_i / 2)."""
    return torch.sin(math.pi * x / 2).sum(dim=1, keepdim=True)


def poisson(dim, exact=halves, factor=-(math.pi**2) / 4):
    return dg.Problem(
        box(dim),
        [
            dg.Term("eq", dg.Interior(), lambda x, u: u.laplacian - factor * exact(x), order=2),
            dg.Term("rim", dg.Boundary(), lambda x, u: u.value - exact(x)),
        ],
    )


def sines(x):
    return torch.sin(math.pi * x).prod(dim=1, keepdim=True)


def wave(x):
    """Oblique, so that no single product holds it; its Laplacian is -3 times itself."""
    return torch.cos(x.sum(dim=1, keepdim=True))


def error(found, exact, dim):
    random = torch.Generator().manual_seed(3)
    x = torch.rand(4000, dim, generator=random, dtype=torch.float64)
    with torch.no_grad():
        return float((found(x) - exact(x)).norm() / exact(x).norm())


@pytest.mark.slow
def test_five_dimensions_with_a_thousand_parameters():
    found = field(5, channels=1)
    assert found.parameter_count() == 1091
    solution = dg.solve(poisson(5), found, progress=False)
    assert solution.report.method == "least-squares"
    assert "linear in each factor" in solution.report.reason
    assert error(found, halves, 5) < 1e-6


def test_rows_are_the_jacobian_of_the_residuals():
    found = field(3, levels=2, basis=dg.BSpline(3))
    problem = scattered(poisson(3), found)
    objective = Objective(problem, found, resample=False)
    objective.evaluate(0)
    rows = ProductRows(objective)
    for group in groups(found):
        matrix = torch.cat(
            [torch.from_numpy(part.toarray()) for part in rows.blocks(group)]
        ).numpy()
        residuals = []
        for index, term in enumerate(problem.terms):
            x, _, total = objective.points(index, 0)
            with torch.no_grad():
                r = term.evaluate(x, found.jet(x, term.order), None)
            residuals.append(math.sqrt(2 * term.weight / total) * r.numpy().reshape(-1))
        expected = [found.grid.factor(*spot).features.grad.numpy().reshape(-1) for spot in group]
        np.testing.assert_allclose(
            matrix.T @ np.concatenate(residuals), np.concatenate(expected), rtol=1e-9, atol=1e-12
        )


METHOD = {"alternating": dg.Alternating(joint=False), "joint": dg.Alternating(joint=True)}


@pytest.mark.slow
@pytest.mark.parametrize("route", METHOD)
def test_no_step_raises_the_loss(route):
    found = field(4, "axes", channels=2)
    solution = dg.solve(
        poisson(4, sines, -4 * math.pi**2), found, METHOD[route], steps=6, progress=False
    )
    losses = solution.history.totals
    assert all(after <= before for before, after in pairwise(losses))
    assert solution.report.findings.route == route


@pytest.mark.slow
def test_joint_steps_go_on_where_sweeps_stand_still():
    """Planes overlap, so that factors must change together."""
    errors = {}
    for joint in (False, True):
        found = field(3)
        method = dg.Alternating(joint=joint)
        dg.solve(poisson(3, wave, -3.0), found, method, steps=10, progress=False)
        errors[joint] = error(found, wave, 3)
    assert errors[True] < 0.2 * errors[False]


def test_large_groups_are_solved_by_conjugate_gradients(monkeypatch):
    steps = {}
    for dense in (alternating.DENSE, 0):
        monkeypatch.setattr(alternating, "DENSE", dense)
        found = field(3, channels=1, basis=dg.BSpline(3))
        method = dg.Alternating(joint=False)
        objective = Objective(method.prepare(poisson(3), found), found, resample=False)
        steps[dense] = float(method.step(method.init(objective)).losses[0])
    assert steps[0] == pytest.approx(steps[alternating.DENSE or 5000], rel=1e-3)


@pytest.mark.slow
def test_resumed_solve_is_the_same(tmp_path):
    problem = poisson(4, sines, -4 * math.pi**2)
    whole = field(4, "axes")
    dg.solve(problem, whole, steps=5, progress=False)
    broken = field(4, "axes")
    dg.solve(problem, broken, steps=3, out=tmp_path, progress=False)
    again = field(4, "axes")
    dg.solve(problem, again, steps=5, out=tmp_path, resume=True, progress=False)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_what_is_not_linear_is_trained():
    nonlinear = dg.Problem(box(3), [dg.Term("eq", dg.Interior(), lambda x, u: u.value**2 - 1.0)])
    choice = choose(nonlinear, field(3))
    assert (choice.method.name, choice.reason) == ("adam", "the residuals are nonlinear in u")
    assert choose(poisson(3), field(3, decoder=dg.MLPDecoder(1, seed=0))).method.name == "adam"
    energy = dg.Problem(
        box(3), [dg.Term("energy", dg.Interior(), lambda x, u: u.value**2, loss="mean")]
    )
    assert choose(energy, field(3)).method.name == "adam"
    with pytest.raises(dg.SolveError, match=r"needs residuals, not energies; use Adam\(\)"):
        dg.solve(energy, field(3), "least-squares", progress=False)


def test_unknown_route_is_refused():
    with pytest.raises(ValueError, match=r"a FactorizedField is solved by Alternating"):
        dg.solve(poisson(3), field(3), dg.LeastSquares(linear="direct"), progress=False)


def test_adam_trains_products():
    found = field(3)
    solution = dg.solve(poisson(3), found, dg.Adam(lr=1e-2), steps=30, progress=False)
    assert solution.loss < 0.5 * solution.history.totals[0]
