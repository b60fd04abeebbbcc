"""Oscillators in time: references, small solves, options and files."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases_of_models import check_model_takes_a_step

from dinfgrid_cuda import Adam, Gaussian, solve
from dinfgrid_cuda.suite.cases.in_time.ode.ode import Ode, motion
from dinfgrid_cuda.suite.cases.in_time.ode.ode_exact import damped, van_der_pol
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError, Measure

pytestmark = pytest.mark.usefixtures("one_thread")

TIMES = np.linspace(0.0, 4.0, 9)


@pytest.mark.parametrize("zeta", [0.0, 0.1, 0.999, 1.0, 1.0 + 1e-9, 3.0])
def test_damped_formula_satisfies_the_equation_and_starts_right(zeta: float) -> None:
    omega, start, velocity = 2.0, 0.7, -1.3
    x = damped(TIMES, zeta, omega, start, velocity)
    np.testing.assert_allclose(x[0], [start, velocity], rtol=1e-13)
    # The exact flow by the matrix exponential of u' = v, v' = -omega^2 u - 2 zeta omega v.
    flow = torch.tensor([[0.0, 1.0], [-(omega**2), -2 * zeta * omega]], dtype=torch.float64)
    expected = torch.linalg.matrix_exp(torch.from_numpy(TIMES)[:, None, None] * flow)
    expected = expected @ torch.tensor([start, velocity], dtype=torch.float64)
    np.testing.assert_allclose(x, expected.numpy(), atol=1e-12)


def test_strong_damping_does_not_overflow() -> None:
    x = damped(np.array([0.0, 1e3, 1e4]), 10.0, 1e3, 1.0, 0.0)
    assert np.isfinite(x).all()
    assert np.abs(x[1:]).max() < 1e-12


def test_van_der_pol_reference_does_not_depend_on_the_integrator() -> None:
    explicit = van_der_pol(TIMES, 2.0, 1.0, 0.5)
    implicit = van_der_pol(TIMES, 2.0, 1.0, 0.5, method="LSODA")
    np.testing.assert_allclose(explicit, implicit, atol=1e-9)
    np.testing.assert_array_equal(explicit[0], [1.0, 0.5])
    late = van_der_pol(TIMES[3:], 2.0, 1.0, 0.5)
    np.testing.assert_allclose(late, explicit[3:], atol=1e-11)


def test_van_der_pol_without_mu_is_the_harmonic_oscillator() -> None:
    found = van_der_pol(TIMES, 0.0, 1.0, 0.5)
    np.testing.assert_allclose(found, damped(TIMES, 0.0, 1.0, 1.0, 0.5), atol=1e-11)


def solved(case: Ode, **changes: int) -> tuple[torch.nn.Module, dict[str, Measure]]:
    setup = replace(case.setup("default"), **changes)  # type: ignore[arg-type]
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=setup.steps, progress=False)
    return field, case.measure(field, 201)


@pytest.mark.parametrize("initial", ["terms", "hard"])
@pytest.mark.parametrize("options", [{}, {"zeta": 0.0, "omega": 5.0}, {"zeta": 1.0}, {"zeta": 3.0}])
def test_damped_oscillator_is_solved(initial: str, options: dict[str, float]) -> None:
    _, errors = solved(Ode(**options, velocity=0.5, initial=initial))  # type: ignore[arg-type]
    assert errors["max_error"].value < 1e-10
    assert errors["max_velocity_error"].value < 1e-9


@pytest.mark.parametrize("initial", ["terms", "hard"])
def test_many_cells_keep_the_accuracy(initial: str) -> None:
    _, errors = solved(Ode(initial=initial), cells=2000, points=8000)
    assert errors["max_error"].value < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(("mu", "start"), [(0.1, 1.0), (1.0, 1.0), (1.0, -4.0), (2.0, 2.0)])
def test_van_der_pol_is_solved(mu: float, start: float) -> None:
    _, errors = solved(Ode("van-der-pol", mu=mu, start=start))
    assert errors["max_error"].value < 1e-8


def test_errors_fall_with_the_degree_of_the_basis() -> None:
    coarse, fine = (solved(Ode(), cells=n, points=4 * n)[1]["max_error"].value for n in (40, 80))
    assert fine < coarse / 2**5


def test_hard_initial_values_hold_before_any_training() -> None:
    case = Ode(start=0.3, velocity=-2.0, initial="hard")
    field = make_model(case, case.setup("default"), "grid")
    np.testing.assert_allclose(motion(field, np.zeros(1)), [[0.3, -2.0]], atol=1e-13)


def test_early_times_count_more_only_where_it_is_nonlinear() -> None:
    times = torch.tensor([[0.0], [20.0]], dtype=torch.float64)
    for case, ratio in ((Ode(), 1.0), (Ode("van-der-pol", mu=2.0), np.exp(-20.0))):
        setup = case.setup("default")
        jet = make_model(case, setup, "grid").jet(times, 2)
        weighted = case.problem(setup).terms[0].residual(times, jet)
        plain = case.residual(times, jet)
        ratios = (weighted / plain).detach()
        assert float(ratios[0]) == pytest.approx(1.0)
        assert float(ratios[1]) == pytest.approx(ratio)


def test_paper_configuration_follows_the_papers_heat_equation() -> None:
    case = Ode()
    setup = case.setup("paper")
    assert (setup.method, setup.steps, setup.boundary) == (Adam(lr=1e-3), 5000, "clamp")
    assert setup.basis == Gaussian(epsilon=1.0, rho=3)
    field = make_model(case, setup, "grid")
    # Two levels of 129 and 65 nodes, two weights and a bias.
    assert sum(p.numel() for p in field.parameters()) == 129 + 65 + 3


@pytest.mark.slow
@pytest.mark.parametrize("equation", ["damped", "van-der-pol"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_a_step(model: str, equation: str) -> None:
    case = Ode(equation, initial="hard")
    setup = replace(adapt(case.setup("paper"), model), points=64)
    check_model_takes_a_step(case, setup, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mu": 1.0}, "--mu belongs to --equation van-der-pol, not damped.*--zeta, --omega"),
        ({"equation": "van-der-pol", "zeta": 0.1}, "--zeta belongs to --equation damped"),
        ({"equation": "van-der-pol", "omega": 1.0}, "--omega belongs to --equation damped"),
        ({"equation": "van-der-pol", "mu": 6.0}, "--mu is 6; it must lie in 0..5"),
        ({"equation": "pendulum"}, "--equation is 'pendulum'; it must be one of"),
        ({"zeta": -0.1}, "--zeta is -0.1"),
        ({"omega": 0.0}, "--omega is 0"),
        ({"end": float("nan")}, "--end is nan"),
        ({"omega": 1e3, "end": 1e3}, "--end 1000 needs .* cells"),
        ({"initial": "soft"}, "--initial is 'soft'"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(CaseError, match=message) as caught:
        Ode(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_picture_and_export_are_valid_files(tmp_path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    case = Ode(end=5.0)
    field, _ = solved(case)
    pictures = case.pictures(field, "a title")
    assert list(pictures) == ["ode.png"]
    with pillow.open(io.BytesIO(pictures["ode.png"])) as picture:
        assert picture.width > 1000
    (name, writer), *_ = case.exports(field).items()
    writer(tmp_path / name)
    table = np.genfromtxt(tmp_path / name, delimiter=",", names=True)
    assert table["t"][-1] == 5.0
    np.testing.assert_allclose(table["u"], table["u_exact"], atol=1e-10)
    np.testing.assert_allclose(table["velocity"], table["velocity_exact"], atol=1e-9)
