"""Zalesak's disk: its distance, the exact rotation, solves to a true error, files."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases_in_time import (
    check_files,
    check_image,
    check_models_take_a_step,
    residual_of_exact,
    solved,
)
from scipy.spatial import cKDTree

from dinfgrid_cuda import Adam, LeastSquares
from dinfgrid_cuda.suite.cases.in_time.zalesak.slotted_disk import (
    RADIUS,
    SLOT_WIDTH,
    Shape,
    signed_distance,
)
from dinfgrid_cuda.suite.cases.in_time.zalesak.zalesak import Zalesak
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.tools.case import CaseError
from dinfgrid_cuda.suite.tools.evaluation import lattice

pytestmark = pytest.mark.usefixtures("one_thread")

HALF = SLOT_WIDTH / 2


def small(case, cells):
    return replace(case.setup("default"), cells=cells, points=8 * int(np.prod(cells)))


def outline(count):
    """Points [4 count, 2] of the outline, piece by piece."""
    low = 0.75 - math.sqrt(RADIUS**2 - HALF**2)
    start = math.asin(HALF / RADIUS) - math.pi / 2
    s = np.linspace(0, 1, count)
    angle = start + s * (2 * math.pi - 2 * (start + math.pi / 2))
    arc = np.stack([0.5 + RADIUS * np.cos(angle), 0.75 + RADIUS * np.sin(angle)], axis=1)
    sides = [np.stack([0.5 + k * HALF + 0 * s, low + s * (0.85 - low)], axis=1) for k in (-1, 1)]
    top = np.stack([0.5 + (2 * s - 1) * HALF, 0.85 + 0 * s], axis=1)
    return np.concatenate([arc, *sides, top])


# The shape


def test_distance_is_that_to_the_nearest_point_of_the_outline():
    random = np.random.default_rng(0)
    p = np.concatenate([random.random((300, 2)), 0.3 + 0.4 * random.random((300, 2)) + [0, 0.25]])
    line = outline(4000)
    nearest = cKDTree(line).query(p)[0]
    found = signed_distance(torch.from_numpy(p)).abs().numpy()
    spacing = 2 * math.pi * RADIUS / 4000
    assert (nearest >= found - 1e-12).all()
    # The nearest sample is at most half a spacing off along the arc, whose curvature adds to that.
    assert (nearest**2 <= found**2 + (spacing / 2) ** 2 * (1 + found / RADIUS) + 1e-12).all()


def test_distance_is_negative_inside_only():
    inside = [(0.4, 0.75), (0.5, 0.87), (0.53, 0.62), (0.5, 0.8999)]
    outside = [(0.5, 0.75), (0.5, 0.62), (0.5, 0.84), (0.5, 0.59), (0.7, 0.75), (0.0, 0.0)]
    for points, sign in ((inside, -1), (outside, 1)):
        signs = signed_distance(torch.tensor(points, dtype=torch.float64)).sign()
        assert (signs == sign).all(), signs


def test_area_is_the_disks_without_the_slot():
    slot = RADIUS**2 * math.asin(HALF / RADIUS) + HALF * math.sqrt(RADIUS**2 - HALF**2)
    area = math.pi * RADIUS**2 - slot - SLOT_WIDTH * 0.1
    n = 801
    distance = signed_distance(lattice(Zalesak().box(), (1, n, n))[:, 1:]).reshape(n, n).numpy()
    covered = np.clip(0.5 - distance * (n - 1), 0, 1).sum() / (n - 1) ** 2
    assert covered == pytest.approx(area, rel=1e-3)


def test_shape_measures_know_a_shifted_and_a_shrunken_disk():
    n = 401
    exact = signed_distance(lattice(Zalesak().box(), (1, n, n))[:, 1:]).reshape(n, n).numpy()
    same = Shape(exact, exact)
    assert (same.area_loss, same.symmetric_difference, same.mean_error) == (0, 0, 0)
    small_disk = Shape(exact + 0.01, exact)
    perimeter = 2 * RADIUS * (math.pi - math.asin(HALF / RADIUS)) + SLOT_WIDTH
    perimeter += 2 * (0.1 + math.sqrt(RADIUS**2 - HALF**2))
    assert small_disk.area_loss == pytest.approx(small_disk.symmetric_difference)
    assert small_disk.area_loss == pytest.approx(100 * 0.01 * perimeter / 0.058221, rel=0.05)
    assert small_disk.mean_error == pytest.approx(0.01)
    shifted = Shape(np.roll(exact, 8, axis=0), exact)
    assert abs(shifted.area_loss) < 0.1
    assert shifted.symmetric_difference > 30


# The problem


def test_exact_solution_satisfies_the_equation_and_comes_back():
    case = Zalesak()
    residual, gradient = residual_of_exact(case, case.setup("default"), case.exact)
    assert residual < 1e-12
    assert gradient > 1  # |a| |grad u|, up to pi sqrt(2)
    x = torch.rand(500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for time, turned in ((0.0, (0, 0)), (1.0, (0, 0)), (0.5, (1, 1))):
        x[:, 0] = time
        back = torch.where(torch.tensor(turned, dtype=torch.bool), 1 - x[:, 1:], x[:, 1:])
        torch.testing.assert_close(case.exact(x), signed_distance(back))


def test_error_falls_with_the_cells():
    case = Zalesak()
    errors = []
    for cells in ((8, 6, 6), (16, 12, 12)):
        setup = replace(small(case, cells), method=LeastSquares(), decoder="sum")
        errors.append(case.measure(solved(case, setup), resolution=61)["mean_error_end"].value)
    assert errors[1] < 5e-3
    assert errors[1] < errors[0] / 1.5


def test_inflow_counts_where_the_velocity_points_inwards():
    case = Zalesak()
    problem = case.problem(small(case, (4, 4, 4)))
    assert problem.names == ("equation", "initial", "lower x", "upper x", "lower y", "upper y")
    field = make_model(case, small(case, (4, 4, 4)), "grid")
    x = torch.tensor([[0.1, 0.0, 0.2], [0.1, 0.0, 0.8]])  # a_x = -2 pi (y - 0.5)
    x = x.to(field.grid.features.dtype)
    residual = problem.terms[2].residual(x, field.jet(x, 0))[:, 0]
    torch.testing.assert_close(residual[0], (field(x)[:, 0] - case.exact(x))[0])
    assert residual[1] == 0


def test_paper_configuration_has_315479_parameters_and_the_papers_settings():
    case = Zalesak()
    setup = case.setup("paper")
    field = make_model(case, setup, "grid")
    assert field.parameter_count() == 315_479
    assert setup.method == Adam(lr=5e-3, decay=(0.1, 5000))
    assert (setup.steps, setup.points) == (10_000, 64**3)
    assert (setup.basis.rho, setup.boundary, field.constraint.kind) == (3, "clamp", "distance")
    assert [(term.name, term.loss) for term in case.problem(setup).terms] == [("equation", "mean")]


@pytest.mark.slow
def test_every_model_takes_a_step():
    case = Zalesak()
    check_models_take_a_step(case, replace(small(case, (4, 4, 4)), points=216))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"revolutions": 0.0}, "--revolutions is 0.0"),
        ({"conditions": "hard"}, "--conditions is 'hard'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Zalesak(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pictures_and_exports_are_valid(tmp_path):
    case = Zalesak()
    field = make_model(case, small(case, (4, 4, 4)), "grid")
    columns = [
        "time",
        "mean_error",
        "max_error",
        "area_loss_percent",
        "symmetric_difference_percent",
    ]
    image = check_files(case, field, tmp_path, columns)
    check_image(image, case, field, case.exact)
