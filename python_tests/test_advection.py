"""Advection: the exact solution, solves to a true error, configurations, files."""

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

from dinfgrid_cuda import Adam, BSpline
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.suite.cases.in_time.advection import Advection
from dinfgrid_cuda.suite.cases.in_time.space_time import FromFaces
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

# A wide bump needs few cells.
WIDE = {"sigma": 0.4, "end": 6.0}


def small(case, cells):
    points = 2 ** len(cells) * int(np.prod(cells))
    return replace(case.setup("default"), cells=cells, points=points)


def error(case, setup):
    return case.measure(solved(case, setup))["mean_error"].value


@pytest.mark.parametrize(
    "case", [Advection(), Advection(dim=2, velocity_x=-0.3, velocity_y=0.1)], ids=["1", "2"]
)
def test_exact_solution_satisfies_the_equation_and_moves(case):
    setup = case.setup("default")
    residual, gradient = residual_of_exact(case, setup, case.exact)
    assert residual < 1e-13 * max(1.0, gradient)
    assert gradient > 0.1
    time = 1.5
    top = [time, *[case.centre + a * time for a in case.speeds]]
    assert case.exact(torch.tensor([top], dtype=torch.float64)).item() == pytest.approx(1.0)


def test_line_is_the_example_of_insr_pde():
    case = Advection()
    assert case.box() == Box((0.0, -2.0), (12.0, 2.0))
    assert (case.centre, case.sigma, case.speeds) == (-1.5, 0.1, (0.25,))


@pytest.mark.parametrize("conditions", [None, "soft"])
def test_error_falls_with_the_fourth_power_of_the_cells(conditions):
    case = Advection(conditions=conditions, **WIDE)
    coarse, fine = error(case, small(case, (12, 16))), error(case, small(case, (24, 32)))
    assert fine < 1e-4
    assert fine < coarse / 2**4


def test_velocity_to_the_left_enters_on_the_right():
    case = Advection(velocity_x=-0.25, **WIDE)
    assert case.held_faces == [(0, "lower"), (1, "upper")]
    assert error(case, small(case, (24, 32))) < 1e-4


def test_square_is_solved():
    case = Advection(dim=2, sigma=0.4, end=2.0)
    assert error(case, small(case, (5, 10, 10))) < 3e-3


@pytest.mark.slow
def test_default_configuration_is_four_digits_below_the_papers_error():
    case = Advection()
    measures = case.measure(solved(case, case.setup("default")))
    assert measures["mean_error"].value < 2e-7  # the paper's: 2.3e-3


@pytest.mark.parametrize("conditions", ["polynomial", "distance"])
@pytest.mark.parametrize("dim", [1, 2])
def test_given_values_hold_for_any_features(dim, conditions):
    case = Advection(dim=dim, conditions=conditions)
    field = make_model(case, small(case, (8,) * (dim + 1)), "grid")
    with torch.no_grad():
        field.grid.features.uniform_(-1, 1)
    box, random = case.box(), torch.Generator().manual_seed(1)
    for axis, side in case.held_faces:
        x = torch.rand(50, dim + 1, dtype=torch.float64, generator=random)
        x = x * torch.tensor(box.lengths) + torch.tensor(box.lower)
        x[:, axis] = getattr(box, side)[axis]
        torch.testing.assert_close(field(x)[:, 0], case.exact(x), atol=1e-13, rtol=0)


def test_values_between_the_faces_are_asked_for_on_the_faces_only():
    box, faces = Box((0.0, -1.0, -1.0), (2.0, 1.0, 1.0)), [(0, "lower"), (1, "lower"), (2, "upper")]

    def values(x):
        on = (x[:, 0] == 0) | (x[:, 1] == -1) | (x[:, 2] == 1)
        assert on.all()
        return x[:, 0] * x[:, 1] + x[:, 2]

    x = torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    # A function that is linear along each axis with a face comes back whole up to the rest of
    # (1 - P_1)(1 - P_2)(1 - P_3), which is zero where it is a sum of functions of two axes.
    blended = FromFaces(box, faces, values)
    moved = x.clone()
    moved[:, 0] = 0
    torch.testing.assert_close(blended(moved), moved[:, 2])
    slope = Jet.of(blended, moved, 1).gradient[:, 0, 0]
    step = moved.clone()
    step[:, 0] = 1e-6
    torch.testing.assert_close(slope, (blended(step) - blended(moved)) / 1e-6, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize(
    ("dim", "parameters", "steps", "lr", "points"),
    [
        (1, 65**2 + 2, 5000, 1e-2, 256**2),
        (2, 65**3 + 33**3 + 17**3 + 4, 10_000, 1e-3, 64**3),
    ],
)
def test_paper_configuration_is_the_papers(dim, parameters, steps, lr, points):
    case = Advection(dim=dim)
    setup = case.setup("paper")
    field = make_model(case, setup, "grid")
    assert field.parameter_count() == parameters
    assert (setup.method, setup.steps) == (Adam(lr=lr, decay=(0.1, 5000)), steps)
    assert setup.points == points
    assert (setup.basis.rho, setup.boundary, field.constraint.kind) == (3, "clamp", "distance")
    assert [(term.name, term.loss) for term in case.problem(setup).terms] == [("equation", "mean")]


def test_every_model_takes_a_step():
    case = Advection(**WIDE)
    check_models_take_a_step(case, replace(small(case, (8, 8)), points=256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 3}, "--dim is 3, but it must be 1 or 2"),
        ({"velocity_y": 0.1}, "--velocity-y is 0.1, but --dim 1 has no y"),
        ({"sigma": -1.0}, "--sigma is -1.0"),
        ({"end": 0.0}, "--end is 0.0"),
        ({"velocity_x": float("nan")}, "--velocity-x is nan"),
        ({"conditions": "hard"}, "--conditions is 'hard'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Advection(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2])
def test_pictures_and_exports_are_valid(dim, tmp_path):
    case = Advection(dim=dim)
    cells = (8,) * (dim + 1)
    field = make_model(case, replace(small(case, cells), basis=BSpline(3)), "grid")
    columns = ["time", "mean_error", "max_error", "relative_l2"]
    image = check_files(case, field, tmp_path, columns)
    check_image(image, case, field, case.exact)
