"""Heat: the exact solution, solves to a true error, configurations, files."""

from dataclasses import replace

import pytest
import torch
from cases_in_time import (
    check_files,
    check_image,
    check_models_take_a_step,
    first_loss,
    residual_of_exact,
    solved,
)

from dinfgrid_cuda import Adam, BSpline
from dinfgrid_cuda.suite.cases.in_time.heat import Heat, exact
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")


def small(case, cells=(24, 12)):
    return replace(case.setup("default"), cells=cells, points=4 * cells[0] * cells[1])


def error(case, setup):
    return case.measure(solved(case, setup))["relative_l2"].value


@pytest.mark.parametrize("left", [0, -1])
def test_exact_solution_satisfies_equation_and_given_values(left):
    case = Heat(left=left)
    residual, gradient = residual_of_exact(case, small(case), exact)
    assert residual < 1e-12 * gradient
    x = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for end in (left, 1):
        x[:, 1] = end
        assert exact(x).abs().max() < 1e-15
    x = torch.tensor([[0.0, 0.5], [0.1, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(exact(x)[1] / exact(x)[0], torch.tensor(0.3727078388, dtype=x.dtype))


@pytest.mark.parametrize("conditions", [None, "soft"])
def test_error_falls_with_the_fourth_power_of_the_cells(conditions):
    case = Heat(conditions=conditions)
    coarse, fine = error(case, small(case, (12, 6))), error(case, small(case, (24, 12)))
    assert fine < 1e-6
    assert fine < coarse / 2**4


def test_default_configuration_is_exact_to_ten_digits_of_its_largest_value():
    case = Heat()
    measures = case.measure(solved(case, case.setup("default")))
    assert measures["max_error"].value < 1e-9
    assert list(measures)[-3:] == ["relative_l2_t0.1", "relative_l2_t0.5", "relative_l2_t1"]


def test_distance_factor_cannot_meet_the_slope_at_the_beginning():
    # Its slope is zero at t = 0, so that u_t = g_t = 0 there, but u_t = -pi^2 sin(pi x).
    case = Heat(conditions="distance")
    assert error(case, small(case)) > 1e-3


@pytest.mark.parametrize("conditions", ["polynomial", "distance"])
def test_hard_values_hold_for_any_features(conditions):
    case = Heat(conditions=conditions, left=-1)
    field = make_model(case, small(case), "grid")
    with torch.no_grad():
        field.grid.features.uniform_(-1, 1)
    s = torch.linspace(-1, 1, 33, dtype=torch.float64)
    start = torch.stack([torch.zeros_like(s), s], dim=1)
    ends = torch.stack([s.abs(), s.sign() + (s == 0)], dim=1)
    for x in (start, ends):
        torch.testing.assert_close(field(x)[:, 0], exact(x), atol=1e-14, rtol=0)


def test_paper_configuration_has_20869_parameters_and_the_papers_settings():
    case = Heat()
    setup = case.setup("paper")
    field = make_model(case, setup, "grid")
    assert field.parameter_count() == 20_869
    assert setup.method == Adam(lr=1e-3, decay=(0.1, 5000))
    assert (setup.steps, setup.points) == (5000, 256**2)
    assert (setup.basis.epsilon, setup.basis.rho, setup.boundary) == (1.0, 3, "clamp")
    assert field.constraint.kind == "distance"
    problem = case.problem(setup)
    assert [(term.name, term.loss) for term in problem.terms] == [("equation", "mean")]
    assert len(problem.draw(0, 0, 0, torch.float32, torch.device("cpu"))[0]) == 256**2


def test_paper_configuration_measures_the_mean_modulus():
    case = Heat()
    setup = replace(case.setup("paper"), cells=16, points=32**2)
    x = case.problem(setup).draw(0, 0, 0, torch.float32, torch.device("cpu"))[0]
    field = make_model(case, setup, "grid")
    jet = field.jet(x, 2)
    expected = (jet.derivative((1, 0)) - jet.derivative((0, 2))).abs().mean().item()
    assert first_loss(case, setup) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_every_model_takes_a_step():
    case = Heat()
    check_models_take_a_step(case, replace(small(case), points=256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end": 0.0}, "--end is 0.0"),
        ({"end": float("inf")}, "--end is inf"),
        ({"left": 1}, "--left is 1"),
        ({"conditions": "hard"}, "--conditions is 'hard'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Heat(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pictures_and_exports_are_valid(tmp_path):
    case = Heat(left=-1)
    field = make_model(case, replace(small(case), basis=BSpline(3)), "grid")
    columns = ["time", "mean_error", "max_error", "relative_l2"]
    image = check_files(case, field, tmp_path, columns)
    assert image.dimensions == (257, 129, 1)
    check_image(image, case, field, exact)
