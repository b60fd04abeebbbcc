"""The nodes of a grid with local levels that least squares solves for."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.kernels.held import supports, taking_part
from dinfgrid_cuda.kernels.local_level import LocalLevel
from dinfgrid_cuda.kernels.spec import GridSpec

Flags = npt.NDArray[np.bool_]
Range = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
# Grids whose nodes are remembered.
KEPT = 16
# Beyond all places of functions.
FAR = 1 << 58
# Of a function's finer ones: what rounding may miss.
ROUNDING = 1e-9


@lru_cache(maxsize=KEPT)
def unknown_nodes(spec: GridSpec) -> Tensor | None:
    """Whether each node [total nodes] is solved for; None without local levels, where all are.

    Left out are functions that are held at zero, and B-splines that finer ones add up to, because
    all the finer ones within their support take part: what remains is a basis, that of hierarchical
    B-splines (A.-V. Vuong et al., Comput. Methods Appl. Mech. Engrg. 200, 2011). Features that are
    left out keep the values they have.
    """
    part = taking_part(spec)
    if part is None or not isinstance(spec.basis, BSpline):
        return part
    for level in range(spec.levels):
        own = slice(spec.level_offset(level), spec.level_offset(level) + spec.level_size(level))
        for halvings in {box.halvings for box in spec.local}:
            finer = [n - k for n, k in zip(halvings, _halvings(spec, level), strict=True)]
            if min(finer) >= 0 and max(finer) > 0:
                part[own] &= ~torch.from_numpy(_replaced(spec, level, halvings, finer))
    return part


def _halvings(spec: GridSpec, level: int) -> tuple[int, ...]:
    """How often the cells of level 0 are halved on a level; negative for coarser ones."""
    own = spec.local_level(level)
    return (-level,) * spec.dim if own is None else own.halvings


def _replaced(spec: GridSpec, level: int, halvings: tuple[int, ...], finer: list[int]) -> Flags:
    """Whether all finer functions within the support of a level's functions [nodes] take part.

    Functions are named by the first cell of their support. Those that take part in a box, and those
    within a support, are ranges along each axis.

    Args:
        halvings: of the finer functions.
        finer: how often they halve the cells of the level, along each axis.
    """
    boxes = [box for box in spec.local if box.halvings == halvings]
    within = [_within(spec, level, axis, halvings[axis], n) for axis, n in enumerate(finer)]
    taken = [[_taken(spec, axis, box) for axis in range(spec.dim)] for box in boxes]
    cuts = [np.unique([end for box in taken for end in box[axis]]) for axis in range(spec.dim)]
    union = np.zeros([len(ends) - 1 for ends in cuts])
    for box in taken:
        places = [slice(*np.searchsorted(ends, pair)) for ends, pair in zip(cuts, box, strict=True)]
        union[tuple(places)] = 1.0
    share = union
    for axis, (low, high) in enumerate(within):
        overlap = np.minimum(high[:, None], cuts[axis][1:]) - np.maximum(
            low[:, None], cuts[axis][:-1]
        )
        part = overlap.clip(0) / np.maximum(high - low, 1)[:, None]
        share = np.moveaxis(np.tensordot(part, share, (1, axis)), 0, axis)
    result: Flags = share.reshape(-1) > 1 - ROUNDING
    return result


def _within(spec: GridSpec, level: int, axis: int, halvings: int, finer: int) -> Range:
    """The range, low <= f < high, of finer functions within the support of each function."""
    first, width = supports(spec, level, axis), spec.basis.nodes
    low, high = first << finer, ((first + width) << finer) - width + 1
    if spec.boundary[axis] == "periodic":
        return low, high
    # There are no functions beyond those that reach the ends.
    return np.maximum(low, 1 - width), np.minimum(high, spec.cells[axis] << halvings)


def _taken(spec: GridSpec, axis: int, box: LocalLevel) -> tuple[int, int]:
    """The range, low <= f < high, of functions that take part in a box along an axis."""
    width, count = spec.basis.nodes, spec.cells[axis] << box.halvings[axis]
    low, high = box.start[axis], max(box.start[axis], box.end[axis] - width + 1)
    if spec.boundary[axis] == "periodic":
        return (-FAR, FAR) if box.cells[axis] == count else (low, high)
    return (1 - width if low == 0 else low), (count if box.end[axis] == count else high)
