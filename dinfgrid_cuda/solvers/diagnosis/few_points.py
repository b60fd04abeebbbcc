"""Whether residuals that are small at their points are small elsewhere, and small at all."""

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

# Between the points a residual is larger by the error of the quadrature; this much is not that.
MUCH_LARGER = 10.0
# Of the residual at u = 0, in the whole weighted loss: what is smaller between the points is an
# error of about a percent, as of few cells. And of a term: a solve that has converged and has left
# half of its mean square has not found a solution. (Point sources leave a quarter near them.)
NO_HARM, NO_SOLUTION = 1e-2, 0.5**0.5
# Of the largest residual at u = 0: a term that leaves less there is met by it, up to rounding.
ROUNDED = 1e-8
# Points from which on neighbours are not looked for: so many are rarely too few.
LARGE_CLOUD = 1 << 16
# Points of a cloud whose nearest neighbours are looked for, and those at a time.
CLOUD, PART = 2048, 256
# Part of the box around a cloud that it must fill at least to count as a body.
FILLED = 0.3
# Of random points among those of a cloud.
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
    """What a solve by any method should tell about its points, one line each.

    Args:
        problem: as it was solved.
        field: the solution.
        rms: root mean squares of the residuals at the points of the solve.
        fresh: the same elsewhere, where it is known; equations on `Points` are added here.
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
        rows, nodes = _rows(term), _nodes(field)
        if rows is not None and nodes is not None and rows < nodes:
            hints[term.name] = f": {rows:,} fixed points for {nodes:,} nodes of the finest level"
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
    """Residuals that are much larger between the points than at them, or no smaller than at u = 0.

    Args:
        rms, fresh: root mean squares at the points of the solve and elsewhere, by terms.
        at_zero: the same of u = 0.
        converged: whether the solve says so; only then must a residual have fallen.
        hints: what to add about a term.
        weights: of the terms in the loss; by default their own.
    """
    notes = []
    finite = {name: zero for name, zero in at_zero.items() if math.isfinite(zero)}
    largest = max(finite.values(), default=0.0)
    given = weights or {term.name: term.weight for term in problem.terms}
    whole = math.sqrt(sum(given.get(name, 1.0) * zero**2 for name, zero in finite.items()))
    for name in (term.name for term in problem.terms if term.loss == "square"):
        own, other = rms.get(name, math.nan), fresh.get(name, math.nan)
        zero = at_zero.get(name, math.nan)
        if not math.isfinite(own):
            continue
        seen = math.sqrt(given.get(name, 1.0)) * other
        if other > MUCH_LARGER * own and seen > NO_HARM * whole:
            hint = (hints or {}).get(name, "")
            notes.append(
                f"the residual {name!r} is {other:.1e} between its points and {own:.1e} at them"
                f"{hint}. u is not a solution there; take more points, or fewer cells."
            )
            continue
        if converged and zero > ROUNDED * largest and own > NO_SOLUTION * zero:
            notes.append(
                f"the residual {name!r}, {own:.1e}, is not small against that of u = 0, "
                f"{zero:.1e}: u does not solve this equation. Are the terms consistent, the cells "
                "fine enough, the weights right? Another start (guess=) may lead elsewhere."
            )
    return notes


def residuals_at_zero(problem: Problem, field: nn.Module) -> dict[str, float]:
    """Root mean squares of the squared terms' residuals at u = 0 (under the hard constraint)."""
    sample, found = next(field.parameters()), {}
    for index, term in enumerate(problem.terms):
        if term.loss != "square":
            continue
        with contextlib.suppress(Exception), torch.no_grad():
            x, data = problem.draw(index, 0, 0, sample.dtype, sample.device)
            residual = term.evaluate(x, _zero(field, x, term.order), data)
            found[term.name] = float(residual.abs().square().mean()) ** 0.5
    return found


def _zero(field: nn.Module, x: Tensor, order: int) -> Any:
    out = int(getattr(field, "out_channels", 1))
    net = Jet(x.new_zeros(len(x), jet_size(x.shape[1], order), out), x.shape[1], order)
    constraint: Any = getattr(field, "constraint", None)
    return net if constraint is None else constraint.jet(x, net)


def in_clouds(problem: Problem, field: nn.Module, left_out: Sequence[str] = ()) -> dict[str, float]:
    """Residuals of equations on `Points` between the points."""
    sample, found = next(field.parameters()), {}
    for term in problem.terms:
        equation = isinstance(term.region, Points) and term.order > 0 and term.data is None
        if not equation or term.loss != "square" or term.name in left_out:
            continue
        if len(term.region.x) > LARGE_CLOUD:  # type: ignore[attr-defined]
            continue
        x = _between(term.region.x.to(sample))  # type: ignore[attr-defined]
        if len(x) < 2:
            continue
        with contextlib.suppress(Exception):
            jet: Any = field.jet(x, term.order)  # type: ignore[operator]
            residual = term.evaluate(x, jet, None).detach()
            found[term.name] = float(residual.abs().square().mean()) ** 0.5
    return found


def _between(x: Tensor) -> Tensor:
    """Points between those of a cloud [N, dim].

    Random ones no farther from the cloud than its own points are from each other, if these fill
    much of the box around it; else, as on a curve, middles between neighbours of rank 2 dim.
    """
    rank = 2 * x.shape[1]
    if len(x) <= rank:
        return x[:0]
    some = x[:: max(1, len(x) // CLOUD)]
    near = [torch.cdist(part, x).topk(rank + 1, largest=False) for part in some.split(PART)]
    reach = torch.cat([found.values[:, 1] for found in near]).max()
    low, high = x.min(dim=0).values, x.max(dim=0).values
    random = torch.Generator().manual_seed(FRESH_SEED)
    drawn = low + (high - low) * torch.rand(CLOUD, x.shape[1], generator=random).to(x)
    away = torch.cat([torch.cdist(part, x).min(dim=1).values for part in drawn.split(PART)])
    inside = drawn[away <= reach]
    if len(inside) >= FILLED * CLOUD:
        return inside
    return (some + x[torch.cat([found.indices[:, rank] for found in near])]) / 2


def _rows(term: Term) -> int | None:
    """Fixed points of an equation; None where they are drawn anew, or on the boundary alone."""
    if isinstance(term.region, Boundary) or not isinstance(term.region, Points) or not term.fixed:
        return None
    return len(term.region.x)


def _nodes(field: nn.Module) -> int | None:
    """Nodes of a grid's finest level, which that many points at least determine."""
    return field.grid.spec.level_size(0) if isinstance(field, Field) else None
