"""Corners, a slit, a hole and layers: references to rounding, their problems, the whole run."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases_of_shape_problems import (
    check_exact_solution_satisfies_all_terms,
    check_run,
)

from dinfgrid_cuda import FeatureGrid, Field, solve
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.suite.cases.corner import exact, torsion
from dinfgrid_cuda.suite.cases.corner.corner import Corner
from dinfgrid_cuda.suite.cases.corner.graded import Graded, product
from dinfgrid_cuda.suite.cases.corner.variants import NAMES
from dinfgrid_cuda.suite.tools.case import CaseError

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

pytestmark = pytest.mark.usefixtures("one_thread")

DOMAINS = {"l": "l-source", "slit": "slit"}


def points(*rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("case", ["l", "hole"])
def test_harmonic_closed_forms_satisfy_equation_and_conditions(case):
    check_exact_solution_satisfies_all_terms(Corner(case=case))


@pytest.mark.parametrize("case", ["layers", "parabolic"])
@pytest.mark.parametrize("epsilon", [1e-4, 0.1])
def test_layers_satisfy_convection_and_diffusion(case, epsilon):
    corner = Corner(case=case, epsilon=epsilon)
    x, _ = corner.variant.points(50)  # in the layers, too
    residual = corner.variant.residual(x, Jet.of(corner.exact, x, 2)).detach()
    # Terms as large as u_x = 1 / ε cancel.
    assert float(residual.abs().max()) < 1e-14 / epsilon


@pytest.mark.parametrize("domain", DOMAINS)
def test_series_vanish_on_the_boundary_to_rounding(domain):
    assert torsion.torsion(domain).bound < 1e-12


@pytest.mark.parametrize("domain", DOMAINS)
def test_series_satisfy_poisson_s_equation(domain):
    # A five-point Laplacian errs by h² u_xxxx / 6 ~ 1e-5 and by 4 rounding / h² ~ 1e-9.
    h, place = 1e-3, points([-0.5, 0.4], [0.3, 0.6], [-0.2, 0.1])
    steps = points([h, 0], [-h, 0], [0, h], [0, -h])
    value = torsion.torsion(domain).value
    laplacian = (sum(value(place + step) for step in steps) - 4 * value(place)) / h**2
    torch.testing.assert_close(laplacian, -torch.ones_like(laplacian), rtol=0, atol=1e-4)


def test_series_have_the_symmetries_of_their_domains():
    x = points([-0.5, 0.3], [0.2, 0.7], [-0.1, -0.6])
    value = torsion.torsion("l").value
    torch.testing.assert_close(value(x), value(-x.flip(1)), rtol=0, atol=1e-12)
    value = torsion.torsion("slit").value
    mirrored = x * points([1, -1])
    torch.testing.assert_close(value(x), value(mirrored), rtol=0, atol=1e-12)


def test_the_slit_s_solution_has_no_flux_beside_the_slit():
    y, value = 1e-4, torsion.torsion("slit").value
    x = points([-0.7, y], [-0.2, y])
    there = value(points([-0.7, 0.0], [-0.2, 0.0]))
    # Even in y: u(y) - u(0) = y² u_yy / 2, not y u_y.
    assert float((value(x) - there).abs().max()) < 10 * y**2


def test_the_angle_of_the_l_starts_at_one_side_and_ends_at_the_other():
    found = exact.angle(points([0.5, 0.0], [0.0, 0.5], [-0.5, 0.0], [0.0, -0.5]))
    expected = math.pi / 2 * torch.arange(4, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("diagonal", [True, False])
def test_layers_vanish_around_and_stay_finite_for_the_smallest_diffusion(diagonal):
    for epsilon in (1e-6, 1e-4, 1.0):
        layers = exact.Layers(epsilon, diagonal)
        s = torch.linspace(0, 1, 11, dtype=torch.float64)
        for side in (0 * s, 0 * s + 1):
            for x in (torch.stack([s, side], 1), torch.stack([side, s], 1)):
                assert float(layers.value(x).abs().max()) < 1e-15
        assert bool(layers.source(points([0.5, 0.5], [1, 1])).isfinite().all())


def test_layers_are_as_wide_as_they_must_be():
    epsilon = 1e-4
    x = points([1 - epsilon, 0.5], [0.5, math.sqrt(epsilon)])
    outflow = exact.Layers(epsilon, True).value(x)[0]
    along = exact.Layers(epsilon, False).value(x)[1]
    share = 1 - math.exp(-1)
    assert float(outflow) == pytest.approx(0.5 * (share - epsilon), abs=1e-12)
    assert float(along) == pytest.approx(0.5 * share, abs=1e-12)


@pytest.mark.parametrize("towards", [("lower",), ("upper",), ("lower", "upper")])
def test_graded_points_integrate_what_is_thin(towards):
    """The integral of 1 + d^(-1/3), d the distance to an end, over an axis of length 2."""
    axis = Graded(-0.5, 1.5, towards)
    places, weights = axis.points(150)
    distance = (places + 0.5) if "lower" in towards else (1.5 - places)
    found = float((weights * (1 + distance ** (-1 / 3))).sum())
    # The last interval, of 2^(1 - 24), is left to its Gauss points: (2^-23)^(2/3) = 2e-5 of it.
    assert found == pytest.approx(2 + 1.5 * 2 ** (2 / 3), abs=1e-5)
    assert float(np.diff(axis.breaks()).min()) < 3e-7


def test_graded_weights_of_a_rectangle_add_up_to_its_area():
    axes = (Graded(0.0, 1.0, ("lower",)), Graded(-2.0, 1.0, ("lower", "upper")))
    x, weights = product(axes, 60)
    assert x.shape == (len(weights), 2)
    assert float(weights.sum()) == pytest.approx(3.0, abs=1e-12)


@pytest.mark.parametrize("case", NAMES)
def test_points_of_errors_are_inside_and_weigh_the_area(case):
    corner = Corner(case=case)
    x, weights = corner.variant.points(50)
    assert float(corner.body.level(x).max()) < 1e-12
    area = {"l": 3.0, "l-source": 3.0, "slit": 2.0, "hole": 4 - math.pi / 64}.get(case, 1.0)
    assert float(weights.sum()) == pytest.approx(area, rel=1e-9)


def test_a_uniform_grid_meets_the_hole_and_misses_the_slit():
    """Least squares of Δu cannot hold r^(1/2), whose second derivatives have no finite square."""
    errors = {}
    for name in ("hole", "slit"):
        case = Corner(case=name)
        setup = replace(case.setup("default"), cells=20)
        around = case.covering(setup)
        grid = FeatureGrid(
            dim=2,
            cells=around.cells,
            lower=around.lower,
            upper=around.upper,
            basis=setup.basis,
            dtype=torch.float64,
        )
        field = Field(grid)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of the slit's residual
            solve(case.problem(setup), field, progress=False)
        errors[name] = case.measure(field, 60)["relative_l2"].value
    assert errors["hole"] < 0.1 < errors["slit"] < 1


@pytest.mark.slow
def test_run_writes_figures_and_files_of_the_shape(tmp_path, monkeypatch):
    check_run(Corner(case="hole"), 32, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"case": "m"}, "--case is 'm'"),
        ({"epsilon": 0.0}, "--epsilon is 0.0"),
        ({"degree": 6}, "--degree is 6"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message):
        Corner(**options)


class TestNGSolve:
    """The adaptive elements of `bench.classical` meet the same references."""

    @pytest.fixture
    def adaptive(self):
        pytest.importorskip("ngsolve")
        pytest.importorskip("bench.classical")
        from bench.classical import adaptive

        return adaptive

    @pytest.mark.parametrize("problem", ["l", "l-source"])
    def test_a_graded_mesh_agrees_with_the_reference(self, adaptive, problem):
        assert adaptive.graded(problem, 8, 8, ratio=0.25).error < 5e-6

    @pytest.mark.parametrize("problem", ["l", "hole", "layers"])
    def test_bisection_lowers_the_error(self, adaptive, problem):
        rounds = adaptive.solve(problem, (4,), adaptive.Limits(rounds=4))[4]
        assert len(rounds) == 5
        assert rounds[-1].unknowns > rounds[0].unknowns
        assert rounds[-1].error < rounds[0].error / 2

    def test_the_slit_is_refused(self, adaptive):
        with pytest.raises(ValueError, match="slit's upper half is not among"):
            adaptive.solve("slit", (2,), adaptive.Limits())
