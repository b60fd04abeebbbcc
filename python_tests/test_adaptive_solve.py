"""A solve that refines its grid: errors, rounds, limits, messages; and how cells become boxes."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cases_of_local_levels import grid_with

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.adapt import Adapt
from dinfgrid_cuda.solvers.adaptive import estimate, joined, unknown_count
from dinfgrid_cuda.solvers.refining.boxes import levels_with
from dinfgrid_cuda.solvers.refining.clustering import clustered, common, holds, hull, volume
from dinfgrid_cuda.solvers.refining.indicators import Cells
from dinfgrid_cuda.solvers.refining.marking import Marked, marked

pytest.importorskip("scipy")

CORNER = dg.Polygon([(-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)])
EPSILON = 1e-3
# The first rounds know less than the last one, and may say so.
early = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def singular(x: torch.Tensor) -> torch.Tensor:
    angle = torch.atan2(x[:, 1], x[:, 0])
    angle = torch.where(angle < -1e-12, angle + 2 * math.pi, angle)
    return x.norm(dim=1) ** (2 / 3) * torch.sin(2 / 3 * angle)


def corner_problem() -> dg.Problem:
    return dg.Problem(
        CORNER,
        [
            dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
            dg.Term("bc", dg.Boundary(), lambda x, u: u.value[:, 0] - singular(x), order=0),
        ],
    )


def layer(x: torch.Tensor) -> torch.Tensor:
    end = math.exp(-1 / EPSILON)
    return x[:, 0] - (torch.exp((x[:, 0] - 1) / EPSILON) - end) / (1 - end)


def layer_problem() -> dg.Problem:
    def equation(x: torch.Tensor, u: dg.Jet) -> torch.Tensor:
        return -EPSILON * u.laplacian[:, 0] + u.gradient[:, 0, 0] - 1

    return dg.Problem(
        dg.Box((0.0,), (1.0,)),
        [
            dg.Term("pde", dg.Interior(), equation, order=2),
            dg.Term("bc", dg.Boundary(), lambda x, u: u.value[:, 0], order=0),
        ],
    )


def line_field(degree: int = 5) -> dg.Field:
    return dg.Field(grid_with(dim=1, degree=degree))


def relative(field: dg.Field, exact: Any, x: torch.Tensor) -> float:
    with torch.no_grad():
        return float((field(x)[:, 0] - exact(x)).norm() / exact(x).norm())


@early
def test_a_corner_is_solved_to_the_error_that_is_asked_for() -> None:
    grid = dg.FeatureGrid(dim=2, cells=8, basis=dg.BSpline(3), dtype=torch.float64)
    field = dg.Field(grid)
    solution = dg.solve(corner_problem(), field, adapt=Adapt(error=1e-2), progress=False)
    axis = torch.linspace(-1, 1, 101, dtype=torch.float64) + 1e-9
    x = torch.cartesian_prod(axis, axis)
    true, last = relative(field, singular, x[CORNER.contains(x)]), solution.rounds[-1]
    assert last.error <= 1e-2
    assert true < 10 * last.error
    assert true < 1e-2
    # The same object, with another grid; the one that was given is as it was.
    assert solution.field is field
    assert field.grid is not grid
    assert len(grid.spec.local) == 0 < len(field.grid.spec.local) == last.levels
    # The boxes shrink to the corner.
    finest = max(range(1, field.grid.spec.levels), key=lambda n: field.grid.spec.level_scale(n)[0])
    low, high = field.grid.spec.level_box(finest)
    assert all(a <= 0 <= b for a, b in zip(low, high, strict=True))


@early
def test_a_boundary_layer_is_found_and_every_round_is_recorded() -> None:
    field = line_field()
    solution = dg.solve(layer_problem(), field, adapt=Adapt(error=1e-4), progress=False)
    rounds = solution.rounds
    x = torch.linspace(0, 1, 20001).double()[:, None]
    assert rounds[-1].error <= 1e-4
    assert relative(field, layer, x) < 10 * rounds[-1].error
    assert math.isnan(rounds[0].moved)
    assert math.isnan(rounds[0].error)
    assert [own.seconds for own in rounds] == sorted(own.seconds for own in rounds)
    assert [own.unknowns for own in rounds] == sorted(own.unknowns for own in rounds)
    assert rounds[-1].unknowns == unknown_count(field.grid.spec, 1)
    assert len(solution.report.rounds) == len(rounds) + 1
    text = str(solution.report)
    for number, own in enumerate(rounds, 1):
        assert f"round {number}: {own}" in text
    assert "refining ended: the error is at most about" in text
    assert "error unknown" in str(rounds[0])
    history = solution.history
    assert solution.steps == len(history.steps) >= len(rounds)
    assert history.steps == sorted(set(history.steps))
    assert history.seconds == sorted(history.seconds)
    # Cells are small where the layer is.
    scales = [field.grid.spec.level_scale(level)[0] for level in range(field.grid.spec.levels)]
    deepest = field.grid.spec.level_box(scales.index(max(scales)))
    assert deepest[0][0] > 0.9
    assert deepest[1][0] == 1.0


@early
def test_limits_end_the_refinement_and_are_named() -> None:
    limits = {
        Adapt(unknowns=60): "more than 60 unknowns would follow",
        Adapt(seconds=1e-9): r"after \d+\.\d s of 1e-09 s",
        Adapt(error=1e-30, rounds=2): "after 2 rounds",
    }
    for adapt, said in limits.items():
        field = line_field()
        solution = dg.solve(layer_problem(), field, adapt=adapt, progress=False)
        assert re.fullmatch(f"refining ended: {said}", solution.report.rounds[-1])
        if adapt.unknowns is not None:
            assert unknown_count(field.grid.spec, 1) <= adapt.unknowns
            assert len(solution.rounds) > 1
        else:
            assert len(solution.rounds) == (1 if adapt.seconds else 2)


@early
def test_rounds_are_printed_where_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    dg.solve(layer_problem(), line_field(), adapt=Adapt(error=1.0, rounds=1))
    printed = capsys.readouterr().err
    assert "round 1: 13 unknowns, 0 local levels: residual" in printed
    assert "refining ended: after 1 rounds" in printed


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (TypeError, {"adapt": 1e-3}, r"adapt is 0.001; pass Adapt\(error=...\)"),
        (ValueError, {"method": "adam"}, "adapt needs least squares, .* the method is 'adam'; ref"),
        (ValueError, {"method": dg.LBFGS()}, "the method is 'lbfgs'"),
        (ValueError, {"resume": True, "out": "x"}, "with adapt cannot be resumed; leave resume"),
        (TypeError, {"field": torch.nn.Linear(1, 1)}, "but the field is a Linear"),
    ],
)
def test_what_cannot_be_refined_is_named(
    kind: type[Exception], changes: dict[str, Any], said: str
) -> None:
    arguments: dict[str, Any] = {"field": line_field(), "adapt": Adapt(error=1e-3), **changes}
    with pytest.raises(kind, match=said) as caught:
        dg.solve(layer_problem(), progress=False, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (ValueError, {}, "nothing says when to end; pass error, unknowns or seconds"),
        (ValueError, {"rounds": 3}, "nothing says when to end"),
        (ValueError, {"error": 0.0}, "error"),
        (ValueError, {"error": math.nan}, "error"),
        (TypeError, {"error": "small"}, "error"),
        (ValueError, {"seconds": -1.0}, "seconds"),
        (ValueError, {"unknowns": 0}, "unknowns"),
        (TypeError, {"unknowns": 10.5}, "unknowns"),
        (ValueError, {"error": 0.1, "rounds": 0}, "rounds"),
    ],
)
def test_wrong_options_of_adapt_are_named(
    kind: type[Exception], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(kind, match=f"Adapt.*{said}"):
        Adapt(**options)


def test_the_error_is_bounded_by_the_last_move_or_unknown() -> None:
    # Errors 1, 1/4: u moves by 3/4. Errors 1, 4/5: it moves by 1/5, a quarter of what is left.
    assert estimate(0.25, 0.75, 1.0) == 0.75
    assert estimate(0.8, 0.2, 1.0) == pytest.approx(0.8)
    for residual, moved, before in ((0.95, 0.1, 1.0), (1.0, math.nan, 2.0), (0.1, 0.1, 0.0)):
        assert math.isnan(estimate(residual, moved, before))


def test_histories_follow_each_other() -> None:
    one = dg.solve(layer_problem(), line_field(), "least-squares", progress=False).history
    both = joined(one, one)
    assert both.steps == list(range(one.steps[0], one.steps[0] + 2 * len(one.steps)))
    assert both.totals == one.totals * 2
    assert both.seconds == sorted(both.seconds)


def cells(level: int, squares: list[float], rough: list[list[float]]) -> Cells:
    index = torch.arange(len(squares))[:, None].expand(-1, len(rough[0]))
    return Cells(level, index, torch.tensor(squares).double(), torch.tensor(rough).double())


def test_the_fewest_cells_that_hold_a_share_of_the_loss_are_marked() -> None:
    found = [cells(0, [5.0, 1.0, 1.0], [[1.0]] * 3), cells(1, [3.0, 0.0], [[1.0]] * 2)]
    assert [(own.level, own.index[:, 0].tolist()) for own in marked(found, 0.5)] == [(0, [0])]
    assert [(own.level, own.index[:, 0].tolist()) for own in marked(found, 0.8)] == [
        (0, [0]),
        (1, [0]),
    ]
    assert marked([cells(0, [0.0, 0.0], [[1.0]] * 2)]) == []
    assert marked([cells(0, [math.nan, 0.0], [[1.0]] * 2)]) == []


def test_cells_are_halved_along_the_axes_on_which_they_are_rough() -> None:
    rough = [[1.0, 1e-4], [1.0, 0.5], [1e-9, 1.0]]
    found = marked([cells(0, [1.0, 1.0, 1.0], rough)], 0.99)
    assert {own.axes: own.index[:, 0].tolist() for own in found} == {
        (True, False): [0],
        (True, True): [1],
        (False, True): [2],
    }


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_boxes_hold_all_marked_cells_and_few_others(dim: int) -> None:
    generator = np.random.default_rng(4)
    blocks = [generator.integers(0, 40, dim) for _ in range(4)]
    inside = np.stack(np.meshgrid(*[np.arange(6)] * dim, indexing="ij"), -1).reshape(-1, dim)
    marks = np.unique(np.concatenate([block + inside for block in blocks]), axis=0)
    boxes = clustered(marks, least=2)
    for cell in marks:
        one = tuple(map(int, cell)), tuple(map(int, cell + 1))
        assert sum(holds(box, one) for box in boxes) == 1
    assert sum(volume(box) for box in boxes) < 2 * len(marks)
    assert clustered(marks[:0], least=2) == []


def test_cells_apart_get_boxes_of_their_own() -> None:
    marks = np.array([[0, 0], [0, 1], [9, 9], [9, 8]])
    assert sorted(clustered(marks, least=3)) == [((0, 0), (1, 2)), ((9, 8), (10, 10))]
    assert clustered(marks[:2], least=3) == [((0, 0), (1, 2))]


def test_boxes_of_cells_are_joined_and_measured() -> None:
    one, other = ((0, 0), (2, 3)), ((1, 1), (4, 2))
    assert hull(one, other) == ((0, 0), (4, 3))
    assert volume(one) == 6
    assert common(one, other) == 1
    assert common(one, ((2, 0), (3, 3))) == 0
    assert holds(hull(one, other), one)
    assert not holds(one, other)


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_levels_over_marked_cells_hold_all_functions_that_these_see(degree: int) -> None:
    spec = grid_with(degree=degree, cells=32).spec
    mark = Marked(0, (True, True), np.array([[10, 10], [11, 10], [28, 30]]))
    local, stacks = levels_with(spec, [mark], [])
    assert len(local) == len(stacks) == 2
    for own in local:
        assert own.halvings == (1, 1)
    for cell in mark.index:
        low = [max(0, 2 * n - degree) for n in cell]
        high = [min(64, 2 * n + 2 + degree) for n in cell]
        held = [
            all(a <= b for a, b in zip(own.start, low, strict=True))
            and all(a >= b for a, b in zip(own.end, high, strict=True))
            for own in local
        ]
        assert any(held)


def test_later_levels_nest_in_the_first_and_double_where_they_did_not_suffice() -> None:
    spec = grid_with(dim=1, cells=32).spec
    steps: list[Any] = []
    for _ in range(3):
        finest = spec.levels - 1
        last = spec.level_cells(finest)[0] - 1
        local, steps = levels_with(spec, [Marked(finest, (True,), np.array([[last]]))], steps)
        kept = {own.halvings[0] for own in spec.local}
        assert kept <= {own.halvings[0] for own in local}
        spec = replace(spec, levels=1 + len(local), local=local)
    assert [own.halvings[0] for own in spec.local] == [1, 2, 3, 4, 5, 6]  # 1, then 2, then 3 more
    boxes = [spec.level_box(level) for level in range(1, spec.levels)]
    assert all(high == (1.0,) for _, high in boxes)
    assert [low for low, _ in boxes] == sorted(low for low, _ in boxes)
