"""A' A of a term on a lattice with coefficients that vary, assembled axis after axis.

The entry of nodes (i_1, i_2, ...) and (j_1, j_2, ...) is a sum over points (p_1, p_2, ...) of a
weight and of one factor B_m(p, i) B_n(p, j) an axis: summed over one axis at a time it takes a
small part of the work of the rows' products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import reference
from ..spec import GridSpec
from . import deadline
from .operator import TermOperator
from .patterns import Pattern, csr_of

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
        f, cell = reference.axis_position(x, spec, 0, axis)
        nodes, place = reference.axis_nodes(cell, spec, 0, axis)
        scale = spec.cells[axis] / (spec.upper[axis] - spec.lower[axis])
        table = reference.axis_rows(f, place, spec.basis, order)
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


def lattice_matrix(term: TermOperator, spec: GridSpec, channels: int) -> Any:
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
