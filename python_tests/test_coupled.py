"""Residuals that read the field elsewhere, or couple their points, in least squares."""

import math

import numpy as np
import pytest
import torch
from solving import relative_error

import dinfgrid_cuda as dg

LINE = dg.Box([0.0], [1.0])
EVERYWHERE = torch.linspace(0, 1, 501, dtype=torch.float64)[:, None]
START, ENDS = dg.Boundary(((0, "lower"),)), dg.Boundary()


def line(cells=32, degree=7, box=LINE, **options):
    grid = dg.FeatureGrid(
        box.dim,
        cells,
        lower=box.lower,
        upper=box.upper,
        basis=dg.BSpline(degree),
        dtype=torch.float64,
        seed=0,
        **options,
    )
    return dg.Field(grid)


def gauss(count=16):

    x, w = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((x + 1) / 2)[:, None], torch.from_numpy(w / 2)


def mean(field):
    x, w = gauss()
    return (field(x)[:, 0] * w).sum()


def waves(x):
    return torch.sin(2 * math.pi * x) + torch.cos(4 * math.pi * x) + 0.5


def periodic(field):
    """-u'' + u = f with ends that are asked to be alike by the field itself."""

    def load(x):
        one, two = (2 * math.pi) ** 2, (4 * math.pi) ** 2
        return (1 + one) * torch.sin(2 * math.pi * x) + (1 + two) * torch.cos(4 * math.pi * x) + 0.5

    def slopes(x, u):
        return u.gradient[:, :, 0] - field.jet(x + 1.0, 1).gradient[:, :, 0]

    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.value - u.laplacian - load(x), order=2),
        dg.Term("periodic", START, lambda x, u: u.value - field(x + 1.0)),
        dg.Term("slope", START, slopes, order=1),
    ]
    return dg.Problem(LINE, terms)


@pytest.mark.parametrize("route", ["direct", "matrix-free"])
def test_soft_periodic_ends(route):
    field = line(64)
    solution = dg.solve(periodic(field), field, dg.LeastSquares(linear=route), progress=False)
    assert relative_error(field, waves, EVERYWHERE) < 1e-8
    assert solution.reason.startswith("converged")


def test_soft_periodic_ends_are_found_to_be_linear():
    field = line(64)
    solution = dg.solve(periodic(field), field, progress=False)
    assert "linear in the features" in solution.report.reason
    assert relative_error(field, waves, EVERYWHERE) < 1e-8


@pytest.mark.parametrize("strength", [-40.0, 1.0, 40.0])
def test_integral_of_u_in_an_equation(strength):
    """u'' = strength * integral of u + f, zero at the ends."""
    field = line()

    def equation(x, u):
        load = -(math.pi**2) * torch.sin(math.pi * x) - strength * 2 / math.pi
        return u.laplacian - strength * mean(field) - load

    problem = dg.Problem(
        LINE,
        [
            dg.Term("equation", dg.Interior(), equation, order=2),
            dg.Term("ends", ENDS, lambda x, u: u.value),
        ],
    )
    solution = dg.solve(problem, field, progress=False)
    assert relative_error(field, lambda x: torch.sin(math.pi * x), EVERYWHERE) < 1e-8
    assert solution.reason.startswith("converged")


def pure_neumann():
    def load(x):
        return -(math.pi**2) * torch.cos(math.pi * x)

    return [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian - load(x), order=2),
        dg.Term("flux", ENDS, lambda x, u: u.gradient[:, :, 0], order=1),
    ]


def test_mean_by_the_field_fixes_a_constant():
    field = line()
    middle = dg.Points(torch.tensor([[0.5]], dtype=torch.float64))
    term = dg.Term("mean", middle, lambda x, u: mean(field)[None] - 3)
    solution = dg.solve(dg.Problem(LINE, [*pure_neumann(), term]), field, progress=False)
    assert relative_error(field, lambda x: torch.cos(math.pi * x) + 3, EVERYWHERE) < 1e-8
    assert not any("not determined" in note for note in solution.report.findings.notes)


def test_mean_over_the_points_of_a_term_fixes_a_constant():
    field = line()
    x, w = gauss()
    term = dg.Term(
        "mean", dg.Points(x), lambda x, u: ((u.value[:, 0] * w).sum() - 3).expand(len(x))
    )
    solution = dg.solve(dg.Problem(LINE, [*pure_neumann(), term]), field, progress=False)
    assert relative_error(field, lambda x: torch.cos(math.pi * x) + 3, EVERYWHERE) < 1e-8
    assert not any("not determined" in note for note in solution.report.findings.notes)


@pytest.mark.parametrize("strength", [1.0, 200.0])
def test_mean_over_the_points_of_an_equation(strength):
    lattice = torch.linspace(0, 1, 65, dtype=torch.float64)[:, None]
    average = float(torch.sin(math.pi * lattice).mean())

    def equation(x, u):
        load = -(math.pi**2) * torch.sin(math.pi * x) + strength * average
        return u.laplacian + strength * u.value.mean() - load

    terms = [
        dg.Term("equation", dg.Points(lattice), equation, order=2),
        dg.Term("ends", ENDS, lambda x, u: u.value),
    ]
    field = line()
    dg.solve(dg.Problem(LINE, terms), field, progress=False)
    assert relative_error(field, lambda x: torch.sin(math.pi * x), EVERYWHERE) < 1e-9


def test_delay():
    """u' = f - u(t - 1), with u known before 0."""
    box = dg.Box([0.0], [2.0])
    field = line(48, box=box)

    def equation(x, u):
        early = x < 1
        known = torch.sin(2 * (x - 1))
        past = torch.where(early, known, field(torch.where(early, x, x - 1)))
        return u.gradient[:, :, 0] + past - 2 * torch.cos(2 * x) - known

    terms = [
        dg.Term("equation", dg.Interior(), equation, order=1),
        dg.Term("start", START, lambda x, u: u.value),
    ]
    solution = dg.solve(dg.Problem(box, terms), field, progress=False)
    assert relative_error(field, lambda x: torch.sin(2 * x), 2 * EVERYWHERE) < 1e-8
    assert "linear in the features" in solution.report.reason


def test_bloch_condition():
    """A complex wave that gains a phase over a cell, as two channels."""
    phase, k = 0.7, 2 * math.pi + 0.7
    field = dg.Field(
        dg.FeatureGrid(
            1,
            48,
            lower=0.0,
            upper=1.0,
            channels=2,
            basis=dg.BSpline(7),
            dtype=torch.float64,
            seed=0,
        ),
        dg.LinearDecoder(2, seed=0),
    )
    turn = torch.exp(torch.tensor(1j * phase, dtype=torch.complex128))

    def alike(x, u):
        other = field.jet(x + 1.0, 1).as_complex()
        here = u.as_complex()
        slope = here.gradient[:, :, 0] - other.gradient[:, :, 0] / turn
        return torch.cat([here.value - other.value / turn, slope], dim=1)

    terms = [
        dg.Term(
            "equation",
            dg.Interior(),
            lambda x, u: (
                u.as_complex().laplacian
                + 9 * u.as_complex().value
                - (9 - k**2) * torch.exp(1j * k * x)
            ),
            order=2,
        ),
        dg.Term("bloch", START, alike, order=1),
    ]
    dg.solve(dg.Problem(LINE, terms), field, progress=False)
    with torch.no_grad():
        found = torch.view_as_complex(field(EVERYWHERE).contiguous())
    assert float((found - torch.exp(1j * k * EVERYWHERE[:, 0])).abs().max()) < 1e-8


def test_nonlinear_equation_with_its_own_mean():
    """-u'' + u^3 = f * (integral of u) by Gauss-Newton."""
    field = line()

    def equation(x, u):
        exact = torch.sin(math.pi * x)
        load = (math.pi**2 * exact + exact**3) / (2 / math.pi)
        return -u.laplacian + u.value**3 - load * mean(field)

    fixed = torch.tensor([[0.5]], dtype=torch.float64)
    terms = [
        dg.Term("equation", dg.Interior(), equation, order=2),
        dg.Term("ends", ENDS, lambda x, u: u.value),
        dg.Term("top", dg.Points(fixed), lambda x, u: u.value - 1, weight=1e4),
    ]
    dg.solve(
        dg.Problem(LINE, [dg.Term("start", dg.Interior(), lambda x, u: u.value - x * (1 - x) * 4)]),
        field,
        progress=False,
    )
    solution = dg.solve(dg.Problem(LINE, terms), field, progress=False)
    assert relative_error(field, lambda x: torch.sin(math.pi * x), EVERYWHERE) < 1e-8
    assert solution.reason.startswith("converged")


def test_periodic_square():
    box = dg.Box([0.0, 0.0], [1.0, 1.0])
    field = line(16, box=box)

    def exact(x):
        return torch.sin(2 * math.pi * x[:, :1]) * torch.cos(2 * math.pi * x[:, 1:])

    terms = [
        dg.Term(
            "equation",
            dg.Interior(),
            lambda x, u: u.value - u.laplacian - (1 + 8 * math.pi**2) * exact(x),
            order=2,
        )
    ]
    for axis in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[axis] = 1.0
        face = dg.Boundary(((axis, "lower"),))

        def alike(x, u, step=step, axis=axis):
            other = field.jet(x + step, 1)
            apart = u.gradient[:, :, axis] - other.gradient[:, :, axis]
            return torch.cat([u.value - other.value, apart], dim=1)

        terms.append(dg.Term(f"alike {axis}", face, alike, order=1))
    solution = dg.solve(dg.Problem(box, terms), field, progress=False)
    x = dg.Uniform()(2000, box, dtype=torch.float64)
    assert relative_error(field, exact, x) < 1e-5
    assert solution.reason.startswith("converged")


def test_matrix_of_a_coupled_term_is_that_of_its_residuals():
    field = line(6, degree=3)
    x = torch.linspace(0.1, 0.9, 7, dtype=torch.float64)[:, None]

    def residual(x, u):
        return u.laplacian + u.value.mean() - 2 * field(1 - x)

    term = dg.Term("coupled", dg.Points(x), residual, order=2)
    matrix = dg.term_matrix(field, term).toarray()

    def of(features):
        with torch.no_grad():
            field.grid.features.copy_(features)
            return residual(x, field.jet(x, 2))[:, 0]

    zero = torch.zeros_like(field.grid.features)
    base = of(zero)
    for node in range(len(zero)):
        unit = zero.clone()
        unit[node] = 1.0
        torch.testing.assert_close(torch.from_numpy(matrix[:, node]), of(unit) - base)


def test_energy_of_the_whole_field_goes_to_lbfgs():
    field = line(8)
    density = dg.Term(
        "energy",
        dg.Interior(),
        lambda x, u: u.gradient[:, :, 0] ** 2 + mean(field) ** 2 - u.value,
        order=1,
        loss="mean",
    )
    ends = dg.Term("ends", ENDS, lambda x, u: u.value, weight=1e3)
    solution = dg.solve(dg.Problem(LINE, [density, ends]), field, steps=5, progress=False)
    assert solution.report.method == "lbfgs"


def test_slabs_that_are_asked_to_be_periodic_in_space():
    """A residual that reads the field at a slab's end reads that slab, not the next one."""
    box, speed = dg.Box([0.0, 0.0], [1.0, 1.0]), 0.05

    def exact(x):
        decay = torch.exp(-speed * (2 * math.pi) ** 2 * x[:, :1])
        return decay * torch.sin(2 * math.pi * x[:, 1:])

    field = dg.SlabField(lambda slab: line((6, 24), box=slab), box, 3)
    across = torch.tensor([0.0, 1.0], dtype=torch.float64)

    def alike(x, u):
        other = field.jet(x + across, 1)
        apart = u.gradient[:, :, 1] - other.gradient[:, :, 1]
        return torch.cat([u.value - other.value, apart], dim=1)

    def heat(x, u):
        return u.derivative((1, 0)) - speed * u.derivative((0, 2))

    terms = [
        dg.Term("heat", dg.Interior(), heat, order=2),
        dg.Term("start", START, lambda x, u: u.value - exact(x)),
        dg.Term("alike", dg.Boundary(((1, "lower"),)), alike, order=1),
    ]
    dg.solve(dg.Problem(box, terms), field, progress=False)
    assert relative_error(field, exact, dg.Uniform()(2000, box, dtype=torch.float64)) < 1e-8
