"""Features carried over from a grid to one with other local levels."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.held import axis_inside, supports
from dinfgrid_cuda.kernels.spec import GridSpec

Places = npt.NDArray[np.int64]


def carry(features: Tensor, old: GridSpec, new: GridSpec) -> Tensor:
    """Returns the features [total nodes, C] of a grid for functions that another grid has too.

    Functions of local levels with cells of one size are the same where they start at the same cell;
    others get zero.

    Args:
        features: of the old grid, zero for functions that take no part.
        old, new: the grids, alike but for their local levels.
    """
    result = features.new_zeros(new.total_nodes, features.shape[1])
    start = new.level_offset(new.global_levels) if new.local else new.total_nodes
    result[:start] = features[:start]
    for level in range(new.global_levels, new.levels):
        to = _nodes(result, new, level)
        for other in range(old.global_levels, old.levels):
            one, two = new.local_level(level), old.local_level(other)
            assert one is not None
            assert two is not None
            if one.halvings != two.halvings:
                continue
            source = _nodes(features, old, other)
            axes = [_shared(old, other, new, level, axis) for axis in range(new.dim)]
            some = torch.from_numpy(np.stack(np.meshgrid(*(a for a, _ in axes), indexing="ij")))
            into = torch.from_numpy(np.stack(np.meshgrid(*(b for _, b in axes), indexing="ij")))
            taken, present = source[tuple(some)], to[tuple(into)]
            to[tuple(into)] = taken.where(taken != 0, present)
    return result


def _shared(
    old: GridSpec, other: int, new: GridSpec, level: int, axis: int
) -> tuple[Places, Places]:
    """Returns the places along an axis of the functions that a level of each grid has."""
    first = _taking_part(old, other, axis)
    second = _taking_part(new, level, axis)
    _, one, two = np.intersect1d(first[0], second[0], assume_unique=True, return_indices=True)
    return first[1][one], second[1][two]


def _taking_part(spec: GridSpec, level: int, axis: int) -> tuple[Places, Places]:
    """Returns first cells of a level's functions that take part along an axis, and their places.

    Around a periodic axis cells are counted from the grid's lower end.
    """
    own = spec.local_level(level)
    assert own is not None
    count = spec.cells[axis] << own.halvings[axis]
    inside = axis_inside(spec, level, axis, own.start[axis], own.end[axis], count)
    places = np.flatnonzero(inside)
    first = supports(spec, level, axis)[places]
    return (first % count if spec.boundary[axis] == "periodic" else first), places


def _nodes(features: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Returns a view [*nodes, C] of a level's features."""
    nodes, offset = spec.level_nodes(level), spec.level_offset(level)
    return features[offset : offset + math.prod(nodes)].view(*nodes, features.shape[1])
