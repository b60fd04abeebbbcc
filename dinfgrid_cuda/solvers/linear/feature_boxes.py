"""Overlapping boxes of the features of a grid."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec

# Length of a box along an axis by the number of axes, and the distance from box to box: B-splines
# of degree 5 meet 5 others to either side. In three dimensions a factor of 512 features is 1 MB;
# a distance of 3 instead of 4 took 159 instead of 252 iterations (a ball of 24 cells, degree 5).
LENGTHS, STEPS = {1: 64, 2: 16, 3: 8}, {1: 32, 2: 8, 3: 3}


class FeatureBoxes:
    """Boxes of one size that cover the nodes of a grid of one level, each node several times.

    Args:
        spec: of one level.

    Attributes:
        size: nodes of a box along each axis.
        shifts: of the nodes of a box from its first, ascending, [nodes of a box].
        starts: the first nodes of boxes along the other axes than the first, [boxes of a layer].
        layers: the places along the first axis at which boxes begin.
        layer_size: number of the grid's nodes that share a place along the first axis.
    """

    def __init__(self, spec: GridSpec) -> None:
        nodes = spec.level_nodes(0)
        length, step = LENGTHS[spec.dim], STEPS[spec.dim]
        self.size = tuple(min(length, count) for count in nodes)
        strides = [math.prod(nodes[axis + 1 :]) for axis in range(spec.dim)]
        places = itertools.product(*(range(count) for count in self.size))
        self.shifts = _flat(places, strides)
        starts = [_starts(count, size, step) for count, size in zip(nodes, self.size, strict=True)]
        self.layers, self.layer_size = starts[0], strides[0]
        self.starts = _flat(itertools.product(*starts[1:]), strides[1:])

    @property
    def count(self) -> int:
        """The number of boxes."""
        return len(self.layers) * len(self.starts)


def _starts(count: int, size: int, step: int) -> list[int]:
    """Returns where boxes begin along an axis of ``count`` nodes, at even distances."""
    gaps = math.ceil((count - size) / step)
    return [round(k * (count - size) / max(1, gaps)) for k in range(gaps + 1)]


def _flat(places: itertools.product[tuple[int, ...]], strides: list[int]) -> Tensor:
    """Returns the numbers of nodes at some places."""
    return torch.tensor(
        [sum(k * stride for k, stride in zip(place, strides, strict=True)) for place in places]
    )
