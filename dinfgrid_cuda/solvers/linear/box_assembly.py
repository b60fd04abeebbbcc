"""The blocks of A' A on boxes of features, assembled cell by cell without the whole matrix.

Boxes are taken layer by layer along the first axis. Only the entries of the nodes that the present
layer of boxes holds are kept, as in `cell_assembly`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.problem import deadline

from .cell_assembly import PRODUCTS, Cells, PairLayout, cell_products, suits_cells
from .feature_boxes import FeatureBoxes
from .normal_operator import NormalOperator
from .rows import rows
from .term_operator import TermOperator


class BoxBlocks:
    """Yields the blocks of A' A on boxes of features.

    Args:
        normal: the problem, linearised, on a grid of one level that ends in ghost nodes.
        boxes: of its nodes.
    """

    def __init__(self, normal: NormalOperator, boxes: FeatureBoxes) -> None:
        self.normal, self.boxes, self.channels = normal, boxes, normal.channels
        self.layout = PairLayout.of(normal.spec)
        self.crowded: list[tuple[TermOperator, Cells]] = []
        self.sparse: Any = None
        for operator in normal.operators:
            explicit = operator.explicit
            if explicit is not None:
                self._add(explicit)
            elif operator.alphas and suits_cells(operator, normal.spec):
                cells = Cells.by_layers(operator, normal.spec, boxes.layer_size)
                self.crowded.append((operator, cells))
            elif operator.alphas:
                for block in rows(operator, normal.spec, self.channels):
                    self._add(block)

    def _add(self, block: Any) -> None:
        square = (block.T @ block).tocsr()
        self.sparse = square if self.sparse is None else self.sparse + square

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the features [n] of each box, and their block of A' A [n, n], float64."""
        boxes, channels = self.boxes, self.channels
        reach = self.normal.spec.basis.nodes - 1
        apart = boxes.shifts[None] - boxes.shifts[:, None]
        known = self.layout.distances
        places = torch.searchsorted(known, apart.clamp(min=0)).clamp(max=len(known) - 1)
        coupled = (known[places] == apart)[:, :, None, None]
        nodes = (boxes.size[0] + reach) * boxes.layer_size
        half = torch.zeros(nodes, len(known), channels, channels, dtype=torch.float64)
        first = done = 0
        for layer in boxes.layers:
            moved = (layer - first) * boxes.layer_size
            if moved:
                half[: nodes - moved] = half[moved:].clone()
                half[nodes - moved :] = 0
            first = layer
            self._fill(half, first, range(done, first + boxes.size[0]))
            done = first + boxes.size[0]
            for start in boxes.starts:
                deadline.check()
                inside = start + boxes.shifts
                block = torch.where(coupled, half[inside[:, None], places], 0.0)
                yield self._finished(block, first * boxes.layer_size + inside)

    def _finished(self, half: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the features of nodes [m], and their block, from one half [m, m, C, C] of it."""
        size = len(nodes) * self.channels
        # Pairs of one node hold both halves of their channels already.
        block = half.transpose(1, 2).reshape(size, size)
        own = torch.block_diag(*half.diagonal(dim1=0, dim2=1).permute(2, 0, 1))
        block = block + block.t() - own
        places = torch.arange(self.channels)
        features = (nodes[:, None] * self.channels + places).reshape(-1)
        if self.sparse is not None:
            some = features.numpy()
            block += torch.from_numpy(self.sparse[some][:, some].toarray())
        return features, block

    def _fill(self, half: Tensor, first: int, layers: range) -> None:
        """Adds the cells that begin in some layers of nodes to the entries from layer ``first``."""
        layout, spec = self.layout, self.normal.spec
        width = len(layout.shifts)
        size = max(1, PRODUCTS // (width * self.channels) ** 2)
        for operator, cells in self.crowded:
            layer = cells.first // self.boxes.layer_size
            begin = int(torch.searchsorted(layer, layers.start))
            end = int(torch.searchsorted(layer, layers.stop))
            for start in range(begin, end, size):
                chunk = range(start, min(start + size, end))
                products = cell_products(operator, spec, self.channels, cells, chunk)
                nodes = cells.first[chunk.start : chunk.stop] - first * self.boxes.layer_size
                for a in range(width):
                    at = (nodes + layout.shifts[a])[:, None]
                    half[at, layout.places[a, a:]] += products[:, a, :, a:].transpose(1, 2)
