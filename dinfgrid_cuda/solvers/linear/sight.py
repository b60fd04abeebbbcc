"""Where the equations hold, and how well the features of a grid are seen there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.cell_points import CellPoints
from dinfgrid_cuda.geometry.leaf_points import LeafPoints
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec

from .local_points import leaves_of
from .scattered_table import add_at_nodes, near_nodes
from .shape_points import CUT, INSIDE, cells_around
from .unknown_nodes import unknown_nodes

# Features whose column over the points is shorter than this part of the median are seen weakly.
WEAK = 0.3
# Points whose tables are formed at a time.
CHUNK = 1 << 16

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sight:
    """Where the equations hold: on a shape, or at the points of a cloud.

    Attributes:
        points: gives points and weights for the cells of a grid.
    """

    points: Callable[[GridSpec], tuple[Tensor, Tensor]]

    @classmethod
    def of_shape(cls, shape: Shape) -> Sight:
        """Regular points inside; each weighs as its part of the volume."""

        def points(spec: GridSpec) -> tuple[Tensor, Tensor]:
            if spec.local:
                leaves = leaves_of(spec, bounding_box(shape))
                of_leaves = LeafPoints(leaves[0].edges, INSIDE, CUT, leaves=leaves)
                return of_leaves(0, shape, dtype=torch.float64), of_leaves.volumes(shape)
            sampler = CellPoints(cells_around(shape, spec), INSIDE, CUT)
            return sampler(0, shape, dtype=torch.float64), sampler.volumes(shape)

        return cls(points)

    @classmethod
    def of_points(cls, x: Tensor) -> Sight:
        """Given points x [N, dim] that all weigh the same."""
        return cls(lambda spec: (x, torch.ones_like(x[:, 0])))

    def weak(self, spec: GridSpec) -> tuple[Flags, Flags]:
        """Returns which features are seen, but weakly, and which are seen, [total nodes] both."""
        squares = _seen(self, spec)
        seen = squares > 0
        free = unknown_nodes(spec)
        if free is not None:
            seen &= free.numpy()
        weak = np.zeros_like(seen)
        for level in range(spec.levels):
            start = spec.level_offset(level)
            own = slice(start, start + spec.level_size(level))
            lengths = np.sqrt(squares[own])
            if seen[own].any():
                limit = WEAK * np.median(lengths[seen[own]])
                weak[own] = seen[own] & (lengths < limit)
        return weak, seen

    def covers(self, box: Shape, spec: GridSpec) -> bool:
        """Whether all features are seen about as well as by points all over a box."""
        weak, seen = self.weak(spec)
        faint, reached = Sight.of_shape(box).weak(spec)
        return not bool((reached & ~faint & (weak | ~seen)).any())


def _seen(sight: Sight, spec: GridSpec) -> npt.NDArray[np.float64]:
    """Returns the weighted sum of squares of each basis function that is solved for, [total nodes].

    Others have any part of it.
    """
    points, weights = sight.points(spec)
    free = unknown_nodes(spec)
    total = torch.zeros(spec.total_nodes, dtype=torch.float64)
    for some, share in zip(points.split(CHUNK), weights.split(CHUNK), strict=True):
        for level in range(spec.levels):
            inside = tables.within(some, spec, level)
            x, part = (some, share) if inside is None else (some[inside], share[inside])
            if free is not None:
                near = near_nodes(free, x, spec, level)
                x, part = x[near], part[near]
            if not len(x):
                continue
            table = tables.weights(x, spec, level, 0)[:, 0]
            add_at_nodes(total, part[:, None] * table.square(), x, spec, level)
    result: npt.NDArray[np.float64] = total.numpy()
    return result
