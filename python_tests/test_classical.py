"""The classical solvers of `bench.classical`: errors against exact solutions, and their orders."""

import importlib.util
import math
from functools import partial

import numpy as np
import pytest

pytest.importorskip("bench.classical")

from bench.classical import chebyshev, finite_differences, formulas, fourier, suite_exact
from bench.classical import finite_differences_plane as plane
from dinfgrid_cuda.suite.tools import chebyshev_points
from dinfgrid_cuda.suite.tools.measuring import relative_l2
from dinfgrid_cuda.suite.tools.packages import MissingPackageError, package

pytestmark = pytest.mark.usefixtures("one_thread")
ROUNDING = 1e-12


def order(solver, *sizes):
    """Power of the size with which the error falls from the first to the second."""
    coarse, fine = (solver(size).error for size in sizes)
    return math.log(coarse / fine) / math.log(sizes[1] / sizes[0])


@pytest.mark.parametrize("supervise", ["gradient", "laplacian"])
def test_cosines_undo_the_stencil_that_made_the_data(supervise):
    pixels = np.random.default_rng(0).random((24, 40, 3))
    found, _ = fourier.image(pixels, supervise, "stencil")
    np.testing.assert_allclose(found, pixels - pixels.mean(axis=(0, 1)), atol=1e-11)


@pytest.mark.parametrize("supervise", ["gradient", "laplacian"])
def test_cosines_take_stencils_for_derivatives_where_the_image_is_smooth(supervise):
    def smooth(count):
        x = np.cos(np.pi * (np.arange(count) + 0.5) / count)
        return (x[:, None] * np.cos(2 * x))[..., None]

    def error(count):
        found, _ = fourier.image(smooth(count), supervise, "derivative")
        exact = smooth(count)
        return relative_l2(found, exact - exact.mean())

    assert math.log2(error(32) / error(64)) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "result",
    [
        partial(fourier.helmholtz_box, (4, 1), 16),
        partial(fourier.helmholtz_box, (2, 1, 3), 12),
        partial(fourier.sine_series, "wave", 16),
        partial(fourier.sine_series, "heat", 16),
        partial(fourier.transport, "convection", 16),
        partial(fourier.transport, "advection", 256),
        partial(chebyshev.helmholtz_box, (4, 1), 40),
        partial(chebyshev.helmholtz_box, (1, 2, 1), 28),
        partial(chebyshev.heat, 24),
    ],
)
def test_spectral_methods_reach_rounding(result):
    assert result().error < ROUNDING


def test_chebyshev_derivative_is_exact_for_polynomials():
    x = chebyshev_points.points(6)
    np.testing.assert_allclose(chebyshev_points.derivative_matrix(6) @ x**6, 6 * x**5, atol=1e-13)


@pytest.mark.parametrize(
    ("solver", "sizes", "expected"),
    [
        (partial(fourier.plate), (32, 64), 2),
        (partial(finite_differences.helmholtz_box, (2, 1)), (32, 64), 2),
        (partial(finite_differences.helmholtz_box, (1, 1, 1)), (8, 16), 2),
        (finite_differences.helmholtz_layers, (192, 256), 2),
        (finite_differences.wave, (100, 200), 2),
        (lambda n: finite_differences.heat(n, n), (100, 200), 2),
        (finite_differences.convection, (64, 128), 4),
        (lambda n: plane.klein_gordon(6, n, end=2.0), (80, 160), 4),
        (plane.flow_mixing, (96, 192), 4),
        (partial(plane.characteristics, 20), (40, 80), 4),
    ],
)
def test_error_falls_with_the_order_of_the_scheme(solver, sizes, expected):
    assert order(solver, *sizes) == pytest.approx(expected, abs=0.35)


def test_burgers_by_differences_follows_a_moving_front():
    exact = partial(formulas.burgers_front, viscosity=0.05)
    found = order(lambda n: finite_differences.burgers(exact, n, n, 0.05), 50, 100)
    assert found == pytest.approx(2, abs=0.2)


def test_burgers_from_a_sine_meets_the_exact_solution():
    assert suite_exact.burgers_by_fourier(128, 200, viscosity=0.05).error < 1e-6
    assert suite_exact.burgers_by_differences(200, 100, viscosity=0.05).error < 1e-3


@pytest.mark.slow
def test_allen_cahn_meets_the_suite_s_reference():
    coarse, fine = (suite_exact.allen_cahn_by_fourier(n, 100).error for n in (128, 256))
    assert fine < 1e-4
    assert fine < coarse / 4  # the slope jumps at the ends: modes fall like 1 / k^2


def test_steps_that_do_not_end_at_the_times_of_the_errors_are_refused():
    with pytest.raises(ValueError, match="multiple of 10"):
        suite_exact.allen_cahn_by_fourier(16, 25)


def test_integrating_factor_has_order_four():
    def error(steps):
        states = fourier.march(
            np.ones(1, complex), np.full(1, 3.0), lambda v: v * v, 1.0 / steps, steps, steps
        )
        # v' = -3 v + v^2 from 1
        return abs(states[-1, 0] - 3 / (1 + 2 * math.exp(3)))

    assert math.log2(error(40) / error(80)) == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize(
    ("waves", "degree", "sizes"),
    [((2, 1), 1, (24, 48)), ((2, 1), 2, (16, 32)), ((2, 1), 4, (6, 12)), ((1, 1, 1), 2, (4, 8))],
)
def test_elements_have_one_order_more_than_their_degree(waves, degree, sizes):
    elements = pytest.importorskip("bench.classical.finite_elements")
    pytest.importorskip("skfem")
    found = order(partial(elements.helmholtz_box, waves, degree=degree), *sizes)
    assert found == pytest.approx(degree + 1, abs=0.35)


def test_elements_solve_the_heat_equation():
    pytest.importorskip("skfem")
    from bench.classical import finite_elements

    found = order(lambda n: finite_elements.heat(40, n), 50, 100)
    assert found == pytest.approx(2, abs=0.1)
    assert finite_elements.heat(40, 400).error < 4e-5


@pytest.mark.parametrize(
    ("element", "sizes", "expected"), [("Morley", (16, 32), 2), ("Argyris", (4, 8), 6)]
)
def test_plate_elements_have_their_order_on_a_smooth_plate(element, sizes, expected):
    pytest.importorskip("skfem")
    from bench.classical import finite_elements

    found = order(partial(finite_elements.plate, element=element, load="bump"), *sizes)
    assert found == pytest.approx(expected, abs=0.5)


def test_plate_elements_approach_the_uniform_load_s_reference():
    pytest.importorskip("skfem")
    from bench.classical import finite_elements

    assert finite_elements.plate(8, "Argyris").error < 1e-4


def test_multigrid_solves_the_same_system_as_sparse_lu():
    pytest.importorskip("pyamg")
    from bench.classical import multigrid

    direct = finite_differences.helmholtz_box((2, 1), 48)
    assert multigrid.helmholtz_box((2, 1), 48).error == pytest.approx(direct.error, rel=1e-6)


def test_multigrid_refuses_an_indefinite_operator():
    from bench.classical import multigrid

    with pytest.raises(ValueError, match="indefinite"):
        multigrid.helmholtz_box((2, 1), 16, wavenumber=10.0)


@pytest.mark.parametrize(("problem", "scale"), [("wave", 10.0), ("helmholtz-box", 4.0)])
def test_random_features_solve_and_leave_torch_s_default_type_alone(problem, scale):
    if importlib.util.find_spec("fastlsq") is None:  # importing it changes torch's default dtype
        pytest.skip("fastlsq is not installed")
    import torch

    from bench.classical import fastlsq

    kept = torch.get_default_dtype()
    found = fastlsq.solve(problem, features=450, scale=scale, waves=(2.0, 1.0))
    assert torch.get_default_dtype() == kept
    assert found.error < 1e-2


def test_missing_package_names_the_command_that_installs_it():
    with pytest.raises(MissingPackageError, match="not installed: pip install not-a-package"):
        package("not_a_package.part", "not-a-package")


def test_formulas_of_the_suite_are_the_suite_s():
    import torch

    from dinfgrid_cuda.suite.cases.in_time import heat
    from dinfgrid_cuda.suite.run.results import make_case

    t, x, y = np.random.default_rng(0).random((3, 50))
    points = torch.from_numpy(np.stack([t, x, y], axis=1))
    np.testing.assert_allclose(formulas.heat(t, x), heat.exact(points[:, :2]), atol=1e-15)
    named = {"wave": formulas.wave, "advection": formulas.bump, "convection": formulas.shifted_sine}
    for name, formula in named.items():
        exact = make_case(name, {}).exact(points[:, :2])
        np.testing.assert_allclose(formula(t, x), exact, atol=1e-13)
    exact = make_case("klein-gordon", {}).exact(points)
    np.testing.assert_allclose(formulas.klein_gordon(t, x, y), exact, atol=1e-13)
