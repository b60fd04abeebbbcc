"""Klein-Gordon: the exact solution, solves to a true error, slabs, configurations, files."""

import io
from dataclasses import replace

import pytest
import torch
from cases_of_models import check_model_takes_a_step
from cases_with_solutions import (
    check_exact_solution_satisfies_all_terms,
    check_exports,
    check_run,
    error,
    small,
)
from PIL import Image

from dinfgrid_cuda import BSpline, Gaussian
from dinfgrid_cuda.suite.cases.in_time import space_time_plots
from dinfgrid_cuda.suite.cases.in_time.klein_gordon import KleinGordon
from dinfgrid_cuda.suite.run.models import adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

# Two cells along each axis of space hold the solution, which is a polynomial there.
SHORT = KleinGordon(end=2.0)


@pytest.mark.parametrize("frequency", [2.0, 0.7])
def test_exact_solution_satisfies_equation_and_conditions(frequency):
    check_exact_solution_satisfies_all_terms(KleinGordon(frequency=frequency))


def test_exact_solution_has_the_published_values():
    x = torch.tensor([[0.0, 0.5, -0.25], [torch.pi / 4, 0.5, -0.25]], dtype=torch.float64)
    expected = torch.tensor([0.25, -0.125], dtype=torch.float64)
    torch.testing.assert_close(KleinGordon().exact(x), expected)


@pytest.mark.slow
def test_error_falls_with_the_fourth_power_of_the_cells_or_faster():
    coarse, fine = (error(SHORT, (n, 2, 2), slabs=1) for n in (6, 12))
    assert fine < 1e-6
    assert fine < coarse / 2**4


@pytest.mark.slow
def test_time_slabs_give_the_same_accuracy():
    whole = error(SHORT, (8, 2, 2), slabs=1)
    parts = error(SHORT, (4, 2, 2), slabs=2)
    assert parts < 3 * whole


def test_cells_and_slabs_follow_the_time():
    setup = KleinGordon().setup("default")
    assert (setup.cells, setup.slabs) == ((16, 4, 4), 5)
    assert KleinGordon(end=1.0).setup("default").slabs == 1


def test_paper_configuration_trains_gaussians_without_slabs():
    case = KleinGordon()
    setup = case.setup("paper")
    assert (setup.basis, setup.boundary, setup.method.name) == (Gaussian(), "clamp", "adam")
    assert (setup.steps, setup.points, setup.slabs) == (5000, 32**3, 1)
    names = [term.name for term in case.problem(setup).terms]
    assert names == ["equation", "initial value", "initial velocity", "sides"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["grid", "siren"])
def test_models_take_a_step_of_adam(model):
    setup = replace(small(SHORT, (8, 4, 4)), points=256, slabs=1)
    check_model_takes_a_step(SHORT, adapt(setup, model, "adam"), model)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"frequency": 0.0}, "--frequency is 0.0"), ({"end": float("inf")}, "--end is inf")],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        KleinGordon(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_exports_and_the_picture_of_slabs_are_valid(tmp_path, monkeypatch):
    setup = small(SHORT, (4, 2, 2), basis=BSpline(3), slabs=2)
    field = make_model(SHORT, setup, "grid")
    check_exports(SHORT, field, tmp_path, (54, 54, 38))
    monkeypatch.setattr(space_time_plots, "square_animation", lambda samples: b"GIF")
    pictures = SHORT.pictures(field, "a title")
    assert list(pictures) == ["klein-gordon.png", "klein-gordon.gif"]
    with Image.open(io.BytesIO(pictures["klein-gordon.png"])) as picture:
        assert picture.width > 1000


@pytest.mark.slow
def test_run_writes_figures_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(KleinGordon, "pictures", lambda self, field, title: {})
    files = ["loss.png", "errors.csv", "klein-gordon.vti"]
    report = check_run(KleinGordon(end=0.5), tmp_path, 4, files)
    assert report["metrics"]["relative_l2"]["value"] < 1e-4
