"""Wave: the exact solution, solves to a true error, configurations, files."""

from dataclasses import replace

import pytest
import torch
from cases_in_time import check_files, check_image, check_models_take_a_step, solved
from cases_with_solutions import check_exact_solution_satisfies_all_terms, check_run, error, small

from dinfgrid_cuda import BSpline, Gaussian
from dinfgrid_cuda.suite.cases.in_time.wave import Wave
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("speed", [2.0, 0.5])
def test_exact_solution_satisfies_equation_and_conditions(speed):
    check_exact_solution_satisfies_all_terms(Wave(speed=speed, end=1.3))


def test_exact_solution_has_the_published_values():
    x = torch.tensor([[0.0, 0.125], [0.25, 0.5], [0.5, 0.125]], dtype=torch.float64)
    first = torch.sin(torch.pi * x[:, 1]) * torch.cos(2 * torch.pi * x[:, 0])
    second = torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(Wave().exact(x), first + second)


def test_error_falls_with_the_sixth_power_of_the_cells_or_faster():
    coarse, fine = error(Wave(), (24, 12)), error(Wave(), (48, 24))
    assert fine < coarse / 2**6


def test_default_configuration_reaches_1e_8():
    case = Wave()
    measures = case.measure(solved(case, case.setup("default")))
    assert measures["relative_l2"].value < 1e-8
    assert list(measures) == ["relative_l2", "max_error", "mean_error"]


def test_time_slabs_cost_less_accuracy_than_a_quarter_of_the_cells():
    case = Wave()
    assert error(case, (16, 32), slabs=4) < error(case, (48, 24))


def test_cells_follow_speed_and_time():
    assert Wave().setup("default").cells == (96, 48)
    assert Wave(speed=1.0, end=4.0).setup("default").cells == (192, 48)


def test_paper_configuration_trains_gaussians():
    case = Wave()
    setup = case.setup("paper")
    assert (setup.basis, setup.boundary, setup.method.name) == (Gaussian(), "clamp", "adam")
    assert (setup.steps, setup.points, setup.decoder) == (5000, 128**2, "trained")
    names = [term.name for term in case.problem(setup).terms]
    assert names == ["equation", "initial value", "initial velocity", "ends"]


@pytest.mark.slow
def test_every_model_takes_a_step():
    check_models_take_a_step(Wave(), replace(small(Wave(), (16, 8)), points=256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": 0.0}, "--speed is 0.0"),
        ({"speed": float("nan")}, "--speed is nan"),
        ({"end": -1.0}, "--end is -1.0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Wave(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pictures_and_exports_are_valid(tmp_path):
    case = Wave()
    field = make_model(case, small(case, (16, 8), basis=BSpline(3)), "grid")
    columns = ["time", "mean_error", "max_error", "relative_l2"]
    image = check_files(case, field, tmp_path, columns)
    assert image.dimensions == (258, 132, 1)
    check_image(image, case, field, case.exact)


def test_run_writes_figures_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(Wave, "pictures", lambda self, field, title: {})
    report = check_run(Wave(), tmp_path, 24, ["loss.png", "errors.csv", "wave.vti"])
    assert report["metrics"]["relative_l2"]["value"] < 1e-3
