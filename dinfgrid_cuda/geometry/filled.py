"""Filled: the points of a user's sampler, and more in the cells where it has placed few."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .cell_points import CellPoints, Edges, tensors
from .inside import points_inside
from .samplers import Sampler
from .shape import Shape

# Points per cell and axis below which a cell gets those of `CellPoints` too. With one, residuals
# vanish at the points and nowhere else.
LEAST = 2


@dataclass(frozen=True)
class Filled:
    """Places the points of a sampler inside a shape, and regular ones in cells with too few.

    Args:
        sampler: of boxes; those of its points that are inside are taken.
        edges: ends of the cells, ascending, one sequence per axis.
    """

    sampler: Sampler
    edges: Edges
    _added: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __call__(
        self,
        n: int,
        box: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns about ``n`` points of the sampler [m, dim], then those that were added."""
        own = points_inside(self.sampler, n, box, seed, step, dtype, device)
        regular = CellPoints(self.edges)(0, box, seed, step, own.dtype, own.device)
        cells = math.prod(len(ends) - 1 for ends in self.edges)
        found = torch.bincount(self._cell(own), minlength=cells)
        place = self._cell(regular)
        known = torch.bincount(place, minlength=cells)
        # A cell of which a part is inside needs that part of the points.
        full = CellPoints.per_cell**box.dim
        wanted = LEAST**box.dim * (known / full).clamp(max=1.0)
        added = regular[(found < wanted)[place]]
        self._added["points"] = len(added)
        return torch.cat([own, added])

    @property
    def added(self) -> int:
        """The number of points that were added in the last call."""
        return self._added.get("points", 0)

    def _cell(self, x: Tensor) -> Tensor:
        """Returns the flat index of the cell of points x [N, dim]."""
        index = torch.zeros(len(x), dtype=torch.long, device=x.device)
        for axis, ends in enumerate(tensors(self.edges)):
            inner = ends[1:-1].to(x)
            index = index * (len(ends) - 1) + torch.searchsorted(inner, x[:, axis].contiguous())
        return index
