"""Refinement: boxes, as a user gives them, as local levels of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dinfgrid_cuda.checks import check_instance, is_int, plain, plain_int
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.kernels.local_level import MAX_HALVINGS, MAX_LOCAL, LocalLevel
from dinfgrid_cuda.kernels.spec import GridSpec, per_axis

# Of a cell: ends that are this near to whole cells are at them.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Refined:
    """A box on which a grid has smaller cells than elsewhere, by powers of two along each axis.

        dg.Refined(dg.Box((0.9, 0.0), (1.0, 1.0)), halvings=(4, 0))    # a layer along an edge

    Args:
        box: whose ends are at cells of the levels around it.
        halvings: how often the cells of the grid's finest global level are halved, one number or
            one per axis.

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
    """

    box: Box
    halvings: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        check_instance("Refined", "box", self.box)
        if not isinstance(self.box, Box):
            raise TypeError(f"Refined: box is a {type(self.box).__name__}; pass a Box.")
        given = plain(self.halvings)
        entries = given if isinstance(given, (list, tuple)) else [given]
        halvings = tuple(plain_int(entry) for entry in entries)
        if not all(is_int(n) and 0 <= n <= MAX_HALVINGS for n in halvings) or not max(
            halvings, default=0
        ):
            raise ValueError(
                f"Refined: halvings is {self.halvings!r}; pass integers in 0..{MAX_HALVINGS}, not "
                "all zero."
            )
        object.__setattr__(self, "halvings", halvings[0] if len(halvings) == 1 else halvings)


def local_levels(spec: GridSpec, boxes: Sequence[Box | Refined]) -> GridSpec:
    """Returns a grid with more local levels, one for each box, in their order.

    Raises:
        TypeError: for what is no box.
        ValueError: for a box that is not aligned, overlaps another one in part, is narrower than a
            basis function or outside the grid, or for too many.
    """
    if isinstance(boxes, (Box, Refined)):
        raise TypeError("grid: refine is one box; pass a list of boxes, [Box(...)].")
    if len(spec.local) + len(boxes) > MAX_LOCAL:
        raise ValueError(
            f"grid: {len(spec.local) + len(boxes)} local levels were asked for, but a grid has at "
            f"most {MAX_LOCAL}; use fewer and larger boxes."
        )
    for number, box in enumerate(boxes):
        level = _level(spec, box, f"grid: refine[{number}]")
        spec = replace(spec, levels=spec.levels + 1, local=(*spec.local, level))
    return spec


def _level(spec: GridSpec, given: Box | Refined, where: str) -> LocalLevel:
    """Returns the level on a box of a grid that may have local levels already."""
    check_instance("grid", "refine", given)
    box = given.box if isinstance(given, Refined) else given
    if not isinstance(box, Box):
        raise TypeError(f"{where} is a {type(given).__name__}; pass a Box or a Refined.")
    if box.dim != spec.dim:
        raise ValueError(f"{where} is {box.dim}-D, but the grid is {spec.dim}-D.")
    if isinstance(given, Refined):
        halvings: tuple[int, ...] = per_axis(given.halvings, spec.dim, "halvings")
    else:
        around = _around(spec, box, where)
        halvings = tuple(1 + n for n in around)
    ends = [_ends(spec, box, axis, n, where) for axis, n in enumerate(halvings)]
    start, stop = (tuple(pair[side] for pair in ends) for side in (0, 1))
    level = LocalLevel(start, tuple(b - a for a, b in zip(start, stop, strict=True)), halvings)
    _check_width(spec, level, where)
    for other in (None, *spec.local):
        if not any(_between(level, inner, other) for inner in spec.local):
            _check_aligned(spec, level, other, where)
    return level


def _between(level: LocalLevel, inner: LocalLevel, other: LocalLevel | None) -> bool:
    """Whether a coarser level holds a box in cells that are finer than those of another level."""
    coarse = (0,) * len(level.cells) if other is None else other.halvings
    finer = all(a >= b for a, b in zip(inner.halvings, coarse, strict=True))
    coarser = all(a <= b for a, b in zip(inner.halvings, level.halvings, strict=True))
    if not finer or not coarser or inner.halvings in (coarse, level.halvings):
        return False
    return all(
        a << (n - k) <= low and high <= b << (n - k)
        for a, b, k, low, high, n in zip(
            inner.start,
            inner.end,
            inner.halvings,
            level.start,
            level.end,
            level.halvings,
            strict=True,
        )
    )


def _around(spec: GridSpec, box: Box, where: str) -> tuple[int, ...]:
    """Returns the halvings of the finest level that a box lies in.

    Raises:
        ValueError: if it lies in a local level only in part.
    """
    finest = (0,) * spec.dim
    for place, level in enumerate(spec.local):
        low, high = spec.level_box(spec.global_levels + place)
        sizes = [1 / scale for scale in spec.level_scale(spec.global_levels + place)]
        slack = [ROUNDING * size for size in sizes]
        axes = list(zip(box.lower, box.upper, low, high, slack, strict=True))
        inside = all(a >= c - e and b <= d + e for a, b, c, d, e in axes)
        apart = any(b <= c + e or a >= d - e for a, b, c, d, e in axes)
        if inside and sum(level.halvings) >= sum(finest):
            finest = level.halvings
        elif not inside and not apart and sum(level.halvings) > sum(finest):
            raise ValueError(
                f"{where} goes from {box.lower} to {box.upper} and overlaps the local level from "
                f"{low} to {high} in part, so that it is open whose cells it halves; keep it "
                "inside or outside, or pass Refined(box, halvings)."
            )
    return finest


def _ends(spec: GridSpec, box: Box, axis: int, halvings: int, where: str) -> tuple[int, int]:
    """Returns the first cell of a box and the one after its last, for cells of a size."""
    count, low = spec.cells[axis] << halvings, spec.lower[axis]
    size = (spec.upper[axis] - low) / count
    ends = []
    for end in (box.lower[axis], box.upper[axis]):
        exact = (end - low) / size
        whole = round(exact)
        if abs(exact - whole) > ROUNDING:
            nearest = low + whole * size
            raise ValueError(
                f"{where} ends at {end:.9g} on axis {axis}, inside a cell of size {size:.6g}; "
                f"a box ends between cells, such as at {nearest:.9g}."
            )
        if not 0 <= whole <= count:
            raise ValueError(
                f"{where} ends at {end:.9g} on axis {axis}, but the grid goes from {low:.9g} to "
                f"{spec.upper[axis]:.9g}; keep the box inside."
            )
        ends.append(whole)
    return ends[0], ends[1]


def _check_width(spec: GridSpec, level: LocalLevel, where: str) -> None:
    """Raises ValueError if no function has its support in the box."""
    for axis in range(spec.dim):
        count = spec.cells[axis] << level.halvings[axis]
        ghost = spec.boundary[axis] == "ghost"
        at_an_end = ghost and (level.start[axis] == 0 or level.end[axis] == count)
        spans = level.cells[axis] == count
        if level.cells[axis] < spec.basis.nodes and not at_an_end and not spans:
            raise ValueError(
                f"{where} is {level.cells[axis]} cells wide on axis {axis}, but a function of "
                f"{spec.basis} covers {spec.basis.nodes}; make it at least as wide."
            )


def _check_aligned(spec: GridSpec, level: LocalLevel, other: LocalLevel | None, where: str) -> None:
    """Raises ValueError if a box cuts cells of a coarser level that it overlaps."""
    for axis in range(spec.dim):
        steps = level.halvings[axis] - (0 if other is None else other.halvings[axis])
        if steps <= 0:
            continue
        if other is not None and not _overlap(level, other):
            return
        size = 1 << steps
        for end in (level.start[axis], level.end[axis]):
            if end % size:
                length = spec.upper[axis] - spec.lower[axis]
                at = spec.lower[axis] + length * end / (spec.cells[axis] << level.halvings[axis])
                raise ValueError(
                    f"{where} ends at {at:.9g} on axis {axis}, inside a cell of a coarser level; "
                    f"a box ends between cells of the levels around it, here every {size} of its "
                    "own cells."
                )


def _overlap(one: LocalLevel, other: LocalLevel) -> bool:
    """Whether two boxes have cells in common."""
    finest = np.maximum(one.halvings, other.halvings)
    ends = [
        (int(a) << int(f - k), int(b) << int(f - k))
        for level in (one, other)
        for a, b, f, k in zip(level.start, level.end, finest, level.halvings, strict=True)
    ]
    dim = len(one.start)
    return all(ends[i][0] < ends[dim + i][1] and ends[dim + i][0] < ends[i][1] for i in range(dim))
