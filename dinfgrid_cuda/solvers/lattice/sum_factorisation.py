"""Sum factorisation: gather and scatter on a lattice of points, one axis after the other.

On a lattice the basis' table is a product of small matrices [positions, nodes], one per axis and
order of derivative: in 3-D each point then costs a few hundred multiplications less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.multi_index import MultiIndex
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.kernels.tables import axis_tables

from .axes import Axes

# One entry per axis; tensors with equal entries on an axis are contracted there in the same way.
Key = tuple[Any, ...]


def axis_matrix(t: Tensor, spec: GridSpec, level: int, axis: int, order: int) -> list[Tensor]:
    """Returns derivatives 0..order of the basis along one axis, [len(t), nodes of the axis] each.

    Args:
        t: positions on the axis, in units of x.
    """
    nodes, tables = axis_tables(t, spec, level, axis, order)
    empty = t.new_zeros(len(t), spec.level_nodes(level)[axis])
    # Clamped neighbourhoods name a node more than once.
    return [empty.scatter_add(1, nodes, table) for table in tables]


class TensorTable:
    """Holds some derivatives of all basis functions at the points of a lattice, axis by axis.

    Args:
        axes: positions on each axis; the points are their product, last axis fastest.
        spec: the grid.
        alphas: the derivatives, as multi-indices.
    """

    def __init__(self, axes: Axes, spec: GridSpec, alphas: Sequence[MultiIndex]) -> None:
        self.spec, self.alphas = spec, [tuple(alpha) for alpha in alphas]
        self.point_counts = tuple(len(t) for t in axes)
        self.matrices: list[list[dict[int, Tensor]]] = []
        for level in range(spec.levels):
            per_axis = []
            for axis, t in enumerate(axes):
                orders = {alpha[axis] for alpha in self.alphas}
                table = axis_matrix(t, spec, level, axis, max(orders))
                per_axis.append({m: table[m] for m in orders})
            self.matrices.append(per_axis)

    def gather(self, features: Tensor) -> Tensor:
        """Returns the derivatives [N, A, levels * C] of features [total nodes, C]."""
        jets = [self._gather(self._level(features, s), s) for s in range(self.spec.levels)]
        return torch.cat(jets, dim=2)

    def scatter(self, y: Tensor) -> Tensor:
        """Applies the transpose of `gather` to y [N, A, levels * C]; returns [total nodes, C]."""
        columns = dict(zip(self.alphas, y.unbind(dim=1), strict=True))
        return self._scatter(columns, lambda table, m: table[m])

    def diagonal(self, slopes: Tensor) -> Tensor:
        """Returns the diagonal of A' A, [total nodes, C], of the rows A = slopes times the table.

        It is the square of a sum of products of one-dimensional entries, pair by pair of
        derivatives; pairs with the same orders on each axis have the same entries.

        Args:
            slopes: [N or 1, k, A, levels * C].
        """
        columns: dict[Key, Tensor] = {}
        for i, alpha in enumerate(self.alphas):
            for j, beta in enumerate(self.alphas[: i + 1]):
                key = tuple((min(m), max(m)) for m in zip(alpha, beta, strict=True))
                square = (slopes[:, :, i] * slopes[:, :, j]).sum(dim=1) * (1 if i == j else 2)
                square = square.expand(math.prod(self.point_counts), -1)
                columns[key] = columns[key] + square if key in columns else square
        return self._scatter(columns, lambda table, m: table[m[0]] * table[m[1]])

    def _level(self, features: Tensor, level: int) -> Tensor:
        """Returns the features of a level, [*nodes, C]."""
        nodes, offset = self.spec.level_nodes(level), self.spec.level_offset(level)
        return features[offset : offset + math.prod(nodes)].reshape(*nodes, -1)

    def _gather(self, features: Tensor, level: int) -> Tensor:
        """Gathers one level axis by axis; derivatives share the work while their orders agree."""
        gathered: dict[Key, Tensor] = {(): features}
        for axis in range(self.spec.dim):
            keys = sorted({alpha[: axis + 1] for alpha in self.alphas})
            gathered = {
                key: along(self.matrices[level][axis][key[axis]], gathered[key[:axis]], axis)
                for key in keys
            }
        derivatives = [gathered[alpha].reshape(-1, features.shape[-1]) for alpha in self.alphas]
        return torch.stack(derivatives, dim=1)

    def _scatter(
        self, columns: Mapping[Key, Tensor], matrix: Callable[[dict[int, Tensor], Any], Tensor]
    ) -> Tensor:
        """Scatters columns [N, levels * C] and adds them up, [total nodes, C].

        Args:
            columns: by key; its entry for an axis tells the matrix of that axis.
            matrix: gives the matrix [positions, nodes] of an axis from its table and the entry.
        """
        levels = []
        for level, matrices in enumerate(self.matrices):
            scattered = {}
            for key, column in columns.items():
                channels = column.shape[1] // self.spec.levels
                of_level = column[:, level * channels : (level + 1) * channels]
                scattered[key] = of_level.reshape(*self.point_counts, channels)
            for axis in reversed(range(self.spec.dim)):
                sums: dict[Key, Tensor] = {}
                for key, values in scattered.items():
                    moved = along(matrix(matrices[axis], key[axis]).t(), values, axis)
                    rest = key[:axis]
                    sums[rest] = sums[rest] + moved if rest in sums else moved
                scattered = sums
            levels.append(scattered[()].flatten(0, -2))
        return torch.cat(levels)


def along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """Applies a matrix [m, n] along one axis of values [..., n, ...]."""
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    if math.prod(after) == 1:  # one product instead of many with a vector
        flat = values.reshape(-1, values.shape[axis])
        return (flat @ matrix.t()).reshape(*before, matrix.shape[0], *after)
    flat = values.reshape(math.prod(before), values.shape[axis], math.prod(after))
    return torch.matmul(matrix, flat).reshape(*before, matrix.shape[0], *after)
