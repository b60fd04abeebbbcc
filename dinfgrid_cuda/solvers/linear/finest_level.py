"""Points by the finest level around them; there u is a combination of its functions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec


@dataclass(frozen=True)
class LevelPoints:
    """The points of one level.

    Attributes:
        level: of the grid.
        spec: the grid of this level alone.
        places: of the points among all, [n].
        x: the points, [n, dim], brought into the box where an axis is periodic.
    """

    level: int
    spec: GridSpec
    places: Tensor
    x: Tensor


def by_finest_level(x: Tensor, spec: GridSpec, levels: Sequence[int]) -> Iterator[LevelPoints]:
    """Yields points x [N, dim] level by level, each in the last of the levels that holds it.

    Args:
        levels: that have leaves, coarse before fine, the first of them all over the grid.
    """
    finest = torch.full((len(x),), levels[0], device=x.device)
    for level in levels[1:]:
        inside = tables.within(x, spec, level)
        finest[slice(None) if inside is None else inside] = level
    wrapped = torch.stack(
        [tables.wrapped(column, spec, axis) for axis, column in enumerate(x.unbind(dim=1))], dim=1
    )
    for level in levels:
        places = (finest == level).nonzero()[:, 0]
        if len(places):
            yield LevelPoints(level, alone(spec, level), places, wrapped[places])


def alone(spec: GridSpec, level: int) -> GridSpec:
    """Returns the grid of one level of a grid."""
    lower, upper = spec.level_box(level)
    cells, boundary = spec.level_cells(level), spec.level_boundary(level)
    return GridSpec(spec.dim, cells, 1, spec.basis, boundary, lower, upper)
