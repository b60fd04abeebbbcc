"""The local levels of a grid after marked cells are made smaller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dinfgrid_cuda.kernels.local_level import MAX_HALVINGS, MAX_LOCAL, LocalLevel
from dinfgrid_cuda.kernels.spec import GridSpec

from .clustering import CellBox, clustered, common, holds, hull, volume
from .marking import Marked

# Two boxes become one where that holds at most so many cells more, relative to both.
WASTE = 1.25
# Nested boxes that are added at once at most, and where they shrink to a point.
MOST, MOST_AT = 3, 8
# A part of a level from which on a box is too large to have several levels at once.
LARGE = 0.2
# Of a cell or a box: what lies so near to an end is at it.
NEAR = 1e-6
Key = tuple[int, ...]
Corners = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Stack:
    """Nested boxes that one round has added over a group of cells.

    Attributes:
        steps: how many.
        lower, upper: corners of the last one.
    """

    steps: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def holds(self, lower: Sequence[float], upper: Sequence[float]) -> bool:
        """Whether a box lies in the last one."""
        above = all(a <= b for a, b in zip(self.lower, lower, strict=True))
        return above and all(a >= b for a, b in zip(self.upper, upper, strict=True))


def levels_with(
    spec: GridSpec, marks: Sequence[Marked], stacks: Sequence[Stack], points: Tensor | None = None
) -> tuple[tuple[LocalLevel, ...], list[Stack]]:
    """Returns local levels with smaller cells over marked ones, those that there are included.

    Over each group of marked cells lie one or more nested boxes, wide enough for all functions that
    the marked cells see. Boxes of one size of cells that lie close together become one.

    Args:
        stacks: those that the round before has added. Where they have not sufficed, twice as many
            boxes are added at once: up to `MOST`; up to `MOST_AT` where they shrink to a point.
        points: [n, dim], where singularities may be: corners of the domain.
    """
    added: list[Stack] = []
    boxes: dict[Key, list[CellBox]] = {}
    for level in spec.local:
        boxes.setdefault(level.halvings, []).append((level.start, level.end))
    for mark in marks:
        for halvings, box in _over(spec, mark, stacks, points, added):
            own = boxes.setdefault(halvings, [])
            if not any(holds(other, box) for other in own):
                own.append(box)
    waste = WASTE
    merged = _merged(spec, boxes, waste)
    while sum(map(len, merged.values())) > MAX_LOCAL and waste < 1e3:
        waste *= 1.5
        merged = _merged(spec, boxes, waste)
    levels = [
        LocalLevel(low, tuple(b - a for a, b in zip(low, high, strict=True)), halvings)
        for halvings in sorted(merged, key=lambda key: (sum(key), key))
        for low, high in merged[halvings]
    ]
    return tuple(levels[:MAX_LOCAL]), added


def _over(
    spec: GridSpec,
    mark: Marked,
    stacks: Sequence[Stack],
    points: Tensor | None,
    added: list[Stack],
) -> list[tuple[Key, CellBox]]:
    """Returns halvings and boxes, in cells of their own, of the levels over a group of cells."""
    own = spec.local_level(mark.level)
    start = (0,) * spec.dim if own is None else own.start
    base = (0,) * spec.dim if own is None else own.halvings
    end = tuple(a + n for a, n in zip(start, spec.level_cells(mark.level), strict=True))
    reach = spec.basis.nodes - 1
    found = []
    for low, high in clustered(mark.index, least=(reach + 1) // 2):
        parent = start, end
        box = (
            tuple(a + b for a, b in zip(low, start, strict=True)),
            tuple(a + b for a, b in zip(high, start, strict=True)),
        )
        halvings = base
        corners = _corners(spec, mark.level, box)
        point = _point_in(points, corners)
        before = max((own.steps for own in stacks if own.holds(*corners)), default=0)
        if spec.dim > 1 and volume(box) > LARGE * volume(parent):
            before = 0  # the whole of u is not resolved yet: one level at a time
        steps = min(MOST if point is None else MOST_AT, max(1, 2 * before))
        for _ in range(steps):
            if max(n + on for n, on in zip(halvings, mark.axes, strict=True)) > MAX_HALVINGS:
                break
            # In cells of the level before: as many as the functions of the next one reach.
            around = _grown(box, [-(-reach // 2) if on else reach for on in mark.axes], parent)
            halvings = tuple(n + on for n, on in zip(halvings, mark.axes, strict=True))
            parent, box = (_doubled(b, mark.axes) for b in (around, box))
            found.append((halvings, parent))
            if point is not None:
                box = _cells_at(spec, halvings, point)
        added.append(Stack(steps, *_corners_of(spec, halvings, parent)))
    return found


def _corners(spec: GridSpec, level: int, box: CellBox) -> Corners:
    """Returns the corners of a box of cells of a level, counted from the grid's lower end."""
    own = spec.local_level(level)
    return _corners_of(spec, (0,) * spec.dim if own is None else own.halvings, box)


def _corners_of(spec: GridSpec, halvings: Key, box: CellBox) -> Corners:
    """Returns the corners of a box of cells, in units of x."""
    sizes = [
        (high - low) / (count << n)
        for low, high, count, n in zip(spec.lower, spec.upper, spec.cells, halvings, strict=True)
    ]
    lower, upper = (
        tuple(low + size * n for low, size, n in zip(spec.lower, sizes, ends, strict=True))
        for ends in box
    )
    return lower, upper


def _point_in(points: Tensor | None, corners: Corners) -> tuple[float, ...] | None:
    """Returns the point that lies in or on a box, if there is just one."""
    if points is None or not len(points):
        return None
    low, high = (points.new_tensor(corner) for corner in corners)
    slack = NEAR * (high - low)
    inside = ((points >= low - slack) & (points <= high + slack)).all(dim=1)
    return tuple(points[inside][0].tolist()) if int(inside.sum()) == 1 else None


def _cells_at(spec: GridSpec, halvings: Key, point: tuple[float, ...]) -> CellBox:
    """Returns the cells that hold a point; none along an axis where it lies between two."""
    low, high = [], []
    for axis, x in enumerate(point):
        count = spec.cells[axis] << halvings[axis]
        t = (x - spec.lower[axis]) / (spec.upper[axis] - spec.lower[axis]) * count
        whole = abs(t - round(t)) < NEAR
        low.append(round(t) if whole else math.floor(t))
        high.append(round(t) if whole else math.floor(t) + 1)
    return tuple(low), tuple(high)


def _grown(box: CellBox, margins: Sequence[int], within: CellBox) -> CellBox:
    """Returns a box with more cells around it, within another one."""
    low = tuple(max(a - m, c) for a, m, c in zip(box[0], margins, within[0], strict=True))
    high = tuple(min(b + m, d) for b, m, d in zip(box[1], margins, within[1], strict=True))
    return low, high


def _doubled(box: CellBox, axes: Sequence[bool]) -> CellBox:
    """Returns a box in cells of half the size along some axes."""
    low, high = (tuple(n << on for n, on in zip(ends, axes, strict=True)) for ends in box)
    return low, high


def _merged(
    spec: GridSpec, boxes: dict[Key, list[CellBox]], waste: float
) -> dict[Key, list[CellBox]]:
    """Returns boxes of which no two would be one with little waste.

    Two boxes become one only within a box of the next coarser cells, whose cells it then ends at.
    """
    result: dict[Key, list[CellBox]] = {}
    for halvings in sorted(boxes, key=sum):
        parents = [
            (_finer(box, coarse, halvings))
            for coarse, own in result.items()
            if all(a <= b for a, b in zip(coarse, halvings, strict=True)) and coarse != halvings
            for box in own
        ]
        count = tuple(n << k for n, k in zip(spec.cells, halvings, strict=True))
        whole = (0,) * spec.dim, count
        left, done = list(boxes[halvings]), list[CellBox]()
        while left:
            box = left.pop()
            partner = next(
                (
                    other
                    for other in done
                    if _joins(box, other, waste, [*_around(box, other, parents), whole])
                ),
                None,
            )
            if partner is None:
                done.append(box)
            else:
                done.remove(partner)
                left.append(hull(box, partner))
        result[halvings] = done
    return result


def _around(box: CellBox, other: CellBox, parents: list[CellBox]) -> list[CellBox]:
    """Returns the boxes that hold one of two boxes."""
    return [parent for parent in parents if holds(parent, box) or holds(parent, other)]


def _joins(box: CellBox, other: CellBox, waste: float, parents: list[CellBox]) -> bool:
    """Whether two boxes become one, in the smallest of the boxes around them."""
    both = hull(box, other)
    if volume(both) > waste * (volume(box) + volume(other) - common(box, other)):
        return False
    return holds(min(parents, key=volume), both)


def _finer(box: CellBox, coarse: Key, fine: Key) -> CellBox:
    """Returns a box in finer cells."""
    low, high = (
        tuple(n << (b - a) for n, a, b in zip(ends, coarse, fine, strict=True)) for ends in box
    )
    return low, high
