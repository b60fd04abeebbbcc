"""The matrix A' A of scattered points, assembled cell by cell.

The points of one cell see the same basis functions, so that their part of A' A is a small dense
product. The entries of a pair of nodes lie at the place of the first node and of their distance.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline

from .term_operator import TermOperator

# Entries of the products of cells, and of the rows, that are held at a time.
PRODUCTS, ROWS = 1 << 24, 1 << 23
# Points per cell from which on dense products take less time than sparse rows.
CROWDED = 2


def suits_cells(operator: TermOperator, spec: GridSpec) -> bool:
    """Whether the points of a cell see the same nodes in the same order, and are not few."""
    if spec.levels > 1 or any(boundary != "ghost" for boundary in spec.boundary):
        return False
    first = tables.neighbours(operator.x[:4096], spec, 0)[:, 0]
    return len(first) >= CROWDED * len(first.unique())


def cell_matrix(operator: TermOperator, spec: GridSpec, channels: int) -> Any:
    """Assembles A' A of an operator on scattered points: CSR [nodes * channels] squared, float64.

    The grid has one level, which ends in ghost nodes.
    """
    cells = Cells.of(operator, spec)
    layout = PairLayout.of(spec)
    half = torch.zeros(spec.total_nodes, len(layout.distances), channels, channels).double()
    # A product is symmetric, so that half of its entries are taken.
    count = len(layout.shifts)
    size = max(1, PRODUCTS // (count * channels) ** 2)
    for start in range(0, len(cells.first), size):
        deadline.check()
        chunk = range(start, min(start + size, len(cells.first)))
        products = cell_products(operator, spec, channels, cells, chunk)
        nodes = cells.first[chunk.start : chunk.stop]
        for a in range(count):
            rows = (nodes + layout.shifts[a])[:, None]
            places = layout.places[a, a:]
            half[rows, places] += products[:, a, :, a:].transpose(1, 2)
    return _whole(half, layout, channels)


@dataclass(frozen=True)
class Cells:
    """The cells that hold points.

    Attributes:
        first: the first node that each sees, [cells], cells with as many points side by side.
        order: the points, cell by cell, [N].
        starts: of the points of each cell in that order, [cells + 1].
    """

    first: Tensor
    order: Tensor
    starts: Tensor

    @classmethod
    def of(cls, operator: TermOperator, spec: GridSpec) -> Cells:
        """Sorts the points of an operator by their cells, and these by their number of points."""
        return cls.by_layers(operator, spec, spec.total_nodes)

    @classmethod
    def by_layers(cls, operator: TermOperator, spec: GridSpec, layer_size: int) -> Cells:
        """Sorts cells by the layer of nodes that begins with their first node, then by points."""
        base = torch.cat([tables.neighbours(x, spec, 0)[:, 0] for x in operator.x.split(1 << 16)])
        first, inverse, counts = base.unique(return_inverse=True, return_counts=True)
        by_count = (first // layer_size * (int(counts.max()) + 1) + counts).argsort(stable=True)
        rank = torch.empty_like(by_count)
        rank[by_count] = torch.arange(len(first))
        order = rank[inverse].argsort(stable=True)
        starts = torch.cat([counts.new_zeros(1), counts[by_count].cumsum(0)])
        return cls(first[by_count], order, starts)


@dataclass(frozen=True)
class PairLayout:
    """Where pairs of nodes lie.

    Attributes:
        shifts: of the nodes that a cell sees from the first, [M].
        distances: of pairs of nodes, as far as the second follows the first, ascending.
        places: of the distance of nodes a <= b of a cell among these, [M, M].
    """

    shifts: Tensor
    distances: Tensor
    places: Tensor

    @classmethod
    def of(cls, spec: GridSpec) -> PairLayout:
        """Numbers the nodes of a cell and their distances."""
        strides = [1] * spec.dim
        for axis in range(spec.dim - 2, -1, -1):
            strides[axis] = strides[axis + 1] * spec.level_nodes(0)[axis + 1]
        width = range(spec.basis.nodes)
        shifts = torch.tensor(
            [
                sum(k * stride for k, stride in zip(place, strides, strict=True))
                for place in itertools.product(width, repeat=spec.dim)
            ]
        )
        apart = shifts[None] - shifts[:, None]
        distances = apart[apart >= 0].unique()
        return cls(shifts, distances, torch.searchsorted(distances, apart.clamp(min=0)))


def cell_products(
    operator: TermOperator, spec: GridSpec, channels: int, cells: Cells, chunk: range
) -> Tensor:
    """Returns the dense products of some cells, [cells, M, channels, M, channels]."""
    counts = cells.starts.diff()[chunk.start : chunk.stop]
    m = spec.basis.nodes**spec.dim
    products = torch.empty(len(chunk), m * channels, m * channels, dtype=torch.float64)
    start = chunk.start
    for count, number in zip(
        *(t.tolist() for t in counts.unique_consecutive(return_counts=True)), strict=True
    ):
        size = max(1, ROWS // (count * spec.basis.nodes**spec.dim * operator.slopes.shape[1]))
        for first in range(start, start + number, size):
            last = min(first + size, start + number)
            points = cells.order[cells.starts[first] : cells.starts[last]]
            rows = _rows(operator, spec, points).reshape(last - first, -1, m * channels)
            into = products[first - chunk.start : last - chunk.start]
            torch.bmm(rows.transpose(1, 2), rows, out=into)
        start += number
    return products.reshape(-1, m, channels, m, channels)


def _rows(operator: TermOperator, spec: GridSpec, points: Tensor) -> Tensor:
    """Returns the rows of some points by the nodes of their cells, [points, k, M * channels]."""
    table = tables.derivatives(operator.x[points], spec, 0, operator.alphas)
    slopes = operator.slopes if operator.constant else operator.slopes[points]
    rows = torch.einsum("nkac,nam->nkmc", slopes.expand(len(points), -1, -1, -1), table)
    return rows.flatten(2)


def _whole(half: Tensor, layout: PairLayout, channels: int) -> Any:
    """Returns the symmetric matrix of which ``half`` [nodes, distances, C, C] is one half."""
    from scipy.sparse import coo_array

    node, place, c, e = half.nonzero(as_tuple=True)
    rows = (node * channels + c).numpy()
    columns = ((node + layout.distances[place]) * channels + e).numpy()
    data = half[node, place, c, e].numpy()
    size = half.shape[0] * channels
    # Pairs of one node hold both halves of their channels already.
    off = (layout.distances[place] > 0).numpy()
    every_row = np.concatenate([rows, columns[off]])
    every_column = np.concatenate([columns, rows[off]])
    values = np.concatenate([data, data[off]])
    return coo_array((values, (every_row, every_column)), shape=(size, size)).tocsr()
