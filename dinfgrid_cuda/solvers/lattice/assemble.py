"""A' A of a term on a lattice with coefficients that vary, assembled axis after axis.

The entry of nodes (i_1, i_2, ...) and (j_1, j_2, ...) is a sum over points (p_1, p_2, ...) of a
weight and of one factor B_m(p, i) B_n(p, j) an axis: summed over one axis at a time it takes a
small part of the work of the rows' products.
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

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline

from .term import LatticeTerm

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pattern:
    """Places of a square matrix that may hold entries, row by row and each row from the left.

    Attributes:
        rows, columns: [entries].
        size: rows of the matrix.
    """

    rows: Ints
    columns: Ints
    size: int

    @classmethod
    def of(cls, used: npt.NDArray[np.bool_]) -> Pattern:
        """From a mask [size, size]."""
        rows, columns = (places.astype(np.int64) for places in np.nonzero(used))
        return cls(rows, columns, len(used))

    @property
    def widths(self) -> Ints:
        """Entries of each row, [size]."""
        return np.bincount(self.rows, minlength=self.size)

    @property
    def ranks(self) -> Ints:
        """Place of each entry in its row, [entries]."""
        starts = np.cumsum(self.widths) - self.widths
        return np.arange(len(self.rows)) - starts[self.rows]


def csr_of(patterns: Sequence[Pattern], entries: npt.NDArray[np.float64]) -> Any:
    """The CSR matrix with entries [n_1, n_2, ...] on the product of patterns of n_a entries each.

    Rows and columns count the last axis fastest. Each entry's place follows from its ranks: nothing
    is sorted.
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
        r, c, rank, own = (
            part.astype(kind).reshape(shape)
            for part in (
                pattern.rows,
                pattern.columns,
                pattern.ranks,
                pattern.widths[pattern.rows],
            )
        )
        row, column = row * pattern.size + r, column * pattern.size + c
        place, width = place * own + rank, width * own
    place = starts[row] + place
    data, indices = np.empty(entries.size), np.empty(entries.size, dtype=kind)
    data[place.reshape(-1)] = entries.reshape(-1)
    indices[place.reshape(-1)] = np.broadcast_to(column, entries.shape).reshape(-1)
    return csr_array((data, indices, starts), shape=(size, size))


Array = npt.NDArray[np.float64]


class Pairs:
    """Products of two basis functions along one axis, at positions t.

    Args:
        t: positions [P], in units of x.
        spec: the grid, of one level.
        axis: of t.
        order: of derivatives.

    Attributes:
        pattern: of the pairs of nodes that some position sees.
    """

    def __init__(self, t: Tensor, spec: GridSpec, axis: int, order: int) -> None:
        x = t.new_zeros(len(t), spec.dim)
        x[:, axis] = t
        f, cell = tables.axis_position(x, spec, 0, axis)
        nodes, place = tables.axis_nodes(cell, spec, 0, axis)
        scale = spec.cells[axis] / (spec.upper[axis] - spec.lower[axis])
        table = tables.axis_rows(f, place, spec.basis, order)
        self.rows = [(row * scale**m).cpu().numpy() for m, row in enumerate(table)]
        count, self.nodes = spec.level_nodes(0)[axis], nodes.cpu().numpy()
        # By their numbers, row by row: a mask of all pairs would take 4 GB on 20,000 cells.
        numbers = count * self.nodes[:, :, None] + self.nodes[:, None, :]
        used, found = np.unique(numbers, return_inverse=True)
        self.pattern = Pattern(used // count, used % count, count)
        self.pairs = found.reshape(numbers.shape)  # [P, 2 rho, 2 rho]
        self._known: dict[tuple[int, int], Any] = {}

    def matrix(self, key: tuple[int, int]) -> Any:
        """CSR [pairs, P] of B_m(p, i) B_n(p, j)."""
        from scipy.sparse import coo_array

        if key not in self._known:
            m, n = key
            values = self.rows[m][:, :, None] * self.rows[n][:, None, :]
            points = np.broadcast_to(np.arange(len(values))[:, None, None], values.shape)
            where = (self.pairs.reshape(-1), points.reshape(-1))
            shape = (len(self.pattern.rows), len(values))
            self._known[key] = coo_array((values.reshape(-1), where), shape=shape).tocsr()
        return self._known[key]


def lattice_matrix(term: LatticeTerm, spec: GridSpec, channels: int) -> Any:
    """scipy CSR [nodes * channels, nodes * channels], float64, of a term on a lattice."""
    assert term.axes is not None
    pairs = [
        Pairs(t, spec, axis, max((alpha[axis] for alpha in term.alphas), default=0))
        for axis, t in enumerate(term.axes)
    ]
    shape = tuple(len(t) for t in term.axes)
    blocks = np.zeros((channels, channels, *(len(pair.pattern.rows) for pair in pairs)))
    # Coefficients that all points share are a lattice of one point.
    points = (1,) * len(shape) if term.constant else shape
    slopes = term.slopes.cpu().reshape(*points, *term.slopes.shape[1:])
    for i, alpha in enumerate(term.alphas):
        for j, beta in enumerate(term.alphas[: i + 1]):
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
    """Sums over the points of weights [P_1, P_2, ...], axis after axis: [pairs_1, pairs_2, ...]."""
    for axis, (pair, key) in enumerate(zip(pairs, keys, strict=True)):
        moved = np.moveaxis(weights, axis, 0)
        flat = np.ascontiguousarray(moved.reshape(len(moved), -1))
        matrix = pair.matrix(key)
        found = matrix.sum(axis=1)[:, None] * flat if len(flat) == 1 else matrix @ flat
        weights = np.moveaxis(found.reshape(-1, *moved.shape[1:]), 0, axis)
    return weights
