"""Allen-Cahn: the Fourier reference, solves to a true error, options, files."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases_in_time import check_image, check_models_take_a_step, solved

from dinfgrid_cuda.suite.cases.in_time.allen_cahn import allen_cahn_exact, etdrk4
from dinfgrid_cuda.suite.cases.in_time.allen_cahn.allen_cahn import AllenCahn
from dinfgrid_cuda.suite.cases.in_time.allen_cahn.allen_cahn_exact import (
    MODES,
    REACTION,
    STEP,
    initial,
    initial_modes,
)
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

MILD = 1e-2
TIMES = [0.01, 0.1, 0.4]


def small(case, cells, slabs=1):
    points = math.prod(2 * n + 1 for n in cells)
    return replace(case.setup("default"), cells=cells, slabs=slabs, points=points)


def error(case, setup):
    return case.measure(solved(case, setup), 65)["relative_l2"].value


# The reference


def test_exponential_scheme_is_of_fourth_order():
    # v' = L v - v^2 with v(0) = 1: 1 / v = exp(-L t) (1 - 1 / L) + 1 / L.
    linear = np.array([-1.0, -40.0, 3.0])
    exact = 1 / (np.exp(-linear) * (1 - 1 / linear) + 1 / linear)
    start = np.ones(3, dtype=complex)
    errors = []
    for step in (0.05, 0.025):
        (found,) = etdrk4.integrate(start, linear, lambda v: -(v**2), [1.0], step)
        errors.append(np.abs(found - exact))
    assert (errors[1] < errors[0] / 12).all()
    assert errors[1].max() < 1e-6 * np.abs(exact).max()


def test_exponential_scheme_is_exact_for_linear_equations():
    linear = np.array([0.0, -1e-9, -3.0, -1e5])
    start = np.ones(4, dtype=complex)
    found = etdrk4.integrate(start, linear, np.zeros_like, [0.0, 0.3, 1.0], 0.01)
    np.testing.assert_allclose(found, np.exp(np.outer([0.0, 0.3, 1.0], linear)), rtol=1e-12)


def test_modes_of_the_beginning_are_its_fourier_coefficients():
    x = (np.arange(4000) + 0.5) / 2000 - 1
    modes = initial_modes(6)
    for k, mode in enumerate(modes):
        by_midpoints = (initial(x) * np.cos(k * math.pi * (x + 1))).mean()
        assert mode == pytest.approx(by_midpoints, abs=1e-6)  # h^2 / 24 times the slope's jump


@pytest.mark.slow
def test_reference_changes_little_with_half_the_step_or_twice_the_modes():
    x = np.linspace(-1, 1, 129)
    usual = allen_cahn_exact.solution(TIMES, x, 1e-4)
    for modes, step in ((2 * MODES, STEP), (MODES, STEP / 2)):
        other = allen_cahn_exact.solution(TIMES, x, 1e-4, modes, step)
        np.testing.assert_allclose(usual, other, atol=1e-9)


@pytest.mark.slow
def test_reference_satisfies_the_equation_and_begins_right():
    x, h, diffusion = np.linspace(-0.9, 0.9, 37), 1e-3, 1e-3
    before, u, after = allen_cahn_exact.solution([0.5 - h, 0.5, 0.5 + h], x, diffusion)
    dx = 1e-3
    left, right = (allen_cahn_exact.solution([0.5], x + s, diffusion)[0] for s in (-dx, dx))
    rate = (after - before) / (2 * h)
    curved = (left - 2 * u + right) / dx**2
    residual = rate - diffusion * curved - REACTION * (u - u**3)
    # Central differences: h^2 / 6 times u_ttt, of the size of the reaction's rate cubed.
    assert np.abs(residual).max() < h**2 / 6 * (2 * REACTION) ** 3
    np.testing.assert_array_equal(allen_cahn_exact.solution([0.0], x, 1e-4)[0], initial(x))


def test_exact_takes_points_in_any_order():
    case = AllenCahn(diffusion=MILD)
    x = torch.tensor([[0.5, 0.3], [0.0, -0.5], [0.25, 0.3]], dtype=torch.float64)
    one_by_one = torch.cat([case.exact(x[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(case.exact(x), one_by_one, atol=1e-9, rtol=0)


# Solves


@pytest.mark.slow
def test_error_falls_with_the_cells_as_the_kink_at_the_beginning_allows():
    # A kink is met to the power 3/2 of the cells' size, in L2, whatever the degree.
    case = AllenCahn(diffusion=MILD)
    coarse, fine = (error(case, small(case, (6, n), slabs=2)) for n in (32, 64))
    assert fine < 2e-3
    assert fine < coarse / 2


def test_setup_is_periodic_and_follows_the_walls():
    usual, thin = (AllenCahn(diffusion=d).setup("default") for d in (1e-4, 2.5e-5))
    assert usual.boundary == ("ghost", "periodic")
    assert thin.cells[1] == 2 * usual.cells[1]
    assert AllenCahn().setup("paper").boundary == ("clamp", "periodic")


@pytest.mark.slow
def test_every_model_takes_a_step():
    case = AllenCahn()
    check_models_take_a_step(case, replace(small(case, (8, 16)), points=256))


@pytest.mark.parametrize("diffusion", [0.0, -1.0, 1.0, float("nan")])
def test_impossible_diffusion_is_refused(diffusion):
    with pytest.raises(CaseError, match="--diffusion is .* must lie in 2e-05..0.01") as caught:
        AllenCahn(diffusion=diffusion)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_exports_hold_the_field_and_the_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(AllenCahn, "lattice", (21, 33))
    case = AllenCahn(diffusion=MILD)
    field = make_model(case, small(case, (4, 8)), "grid")
    case.exports(field)["allen-cahn.vti"](tmp_path / "allen-cahn.vti")
    image = pytest.importorskip("pyvista").read(tmp_path / "allen-cahn.vti")
    assert image.dimensions == (33, 21, 1)
    check_image(image, case, field, case.exact)


@pytest.mark.slow
def test_run_writes_its_figures_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr("dinfgrid_cuda.suite.cases.in_time.space_time_plots.FRAMES", 3)
    monkeypatch.setattr(AllenCahn, "lattice", (33, 65))
    run(Request(AllenCahn(diffusion=MILD), cells=24, out=tmp_path, progress=False))
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert list(report["metrics"]) == ["relative_l2", "max_error", "mean_error"]
    assert report["metrics"]["relative_l2"]["value"] < 0.05
    assert {"allen-cahn.png", "allen-cahn.gif", "allen-cahn.vti"} <= set(report["files"])
