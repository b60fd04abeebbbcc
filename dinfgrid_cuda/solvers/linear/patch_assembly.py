"""The matrix A' A on a grid with local levels, assembled patch by patch.

The points of a few neighbouring cells see the same unknowns, few of all: their rows are a small
dense matrix, whose square is added to A' A. That takes a tenth of the time of a product of sparse
matrices.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline

from .rows import sparse_rows
from .scattered_table import ENTRIES
from .term_operator import TermOperator
from .unknown_nodes import unknown_nodes

# Cells of a patch along each axis.
SIDE = {1: 8, 2: 2}
# Entries of squares that are collected before they are added up.
COLLECTED = 1 << 23


def patch_matrix(operator: TermOperator, spec: GridSpec, channels: int) -> Any:
    """Assembles A' A of an operator on a grid with local levels, scipy CSR, float64."""
    from scipy.sparse import csr_array

    patch = _patches(operator.x.cpu(), spec)
    order = patch.argsort(stable=True)
    ends = patch[order].unique_consecutive(return_counts=True)[1].cumsum(0)
    slopes = operator.slopes.expand(len(operator.x), -1, -1, -1)
    size = spec.total_nodes * channels
    total = csr_array((size, size))
    squares = _Squares(size)
    free = unknown_nodes(spec)
    assert free is not None
    start = 0
    most = max(64, ENTRIES // (4 * spec.basis.nodes**spec.dim * max(1, len(operator.alphas))))
    while start < len(order):
        deadline.check()
        # As many whole patches as tables are held at a time, one at least.
        last = int(torch.searchsorted(ends, start + most, right=True)) - 1
        first = int(torch.searchsorted(ends, start, right=True))
        last = max(last, first)
        points = order[start : int(ends[last])]
        rows = sparse_rows(operator.alphas, operator.x[points], slopes[points], spec, channels)
        rows.data *= np.repeat(free.numpy(), channels)[rows.indices]
        rows.eliminate_zeros()
        k = rows.shape[0] // len(points)
        cuts = [0, *((ends[first : last + 1] - start) * k).tolist()]
        for low, high in pairwise(cuts):
            squares.add(rows, low, high)
            if squares.count > COLLECTED:
                total = total + squares.taken()
        start = int(ends[last])
    return (total + squares.taken()).tocsr()


def _patches(x: Tensor, spec: GridSpec) -> Tensor:
    """Returns a number [N] for each point: the same for those in a few cells of the finest level.

    Points that see different levels have different numbers, so that a patch sees few unknowns.
    """
    side = SIDE.get(spec.dim, 1)
    number = torch.zeros(len(x), dtype=torch.long)
    next_number = 0
    for level in range(spec.levels):
        if 0 < level < spec.global_levels:
            continue
        inside = tables.within(x, spec, level)
        rows = torch.arange(len(x)) if inside is None else inside.nonzero()[:, 0]
        place = torch.zeros(len(rows), dtype=torch.long)
        for axis, count in enumerate(spec.level_cells(level)):
            cell = tables.axis_position(x[rows], spec, level, axis)[1]
            place = place * (count // side + 1) + cell // side
        # A finer level, which comes later, takes the points from the coarser ones.
        number[rows] = next_number + place
        if len(place):
            next_number += int(place.max()) + 1
    return number


class _Squares:
    """Collects dense squares of rows, each with the unknowns that it is for.

    Args:
        size: number of all unknowns.
    """

    def __init__(self, size: int) -> None:
        self.size, self.count = size, 0
        self._rows: list[npt.NDArray[np.int64]] = []
        self._columns: list[npt.NDArray[np.int64]] = []
        self._data: list[npt.NDArray[np.float64]] = []
        self._halves: dict[int, tuple[Any, Any]] = {}

    def add(self, rows: Any, low: int, high: int) -> None:
        """Adds the square of rows low..high-1 of a CSR matrix."""
        first, last = rows.indptr[low], rows.indptr[high]
        if first == last:
            return
        unknowns, place = np.unique(rows.indices[first:last], return_inverse=True)
        dense = np.zeros((high - low, len(unknowns)))
        row = np.repeat(np.arange(high - low), np.diff(rows.indptr[low : high + 1]))
        dense[row, place] = rows.data[first:last]
        square = dense.T @ dense
        if len(unknowns) not in self._halves:
            self._halves[len(unknowns)] = np.triu_indices(len(unknowns))
        half = self._halves[len(unknowns)]
        self._rows.append(unknowns[half[0]])
        self._columns.append(unknowns[half[1]])
        self._data.append(square[half])
        self.count += len(half[0])

    def taken(self) -> Any:
        """Returns the sum of what was added since the last call, CSR."""
        from scipy.sparse import coo_array, triu

        if not self._data:
            return coo_array((self.size, self.size)).tocsr()
        places = np.concatenate(self._rows), np.concatenate(self._columns)
        data = np.concatenate(self._data)
        half = coo_array((data, places), shape=(self.size, self.size)).tocsr()
        self._rows, self._columns, self._data, self.count = [], [], [], 0
        return half + triu(half, 1).T.tocsr()
