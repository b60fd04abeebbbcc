"""Whether residuals are small between their points too, and whether they are small at all."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.geometry.regions import Boundary, Points
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

# A residual that is this many times larger between the points is not explained by the error of the
# quadrature.
MUCH_LARGER = 10.0
# Two parts of the residual at u = 0. A residual between the points below the first part of that of
# the whole weighted loss is an error of about a percent, as that of few cells. A converged solve
# that leaves the second part of a term, half of its mean square, has no solution. (Point sources
# leave a quarter near them.)
NO_HARM, NO_SOLUTION = 1e-2, 0.5**0.5
# A term whose residual at u = 0 is below this part of the largest one is solved by u = 0, up to
# rounding.
ROUNDED = 1e-8
# From this many points on neighbours are not searched for, since so many are rarely too few.
LARGE_CLOUD = 1 << 16
# Number of points of a cloud whose nearest neighbours are searched for, and of those at a time.
CLOUD, CHUNK = 2048, 256
# Part of the box around a cloud that it must fill at least to count as a body.
FILLED = 0.3
# Seed of random points among those of a cloud.
FRESH_SEED = 2**31 - 1


def notes_on_points(
    problem: Problem,
    field: nn.Module,
    rms: dict[str, float],
    fresh: dict[str, float],
    converged: bool,
    left_out: Sequence[str] = (),
    weights: dict[str, float] | None = None,
) -> list[str]:
    """Returns notes on the points of a solve by any method, one line each.

    Args:
        problem: as it was solved.
        field: the solution.
        rms: root mean squares of the residuals at the points of the solve, by terms.
        fresh: the same elsewhere, where they are known; equations on `Points` are added here.
        converged: whether the solve says so.
        left_out: names of terms that mean something else at other points.
        weights: of the terms in the loss, balanced; by default their own.
    """
    if not rms:
        return []
    fresh = {**in_clouds(problem, field, left_out), **fresh}
    at_zero = residuals_at_zero(problem, field)
    hints = {}
    for term in problem.terms:
        points, nodes = _point_count(term), _node_count(field)
        if points is not None and nodes is not None and points < nodes:
            hints[term.name] = f": {points:,} fixed points for {nodes:,} nodes of the finest level"
    return notes_on_residuals(problem, rms, fresh, at_zero, converged, hints, weights)


def notes_on_residuals(
    problem: Problem,
    rms: dict[str, float],
    fresh: dict[str, float],
    at_zero: dict[str, float],
    converged: bool = True,
    hints: dict[str, str] | None = None,
    weights: dict[str, float] | None = None,
) -> list[str]:
    """Returns notes on residuals much larger between the points, or no smaller than at u = 0.

    Args:
        rms, fresh: root mean squares at the points of the solve and elsewhere, by terms.
        at_zero: the same of u = 0.
        converged: whether the solve says so; only then must a residual have become smaller.
        hints: additions about terms, by name.
        weights: of the terms in the loss; by default their own.
    """
    notes = []
    finite = {name: zero for name, zero in at_zero.items() if math.isfinite(zero)}
    largest = max(finite.values(), default=0.0)
    weights = weights or {term.name: term.weight for term in problem.terms}
    whole = math.sqrt(sum(weights.get(name, 1.0) * zero**2 for name, zero in finite.items()))
    for name in (term.name for term in problem.terms if not term.is_energy):
        at_points, between = rms.get(name, math.nan), fresh.get(name, math.nan)
        zero = at_zero.get(name, math.nan)
        if not math.isfinite(at_points):
            continue
        in_loss = math.sqrt(weights.get(name, 1.0)) * between
        if between > MUCH_LARGER * at_points and in_loss > NO_HARM * whole:
            notes.append(_too_few_points(name, at_points, between, (hints or {}).get(name, "")))
        elif converged and zero > ROUNDED * largest and at_points > NO_SOLUTION * zero:
            notes.append(_no_solution(name, at_points, zero))
    return notes


def _too_few_points(name: str, at_points: float, between: float, hint: str) -> str:
    """Says that a residual is much larger between its points."""
    return (
        f"the residual {name!r} is {between:.1e} between its points and {at_points:.1e} at them"
        f"{hint}. u is not a solution there; take more points, or fewer cells."
    )


def _no_solution(name: str, at_points: float, zero: float) -> str:
    """Says that a residual is no smaller than that of u = 0."""
    return (
        f"the residual {name!r}, {at_points:.1e}, is not small compared with that of u = 0, "
        f"{zero:.1e}: u does not solve this equation. Are the terms consistent, the cells fine "
        "enough, the weights right? Another start (guess=) may lead elsewhere."
    )


def residuals_at_zero(problem: Problem, field: nn.Module) -> dict[str, float]:
    """Returns root mean squares of the terms' residuals at u = 0, under the hard constraint."""
    sample, rms = next(field.parameters()), {}
    for index, term in enumerate(problem.terms):
        if term.is_energy:
            continue
        with contextlib.suppress(Exception), torch.no_grad():
            x, data = problem.draw(index, 0, 0, sample.dtype, sample.device)
            residual = term.evaluate(x, _zero(field, x, term.order), data)
            rms[term.name] = float(residual.abs().square().mean()) ** 0.5
    return rms


def _zero(field: nn.Module, x: Tensor, order: int) -> Any:
    """Returns the jet of u = 0 at points x [N, dim], under the hard constraint."""
    out = int(getattr(field, "out_channels", 1))
    net = Jet(x.new_zeros(len(x), jet_size(x.shape[1], order), out), x.shape[1], order)
    constraint: Any = getattr(field, "constraint", None)
    return net if constraint is None else constraint.jet(x, net)


def in_clouds(problem: Problem, field: nn.Module, left_out: Sequence[str] = ()) -> dict[str, float]:
    """Returns root mean squares of the residuals of equations on `Points`, between these points."""
    sample, rms = next(field.parameters()), {}
    for term in problem.terms:
        equation = isinstance(term.region, Points) and term.order > 0 and term.data is None
        if not equation or term.is_energy or term.name in left_out:
            continue
        if len(term.region.x) > LARGE_CLOUD:  # type: ignore[attr-defined]
            continue
        x = _between(term.region.x.to(sample))  # type: ignore[attr-defined]
        if len(x) < 2:
            continue
        with contextlib.suppress(Exception):
            jet: Any = field.jet(x, term.order)  # type: ignore[operator]
            residual = term.evaluate(x, jet, None).detach()
            rms[term.name] = float(residual.abs().square().mean()) ** 0.5
    return rms


def _between(x: Tensor) -> Tensor:
    """Returns points between those of a cloud [N, dim].

    They are random points no farther from the cloud than its own points are from each other, if
    these fill much of the box around it; else, as on a curve, the middles between neighbours of
    rank 2 dim.
    """
    rank = 2 * x.shape[1]
    if len(x) <= rank:
        return x[:0]
    some = x[:: max(1, len(x) // CLOUD)]
    near = [torch.cdist(chunk, x).topk(rank + 1, largest=False) for chunk in some.split(CHUNK)]
    reach = torch.cat([neighbours.values[:, 1] for neighbours in near]).max()
    low, high = x.min(dim=0).values, x.max(dim=0).values
    random = torch.Generator().manual_seed(FRESH_SEED)
    drawn = low + (high - low) * torch.rand(CLOUD, x.shape[1], generator=random).to(x)
    away = torch.cat([torch.cdist(chunk, x).min(dim=1).values for chunk in drawn.split(CHUNK)])
    inside = drawn[away <= reach]
    if len(inside) >= FILLED * CLOUD:
        return inside
    return (some + x[torch.cat([neighbours.indices[:, rank] for neighbours in near])]) / 2


def _point_count(term: Term) -> int | None:
    """Returns the number of fixed `Points` of a term; None for other regions."""
    if isinstance(term.region, Boundary) or not isinstance(term.region, Points) or not term.fixed:
        return None
    return len(term.region.x)


def _node_count(field: nn.Module) -> int | None:
    """Returns the nodes of a grid's finest level, which as many points at least determine."""
    return field.grid.spec.level_size(0) if isinstance(field, Field) else None
