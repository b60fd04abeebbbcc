"""Covering: the box and the cells of a grid that covers a shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dinfgrid_cuda.checks import check_instance, check_whole, plain, plain_int
from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.spec import per_axis

# Of a cell: lengths that are this near to whole cells are whole cells.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Covering:
    """A box of whole cells around a shape.

    Attributes:
        cells: per axis.
        lower, upper: corners of the box, in units of x.
    """

    cells: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def covering(
    shape: Shape,
    cells: int | Sequence[int],
    levels: int,
    boundary: str | Sequence[str],
    margin: int,
) -> Covering:
    """Returns the box of a grid around a shape; see `FeatureGrid.covering`.

    Raises:
        TypeError: for what is no shape.
        ValueError: for a shape without end.
    """
    where = "FeatureGrid.covering"
    check_instance(where, "shape", shape)
    if not isinstance(shape, Shape):
        raise TypeError(f"{where}: shape is a {type(shape).__name__}; pass a Disk, a Box, ...")
    margin = check_whole(where, "margin", margin, 0)
    levels = check_whole(where, "levels", levels, 1)
    box = bounding_box(shape)
    kinds: tuple[str, ...] = per_axis(boundary, box.dim, "boundary")
    periodic = [kind == "periodic" for kind in kinds]
    cells = plain_int(plain(cells))
    if isinstance(cells, Sequence) and not isinstance(cells, str):
        own: tuple[int, ...] = per_axis(cells, box.dim, "cells")
        counts = [check_whole(where, "cells", count, 1) for count in own]
        sizes = [length / count for length, count in zip(box.lengths, counts, strict=True)]
        given = [True] * box.dim
    else:
        sizes = [max(box.lengths) / check_whole(where, "cells", cells, 1)] * box.dim
        given = [length == max(box.lengths) for length in box.lengths]
    margins = [0 if wrapped else margin for wrapped in periodic]
    # Numbers that the user gave himself are left as they are: the grid says what is wrong.
    multiples = [
        1 if fixed and not m else 2 ** (levels - 1) for fixed, m in zip(given, margins, strict=True)
    ]
    axes = [
        _axis(*numbers)
        for numbers in zip(box.lower, box.upper, sizes, margins, multiples, periodic, strict=True)
    ]
    numbers, lows, highs = zip(*axes, strict=True)
    return Covering(numbers, lows, highs)


def _axis(
    low: float, high: float, size: float, margin: int, multiple: int, wrapped: bool
) -> tuple[int, float, float]:
    """Returns the number of cells along an axis, and the ends of the grid.

    Args:
        low, high: ends of the shape.
        size: of a cell; on an axis that is wrapped around, whose length is the period, about.
        margin: cells beyond each end.
        multiple: of which the number of cells must be one.
        wrapped: whether the axis is periodic.
    """
    exact = (high - low) / size
    whole = max(1, math.ceil(exact * (1 - ROUNDING)))
    fits = abs(whole - exact) <= 2 * ROUNDING * exact
    count = whole + 2 * margin
    count = -(-count // multiple) * multiple
    if wrapped or (fits and count == whole):
        return count, low, high
    beyond = 0.5 * (count * size - (high - low))
    return count, low - beyond, high + beyond
