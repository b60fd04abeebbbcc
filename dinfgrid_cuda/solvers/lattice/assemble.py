"""The matrix A' A of a term on a lattice with varying coefficients, assembled axis by axis.

The entry of nodes (i_1, i_2, ...) and (j_1, j_2, ...) is a sum over points (p_1, p_2, ...) of a
weight and, for each axis, of a product B_m(p, i) B_n(p, j). Summed over one axis at a time it takes
a small part of the work of multiplying the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.kernels.tables import axis_tables
from dinfgrid_cuda.problem import deadline

from .lattice_operator import LatticeOperator

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pattern:
    """The places of a square matrix that may hold entries, by rows and from left to right.

    Attributes:
        rows, columns: [entries].
        size: number of rows of the matrix.
    """

    rows: Ints
    columns: Ints
    size: int

    @classmethod
    def of(cls, used: npt.NDArray[np.bool_]) -> Pattern:
        """Makes the pattern of a mask [size, size]."""
        rows, columns = (places.astype(np.int64) for places in np.nonzero(used))
        return cls(rows, columns, len(used))

    @property
    def widths(self) -> Ints:
        """The number of entries of each row, [size]."""
        return np.bincount(self.rows, minlength=self.size)

    @property
    def ranks(self) -> Ints:
        """The position of each entry within its row, [entries]."""
        starts = np.cumsum(self.widths) - self.widths
        return np.arange(len(self.rows)) - starts[self.rows]


def csr_of(patterns: Sequence[Pattern], entries: npt.NDArray[np.float64]) -> Any:
    """Builds a CSR matrix from entries [n_1, n_2, ...] on the product of patterns of n_a entries.

    Rows and columns count the last axis fastest. Each entry's place follows from its ranks, so that
    nothing has to be sorted.
    """
    from scipy.sparse import csr_array

    dim, size = len(patterns), math.prod(p.size for p in patterns)
    kind = np.int32 if max(entries.size, size) < 2**31 else np.int64
    widths = np.ones(1, dtype=kind)
    for pattern in patterns:
        widths = np.multiply.outer(widths, pattern.widths.astype(kind)).reshape(-1)
    starts = np.concatenate([[0], np.cumsum(widths)]).astype(kind)
    row = column = place = np.zeros((1,) * dim, dtype=kind)
    width = np.ones((1,) * dim, dtype=kind)
    for axis, pattern in enumerate(patterns):
        shape = [1] * dim
        shape[axis] = -1
        r, c, rank, row_width = (
            index.astype(kind).reshape(shape)
            for index in (
                pattern.rows,
                pattern.columns,
                pattern.ranks,
                pattern.widths[pattern.rows],
            )
        )
        row, column = row * pattern.size + r, column * pattern.size + c
        place, width = place * row_width + rank, width * row_width
    place = starts[row] + place
    data, indices = np.empty(entries.size), np.empty(entries.size, dtype=kind)
    data[place.reshape(-1)] = entries.reshape(-1)
    indices[place.reshape(-1)] = np.broadcast_to(column, entries.shape).reshape(-1)
    return csr_array((data, indices, starts), shape=(size, size))


Array = npt.NDArray[np.float64]


class Pairs:
    """Holds the products of any two basis functions along one axis, at positions t.

    Args:
        t: positions [P], in units of x.
        spec: the grid, of one level.
        axis: on which t lie.
        order: the highest derivative.

    Attributes:
        pattern: the pairs of nodes that some position sees.
    """

    def __init__(self, t: Tensor, spec: GridSpec, axis: int, order: int) -> None:
        nodes, tables = axis_tables(t, spec, 0, axis, order)
        self.tables = [table.cpu().numpy() for table in tables]
        count, self.nodes = spec.level_nodes(0)[axis], nodes.cpu().numpy()
        # Each pair has a number: a mask of all pairs would take 4 GB on 20,000 cells.
        numbers = count * self.nodes[:, :, None] + self.nodes[:, None, :]
        used, places = np.unique(numbers, return_inverse=True)
        self.pattern = Pattern(used // count, used % count, count)
        self.pairs = places.reshape(numbers.shape)  # [P, 2 rho, 2 rho]
        self._matrices: dict[tuple[int, int], Any] = {}

    def matrix(self, key: tuple[int, int]) -> Any:
        """Returns the products B_m(p, i) B_n(p, j) of key (m, n) as CSR [pairs, P]."""
        from scipy.sparse import coo_array

        if key not in self._matrices:
            m, n = key
            values = self.tables[m][:, :, None] * self.tables[n][:, None, :]
            points = np.broadcast_to(np.arange(len(values))[:, None, None], values.shape)
            where = (self.pairs.reshape(-1), points.reshape(-1))
            shape = (len(self.pattern.rows), len(values))
            self._matrices[key] = coo_array((values.reshape(-1), where), shape=shape).tocsr()
        return self._matrices[key]


def lattice_matrix(operator: LatticeOperator, spec: GridSpec, channels: int) -> Any:
    """Assembles A' A of an operator on a lattice: CSR [nodes * channels] squared, float64."""
    assert operator.axes is not None
    pairs = [
        Pairs(t, spec, axis, max((alpha[axis] for alpha in operator.alphas), default=0))
        for axis, t in enumerate(operator.axes)
    ]
    shape = tuple(len(t) for t in operator.axes)
    blocks = np.zeros((channels, channels, *(len(pair.pattern.rows) for pair in pairs)))
    # Coefficients that all points share are a lattice of one point.
    points = (1,) * len(shape) if operator.constant else shape
    slopes = operator.slopes.cpu().reshape(*points, *operator.slopes.shape[1:])
    for i, alpha in enumerate(operator.alphas):
        for j, beta in enumerate(operator.alphas[: i + 1]):
            deadline.check()
            weights = torch.einsum("...kc,...ke->ce...", slopes[..., i, :], slopes[..., j, :])
            keys = list(zip(alpha, beta, strict=True))
            for c in range(channels):
                for e in range(channels):
                    weight = (0.5 if i == j else 1.0) * weights[c, e].numpy()
                    if weight.any():
                        blocks[c, e] += _contracted(weight, pairs, keys)
    inner = Pattern.of(np.ones((channels, channels), dtype=bool))
    entries = np.moveaxis(blocks.reshape(channels**2, *blocks.shape[2:]), 0, -1)
    half = csr_of([*(pair.pattern for pair in pairs), inner], entries)
    return half + half.T


def _contracted(weights: Array, pairs: list[Pairs], keys: list[tuple[int, int]]) -> Array:
    """Sums weights [P_1, P_2, ...] over the points axis by axis, to [pairs_1, pairs_2, ...]."""
    for axis, (pair, key) in enumerate(zip(pairs, keys, strict=True)):
        moved = np.moveaxis(weights, axis, 0)
        flat = np.ascontiguousarray(moved.reshape(len(moved), -1))
        matrix = pair.matrix(key)
        sums = matrix.sum(axis=1)[:, None] * flat if len(flat) == 1 else matrix @ flat
        weights = np.moveaxis(sums.reshape(-1, *moved.shape[1:]), 0, axis)
    return weights
