"""Convection: the exact solution, solves to a true error, configurations, files."""

import math
from dataclasses import replace

import pytest
import torch
from cases_in_time import solved
from cases_of_models import check_model_takes_a_step
from cases_with_solutions import (
    check_exact_solution_satisfies_all_terms,
    check_exports,
    check_run,
    error,
    small,
)

from dinfgrid_cuda import BSpline, Gaussian
from dinfgrid_cuda.suite.cases.in_time.convection import Convection
from dinfgrid_cuda.suite.run.models import adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("ends", ["periodic", "inflow"])
@pytest.mark.parametrize("speed", [30.0, -3.0])
def test_exact_solution_satisfies_equation_and_conditions(speed, ends):
    check_exact_solution_satisfies_all_terms(Convection(speed=speed, ends=ends))


@pytest.mark.parametrize("ends", ["periodic", "inflow"])
def test_error_falls_with_the_seventh_power_of_the_cells_or_faster(ends):
    case = Convection(speed=12.0, ends=ends)
    coarse, fine = error(case, (16, 8)), error(case, (32, 16))
    assert fine < coarse / 2**7


@pytest.mark.parametrize("ends", ["periodic", "inflow"])
def test_default_configuration_reaches_1e_8(ends):
    case = Convection(ends=ends)
    assert case.measure(solved(case, case.setup("default")))["relative_l2"].value < 1e-8


def test_periodic_field_is_the_same_at_both_ends():
    case = Convection(speed=5.0)
    field = solved(case, small(case, (16, 8)))
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    left, right = (
        field.jet(torch.stack([t, torch.full_like(t, x)], dim=1), 2).components
        for x in (0.0, 2 * math.pi)
    )
    assert (left - right).abs().max() < 1e-10 * left.abs().max()


def test_inflow_is_where_the_velocity_enters():
    for speed, face in ((2.0, (1, "lower")), (-2.0, (1, "upper"))):
        case = Convection(speed=speed, ends="inflow")
        assert case.problem(case.setup("default")).terms[-1].region.faces == (face,)
    case = Convection(speed=0.0, ends="inflow")
    assert error(case, (8, 24)) < 1e-8


def test_paper_configuration_clamps_what_is_not_periodic():
    for ends, along in (("periodic", "periodic"), ("inflow", "clamp")):
        setup = Convection(ends=ends).setup("paper")
        assert setup.boundary == ("clamp", along)
        assert (setup.basis, setup.method.name, setup.steps) == (Gaussian(), "adam", 5000)


@pytest.mark.parametrize(("model", "ends"), [("siren", "inflow"), ("linear-grid", "periodic")])
def test_other_models_take_a_step(model, ends):
    case = Convection(ends=ends)
    setup = adapt(replace(small(case, (16, 8)), points=256), model, "adam")
    check_model_takes_a_step(case, setup, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": float("inf")}, "--speed is inf"),
        ({"end": 0.0}, "--end is 0.0"),
        ({"ends": "open"}, "--ends is 'open'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Convection(**options)
    assert "\n" not in str(caught.value)


def test_exports_are_valid(tmp_path):
    case = Convection()
    field = make_model(case, small(case, (16, 8), basis=BSpline(3)), "grid")
    check_exports(case, field, tmp_path, (132, 258, 1))


def test_run_writes_figures_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(Convection, "pictures", lambda self, field, title: {})
    files = ["loss.png", "errors.csv", "convection.vti"]
    report = check_run(Convection(speed=3.0), tmp_path, 16, files)
    assert report["metrics"]["relative_l2"]["value"] < 1e-6
