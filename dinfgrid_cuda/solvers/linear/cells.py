"""The cells of a grid within a box, and how many points an energy takes in each."""

from __future__ import annotations

import math

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.kernels.spec import GridSpec

# Largest number of Gauss points per cell and axis of an energy. Wide Gaussians are smooth in a
# cell.
MOST_GAUSS = 8


def per_cell(spec: GridSpec) -> int:
    """Returns the number of Gauss points per cell and axis for an energy of first derivatives.

    Splines of degree p need p of them for the full order: on a membrane of 16 x 16 cells, p = 5 and
    7, the error is 4e-11 and 4e-12; with (p + 3) / 2, taken in three dimensions and more, it is
    4e-8 and 4e-9; with 3, 1e-4 and 1.
    """
    degree = spec.basis.nodes - 1
    return min(MOST_GAUSS, max(2, degree) if spec.dim < 3 else max(2, (degree + 3) // 2))


def cell_edges(spec: GridSpec, box: Box) -> tuple[tuple[float, ...], ...]:
    """Returns the ends of the grid's cells within the box, and those of the box, for each axis."""
    edges = []
    for axis, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
        start, count = spec.lower[axis], spec.cells[axis]
        size = (spec.upper[axis] - start) / count
        # Ends that agree with those of the box up to rounding count as these.
        first, last = (math.floor((low - start) / size + 1e-6), (high - start) / size - 1e-6)
        inner = [start + size * k for k in range(first + 1, math.ceil(last))]
        edges.append((low, *inner, high))
    return tuple(edges)
