"""Nested dissection by places: an order of elimination that keeps a factor sparse, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]
Halves = tuple[Indices, Indices, Indices]
# Unknowns that are not divided further: smaller fronts take longer to put together than to
# factorise.
LEAF = 120


@dataclass(frozen=True)
class Part:
    """Unknowns that are eliminated together, after those of the parts that they separate.

    Attributes:
        pivots: the unknowns.
        reached: number of later unknowns that they and those before them couple with, at most.
        children: places in the list of parts of those that it separates.
    """

    pivots: Indices
    reached: int
    children: tuple[int, ...]


@dataclass(frozen=True)
class FrontSize:
    """The size of a front: a dense block of a factor.

    Attributes:
        pivots: number of its columns of the factor.
        rows: number of rows below its pivots.
        children: places in the list of fronts of those that update it.
    """

    pivots: int
    rows: int
    children: tuple[int, ...]


def dissect(start: Places, end: Places, leaf: int = LEAF) -> list[Part]:
    """Divides unknowns into halves that do not couple, and what separates them, again and again.

    Two unknowns may couple only if their intervals overlap or touch on every axis. A plane then
    separates those that end before it from those that begin behind it, once those that it cuts are
    gone (A. George, SIAM J. Numer. Anal. 10, 1973). Of one plane per axis, which leaves equal
    halves, that with the fewest cut is taken.

    Args:
        start, end: of the intervals, [axes, unknowns].
        leaf: number of unknowns that are not divided further.

    Returns:
        The parts in an order of elimination: children come before their parents.
    """
    parts: list[Part] = []

    def visit(members: Indices, around: Indices) -> tuple[int, ...]:
        """Appends the parts of these unknowns, and returns the places of the last ones.

        Args:
            around: later unknowns that may couple with them.
        """
        if not len(members):
            return ()
        low, high = start[:, members].min(axis=1), end[:, members].max(axis=1)
        near = (start[:, around] <= high[:, None]) & (end[:, around] >= low[:, None])
        around = around[near.all(axis=0)]
        halves = None if len(members) <= leaf else _halves(start, end, members)
        children: tuple[int, ...] = ()
        if halves is not None:
            lower, upper, members = halves
            later = np.concatenate([members, around])
            children = visit(lower, later) + visit(upper, later)
            if not len(members):
                return children
        parts.append(Part(members, len(around), children))
        return (len(parts) - 1,)

    visit(np.arange(start.shape[1]), np.arange(0))
    return parts


def _halves(start: Places, end: Places, members: Indices) -> Halves | None:
    """Returns the two halves and what is between them; None where no plane leaves two."""
    best: Halves | None = None
    for low, high in zip(start[:, members], end[:, members], strict=True):
        # As many end before it as begin behind it.
        plane = np.median(np.concatenate([low, high]))
        below, above = high < plane, low >= plane
        if below.any() and above.any():
            between = members[~(below | above)]
            if best is None or len(between) < len(best[2]):
                best = members[below], members[above], between
    return best


@dataclass(frozen=True)
class FactorSize:
    """What a factor by fronts takes.

    Attributes:
        numbers: that the factor holds.
        peak: most numbers at a time, with the updates that wait for their parents.
        work: multiplications and additions.
    """

    numbers: float
    peak: float
    work: float


def factor_size(fronts: Sequence[FrontSize]) -> FactorSize:
    """Returns what the factor takes that consists of these fronts, children before parents."""
    numbers = held = peak = work = 0.0
    for front in fronts:
        k, u = float(front.pivots), float(front.rows)
        numbers += k * (k + u)
        work += k**3 / 3 + k**2 * u + k * u**2
        # Its columns are held twice for a moment: as they are put together, and eliminated.
        peak = max(peak, held + 2 * k * (k + u) + u**2)
        held += k * (k + u) + u**2 - sum(float(fronts[child].rows) ** 2 for child in front.children)
    return FactorSize(numbers, peak, work)
