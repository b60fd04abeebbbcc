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

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.multi_index import MultiIndex
from dinfgrid_cuda.kernels.spec import GridSpec

from .axes import Axes

# What is contracted in the same way: an entry per axis.
Key = tuple[Any, ...]


def axis_matrix(t: Tensor, spec: GridSpec, level: int, axis: int, order: int) -> list[Tensor]:
    """Derivatives 0..order of the basis along one axis, [len(t), nodes of the axis] each.

    Args:
        t: positions on the axis, in units of x.
    """
    x = t.new_zeros(len(t), spec.dim)
    x[:, axis] = t
    f, cell = tables.axis_position(x, spec, level, axis)
    nodes, place = tables.axis_nodes(cell, spec, level, axis)
    scale = spec.level_cells(level)[axis] / (spec.upper[axis] - spec.lower[axis])
    empty = t.new_zeros(len(t), spec.level_nodes(level)[axis])
    rows = tables.axis_rows(f, place, spec.basis, order)
    # Clamped neighbourhoods name a node more than once.
    return [empty.scatter_add(1, nodes, row * scale**m) for m, row in enumerate(rows)]


class TensorTable:
    """Some derivatives of all basis functions at the points of a lattice.

    Args:
        axes: positions on each axis; the points are their product, last axis fastest.
        spec: the grid.
        alphas: the derivatives, as multi-indices.
    """

    def __init__(self, axes: Axes, spec: GridSpec, alphas: Sequence[MultiIndex]) -> None:
        self.spec, self.alphas = spec, [tuple(alpha) for alpha in alphas]
        self.counts = tuple(len(t) for t in axes)
        self.matrices: list[list[dict[int, Tensor]]] = []
        for level in range(spec.levels):
            per_axis = []
            for axis, t in enumerate(axes):
                orders = {alpha[axis] for alpha in self.alphas}
                table = axis_matrix(t, spec, level, axis, max(orders))
                per_axis.append({m: table[m] for m in orders})
            self.matrices.append(per_axis)

    def gather(self, features: Tensor) -> Tensor:
        """[N, A, levels * C] of features [total nodes, C]."""
        parts = [self._gather(self._level(features, s), s) for s in range(self.spec.levels)]
        return torch.cat(parts, dim=2)

    def scatter(self, y: Tensor) -> Tensor:
        """The transpose: [total nodes, C] of y [N, A, levels * C]."""
        columns = dict(zip(self.alphas, y.unbind(dim=1), strict=True))
        return self._scatter(columns, lambda table, m: table[m])

    def diagonal(self, slopes: Tensor) -> Tensor:
        """Diagonal of A' A, [total nodes, C], of the rows A = slopes times the table.

        The square of a sum of products of one-dimensional entries, pair by pair of derivatives;
        pairs with the same orders on each axis have the same entries.

        Args:
            slopes: [N or 1, k, A, levels * C].
        """
        columns: dict[Key, Tensor] = {}
        for i, alpha in enumerate(self.alphas):
            for j, beta in enumerate(self.alphas[: i + 1]):
                key = tuple((min(m), max(m)) for m in zip(alpha, beta, strict=True))
                square = (slopes[:, :, i] * slopes[:, :, j]).sum(dim=1) * (1 if i == j else 2)
                square = square.expand(math.prod(self.counts), -1)
                columns[key] = columns[key] + square if key in columns else square
        return self._scatter(columns, lambda table, m: table[m[0]] * table[m[1]])

    def _level(self, features: Tensor, level: int) -> Tensor:
        nodes, offset = self.spec.level_nodes(level), self.spec.level_offset(level)
        return features[offset : offset + math.prod(nodes)].reshape(*nodes, -1)

    def _gather(self, features: Tensor, level: int) -> Tensor:
        """Axis by axis; derivatives with equal orders so far share the work."""
        parts: dict[Key, Tensor] = {(): features}
        for axis in range(self.spec.dim):
            wanted = sorted({alpha[: axis + 1] for alpha in self.alphas})
            parts = {
                key: along(self.matrices[level][axis][key[axis]], parts[key[:axis]], axis)
                for key in wanted
            }
        found = [parts[alpha].reshape(-1, features.shape[-1]) for alpha in self.alphas]
        return torch.stack(found, dim=1)

    def _scatter(
        self, columns: Mapping[Key, Tensor], matrix: Callable[[dict[int, Tensor], Any], Tensor]
    ) -> Tensor:
        """[total nodes, C] of columns [N, levels * C] by what the matrix of each axis depends on.

        Args:
            matrix: of an axis, [positions, nodes], from the axis' table and the key's entry.
        """
        levels = []
        for level, matrices in enumerate(self.matrices):
            parts = {}
            for key, column in columns.items():
                channels = column.shape[1] // self.spec.levels
                mine = column[:, level * channels : (level + 1) * channels]
                parts[key] = mine.reshape(*self.counts, channels)
            for axis in reversed(range(self.spec.dim)):
                added: dict[Key, Tensor] = {}
                for key, part in parts.items():
                    moved = along(matrix(matrices[axis], key[axis]).t(), part, axis)
                    rest = key[:axis]
                    added[rest] = added[rest] + moved if rest in added else moved
                parts = added
            levels.append(parts[()].flatten(0, -2))
        return torch.cat(levels)


def along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """matrix [m, n] applied along one axis of values [..., n, ...]."""
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    if math.prod(after) == 1:  # one product instead of many with a vector
        flat = values.reshape(-1, values.shape[axis])
        return (flat @ matrix.t()).reshape(*before, matrix.shape[0], *after)
    flat = values.reshape(math.prod(before), values.shape[axis], math.prod(after))
    return torch.matmul(matrix, flat).reshape(*before, matrix.shape[0], *after)
