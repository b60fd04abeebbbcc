"""A pure flux problem: compatible data, the gauge, solves to a true error, refusals."""

from dataclasses import replace

import pytest
from cases_of_models import check_model_takes_a_step
from cases_of_shape_problems import (
    check_exact_solution_satisfies_all_terms,
    check_run,
    solved,
)

from dinfgrid_cuda.suite.cases.shape.neumann_shape import GAUGES, NeumannShape
from dinfgrid_cuda.suite.tools.case import CaseError

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("gauge", GAUGES)
def test_exact_solution_satisfies_equation_fluxes_and_gauge(gauge):
    check_exact_solution_satisfies_all_terms(NeumannShape(shape="annulus", gauge=gauge))


@pytest.mark.parametrize("shape", ["disk", "l", "gear"])
def test_data_are_compatible(shape):
    # Up to the rounding of sums of a few thousand numbers; gear and L have straight edges.
    assert NeumannShape(shape=shape).incompatibility < 1e-12


@pytest.mark.parametrize("gauge", GAUGES)
def test_fluxes_and_a_gauge_determine_the_solution(gauge, tmp_path, monkeypatch):
    monkeypatch.setattr(NeumannShape, "pictures", lambda self, field, title: {})
    monkeypatch.setattr(NeumannShape, "exports", lambda self, field: {})
    report = solved(NeumannShape(shape="star", gauge=gauge), 16, tmp_path)
    metrics = {name: entry["value"] for name, entry in report["metrics"].items()}
    assert metrics["relative_l2"] < 1e-6
    assert metrics["relative_l2_up_to_a_constant"] <= metrics["relative_l2"]
    if gauge == "mean":
        assert metrics["constant"] < 1e-12


def test_the_point_of_the_gauge_is_far_inside():
    case = NeumannShape(shape="annulus")
    assert float(case.body.level(case.place)) < -0.3


def test_run_writes_figures_and_files_of_the_shape(tmp_path, monkeypatch):
    check_run(NeumannShape(shape="disk", degree=5), 10, tmp_path, monkeypatch)


def test_paper_configuration_takes_a_step():
    case = NeumannShape(shape="disk")
    setup = replace(case.setup("paper"), cells=8, points=100)
    check_model_takes_a_step(case, setup, "grid")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gauge": "none"}, "--gauge is 'none'"),
        ({"shape": "starr"}, "did you mean 'star'"),
        ({"degree": 6}, "--degree is 6"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        NeumannShape(**options)
    assert "\n" not in str(caught.value)


def test_a_solid_is_refused(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("igl")
    path = tmp_path / "box.stl"
    trimesh.creation.box().export(path)
    with pytest.raises(CaseError, match="is a solid, but this problem is in the plane"):
        NeumannShape(shape=str(path))
