"""Where the basis functions of a grid lie, on all its levels in the same units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.kernels.held import supports
from dinfgrid_cuda.kernels.spec import GridSpec

Indices = npt.NDArray[np.int64]


def centres(spec: GridSpec) -> Indices:
    """Returns the middle of each function's support, [dim, total nodes], in cells.

    The cells are the smallest of each axis, counted from the grid's lower corner. A periodic axis
    is not wrapped.
    """
    return _cells_of_supports(spec, spec.basis.rho)


def intervals_of_supports(spec: GridSpec) -> tuple[Indices, Indices]:
    """Returns the first and last cell of each support, [axes, total nodes] each, as `centres`.

    Supports that a periodic axis wraps extend along all of it. With local levels there is one axis
    more, that of the levels: planes across it separate a level from the finer ones inside it.
    """
    starts, ends = _cells_of_supports(spec, 0), _cells_of_supports(spec, spec.basis.nodes) - 1
    for axis, boundary in enumerate(spec.boundary):
        if boundary == "periodic":
            last = _count(spec, axis) - 1
            wrapped = (starts[axis] < 0) | (ends[axis] > last)
            starts[axis, wrapped], ends[axis, wrapped] = 0, last
    if not spec.local:
        return starts, ends
    own, finest = _levels_met(spec, starts, ends)
    return np.vstack([starts, own]), np.vstack([ends, finest])


def _levels_met(spec: GridSpec, starts: Indices, ends: Indices) -> tuple[Indices, Indices]:
    """Returns each function's level, and the finest that it couples with, [total nodes] each.

    Levels are numbered by how often their cells are halved. A B-spline that reaches into finer
    boxes couples with the coarsest of them, since its truncated part ends there.
    """
    own = np.repeat(
        [-level for level in range(spec.global_levels)] + [sum(box.halvings) for box in spec.local],
        [spec.level_size(level) for level in range(spec.levels)],
    )
    finest = np.maximum(own, 0)
    truncated = isinstance(spec.basis, BSpline)
    for box in sorted(spec.local, key=lambda box: sum(box.halvings), reverse=truncated):
        meets = own < sum(box.halvings)
        for axis in range(spec.dim):
            shift = _halvings(spec, axis) - box.halvings[axis]
            meets &= starts[axis] < (box.end[axis] << shift)
            meets &= ends[axis] >= (box.start[axis] << shift)
        finest[meets] = sum(box.halvings)
    return own, finest


def order_in_space(spec: GridSpec, channels: int) -> Indices:
    """Returns the unknowns sorted by their function's place, along the axis with most cells first.

    A function then couples only with unknowns nearby in the order, whatever its level, which gives
    a narrow band. A periodic axis is folded flat, 0, n - 1, 1, n - 2, ..., which makes the band
    twice as wide.
    """
    periodic = [boundary == "periodic" for boundary in spec.boundary]
    axes = sorted(range(spec.dim), key=lambda axis: -spec.cells[axis] / (1 + periodic[axis]))
    places = centres(spec)
    for axis in axes:
        if periodic[axis]:
            behind = _count(spec, axis) - places[axis]
            places[axis] = np.minimum(2 * places[axis], 2 * behind - 1)
    keys = [np.repeat(places[axis], channels) for axis in axes]
    order: Indices = np.lexsort(keys[::-1])
    return order


def _cells_of_supports(spec: GridSpec, offset: int) -> Indices:
    """Returns a cell of each support, [dim, total nodes]: so many of its level's from its start."""
    levels = []
    for level in range(spec.levels):
        along = [
            (supports(spec, level, axis) + offset) << _shift(spec, level, axis)
            for axis in range(spec.dim)
        ]
        levels.append(
            np.stack([places.reshape(-1) for places in np.meshgrid(*along, indexing="ij")])
        )
    return np.concatenate(levels, axis=1)


def _shift(spec: GridSpec, level: int, axis: int) -> int:
    """How often a level's cells would be halved along an axis to give the smallest ones."""
    own = spec.local_level(level)
    return _halvings(spec, axis) + (level if own is None else -own.halvings[axis])


def _halvings(spec: GridSpec, axis: int) -> int:
    """How often the cells of level 0 are halved along an axis to give the smallest ones."""
    return max((level.halvings[axis] for level in spec.local), default=0)


def _count(spec: GridSpec, axis: int) -> int:
    """Number of the smallest cells along an axis."""
    return spec.cells[axis] << _halvings(spec, axis)
