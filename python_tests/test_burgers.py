"""Burgers: the Cole-Hopf integral, solves to a true error, an unknown viscosity, files."""

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

from dinfgrid_cuda.suite.cases.in_time.burgers.burgers import USUAL, Burgers
from dinfgrid_cuda.suite.cases.in_time.burgers.burgers_exact import LARGEST, SMALLEST, solution
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

MILD = 0.05  # a viscosity whose shock takes few cells


def small(case, cells, slabs=1):
    points = math.prod(2 * n + 1 for n in cells)
    return replace(case.setup("default"), cells=cells, slabs=slabs, points=points)


def error(case, setup):
    return case.measure(solved(case, setup), 65)["relative_l2"].value


def some_points(count=200, seed=0):
    """Half of them near the shock."""
    unit = torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    unit[:, 1] = 2 * unit[:, 1] - 1
    unit[::2, 1] *= 0.02
    return unit


def by_trapezoids(x, viscosity, count=8001, reach=40.0):
    """The integrals by the trapezoidal rule, which converges exponentially for such integrands."""
    s = torch.linspace(-reach, reach, count, dtype=torch.float64)
    y = math.pi * (x[:, 1:] - 2 * (viscosity * x[:, :1]).sqrt() * s)
    shares = torch.softmax(-s.square() - y.cos() / (2 * math.pi * viscosity), dim=1)
    return -(shares * y.sin()).sum(dim=1)


# The exact solution


@pytest.mark.parametrize("viscosity", [SMALLEST, USUAL, 0.01, LARGEST])
def test_quadrature_agrees_with_another_to_rounding(viscosity):
    x = some_points()
    expected = by_trapezoids(x, viscosity)
    torch.testing.assert_close(solution(x, viscosity), expected, atol=1e-13, rtol=0)
    torch.testing.assert_close(solution(x, viscosity, 220), expected, atol=1e-13, rtol=0)


def test_exact_solution_satisfies_equation_and_given_values():
    case = Burgers(viscosity=0.02)
    residual, gradient = residual_of_exact(case, small(case, (8, 64)), case.exact)
    assert residual < 1e-10 * gradient  # u_xx cancels to it in float64
    x = some_points()
    x[:100, 0] = 0.0
    torch.testing.assert_close(case.exact(x)[:100], -torch.sin(math.pi * x[:100, 1]))
    x[100:, 1] = torch.tensor([-1.0, 1.0]).repeat(50)
    assert case.exact(x)[100:].abs().max() < 1e-14


def test_steepest_slope_is_the_published_one():
    # Basdevant et al. (1986): -152.00516 at t = 1.6037 / pi.
    x = torch.tensor([[1.6037 / math.pi, 0.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(solution(x, USUAL).sum(), x)
    assert slope[0, 1].item() == pytest.approx(-152.00516, abs=1e-4)


# Solves


def test_error_falls_with_the_fourth_power_of_the_cells():
    case = Burgers(viscosity=MILD)
    coarse, fine = (error(case, small(case, (n // 2, 2 * n))) for n in (12, 24))
    assert fine < 1e-5
    assert fine < coarse / 2**4


def test_slabs_in_time_reach_the_error_of_one():
    case = Burgers(viscosity=MILD)
    whole, parts = error(case, small(case, (12, 48))), error(case, small(case, (6, 48), slabs=2))
    assert parts < 3 * whole


def test_unknown_viscosity_is_found():
    case = Burgers(viscosity=MILD, unknown_viscosity=True, measurements=200)
    found = case.measure(solved(case, small(case, (12, 48))), 65)
    assert found["relative_l2"].value < 1e-4
    assert found["viscosity"].value == pytest.approx(MILD, rel=1e-3)
    assert found["viscosity_error"].value < 1e-3


def test_cells_follow_the_width_of_the_shock():
    setups = [Burgers(viscosity=nu).setup("default") for nu in (USUAL, USUAL / 2)]
    across = [setup.cells[1] for setup in setups]
    assert across[1] == pytest.approx(2 * across[0], abs=1)
    assert across[0] == 1000
    assert setups[0].slabs > 1
    assert Burgers(unknown_viscosity=True).setup("default").slabs == 1


# Configurations, options, files


@pytest.mark.slow
def test_every_model_takes_a_step():
    case = Burgers()
    check_models_take_a_step(case, replace(small(case, (8, 16)), points=256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"viscosity": 0.0}, "--viscosity is 0; it must lie in 0.001..0.1"),
        ({"viscosity": float("nan")}, "--viscosity is nan"),
        ({"viscosity": 1.0}, "--viscosity is 1;"),
        ({"measurements": 3}, "--measurements is 3"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Burgers(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pictures_and_exports_are_valid(tmp_path):
    case = Burgers(viscosity=MILD)
    field = make_model(case, small(case, (4, 8)), "grid")
    columns = ["time", "mean_error", "max_error", "relative_l2"]
    image = check_files(case, field, tmp_path, columns)
    assert image.dimensions == (1001, 101, 1)
    check_image(image, case, field, case.exact)


@pytest.mark.slow
def test_run_writes_its_figures_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(Burgers, "pictures", lambda self, field, title: {})  # tested above
    monkeypatch.setattr(Burgers, "lattice", (33, 65))
    case = Burgers(viscosity=LARGEST, unknown_viscosity=True, measurements=100)
    run(Request(case, cells=10, out=tmp_path, progress=False))
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert list(report["metrics"])[:3] == ["relative_l2", "max_error", "mean_error"]
    assert report["metrics"]["relative_l2"]["value"] < 0.05
    assert set(report["files"]) == {"loss.png", "errors.csv", "burgers.vti"}
