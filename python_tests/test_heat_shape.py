"""Heat on a shape with holes: the exact solution, solves to a true error, cells, files."""

from dataclasses import replace

import numpy as np
import pytest
from cases_of_models import check_model_takes_a_step
from cases_of_shape_problems import (
    check_exact_solution_satisfies_all_terms,
    check_run,
)

from dinfgrid_cuda.suite.cases.shape import heat_shape_output
from dinfgrid_cuda.suite.cases.shape.heat_shape import HeatShape
from dinfgrid_cuda.suite.tools.case import CaseError

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("shape", ["annulus", pytest.param("star", marks=pytest.mark.slow)])
def test_exact_solution_satisfies_equation_and_conditions(shape):
    case = HeatShape(shape=shape)
    names = [term.name for term in case.problem(case.setup("default")).terms]
    held = ["holes"] if shape == "annulus" else []
    assert names == ["equation", "start", "outer", *held]
    check_exact_solution_satisfies_all_terms(case)


@pytest.mark.slow
def test_run_writes_figures_and_files_over_time(tmp_path, monkeypatch):
    monkeypatch.setattr(heat_shape_output, "NODES", 61)
    case = HeatShape(shape="annulus", end=0.5)
    report = check_run(case, 8, tmp_path, monkeypatch, axes="xyt")
    metrics = report["metrics"]
    assert metrics["relative_l2"]["value"] < 1e-4
    errors = np.genfromtxt(tmp_path / "errors.csv", delimiter=",", names=True)
    assert errors.dtype.names == ("time", "relative_l2", "max_error")
    assert (errors["time"][0], errors["time"][-1]) == (0.0, 0.5)
    end = metrics["relative_l2_end"]["value"]
    assert errors["relative_l2"][-1] == pytest.approx(end, rel=0.1)


def test_cells_along_the_time_follow_its_length():
    case = HeatShape(shape="gear", end=2.0)
    setup = replace(case.setup("default"), cells=20)
    cells, box = case.grid_cells(setup), case.grid_box(setup)
    assert cells[:2] == (20, 20)
    assert cells[2] == 18
    assert (box.lower[2], box.upper[2]) == (0.0, 2.0)
    assert HeatShape(end=0.1).grid_cells(setup)[2] == 4


def test_paper_configuration_takes_a_step():
    case = HeatShape(shape="annulus")
    setup = replace(case.setup("paper"), cells=8, points=100)
    check_model_takes_a_step(case, setup, "grid")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end": 0.0}, "--end is 0.0"),
        ({"end": float("nan")}, "--end is nan"),
        ({"shape": "for-holes"}, "did you mean 'four-holes'"),
        ({"degree": 1}, "--degree is 1"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        HeatShape(**options)
    assert "\n" not in str(caught.value)
