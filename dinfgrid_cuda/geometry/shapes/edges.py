"""Straight edges in the plane: which is nearest, and what they enclose."""

from __future__ import annotations

import torch
from torch import Tensor

from .ragged import Lists, spread

# Cells in which points look for their nearest edge, and rows in which rays look for crossings.
CELLS = 64
ROWS = 512


def project(x: Tensor, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Returns where on each edge, from 0 to 1, the point closest to x lies, and the square of the
    distance from it; shapes [..., 2] broadcast.

    Written out by coordinates: a sum over two of them takes torch four times as long.
    """
    along_x, along_y = ends[..., 0] - starts[..., 0], ends[..., 1] - starts[..., 1]
    away_x, away_y = x[..., 0] - starts[..., 0], x[..., 1] - starts[..., 1]
    square = along_x * along_x + along_y * along_y
    place = ((away_x * along_x + away_y * along_y) / square).clamp(0, 1)
    left_x, left_y = away_x - place * along_x, away_y - place * along_y
    return place, left_x * left_x + left_y * left_y


class Edges:
    """Edges that close one or more outlines, their inside to the left.

    Args:
        starts, ends: [E, 2], float64.
    """

    def __init__(self, starts: Tensor, ends: Tensor) -> None:
        self.starts, self.ends = starts, ends
        low, high = starts.amin(dim=0), starts.amax(dim=0)
        self._bottom, self._top = float(low[1]), float(high[1])
        self._rows = min(len(starts), ROWS)
        rows = self._row(torch.stack([starts[:, 1], ends[:, 1]]))
        edge, row = spread(rows.amin(dim=0), rows.amax(dim=0))
        self._in_rows = Lists(row, edge, self._rows)

    def _row(self, y: Tensor) -> Tensor:
        """Returns the row of ordinates; of those outside, the first or last."""
        height = (self._top - self._bottom) / self._rows
        return ((y - self._bottom) / height).long().clamp(0, self._rows - 1)

    def inside(self, x: Tensor) -> Tensor:
        """Whether points x [N, 2] are enclosed or on an edge, [N]: a ray to the right crosses
        an odd number of edges."""
        result = torch.zeros(len(x), dtype=torch.bool)
        for batch, _, owners, edges in self._in_rows.pairs(self._row(x[:, 1])):
            start, end, point = self.starts[edges], self.ends[edges], x[batch][owners]
            along, away = end - start, point - start
            turn = along[:, 0] * away[:, 1] - along[:, 1] * away[:, 0]
            up, down = start[:, 1] <= point[:, 1], end[:, 1] <= point[:, 1]
            crossed = (up != down) & ((turn > 0) == up) & (turn != 0)
            between = (away * (point - end) <= 0).all(dim=1)
            on_edge = (turn == 0) & between
            size = batch.stop - batch.start
            odd = torch.bincount(owners[crossed], minlength=size) % 2 == 1
            result[batch] = odd | (torch.bincount(owners[on_edge], minlength=size) > 0)
        return result

    def nearest(self, x: Tensor) -> Tensor:
        """Returns the index [N] of the edge closest to each of the points x [N, 2].

        Only edges take part that are as close to the centre of a cell as any point of the cell
        allows.
        """
        if not len(x):
            return torch.zeros(0, dtype=torch.long)
        cells = max(1, min(CELLS, int((len(x) / 8) ** 0.5)))
        low, high = x.amin(dim=0), x.amax(dim=0)
        size = ((high - low) / cells).clamp(min=torch.finfo(x.dtype).tiny)
        at = ((x - low) / size).long().clamp(0, cells - 1)
        cell, index = torch.unique(at[:, 0] * cells + at[:, 1], return_inverse=True)
        centres = low + (torch.stack([cell // cells, cell % cells], dim=1) + 0.5) * size
        owners, edges = self._candidates(centres, float(size.norm()))
        lists = Lists(owners, edges, len(cell))
        result = torch.empty(len(x), dtype=torch.long)
        for batch, counts, owner, edge in lists.pairs(index):
            _, squares = project(x[batch][owner], self.starts[edge], self.ends[edge])
            least = torch.segment_reduce(squares, "min", lengths=counts)
            best = squares == least[owner]
            result[batch] = torch.full_like(counts, len(self.starts)).scatter_reduce(
                0, owner[best], edge[best], "amin"
            )
        return result

    def _candidates(self, centres: Tensor, diagonal: float) -> tuple[Tensor, Tensor]:
        """Returns pairs (cell, edge): all edges that may be the nearest of a point in the cell."""
        owners, edges = [], []
        step = max(1, 200_000 // len(self.starts))
        for first in range(0, len(centres), step):
            part = centres[first : first + step, None]
            distances = project(part, self.starts, self.ends)[1].sqrt()
            reach = distances.amin(dim=1, keepdim=True) + diagonal
            owner, edge = (distances <= reach * (1 + 1e-9)).nonzero(as_tuple=True)
            owners.append(owner + first)
            edges.append(edge)
        return torch.cat(owners), torch.cat(edges)
