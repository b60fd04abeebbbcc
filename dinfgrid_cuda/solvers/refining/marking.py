"""Which cells are to be smaller, along which axes, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .indicators import Cells

# Part of the loss that marked cells hold (W. Doerfler, SIAM J. Numer. Anal. 33, 1996).
SHARE = 0.6
# An axis along which a cell is rougher than this part of its roughest one is halved too.
ROUGH = 0.1


@dataclass(frozen=True)
class Marked:
    """Cells of one level that are to be smaller.

    Attributes:
        level: of the grid.
        axes: whether cells are halved along each axis.
        index: of the cells, [n, dim].
    """

    level: int
    axes: tuple[bool, ...]
    index: npt.NDArray[np.int64]


def marked(cells: list[Cells], share: float = SHARE) -> list[Marked]:
    """Returns the fewest cells that hold a share of the loss between the points."""
    squares = torch.cat([own.squares for own in cells])
    total = float(squares.sum())
    if not total > 0 or not math.isfinite(total):
        return []
    order = squares.argsort(descending=True)
    count = int((squares[order].cumsum(0) < share * total).sum()) + 1
    limit = float(squares[order[count - 1]])
    result = []
    for own in cells:
        chosen = own.squares >= limit
        if not bool(chosen.any()):
            continue
        rough = own.rough[chosen]
        axes = rough >= ROUGH**2 * rough.amax(dim=1, keepdim=True)
        index = own.index[chosen].numpy()
        for pattern in axes.unique(dim=0):
            picked = index[(axes == pattern).all(dim=1).numpy()]
            result.append(Marked(own.level, tuple(map(bool, pattern.tolist())), picked))
    return result
