"""The functions of local levels that are held at zero, so that the field stays smooth.

A function takes part if its support lies inside its level's box; beyond an end of the grid it may
go on. Where boxes with cells of one size overlap, the first one that holds a function has it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .local_level import LocalLevel
from .spec import GridSpec

Flags = npt.NDArray[np.bool_]


def supports(spec: GridSpec, level: int, axis: int) -> npt.NDArray[np.int64]:
    """The first cell [nodes] of each function's support along an axis, from the grid's lower end.

    Counted in cells of the level. A support is 2 rho cells long; a periodic axis wraps it.
    """
    own = spec.local_level(level)
    start = 0 if own is None else own.start[axis]
    rho, nodes = spec.basis.rho, spec.level_nodes(level)[axis]
    shift = 2 * rho - 1 if spec.level_boundary(level)[axis] == "ghost" else rho
    first: npt.NDArray[np.int64] = np.arange(nodes, dtype=np.int64) + start - shift
    return first


def axis_inside(spec: GridSpec, level: int, axis: int, begin: int, end: int, count: int) -> Flags:
    """Whether a function's support [nodes] lies in cells begin..end-1 of ``count`` along an axis.

    In cells of the level. Beyond an end of the grid that the cells reach, the support may go on.
    """
    first = supports(spec, level, axis)
    if spec.boundary[axis] == "periodic" and begin == 0 and end == count:
        return np.ones(len(first), dtype=np.bool_)
    wraps = spec.boundary[axis] == "periodic"
    low = np.full(len(first), True) if begin == 0 and not wraps else first >= begin
    last = first + spec.basis.nodes
    high = np.full(len(first), True) if end == count and not wraps else last <= end
    return low & high


def _inside(spec: GridSpec, level: int, box: LocalLevel) -> Flags:
    """Whether the functions of a level [nodes] have their support in a box of such cells."""
    result = np.ones((), dtype=np.bool_)
    for axis in range(spec.dim):
        count = spec.cells[axis] << box.halvings[axis]
        along = axis_inside(spec, level, axis, box.start[axis], box.end[axis], count)
        result = result[..., None] & along
    return result.reshape(-1)


def taking_part(spec: GridSpec) -> Tensor | None:
    """Whether each function takes part, [total_nodes]; None without local levels, where all do."""
    if not spec.local:
        return None
    flags = [np.ones(spec.level_size(level), dtype=np.bool_) for level in range(spec.global_levels)]
    for place, own in enumerate(spec.local):
        level = spec.global_levels + place
        part = _inside(spec, level, own)
        for earlier in spec.local[:place]:
            if earlier.halvings == own.halvings:
                part &= ~_inside(spec, level, earlier)
        flags.append(part)
    return torch.from_numpy(np.concatenate(flags))
