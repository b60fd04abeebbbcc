"""The estimate of the error of u: within ten of the true one, or unknown."""

import math

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers import Estimate, estimate_error, from_sequence
from dinfgrid_cuda.solvers.diagnosis.error_sequence import by_order

LINE = dg.Box([0.0], [1.0])


def line(cells, degree=5, **options):
    """A field on [0, 1]."""
    return dg.Field(
        dg.FeatureGrid(
            1, cells, basis=dg.BSpline(degree), lower=0, upper=1, dtype=torch.float64, **options
        )
    )


def poisson(exact, second, **options):
    """The equation u'' = second with the boundary values of ``exact``."""
    return dg.Problem(
        LINE,
        [
            dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian - second(x), order=2),
            dg.Term("ends", dg.Boundary(), lambda x, u: u.value - exact(x)),
        ],
        **options,
    )


def true_error(field, exact):
    """The root mean square error on [0, 1]."""
    x = ((torch.arange(5000, dtype=torch.float64) + 0.5) / 5000)[:, None]
    return float((field(x) - exact(x)).detach().square().mean().sqrt())


def wave(x):
    return torch.sin(9 * x)


def bend(x):
    return -81 * torch.sin(9 * x)


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_the_error_of_a_smooth_solution_is_known_within_ten(degree):
    problem, field = poisson(wave, bend), line(14, degree)
    estimate = estimate_error(dg.solve(problem, field, progress=False))
    assert estimate.known
    assert 0.1 < estimate.rms / true_error(field, wave) < 10
    assert estimate.per_component == (estimate.rms,)
    assert str(estimate) == f"error about {estimate.relative:.0e} of u (rms, within ten)"


def test_a_load_with_a_kink_that_the_points_miss_counts():
    problem = poisson(lambda x: (x - 0.37).abs() ** 2.5, lambda x: 3.75 * (x - 0.37).abs().sqrt())
    field = line(32)
    estimate = estimate_error(dg.solve(problem, field, progress=False))
    error = true_error(field, lambda x: (x - 0.37).abs() ** 2.5)
    assert estimate.rms is None or 0.1 < estimate.rms / error < 10


def test_a_field_that_is_not_solved_for_has_the_error_that_it_has():
    field = line(10)
    estimate = estimate_error(poisson(wave, bend), field)  # u is 1e-4 at most
    assert 0.5 < estimate.rms / true_error(field, wave) < 2


def test_a_layer_that_no_grid_resolves_leaves_the_error_unknown():
    problem = dg.Problem(
        LINE,
        [
            dg.Term(
                "pde",
                dg.Interior(),
                lambda x, u: u.derivative((1,)) - 1e-4 * u.derivative((2,)) - 1,
                order=2,
            ),
            dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
        ],
    )
    estimate = estimate_error(dg.solve(problem, line(32), progress=False))
    assert estimate.rms is None
    assert not estimate.known
    assert str(estimate) == f"error unknown: {estimate.reason}"


def test_details_that_no_grid_sees_leave_it_unknown():
    width = 1e-4
    problem = poisson(
        lambda x: 0 * x,
        lambda x: -torch.exp(-(((x - 0.437) / width) ** 2)) / (width * math.pi**0.5),
    )
    with pytest.warns(RuntimeWarning):
        solution = dg.solve(problem, line(64), progress=False)
    assert "between the points do not fall" in estimate_error(solution).reason


def test_field_parameters_and_random_numbers_stay_as_they_are():
    q = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    x = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None]
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian + q**2 * u.value, order=2),
        dg.Term("data", dg.Points(x), lambda x, u, y: u.value - y, data=torch.sin(2.3 * x)),
    ]
    field = line(5)
    solution = dg.solve(dg.Problem(LINE, terms, {"q": q}), field, progress=False)
    before = [field.grid.features.detach().clone(), q.detach().clone(), torch.get_rng_state()]
    estimate = estimate_error(solution)
    after = [field.grid.features, q, torch.get_rng_state()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert 0.1 < estimate.parameters["q"] / abs(float(q.detach()) - 2.3) < 10
    assert "without that of the data" in str(estimate)


def test_it_takes_a_solution_or_a_problem_with_its_field():
    with pytest.raises(TypeError, match="pass the Solution of a solve alone, or a Problem and its"):
        estimate_error(poisson(wave, bend))
    solution = dg.solve(poisson(wave, bend), line(8), progress=False, steps=1)
    object.__setattr__(solution, "problem", None)
    with pytest.raises(TypeError, match="does not know its problem"):
        estimate_error(solution)
    network = dg.CoordinateNetwork(LINE, 1, 4, 1)
    assert "cannot be compared" in estimate_error(poisson(wave, bend), network).reason


def test_a_residual_that_reads_the_field_itself_leaves_it_unknown():
    field = line(8)
    term = dg.Term("mean", dg.Interior(), lambda x, u: u.value - field(1 - x) - x)
    estimate = estimate_error(dg.Problem(LINE, [term]), field)
    assert "cannot be solved on another grid" in estimate.reason


def test_a_sequence_that_falls_geometrically_has_the_limit_of_its_series():
    # errors 1, 1/2, 1/4, 1/8 of the components, and twice that
    rows = [(2.0**-i, 2.0 * 2.0**-i) for i in range(1, 4)]
    last = from_sequence(rows, (1e3, 1e3))
    assert last.per_component == pytest.approx((1 / 8, 1 / 4))
    assert last.rms == pytest.approx((5 / 2) ** 0.5 / 8)
    assert from_sequence(rows, (1e3, 1e3), of_last=False).per_component == pytest.approx(
        (1 / 4, 1 / 2)
    )


def test_a_sequence_that_stays_is_unknown_or_rounding():
    assert "do not converge" in from_sequence([(1e-3,), (1e-3,)], (1.0,)).reason
    rounding = from_sequence([(1e-11,), (1e-11,)], (1.0,))
    assert rounding.bound
    assert not rounding.known
    assert str(rounding).startswith("error at most about 1e-11 of u (rms): ")
    assert from_sequence([(1.0,), (math.nan,)], (1.0,)).reason == "the solutions are not finite"
    with pytest.raises(ValueError, match="pass two rows or more"):
        from_sequence([(1.0,)], (1.0,))


def test_the_order_of_convergence_gives_the_error():
    for q in (0.75, 2.0, 6.0):
        error = by_order(3.0 * (2**q - 1), 3.0 * (1 - 1.5**-q), 2.0, 1.5)
        assert error == pytest.approx(3.0)
    assert by_order(2**0.25 - 1, 1 - 1.5**-0.25, 2.0, 1.5) is None
    assert by_order(0.0, 1.0, 2.0, 1.5) is None


def test_an_error_of_zero_size_is_written_as_it_is():
    assert str(Estimate(3e-7)) == "error about 3e-07 (rms, within ten)"
