"""A solve that refines its own grid: rounds of solving, looking, and adding local levels."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.geometry.samplers import Sobol
from dinfgrid_cuda.geometry.shapes.corners import corners
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem

from .adapt import Adapt
from .diagnosis.stability import SEARCHING
from .linear.unknown_nodes import unknown_nodes
from .record.history import History
from .refining.boxes import Stack, levels_with
from .refining.indicators import Cells, cells_with_errors
from .refining.marking import SHARE, marked
from .solution import Solution

# Points at which the solutions of two rounds are compared, and their seed.
POINTS, SEED = 8192, 77
# A round has at most so many times the unknowns of the one before, unless they are few.
GROWTH, FEW = 3.0, 3000
# A loss between the points that falls by less says nothing about the error.
SLOW = 0.9


@dataclass(frozen=True)
class Round:
    """One solve of an adaptive one.

    Attributes:
        unknowns: number of features that take part.
        levels: number of local levels.
        residual: root of the loss between the points.
        moved: root mean square of the change of u since the round before, relative to u; NaN in
            the first.
        error: a bound on that of u, about, relative to u; NaN where it is unknown.
        seconds: spent so far.
    """

    unknowns: int
    levels: int
    residual: float
    moved: float
    error: float
    seconds: float

    def __str__(self) -> str:
        known = (
            f"error at most about {self.error:.0e}"
            if math.isfinite(self.error)
            else "error unknown"
        )
        moved = f", u moved by {self.moved:.0e}" if math.isfinite(self.moved) else ""
        return (
            f"{self.unknowns:,} unknowns, {self.levels} local levels: residual between the points "
            f"{self.residual:.1e}{moved}, {known} ({self.seconds:.1f} s)"
        )


def unknown_count(spec: GridSpec, channels: int) -> int:
    """Returns the number of features that least squares solves for."""
    free = unknown_nodes(spec)
    return channels * (spec.total_nodes if free is None else int(free.sum()))


def refine_and_solve(
    problem: Problem, field: Field, adapt: Adapt, solve_once: Callable[[], Solution], show: bool
) -> Solution:
    """Solves, refines and solves again; the field's grid is replaced by finer ones.

    Args:
        problem: as it was given, without points of the solver's own.
        solve_once: solves on the present grid, from the present features.
        show: whether each round prints a line.

    Returns:
        The solution of the last round; its ``rounds``, history and seconds are those of all.
    """
    started = time.monotonic()
    x = Interior(Sobol()).sample(POINTS, problem.domain, SEED, 0, torch.float64)
    rounds: list[Round] = []
    before: Tensor | None = None
    history: History | None = None
    stacks: list[Stack] = []
    points = _singular_points(problem, field.grid.spec)
    while True:
        searching = SEARCHING.set(not rounds)
        try:
            solution = solve_once()
        finally:
            SEARCHING.reset(searching)
        history = solution.history if history is None else joined(history, solution.history)
        cells = cells_with_errors(problem, field, solution.report.findings.weights)
        after = _values(field, x)
        moved = math.nan if before is None else _rms(after - before) / _rms(after)
        residual = math.sqrt(sum(float(own.squares.sum()) for own in cells))
        count = unknown_count(field.grid.spec, field.grid.channels)
        rounds.append(
            Round(
                count,
                len(field.grid.spec.local),
                residual,
                moved,
                estimate(residual, moved, rounds[-1].residual if rounds else math.nan),
                time.monotonic() - started,
            )
        )
        if show:
            print(f"round {len(rounds)}: {rounds[-1]}", file=sys.stderr, flush=True)
        spec, stacks, why = _next(adapt, field, cells, rounds, (stacks, points))
        if spec is None:
            break
        before = after
        field.grid = field.grid.on(spec)
    lines = tuple(f"round {n}: {own}" for n, own in enumerate(rounds, 1))
    report = replace(solution.report, rounds=(*lines, f"refining ended: {why}"))
    return replace(
        solution,
        report=report,
        rounds=tuple(rounds),
        history=history,
        steps=len(history.steps),
        seconds=time.monotonic() - started,
    )


def estimate(residual: float, moved: float, residual_before: float) -> float:
    """Returns a bound on the error of u by how far it moved while the residual fell.

    A round that lowers the residual much lowers the error too, so that u moved by about the error
    of the round before. If errors fall as residuals do, by q, it moved by e (1 / q - 1); the bound
    is the larger of both. NaN where the residual fell too little to tell.
    """
    if not math.isfinite(moved) or not residual_before > 0:
        return math.nan
    q = residual / residual_before
    return moved * max(1.0, q / (1 - q)) if q < SLOW else math.nan


def joined(one: History, other: History) -> History:
    """Returns the record of two solves, one after the other."""
    first = len(one.steps)
    last = one.seconds[-1] if one.seconds else 0.0
    return History(
        one.names,
        [*one.steps, *(first + step for step in other.steps)],
        [*one.totals, *other.totals],
        [*one.terms, *other.terms],
        [*one.seconds, *(last + spent for spent in other.seconds)],
    )


def _next(
    adapt: Adapt,
    field: Field,
    cells: list[Cells],
    rounds: list[Round],
    known: tuple[list[Stack], Tensor | None],
) -> tuple[GridSpec | None, list[Stack], str]:
    """Returns the next grid and the boxes added, or None and why there is none.

    Args:
        known: the boxes of the round before, and corners of the domain.
    """
    last = rounds[-1]
    if adapt.error is not None and last.error <= adapt.error:
        return None, [], f"the error is at most about {last.error:.0e}, below {adapt.error:g}"
    if len(rounds) >= adapt.rounds:
        return None, [], f"after {adapt.rounds} rounds"
    if adapt.seconds is not None and last.seconds >= adapt.seconds:
        return None, [], f"after {last.seconds:.1f} s of {adapt.seconds:g} s"
    spec, share, fits = field.grid.spec, SHARE, True
    finer = spec
    while share > 0.05:
        local, stacks = levels_with(spec, marked(cells, share), *known)
        finer = replace(spec, levels=spec.global_levels + len(local), local=local)
        count = unknown_count(finer, field.grid.channels)
        if local == spec.local:
            return None, [], "no cell can be made smaller"
        fits = adapt.unknowns is None or count <= adapt.unknowns
        if fits and count <= max(GROWTH * last.unknowns, FEW):
            return finer, stacks, ""
        share /= 2
    if fits:
        return finer, stacks, ""
    return None, [], f"more than {adapt.unknowns:,} unknowns would follow"


def _singular_points(problem: Problem, spec: GridSpec) -> Tensor | None:
    """Returns the corners of a plane domain, where u may be singular, [n, 2]."""
    if problem.domain.dim != 2 or spec.dim != 2:
        return None
    if isinstance(problem.domain, Box):
        low, high = problem.domain.lower, problem.domain.upper
        return torch.tensor([(a, b) for a in (low[0], high[0]) for b in (low[1], high[1])]).double()
    return corners(problem.domain, min(1 / scale for scale in spec.level_scale(0)))


@torch.no_grad()
def _values(field: Field, x: Tensor) -> Tensor:
    """Returns u at points x [N, dim], [N, channels] in float64."""
    u: Tensor = field(x.to(field.grid.features))
    return u.double().cpu()


def _rms(u: Tensor) -> float:
    return float(u.square().mean().sqrt())
