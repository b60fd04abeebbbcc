"""Features carried over from a grid to one with other local levels."""

from __future__ import annotations

import math

from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec


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
            if new.level_boundary(level) != old.level_boundary(other):
                continue
            source = _nodes(features, old, other)
            places, sources = [], []
            for axis in range(new.dim):
                apart = two.start[axis] - one.start[axis]
                low = max(0, apart)
                high = min(to.shape[axis], apart + source.shape[axis])
                places.append(slice(low, max(low, high)))
                sources.append(slice(low - apart, max(low, high) - apart))
            some = source[tuple(sources)]
            into = to[tuple(places)]
            into.copy_(some.where(some != 0, into))
    return result


def _nodes(features: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Returns a view [*nodes, C] of a level's features."""
    nodes, offset = spec.level_nodes(level), spec.level_offset(level)
    return features[offset : offset + math.prod(nodes)].view(*nodes, features.shape[1])
