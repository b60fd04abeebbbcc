"""Derivatives of the basis functions at scattered points."""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda.kernels import functional, tables
from dinfgrid_cuda.kernels.multi_index import jet_size, multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec

from .unknown_nodes import free_nodes

# Largest number of entries of dense tables that are held at a time.
ENTRIES = 1 << 23


class ScatteredTable:
    """Holds some derivatives of all basis functions at any points, evaluated by the kernels.

    Args:
        x: points [N, dim].
        spec: the grid.
        order: the highest derivative.
        used: places of the derivatives that occur among all up to this order.
    """

    def __init__(self, x: Tensor, spec: GridSpec, order: int, used: Tensor) -> None:
        self.x, self.spec, self.order, self.used = x, spec, order, used

    def gather(self, features: Tensor) -> Tensor:
        """Returns the derivatives [N, A, global levels * C] of features [total nodes, C]."""
        y: Tensor = functional.gather(self.x, features, self.spec, self.order)
        return y[:, self.used]

    def scatter(self, y: Tensor) -> Tensor:
        """Applies the transpose of `gather` to y [N, A, global levels * C].

        Returns [total nodes, C], zero for features that are no unknowns.
        """
        whole = y.new_zeros(y.shape[0], jet_size(self.spec.dim, self.order), y.shape[2])
        whole[:, self.used] = y
        z: Tensor = functional.scatter(self.x, whole, self.spec, self.order)
        return self._free(z)

    def diagonal(self, slopes: Tensor) -> Tensor:
        """Returns the diagonal of A' A, [total nodes, C], for slopes [N or 1, k, A, levels * C]."""
        spec, n = self.spec, len(self.x)
        channels = slopes.shape[3] // spec.global_levels
        every = multi_indices(spec.dim, self.order)
        alphas = [every[place] for place in self.used.tolist()]
        result = slopes.new_zeros(spec.total_nodes, channels)
        slopes = slopes.expand(n, -1, -1, -1)
        size = max(64, ENTRIES // (spec.basis.nodes**spec.dim * len(self.used)))
        for start in range(0, n, size):
            chunk = slice(start, start + size)
            for level in range(spec.levels):
                column = spec.column(level) * channels
                x = self.x[chunk]
                of_level = slopes[chunk, :, :, column : column + channels]
                inside = tables.within(x, spec, level)
                if inside is not None:
                    x, of_level = x[inside], of_level[inside]
                if not len(x):
                    continue
                table = tables.derivatives(x, spec, level, alphas)
                squares = torch.einsum("nkac,nam->nkmc", of_level, table).square().sum(dim=1)
                add_at_nodes(result, squares, x, spec, level)
        return self._free(result)

    def seen(self) -> Tensor:
        """Whether some point sees each feature that may change, [total nodes]."""
        seen = torch.zeros(self.spec.total_nodes, dtype=torch.bool, device=self.x.device)
        for level in range(self.spec.levels):
            inside = tables.within(self.x, self.spec, level)
            x = self.x if inside is None else self.x[inside]
            for some in one_in_each_cell(x, self.spec, level).split(1 << 16):
                seen[tables.neighbours(some, self.spec, level).reshape(-1)] = True
        free = free_nodes(self.spec)
        return seen if free is None else seen & free.to(seen.device)

    def _free(self, by_features: Tensor) -> Tensor:
        """Returns sums [total nodes, C] with zero for features that are no unknowns."""
        free = free_nodes(self.spec)
        return by_features if free is None else by_features * free.to(by_features)[:, None]


def one_in_each_cell(x: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Returns some of points x [N, dim]: one in each cell of a level that holds any."""
    number, place = _cell_numbers(x, spec, level).sort()
    first = torch.ones_like(number, dtype=torch.bool)
    first[1:] = number[1:] != number[:-1]
    return x[place[first]]


def add_at_nodes(result: Tensor, values: Tensor, x: Tensor, spec: GridSpec, level: int) -> None:
    """Adds values [N, nodes around a point, ...] at points x of a level to result [nodes, ...]."""
    if spec.local:  # many points lie in one cell of a coarse level, and see the same nodes
        number, place = _cell_numbers(x, spec, level).unique(return_inverse=True)
        sums = values.new_zeros(len(number), *values.shape[1:]).index_add_(0, place, values)
        x, values = one_in_each_cell(x, spec, level), sums
    nodes = tables.neighbours(x, spec, level)
    result.index_add_(0, nodes.flatten(), values.flatten(0, 1))


def near_nodes(nodes: Tensor, x: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Whether each point x [N, dim] sees some flagged node [total nodes] of a level, [N]."""
    _, place = _cell_numbers(x, spec, level).unique(return_inverse=True)
    around = tables.neighbours(one_in_each_cell(x, spec, level), spec, level)
    near: Tensor = nodes[around].any(dim=1)[place]
    return near


def _cell_numbers(x: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Returns the number [N] of the cell of a level that holds each point x [N, dim]."""
    number = torch.zeros(len(x), dtype=torch.long, device=x.device)
    for axis, count in enumerate(spec.level_cells(level)):
        number = number * count + tables.axis_position(x, spec, level, axis)[1]
    return number
