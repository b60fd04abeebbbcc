"""Adaptive points: more of them where the residual is large, and the same ones after a resume."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
import torch
from solving import make_field
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.geometry.adaptive import Adaptive
from dinfgrid_cuda.problem.objective import Objective

SQUARE = dg.Box([0.0, 0.0], [1.0, 1.0])
CENTRE, WIDTH = (0.7, 0.3), 0.04


def peak(x: Tensor) -> Tensor:
    away = (x - x.new_tensor(CENTRE)).square().sum(dim=1)
    return torch.exp(-away / (2 * WIDTH**2))


def near(x: Tensor) -> float:
    """The share of points within three widths of the peak."""
    return float(((x - x.new_tensor(CENTRE)).norm(dim=1) < 3 * WIDTH).double().mean())


def problem(sampler: Any = None, points: int = 400, **options: Any) -> dg.Problem:
    """u = peak, as an equation at points."""

    def residual(x: Tensor, u: Any) -> Tensor:
        return u.value[:, 0] - peak(x)

    return dg.Problem(
        SQUARE, [dg.Term("fit", dg.Interior(sampler), residual, points=points, **options)]
    )


def objective(sampler: Adaptive, **options: Any) -> Objective:
    return Objective(problem(sampler, **options), make_field(box=SQUARE, decoder=None))


def test_points_gather_where_the_residual_is_large() -> None:
    x, data, total = objective(Adaptive(share=0.5)).points(0, 0)
    assert (x.shape, data, total) == ((400, 2), None, 400)
    # Uniform points: 9 pi WIDTH^2 = 4.5 %. Of the residual 99 % lies there, but of its share no
    # more than all candidates there can be taken.
    assert 0.20 < near(x) < 0.55
    assert len(x.unique(dim=0)) == 400


def test_more_candidates_gather_more_points() -> None:
    shares = [
        near(objective(Adaptive(share=0.9, candidates=count)).points(0, 0)[0]) for count in (2, 20)
    ]
    assert shares[0] < 0.1
    assert shares[1] > 0.6


def test_no_share_leaves_the_points_of_the_other_sampler() -> None:
    own = objective(Adaptive(base=dg.Uniform(), share=0, candidates=5))
    x = torch.cat([own.points(0, step)[0] for step in range(40)])
    expected = 9 * math.pi * WIDTH**2
    assert abs(near(x) - expected) < 6 * math.sqrt(expected / len(x))


def test_power_of_the_residual_counts() -> None:
    sampler = Adaptive(share=1, power=2)
    given = sampler.probabilities(torch.tensor([1.0, 2.0, 0.0]))
    assert torch.allclose(given, torch.tensor([0.2, 0.8, 0.0], dtype=torch.float64))
    mixed = Adaptive(share=0.25, power=1).probabilities(torch.tensor([3.0, 1.0]))
    assert torch.allclose(mixed, torch.tensor([0.5625, 0.4375], dtype=torch.float64))


@pytest.mark.parametrize(
    ("residuals", "expected"),
    [
        ([0.0, 0.0], [0.5, 0.5]),
        ([math.nan, 1.0], [2 / 3, 1 / 3]),
        ([math.inf, math.nan], [0.5, 0.5]),
        ([1e200, 1e200], [0.5, 0.5]),
    ],
)
def test_probabilities_exist_for_all_residuals(residuals: Any, expected: Any) -> None:
    numbers = torch.tensor(residuals, dtype=torch.float64)
    given = Adaptive(share=1, power=3 if residuals[0] == 1e200 else 1).probabilities(numbers)
    assert torch.allclose(given, torch.tensor(expected, dtype=torch.float64))


def test_each_step_draws_anew_from_candidates_that_are_kept_for_a_while() -> None:
    own = objective(Adaptive(every=3, candidates=4))
    batches = [own.points(0, step)[0] for step in range(4)]
    assert not torch.equal(batches[0], batches[1])
    assert torch.equal(own.points(0, 3)[0], batches[3])

    def common(a: Tensor, b: Tensor) -> int:
        return len(a) + len(b) - len(torch.cat([a, b]).unique(dim=0))

    assert common(batches[0], batches[2]) > 50
    assert common(batches[2], batches[3]) == 0


def test_weights_make_the_expected_loss_that_of_the_region() -> None:
    own = objective(Adaptive(base=dg.Uniform(), unbiased=True, candidates=10, every=1))
    losses = torch.tensor([float(own.evaluate(step)[0]) for step in range(100)])
    expected = math.pi * WIDTH**2  # of the squared peak, up to the initial features
    spread = float(losses.std()) / 10
    assert abs(float(losses.mean()) - expected) < 4 * spread + 1e-4 * expected
    assert spread < 0.02 * expected
    biased = objective(Adaptive(candidates=10)).evaluate(0)[0]
    assert biased > 3 * expected


def test_boundaries_and_columns_and_complex_residuals_are_drawn() -> None:
    def residual(x: Tensor, u: Any) -> Tensor:
        return torch.complex(u.value * peak(x)[:, None], u.value).expand(-1, 2)

    box = dg.Box([0, 0.3], [1, 1])
    term = dg.Term("edge", dg.Boundary(sampler=Adaptive(base=dg.Uniform())), residual, points=100)
    own = Objective(dg.Problem(box, [term]), make_field(box=box, decoder=None))
    x = own.points(0, 0)[0]
    assert x.shape == (100, 2)
    on = (x[:, 0] == 0) | (x[:, 0] == 1) | (x[:, 1] == 0.3) | (x[:, 1] == 1)
    assert bool(on.all())


def test_ends_of_a_line_are_all_taken() -> None:
    line = dg.Box([0.0], [1.0])
    term = dg.Term("ends", dg.Boundary(sampler=Adaptive()), lambda x, u: u.value)
    own = Objective(dg.Problem(line, [term]), make_field(box=line, decoder=None))
    assert own.points(0, 0)[0].tolist() == [[0.0], [1.0]]


class Halves:
    """The sum of a process that takes the even or the odd points of a pair."""

    def __init__(self, first: int, other: Tensor | None) -> None:
        self.first, self.other = first, other
        self.sums: list[Tensor] = []

    def share(self, points: Tensor) -> Tensor:
        return points[self.first :: 2]

    def add_up(self, tensors: Any) -> None:
        self.sums = [tensor.clone() for tensor in tensors]
        if self.other is not None:
            tensors[0].add_(self.other)


def test_processes_evaluate_their_shares_and_draw_the_same_points() -> None:
    sampler, field = Adaptive(), make_field(box=SQUARE, decoder=None)
    other = Halves(1, None)
    Objective(problem(sampler), field, point_sum=other).points(0, 0)
    halves = Halves(0, other.sums[0])
    x, _, total = Objective(problem(sampler), field, point_sum=halves).points(0, 0)
    whole, _, _ = Objective(problem(sampler), field).points(0, 0)
    assert total == 400
    assert torch.equal(x, whole[::2])


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("broken", [7, 10, 11])
def test_a_resumed_solve_draws_the_same_points(unbiased: bool, broken: int, tmp_path: Any) -> None:
    def run(steps: int, **options: Any) -> tuple[dg.Field, list[float]]:
        field = make_field(box=SQUARE, cells=6, decoder=dg.LinearDecoder(1, seed=2))
        own = problem(Adaptive(every=5, unbiased=unbiased), points=64)
        solution = dg.solve(own, field, dg.Adam(lr=0.1), steps=steps, progress=False, **options)
        return field, solution.history.totals

    whole, losses = run(17)
    run(broken, out=tmp_path)
    field, again = run(17, out=tmp_path, resume=True)
    assert again == losses
    assert torch.equal(field.grid.features, whole.grid.features)


def test_report_holds_the_residual_at_uniform_points() -> None:
    field = make_field(box=SQUARE, decoder=None)
    solution = dg.solve(problem(Adaptive()), field, dg.Adam(), steps=3, progress=False)
    fresh = solution.report.fresh["fit"]
    assert 0.03 < fresh < 0.15  # sqrt(pi) WIDTH = 0.07
    assert solution.report.rms["fit"] > 2 * fresh


@pytest.mark.parametrize("method", ["auto", "least-squares", "lbfgs"])
def test_methods_that_keep_their_points_refuse_it(method: str) -> None:
    with pytest.raises(ValueError, match=r"term 'fit': Adaptive.* solve with method=dg.Adam\(\)"):
        dg.solve(problem(Adaptive()), make_field(box=SQUARE), method, progress=False)


def test_energies_need_weights() -> None:
    with pytest.raises(ValueError, match=r"another energy; pass Adaptive\(unbiased=True\)"):
        objective(Adaptive(), loss="mean")
    objective(Adaptive(unbiased=True), loss="mean")


def test_too_many_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="choose among 20000000 candidates, more than 16777216"):
        objective(Adaptive(candidates=20), points=1_000_000)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"share": 1.5}, ValueError, "share is 1.5; pass a number from 0 to 1"),
        ({"share": "half"}, TypeError, "share is 'half'"),
        ({"candidates": 1}, ValueError, "candidates is 1; it must be >= 2"),
        ({"every": 0}, ValueError, "every is 0; it must be >= 1"),
        ({"power": -1}, ValueError, "power is -1"),
        ({"unbiased": "yes"}, TypeError, "unbiased is 'yes'"),
        ({"unbiased": True, "share": 1}, ValueError, "pass a smaller share"),
        ({"base": dg.Uniform}, TypeError, "base is the class Uniform"),
        ({"base": 3}, TypeError, "base is 3; pass a sampler"),
        ({"base": dg.GaussPoints()}, ValueError, "base is GaussPoints"),
        ({"base": Adaptive()}, ValueError, "base is Adaptive"),
        ({"base": dg.Stratified((3, 3))}, ValueError, "base has a shape"),
    ],
)
def test_options_are_checked(options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Adaptive(**options)


@pytest.mark.slow
def test_weighted_adaptive_points_beat_uniform_ones_at_a_narrow_source() -> None:
    """-Laplacian u = f, u a peak of width 0.02, with 100 points a step on 64 x 64 cells.

    The gain is not general: with a source of twice the width, or on a line, uniform points are as
    good or better, since Adam draws new ones at each step.
    """
    width = 0.02

    def exact(x: Tensor) -> Tensor:
        away = (x - x.new_tensor(CENTRE)).square().sum(dim=1)
        return torch.exp(-away / (2 * width**2))

    def residual(x: Tensor, u: Any) -> Tensor:
        away = (x - x.new_tensor(CENTRE)).square().sum(dim=1)
        return u.laplacian[:, 0] - (away / width**2 - 2) / width**2 * exact(x)

    def error(sampler: Any, seed: int) -> float:
        field = make_field(
            box=SQUARE,
            cells=64,
            levels=4,
            basis=dg.BSpline(5),
            decoder=dg.LinearDecoder(1, seed=seed),
            constraint=dg.BoxConstraint(),
            seed=seed,
        )
        term = dg.Term("pde", dg.Interior(sampler), residual, order=2, points=100)
        method = dg.Adam(lr=0.02, decay=(0.5, 100))
        equation = dg.Problem(SQUARE, [term])
        dg.solve(equation, field, method, steps=300, seed=seed, progress=False)
        x = dg.Lattice((151, 151))(0, SQUARE, dtype=torch.float64)
        with torch.no_grad():
            return float((field(x)[:, 0] - exact(x)).norm() / exact(x).norm())

    weighted = Adaptive(candidates=20, every=10, unbiased=True)
    medians = [
        statistics.median(error(sampler, seed) for seed in range(10, 13))
        for sampler in (weighted, dg.Uniform())
    ]
    print(medians)
    assert medians[0] < 0.7 * medians[1]
