"""Which cells are to be smaller, along which axes, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from .indicators import Cells

# Part of the loss that marked cells hold (W. Doerfler, SIAM J. Numer. Anal. 33, 1996).
SHARE = 0.9
# An axis along which a cell is rougher than this part of its roughest one is halved too.
ROUGH = 0.1
# Levels that are added at once at most, and the ratio of indicators that each of them is for.
MOST, PER_LEVEL = 3, 8.0


@dataclass(frozen=True)
class Marked:
    """Cells of one level that are to be smaller.

    Attributes:
        level: of the grid.
        axes: whether cells are halved along each axis.
        index: of the cells, [n, dim].
        steps: how many levels are added over them.
    """

    level: int
    axes: tuple[bool, ...]
    index: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    steps: int


def marked(cells: list[Cells], share: float = SHARE) -> list[Marked]:
    """Returns the fewest cells that hold a share of the loss between the points.

    The more the largest of a group stands out from what is left unmarked, the more levels are added
    at once.
    """
    squares = torch.cat([own.squares for own in cells])
    total = float(squares.sum())
    if not total > 0 or not math.isfinite(total):
        return []
    order = squares.argsort(descending=True)
    count = int((squares[order].cumsum(0) < share * total).sum()) + 1
    limit = float(squares[order[count - 1]])
    rest = float(squares[order[count]]) if count < len(order) else limit
    result = []
    for own in cells:
        chosen = own.squares >= limit
        if not bool(chosen.any()):
            continue
        rough = own.rough[chosen]
        axes = rough >= ROUGH**2 * rough.amax(dim=1, keepdim=True)
        index, values = own.index[chosen].numpy(), own.squares[chosen]
        for pattern in axes.unique(dim=0):
            of_pattern = (axes == pattern).all(dim=1)
            ratio = math.sqrt(float(values[of_pattern].max()) / max(rest, 1e-300))
            steps = 1 + int(math.log(max(ratio, 1.0)) / math.log(PER_LEVEL))
            picked = index[of_pattern.numpy()]
            along = tuple(bool(flag) for flag in pattern)
            result.append(Marked(own.level, along, picked, min(MOST, steps)))
    return result
