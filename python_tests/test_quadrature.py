"""Gauss points: integrals, energies on them, and places that are refined."""

from __future__ import annotations

import itertools
import math

import pytest
import solving
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.diagnosis.energy_check import apart, fresh_energy, looked_at
from dinfgrid_cuda.solvers.lattice.axes import as_lattice, lattices
from dinfgrid_cuda.solvers.linear.points import cell_edges, fitted, fitted_mean

LINE, SQUARE = dg.Box(0.0, 1.0), dg.Box((0.0, 0.0), (1.0, 1.0))
BOXES = [LINE, dg.Box((-1.0, 0.0), (1.0, 3.0)), dg.Box((0.0, 1.0, 2.0), (1.0, 3.0, 2.5))]
DOUBLE = {"dtype": torch.float64}


def sine(x):
    return torch.sin(math.pi * x).prod(dim=1)


def membrane(x, u):
    """Its minimiser with u = 0 on the rim of the unit box is `sine`."""
    load = x.shape[1] * math.pi**2 * sine(x)
    return u.gradient.square().sum((1, 2)) / 2 - load * u.value[:, 0]


def make_field(dim, cells, degree=5, constraint=None):
    basis = dg.BSpline(degree)
    return solving.make_field(dim, cells, 1, 1, basis, constraint, lower=0.0, decoder="linear")


def rms_error(field, exact, box):
    x = dg.Uniform()(4000, box, seed=7, **DOUBLE)
    with torch.no_grad():
        return float((field(x)[:, 0] - exact(x)).square().mean() ** 0.5)


@pytest.mark.parametrize("box", BOXES, ids=repr)
def test_polynomials_are_integrated_to_degree_two_per_cell_less_one(box):
    points = dg.GaussPoints(cells=2, per_cell=3)
    x, w = points(0, box, **DOUBLE), points.weights(box, **DOUBLE)
    for degree, exactly in ((5, True), (6, False)):
        power = degree + 1
        means = [
            ((b + 2) ** power - (a + 2) ** power) / (power * (b - a))
            for a, b in zip(box.lower, box.upper, strict=True)
        ]
        found = float((w * ((x + 2) ** degree).prod(dim=1)).mean())
        assert (abs(found / math.prod(means) - 1) < 1e-13) == exactly
    assert as_lattice(x) is not None


@pytest.mark.parametrize("box", BOXES[1:], ids=repr)
def test_weights_on_faces_are_those_of_a_mean_by_area(box):
    region = dg.Boundary(sampler=dg.GaussPoints(cells=tuple(range(1, box.dim + 1)), per_cell=2))
    x = region.sample(0, box, dtype=torch.float64)
    w = region.weights(0, box, torch.float64, torch.device("cpu"))
    assert len(w) == len(x)
    total = sum(2 * box.face_measure(axis) for axis in range(box.dim))
    exact = 0.0
    for axis, side in itertools.product(range(box.dim), (box.lower, box.upper)):
        sizes = [
            (b**3 - a**3) / 3 if k == 0 else b - a
            for k, (a, b) in enumerate(zip(box.lower, box.upper, strict=True))
        ]
        sizes[axis] = side[axis] ** 2 if axis == 0 else 1.0
        exact += math.prod(sizes) / total
    torch.testing.assert_close(float((w * x[:, 0] ** 2).mean()), exact, rtol=1e-13, atol=0)
    term = dg.Term("rim", region, lambda x, u: u.value)
    assert len(lattices(term, box, x)) == 2 * box.dim


@pytest.mark.parametrize("cells", [16, 64])
@pytest.mark.parametrize("degree", [3, 5, 7])
def test_energy_with_a_hard_constraint_is_minimised_between_the_points_too(cells, degree):
    field = make_field(1, cells, degree, dg.BoxConstraint())
    problem = dg.Problem(LINE, [dg.Term("energy", dg.Interior(), membrane, 1, loss="mean")])
    solution = dg.solve(problem, field, progress=False)
    assert rms_error(field, sine, LINE) < 1e-6
    assert solution.report.rms["energy"] == pytest.approx(-(math.pi**2) / 4, rel=1e-6)


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_energy_in_two_dimensions_is_minimised_between_the_points_too(degree):
    field = make_field(2, 16, degree, dg.BoxConstraint())
    problem = dg.Problem(SQUARE, [dg.Term("energy", dg.Interior(), membrane, 1, loss="mean")])
    dg.solve(problem, field, progress=False)
    assert rms_error(field, sine, SQUARE) < 1e-6


def test_natural_boundary_conditions_of_an_energy_hold():
    def exact(x):
        return torch.cos(math.pi * x[:, 0])

    def energy(x, u):
        load = (1 + math.pi**2) * exact(x) * u.value[:, 0]
        return (u.gradient[:, 0, 0] ** 2 + u.value[:, 0] ** 2) / 2 - load

    field = make_field(1, 16)
    problem = dg.Problem(LINE, [dg.Term("energy", dg.Interior(), energy, 1, loss="mean")])
    dg.solve(problem, field, progress=False)
    assert rms_error(field, exact, LINE) < 1e-8


def test_load_along_an_edge_is_integrated():
    def exact(x):
        return torch.sin(math.pi * x[:, 0]) * torch.cosh(math.pi * x[:, 1])

    def load(x, u):
        return -math.pi * math.sinh(math.pi) * torch.sin(math.pi * x[:, 0]) * u.value[:, 0]

    field = make_field(2, 16, 5, dg.BoxConstraint(faces=((0, "lower"), (0, "upper"))))
    terms = [
        dg.Term(
            "slope", dg.Interior(), lambda x, u: u.gradient.square().sum((1, 2)) / 2, 1, loss="mean"
        ),
        dg.Term("load", dg.Boundary(((1, "upper"),)), load, loss="mean"),
    ]
    dg.solve(dg.Problem(SQUARE, terms), field, progress=False)
    assert rms_error(field, exact, SQUARE) < 1e-6


def test_lbfgs_takes_an_energy_as_an_integral():
    field = make_field(1, 8, 3, dg.BoxConstraint())
    problem = dg.Problem(LINE, [dg.Term("energy", dg.Interior(), membrane, 1, loss="mean")])
    dg.solve(problem, field, "lbfgs", progress=False)
    assert rms_error(field, sine, LINE) < 1e-4


def test_cells_follow_the_grid_where_the_box_is_a_part_of_it():
    spec = make_field(1, 10).grid.spec
    assert cell_edges(spec, dg.Box(0.25, 0.5))[0] == pytest.approx((0.25, 0.3, 0.4, 0.5))
    assert cell_edges(spec, LINE)[0] == pytest.approx([k / 10 for k in range(11)])


@pytest.mark.parametrize("sampler", [dg.Lattice((17,), ends=True), dg.Sobol(), dg.Stratified()])
def test_energy_that_differs_between_the_points_is_told(sampler):
    field = make_field(1, 16, 7, dg.BoxConstraint())
    term = dg.Term("energy", dg.Interior(sampler), membrane, 1, points=40, loss="mean")
    objective = Objective(dg.Problem(LINE, [term]), field, resample=False)
    dg.solve(objective.problem, field, "least-squares", progress=False)
    note = fresh_energy(objective, 0)
    assert note is not None
    assert "'energy'" in note


@pytest.mark.parametrize("dim", [1, 2])
def test_energy_at_gauss_points_is_not_complained_of(dim):
    box = dg.Box((0.0,) * dim, (1.0,) * dim)
    field = make_field(dim, 8, 5, dg.BoxConstraint())
    problem = dg.Problem(box, [dg.Term("energy", dg.Interior(), membrane, 1, loss="mean")])
    dg.solve(problem, field, progress=False)
    objective = Objective(fitted(problem, field.grid.spec), field, resample=False)
    assert fresh_energy(objective, 0) is None


@pytest.mark.parametrize("width", [1e-4, 3e-6])
def test_source_narrower_than_cells_is_seen_where_its_place_is_given(width):
    place = 0.437

    def exact(x):
        return torch.minimum(x * (1 - place), place * (1 - x))[:, 0]

    def equation(x, u):
        source = torch.exp(-(((x - place) / width) ** 2)) / (width * math.pi**0.5)
        return u.laplacian + source

    field = make_field(1, 64, 7, dg.BoxConstraint())
    region = dg.Interior(dg.GaussPoints(at=place, width=width))
    dg.solve(dg.Problem(LINE, [dg.Term("pde", region, equation, 2)]), field, progress=False)
    # A kink between nodes costs h^(3/2) / 10 at the best.
    assert rms_error(field, exact, LINE) < 2e-4


def test_refined_points_in_a_plane_integrate_a_narrow_bell():
    width, place = 1e-3, (0.371, 0.642)
    points = dg.GaussPoints(cells=8, per_cell=5, at=place, width=width)
    x, w = points(0, SQUARE, **DOUBLE), points.weights(SQUARE, **DOUBLE)
    assert as_lattice(x) is not None
    distance = (x - torch.tensor(place, **DOUBLE)).square().sum(dim=1)
    bell = torch.exp(-distance / width**2) / (math.pi * width**2)
    assert float((w * bell).mean()) == pytest.approx(1.0, rel=1e-6)


def test_mean_by_a_residual_with_weights_is_that_over_x():
    points = dg.GaussPoints(cells=4, per_cell=3)
    w = points.weights(LINE, **DOUBLE)[:, None]
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian - 2, 2),
        dg.Term("slope", dg.Boundary(), lambda x, u: u.gradient[:, :, 0] - 2 * x, 1),
        dg.Term(
            "mean",
            dg.Interior(points),
            lambda x, u: ((w * u.value).mean() - 1 / 3).expand(len(x)),
        ),
    ]
    field = make_field(1, 8)
    objective = Objective(dg.Problem(LINE, terms), field, resample=False)
    with torch.no_grad():
        field.grid.features.zero_()
    assert float(objective.evaluate(0)[3]) == pytest.approx(1 / 9)


@pytest.mark.parametrize("dim", [1, 2])
def test_plain_mean_over_points_made_for_it_is_that_over_x(dim):
    box = dg.Box((0.0,) * dim, (1.0,) * dim)
    mean = dg.Term("mean", dg.Interior(), lambda x, u: u.value.mean().expand(len(x)))
    spec = make_field(dim, 6).grid.spec
    x, _ = fitted_mean(mean, box, spec).draw(box, 0, 0, torch.float64, torch.device("cpu"))
    assert float((x**3).prod(dim=1).mean()) == pytest.approx(0.25**dim, rel=1e-13)
    plain, _ = fitted(dg.Problem(box, [mean]), spec).draw(0, 0, 0, x.dtype, x.device)
    assert float((plain**3).prod(dim=1).mean()) != pytest.approx(0.25**dim, rel=1e-2)


def test_gauss_points_can_be_hashed_and_compared():
    first, second = (dg.GaussPoints([4, 4], 3, at=[[0.1, 0.2]], width=0.1) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_squares_on_gauss_points_are_those_of_an_integral():
    """The rows of least squares and the loss agree, and on faces as inside."""
    points = dg.GaussPoints(cells=(5, 7), per_cell=3)
    terms = [
        dg.Term("inside", dg.Interior(points), lambda x, u: u.laplacian, 2),
        dg.Term("rim", dg.Boundary(sampler=points), lambda x, u: u.value - x[:, :1] ** 2),
    ]
    field = make_field(2, 4)
    solution = dg.solve(
        dg.Problem(SQUARE, terms), field, dg.LeastSquares(balance=False), progress=False
    )
    with torch.no_grad():
        before = sum(rms**2 for rms in solution.report.rms.values())
    objective = Objective(dg.Problem(SQUARE, terms), field, resample=False)
    losses = objective.evaluate(0)
    assert float(losses[0]) == pytest.approx(before, rel=1e-6)
    gradient = field.grid.features.grad
    with torch.no_grad():
        field.grid.features.add_(torch.randn_like(field.grid.features))
    objective.evaluate(0)
    assert float(gradient.norm()) < 1e-9 * float(field.grid.features.grad.norm())


def test_products_of_factors_take_the_weights_of_gauss_points():
    grid = dg.FactorizedGrid(2, 3, products="axes", lower=(0.0, 0.0), upper=(1.0, 1.0), **DOUBLE)
    field = dg.FactorizedField(grid)
    region = dg.Interior(dg.GaussPoints(cells=3, per_cell=3))
    bell = dg.Term("bell", region, lambda x, u: u.value[:, 0] - torch.exp(-x.square().sum(1)))
    objective = Objective(dg.Problem(SQUARE, [bell]), field, resample=False)
    start = float(objective.evaluate(0)[0])
    first = max(float(p.grad.norm()) for p in objective.parameters if p.grad is not None)
    dg.solve(objective.problem, field, "least-squares", progress=False)
    assert float(objective.evaluate(0)[0]) < start / 10
    last = max(float(p.grad.norm()) for p in objective.parameters if p.grad is not None)
    assert last < 1e-6 * first


def test_spacing_of_points_is_told():
    lattice = dg.Lattice((11,), ends=True)(0, LINE, **DOUBLE)
    assert apart(lattice, LINE) == pytest.approx(0.1)
    random = dg.Uniform()(1000, SQUARE, **DOUBLE)
    gap = apart(random, SQUARE)
    assert 0.03 < gap < 0.2
    term = dg.Term("pde", dg.Interior(dg.Lattice((11,), ends=True)), lambda x, u: u.laplacian, 2)
    objective = Objective(dg.Problem(LINE, [term]), make_field(1, 4), resample=False)
    assert "about 1e-01" in looked_at(objective)
    assert "about 2e-03" in looked_at(objective, fresh=1000)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cells": 0}, "cells is 0"),
        ({"per_cell": 0}, "per_cell is 0"),
        ({"cells": 2, "edges": ((0.0, 1.0),)}, "cells or edges"),
        ({"edges": ((1.0, 0.0),)}, "ascend"),
        ({"at": 0.5}, "belong together"),
        ({"at": math.nan, "width": 1.0}, "finite"),
        ({"at": 0.5, "width": 0.0}, "width is 0.0"),
    ],
)
def test_gauss_points_refuse_what_makes_no_sense(given, message):
    with pytest.raises(ValueError, match=message):
        dg.GaussPoints(**given)


def test_gauss_points_of_other_axes_than_the_box_are_refused():
    for points in (dg.GaussPoints((2, 2)), dg.GaussPoints(2, at=(0.1, 0.2, 0.3), width=0.1)):
        box = LINE if points.at is None else SQUARE
        with pytest.raises(ValueError, match="ax"):
            points(0, box)
