"""Boxes around marked cells: few, and filled well."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.int64]
# A box in cells: its first cell and the one after its last, along each axis.
CellBox = tuple[tuple[int, ...], tuple[int, ...]]
# Part of a box that marked cells must fill, unless it is as small as can be.
FILLED = 0.7


def clustered(cells: Cells, least: int, filled: float = FILLED) -> list[CellBox]:
    """Returns boxes that hold all of some cells [n, dim].

    A box is cut where a plane of it holds no cell, else where the number of cells in its planes
    changes most (M. Berger, I. Rigoutsos, IEEE Trans. Systems Man Cybernet. 21, 1991), until the
    cells fill it or it is short.

    Args:
        least: shortest edge of a part.
        filled: part of a box that its cells fill.
    """
    if not len(cells):
        return []
    low, high = cells.min(axis=0), cells.max(axis=0) + 1
    box = tuple(low.tolist()), tuple(high.tolist())
    if len(cells) >= filled * float(np.prod((high - low).astype(float))):
        return [box]
    cut = _cut(cells - low, high - low, least)
    if cut is None:
        return [box]
    axis, place = cut
    below = cells[:, axis] - low[axis] < place
    return clustered(cells[below], least, filled) + clustered(cells[~below], least, filled)


def _cut(cells: Cells, lengths: Cells, least: int) -> tuple[int, int] | None:
    """Returns the axis and the place at which cells are divided; None where they are too short."""
    best: tuple[float, int, int] | None = None
    for axis in range(cells.shape[1]):
        counts = np.bincount(cells[:, axis], minlength=lengths[axis])
        places = np.arange(1, lengths[axis])
        holes = places[(counts[1:] == 0) | (counts[:-1] == 0)]
        middle = lengths[axis] / 2
        if len(holes):
            place = int(holes[np.abs(holes - middle).argmin()])
            return axis, place
        inner = places[(places >= least) & (places <= lengths[axis] - least)]
        if not len(inner):
            continue
        change = np.abs(np.diff(counts, 2, prepend=counts[0], append=counts[-1]))
        jump = np.abs(np.diff(change))[inner - 1] + 1e-3 * (1 - np.abs(inner / middle - 1))
        place = int(inner[jump.argmax()])
        score = float(jump.max()) + 1e-6 * float(lengths[axis])
        if best is None or score > best[0]:
            best = score, axis, place
    return None if best is None else best[1:]


def hull(one: CellBox, other: CellBox) -> CellBox:
    """Returns the smallest box that holds two boxes."""
    low = tuple(min(a, b) for a, b in zip(one[0], other[0], strict=True))
    high = tuple(max(a, b) for a, b in zip(one[1], other[1], strict=True))
    return low, high


def volume(box: CellBox) -> float:
    """Returns the number of cells of a box."""
    return float(np.prod([max(0, b - a) for a, b in zip(*box, strict=True)]))


def holds(outer: CellBox, inner: CellBox) -> bool:
    """Whether a box lies in another one."""
    return all(a <= b for a, b in zip(outer[0], inner[0], strict=True)) and all(
        a >= b for a, b in zip(outer[1], inner[1], strict=True)
    )


def common(one: CellBox, other: CellBox) -> float:
    """Returns the number of cells that two boxes share."""
    low = tuple(max(a, b) for a, b in zip(one[0], other[0], strict=True))
    high = tuple(min(a, b) for a, b in zip(one[1], other[1], strict=True))
    return volume((low, high))
