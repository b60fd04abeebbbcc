"""Flow mixing: the exact solution, solves to a true error, options, files."""

import json
import math
from dataclasses import replace

import pytest
import torch
from cases_in_time import (
    check_files,
    check_image,
    check_models_take_a_step,
    residual_of_exact,
    solved,
)

from dinfgrid_cuda import BSpline
from dinfgrid_cuda.suite.cases.in_time.flow_mixing import (
    FASTEST,
    FlowMixing,
    lattice_shape,
    turning,
)
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = 0.5


def small(case, cells, slabs=1, degree=5):
    made = replace(case.setup("default"), cells=cells, slabs=slabs, basis=BSpline(degree))
    return replace(made, points=math.prod(lattice_shape(made)))


def error(case, setup):
    return case.measure(solved(case, setup), 25)["relative_l2"].value


def some_points():
    random = torch.Generator().manual_seed(0)
    return 8 * torch.rand(500, 3, dtype=torch.float64, generator=random) - 4


def test_exact_solution_satisfies_the_equation_and_given_values():
    case = FlowMixing()
    residual, gradient = residual_of_exact(case, small(case, (2, 8, 8)), case.exact)
    assert residual < 1e-12 * gradient
    x = some_points()
    x[:, 0] = 0.0
    torch.testing.assert_close(case.exact(x), -torch.tanh(x[:, 2] / 2))


def test_velocity_is_the_published_profile():
    x = some_points()
    r = torch.linalg.vector_norm(x[:, 1:], dim=1)
    speed = r.cosh() ** -2 * r.tanh() / FASTEST
    torch.testing.assert_close(turning(x) * r, speed)
    # The largest of sech^2 tanh is 2 / sqrt(27), at tanh(r) = 1 / sqrt(3).
    assert pytest.approx(2 / math.sqrt(27), rel=1e-3) == FASTEST
    at_rest = torch.zeros(1, 3, dtype=torch.float64)
    torch.testing.assert_close(turning(at_rest), torch.tensor([1 / FASTEST], dtype=x.dtype))


@pytest.mark.slow
def test_error_falls_with_the_fourth_power_of_the_cells():
    case = FlowMixing(end=SHORT)
    coarse, fine = (error(case, small(case, (1, n, n), slabs=2)) for n in (8, 16))
    assert fine < 1e-3
    assert fine < coarse / 2**4


def test_slabs_follow_the_time_and_points_outnumber_features():
    setups = [FlowMixing(end=end).setup("default") for end in (1.0, 4.0)]
    assert setups[1].slabs == 4 * setups[0].slabs
    for cells in ((1, 80, 80), (3, 8, 8)):
        for degree in (3, 5, 7):
            shape = lattice_shape(small(FlowMixing(), cells, degree=degree))
            assert all(n > c + degree for n, c in zip(shape, cells, strict=True))


@pytest.mark.slow
def test_every_model_takes_a_step():
    case = FlowMixing()
    check_models_take_a_step(case, replace(small(case, (4, 4, 4)), points=216))


@pytest.mark.parametrize("end", [0.0, float("inf")])
def test_impossible_end_is_refused(end):
    with pytest.raises(CaseError, match="--end is") as caught:
        FlowMixing(end=end)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pictures_and_exports_are_valid(tmp_path, monkeypatch):
    monkeypatch.setattr(FlowMixing, "lattice", (36, 21, 21))
    case = FlowMixing()
    field = make_model(case, small(case, (2, 4, 4), degree=3), "grid")
    columns = ["time", "mean_error", "max_error", "relative_l2"]
    image = check_files(case, field, tmp_path, columns)
    assert image.dimensions == (21, 21, 36)
    check_image(image, case, field, case.exact)


def test_run_writes_its_figures_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(FlowMixing, "pictures", lambda self, field, title: {})  # tested above
    monkeypatch.setattr(FlowMixing, "lattice", (9, 21, 21))
    run(Request(FlowMixing(end=SHORT), cells=6, out=tmp_path, progress=False))
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert list(report["metrics"]) == ["relative_l2", "max_error", "mean_error"]
    assert report["metrics"]["relative_l2"]["value"] < 0.05
    assert set(report["files"]) == {"loss.png", "errors.csv", "flow-mixing.vti"}
