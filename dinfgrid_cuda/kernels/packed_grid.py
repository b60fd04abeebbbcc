"""A grid as two lists of numbers, the form in which kernels and torch operators take it.

csrc/packed_grid.h reads what `pack` writes; both name the same positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from .local_level import LocalLevel

Ints = Sequence[int]
Floats = Sequence[float]

# The code of a periodic axis.
PERIODIC = 2


class PackedInt(IntEnum):
    """Positions in the integers; boundaries and cells have one entry per axis."""

    DIM = 0
    LEVELS = 1
    BASIS = 2
    RHO = 3
    NORMALIZE = 4
    LOCAL = 5  # number of local levels
    BOUNDARY = 6  # [dim], followed by the cells of the finest level [dim]; of each local level
    # follow start, cells and halvings, [dim] each


class PackedFloat(IntEnum):
    """Positions in the floating-point numbers."""

    EPSILON = 0
    LOWER = 1  # [dim], followed by the upper corner [dim]


def pack(
    levels: int,
    basis: tuple[int, int, bool, float],
    boundary: Sequence[int],
    cells: Sequence[int],
    corners: tuple[Sequence[float], Sequence[float]],
    local: Sequence[LocalLevel] = (),
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The integers and floating-point numbers of a grid.

    Args:
        basis: kind, rho, normalize and epsilon.
        boundary: code per axis, an index of `spec.BOUNDARIES`.
        cells: of the finest level, per axis.
        corners: lower and upper, in units of x.
        local: the local levels, which ``levels`` does not count.
    """
    kind, rho, normalize, epsilon = basis
    lower, upper = corners
    head = (len(cells), levels, kind, rho, int(normalize), len(local))
    boxes = [n for own in local for n in (*own.start, *own.cells, *own.halvings)]
    ints = (*head, *boundary, *cells, *boxes)
    return ints, (epsilon, *lower, *upper)


def dim_of(ints: Ints) -> int:
    """Number of axes of a packed grid."""
    return ints[PackedInt.DIM]


def levels_of(ints: Ints) -> int:
    """Number of global levels of a packed grid, which stand side by side in a jet."""
    return ints[PackedInt.LEVELS]


def total_nodes(ints: Ints) -> int:
    """Nodes of all levels of a packed grid together."""
    dim, rho = dim_of(ints), ints[PackedInt.RHO]
    extra = (2 * rho - 1, 1, 0)
    boundaries = ints[PackedInt.BOUNDARY : PackedInt.BOUNDARY + dim]
    rest = ints[PackedInt.BOUNDARY + dim :]
    cells = rest[:dim]
    total = 0
    for level in range(ints[PackedInt.LEVELS]):
        nodes = 1
        for boundary, count in zip(boundaries, cells, strict=True):
            nodes *= (count >> level) + extra[boundary]
        total += nodes
    for level in range(ints[PackedInt.LOCAL]):
        own = rest[dim + 3 * dim * level :]
        nodes = 1
        for axis, boundary in enumerate(boundaries):
            spans = boundary == PERIODIC and own[dim + axis] == cells[axis] << own[2 * dim + axis]
            nodes *= own[dim + axis] + (0 if spans else extra[0])
        total += nodes
    return total
