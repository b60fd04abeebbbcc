"""The error of u by the differences of successive solutions of one problem.

Solutions u_0, u_1, ..., each by a better discretisation than the one before, differ by
d_i = |u_(i+1) - u_i|. Where the differences fall by a ratio r < 1 and go on so, the error of u_i is
at most d_i (1 + r + r^2 + ...) = d_i / (1 - r) (Aitken). Where they do not fall, they say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

# Differences that fall by less are those of solutions that hardly converge, or of the first of a
# sequence that does not know the solution yet.
SLOW = 0.7
# Orders of convergence in the root mean square: below the least a limit is not known.
LEAST_ORDER, MOST_ORDER = 0.5, 20.0
# A single large fall may be luck: the error of the last solution is not taken to be less than this
# part of the last difference.
LUCK = 0.1
# Of u: differences below are those of rounding.
ROUNDING = 1e-13
# Of u: what does not fall any more and is below this may be rounding, too.
NEAR_ROUNDING = 1e-8


@dataclass(frozen=True)
class Estimate:
    """An estimate of the error of u, a bound of it, or why there is none.

    Attributes:
        rms: root mean square over the domain and the components, None where it is unknown.
        relative: to the root mean square of u; None where it is unknown, or u = 0.
        per_component: the same as ``rms`` for each component, None where one is unknown.
        largest: the largest difference at a point; the error there is about as large.
        parameters: the errors of the problem's unknown numbers, the largest of each, by name.
        reason: why it is unknown; empty where it is known.
        bound: whether ``rms`` is no estimate but a number that the error is about at most: it is at
            the level of rounding.
        remark: what the estimate is not about; a clause, or empty.
        seconds: that the estimate took.
    """

    rms: float | None
    relative: float | None = None
    per_component: tuple[float | None, ...] = ()
    largest: float | None = None
    parameters: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    bound: bool = False
    remark: str = ""
    seconds: float = 0.0

    @property
    def known(self) -> bool:
        """Whether ``rms`` is the error within a factor of ten."""
        return self.rms is not None and not self.bound

    def __str__(self) -> str:
        if self.rms is None:
            return f"error unknown: {self.reason}"
        of_u = f"{self.rms:.0e}" if self.relative is None else f"{self.relative:.0e} of u"
        rest = f"; {self.remark}" if self.remark else ""
        if self.bound:
            return f"error at most about {of_u} (rms): {self.reason}{rest}"
        return f"error about {of_u} (rms, within ten){rest}"


def unknown(reason: str) -> Estimate:
    """Returns an estimate that says only why there is none."""
    return Estimate(None, reason=reason)


def total(components: Sequence[float]) -> float:
    """Returns the root mean square over components from those of each."""
    return math.sqrt(sum(one * one for one in components) / len(components))


def found(
    errors: Sequence[float | None], rms: float, size: float, reason: str = "", bound: bool = False
) -> Estimate:
    """Returns an estimate or a bound from the errors of the components and of all of them."""
    relative = rms / size if size > 0 else None
    return Estimate(rms, relative, tuple(errors), reason=reason, bound=bound)


def from_sequence(
    differences: Sequence[Sequence[float]], sizes: Sequence[float], of_last: bool = True
) -> Estimate:
    """Returns the error of the last solution, or of the last but one, of a sequence.

    Args:
        differences: between each solution and the next, two or more; of each the root mean squares
            by components. The steps between the discretisations are alike, such as half of the
            cells each.
        sizes: root mean squares of the components of u.
        of_last: whether it is the last solution's, or that of the one before, which is surer.

    Raises:
        ValueError: for fewer than two differences, or those of other numbers of components.
    """
    if len(differences) < 2 or any(len(row) != len(sizes) for row in differences):
        raise ValueError(
            f"from_sequence: differences are {[len(row) for row in differences]} numbers for "
            f"{len(sizes)} components; pass two rows or more, each with all components."
        )
    totals = [total(row) for row in differences]
    size = total(sizes)
    if not all(math.isfinite(one) for one in totals):
        return unknown("the solutions are not finite")
    if totals[-1] <= ROUNDING * size:
        last = [max(one, ROUNDING * size) for one in differences[-1]]
        return found(last, total(last), size, "that is rounding", True)
    ratio = _ratio(totals)
    if ratio > SLOW:
        return _slow(differences, totals, size, ratio)
    parts = [_ratio([row[i] for row in differences]) for i in range(len(sizes))]
    errors = [
        _limit(one, part, of_last) if part <= SLOW else None
        for one, part in zip(differences[-1], parts, strict=True)
    ]
    return found(errors, _limit(totals[-1], ratio, of_last), size)


def _ratio(values: Sequence[float]) -> float:
    """Returns the larger of the last two ratios of successive values."""
    pairs = list(pairwise(values))[-2:]
    return max(b / a if a > 0 else (0.0 if b == 0 else math.inf) for a, b in pairs)


def _limit(difference: float, ratio: float, of_last: bool) -> float:
    """Returns what the differences from the last one on, or from the next one on, add up to."""
    if of_last:
        ratio = max(ratio, LUCK)
        return difference * ratio / (1 - ratio)
    return difference / (1 - ratio)


def _slow(
    differences: Sequence[Sequence[float]], totals: Sequence[float], size: float, ratio: float
) -> Estimate:
    """Returns a bound for differences at the level of rounding, else unknown."""
    if max(totals[-2:]) <= NEAR_ROUNDING * size:
        last = [max(pair) for pair in zip(*differences[-2:], strict=True)]
        return found(last, total(last), size, "finer grids differ by no less: rounding", True)
    return unknown(
        f"finer grids do not converge: they still differ by {totals[-1] / size:.0e} of u, "
        f"{ratio:.1g} times what coarser ones do"
        if size > 0
        else "finer grids do not converge"
    )


def by_order(below: float, above: float, down: float, up: float) -> float | None:
    """Returns the error of u by its order of convergence, from a coarser and a finer solution.

    With errors C h^q the differences are below = e (down^q - 1) and above = e (1 - up^-q), whose
    quotient gives q.

    Args:
        below, above: differences from u of the solution with ``down`` times fewer cells on each
            axis, and of that with ``up`` times more.
        down, up: > 1.

    Returns:
        e, or None for solutions that converge too slowly to be sure, q < 1/2.
    """
    if not 0 < above < math.inf or not 0 < below < math.inf:
        return None
    low, high = LEAST_ORDER, MOST_ORDER

    def quotient(q: float) -> float:
        return float((1 - up**-q) / (down**q - 1))

    if above / below > quotient(low):
        return None
    if above / below <= quotient(high):
        return above
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if above / below < quotient(middle) else (low, middle)
    return above / (1 - float(up**-low))
