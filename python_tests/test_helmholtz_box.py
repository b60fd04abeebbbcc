"""Helmholtz in a box: exact solution, resonances, solves to a true error, files."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases_of_models import check_model_takes_a_step
from cases_with_solutions import check_exact_solution_satisfies_all_terms, check_run, error, small

from dinfgrid_cuda import Gaussian
from dinfgrid_cuda.suite.cases.helmholtz import helmholtz_box
from dinfgrid_cuda.suite.cases.helmholtz.helmholtz_box import (
    AT,
    PER_WAVE,
    HelmholtzBox,
    _is_sum_of_squares,
)
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")


def expected(waves, cells):
    """The error of septic splines by cells a wavelength, doubled."""
    return 2 * 5e-8 * (10 * waves / cells) ** 8


@pytest.mark.parametrize("waves", [(4, 1, 0), (20, 20, 0), (4, 4, 3)])
def test_exact_solution_satisfies_equation_and_faces(waves):
    check_exact_solution_satisfies_all_terms(HelmholtzBox(*waves, wavenumber=3.0))


def test_error_falls_with_the_eighth_power_of_the_cells():
    case = HelmholtzBox()
    coarse, fine = error(case, (24, 16)), error(case, (48, 16))
    assert fine < expected(4, 48)
    assert fine < coarse / 2**7


def test_error_depends_on_the_cells_a_wavelength_alone():
    case = HelmholtzBox(8, 8)
    assert error(case, (56, 56)) < expected(8, 56)


@pytest.mark.parametrize("waves", [(4, 1, 0), (10, 10, 0)])
def test_default_configuration_keeps_the_error_in_proportion_to_the_waves(waves):
    case = HelmholtzBox(*waves)
    assert error(case, case.setup("default").cells) < 1e-7 * max(waves) / AT


def test_three_dimensions_are_solved_as_accurately():
    assert error(HelmholtzBox(1, 1, 1), (8, 8, 8)) < expected(1, 8)


def test_waves_that_the_equation_lets_travel_need_cells_as_well():
    case = HelmholtzBox(1, 1, wavenumber=12.0)
    assert error(case, (32, 32)) < expected(12 / math.pi, 32)


def test_cells_follow_the_waves_of_each_axis_and_the_wavenumber():
    assert HelmholtzBox(a3=0).setup("default").cells == (40, 16)
    assert len(HelmholtzBox(a3=2).setup("default").cells) == 3
    free = HelmholtzBox(wavenumber=AT * math.pi).setup("default").cells
    assert free == (PER_WAVE * AT, PER_WAVE * AT)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_sums_of_squares_are_known(dim):
    squares = [n * n for n in range(1, 8)]
    sums = {sum(some) for some in itertools.product(squares, repeat=dim)}
    for number in range(-1, 50):
        assert _is_sum_of_squares(number, dim) == (number in sums), number


def test_resonances_are_refused_and_their_neighbours_are_not():
    for square, dim in ((2, 2), (5, 2), (3, 3)):
        k = math.pi / 2 * math.sqrt(square)
        with pytest.raises(CaseError, match="resonance"):
            HelmholtzBox(a3=dim - 2, wavenumber=k)
        HelmholtzBox(a3=dim - 2, wavenumber=k * 1.001)
    HelmholtzBox(wavenumber=math.pi / 2 * math.sqrt(3))  # 3 is no sum of two squares


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a1": 0}, "--a1 is 0"),
        ({"a2": -1}, "--a2 is -1"),
        ({"a3": -1}, "--a3 is -1"),
        ({"wavenumber": -1.0}, "--wavenumber is -1.0"),
        ({"wavenumber": math.nan}, "--wavenumber is nan"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        HelmholtzBox(**options)
    assert "\n" not in str(caught.value)


def test_figures_on_too_few_points_are_refused():
    case = HelmholtzBox(a1=10)
    with pytest.raises(CaseError, match="--resolution is 40"):
        case.measure(make_model(case, small(case, (8, 8)), "grid"), 40)


def test_zeros_of_the_solution_do_not_fill_the_points_of_figures():
    for waves in (1, 10, 53, 100):
        case = HelmholtzBox(waves, 1)
        x = torch.linspace(-1, 1, case._shape()[0], dtype=torch.float64)
        assert torch.sin(waves * math.pi * x).square().mean() > 0.4


@pytest.mark.slow
@pytest.mark.parametrize(("model", "a3"), [*((model, 0) for model in MODELS), ("grid", 1)])
def test_every_model_takes_a_step(model, a3):
    case = HelmholtzBox(a3=a3)
    cells = (8, 8, 8) if a3 else (8, 8)
    setup = adapt(replace(small(case, cells), points=256), model, "adam")
    check_model_takes_a_step(case, setup, model)


def test_paper_configuration_is_that_of_the_papers_wave_problem():
    setup = HelmholtzBox().setup("paper")
    assert (setup.cells, setup.levels, setup.channels, setup.method.lr) == (128, 4, 2, 1e-3)
    assert (setup.basis, setup.boundary, setup.method.name) == (Gaussian(), "clamp", "adam")


@pytest.mark.slow
@pytest.mark.parametrize("a3", [0, 1])
def test_run_writes_figures_and_files(tmp_path, monkeypatch, a3):
    files = ["helmholtz-box.png", "loss.png", "line.csv", "helmholtz-box.vti"]
    case = HelmholtzBox(a1=1, a3=a3)
    monkeypatch.setattr(helmholtz_box, "POINTS", {2: 54, 3: 18})
    if not a3:  # that of a cut through three dimensions is the longer way
        monkeypatch.setattr(HelmholtzBox, "pictures", lambda self, field, title: {})
        files = files[1:]
    check_run(case, tmp_path, 8, files)
    table = np.loadtxt(tmp_path / "line.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table[:, 1] - table[:, 2], table[:, 3], atol=1e-8)
    np.testing.assert_allclose(table[:, 2], np.sin(math.pi * table[:, 0]), atol=1e-8)
