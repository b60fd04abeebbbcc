"""Points with weights that become denser towards an end, for errors of what is thin there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

HALVINGS = 24


@dataclass(frozen=True)
class Graded:
    """Gauss points on intervals that halve towards ends of an axis.

    Attributes:
        lower, upper: of the axis.
        towards: the ends towards which they halve, one or both.
        halvings: the last interval is this many times halved.
    """

    lower: float
    upper: float
    towards: tuple[str, ...]
    halvings: int = HALVINGS

    def breaks(self) -> npt.NDArray[np.float64]:
        """Returns the ends of the intervals, ascending."""
        both = len(self.towards) == 2
        steps = (self.upper - self.lower) / (1 + both) * 0.5 ** np.arange(self.halvings + 1)
        ends = [np.array([self.lower, self.upper])]
        if "lower" in self.towards:
            ends.append(self.lower + steps)
        if "upper" in self.towards:
            ends.append(self.upper - steps)
        result: npt.NDArray[np.float64] = np.unique(np.concatenate(ends))
        return result

    def points(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns about ``count`` places [n] and their weights [n], in all upper - lower."""
        breaks = self.breaks()
        per_interval = max(2, math.ceil(count / (len(breaks) - 1)))
        nodes, weights = np.polynomial.legendre.leggauss(per_interval)
        places, shares = [], []
        for start, end in pairwise(breaks):
            places.append(start + (end - start) * (nodes + 1) / 2)
            shares.append((end - start) * weights / 2)
        x, w = (torch.from_numpy(np.concatenate(each)) for each in (places, shares))
        return x, w


def product(axes: tuple[Graded, Graded], count: int) -> tuple[Tensor, Tensor]:
    """Returns the points [N, 2] of a rectangle, about ``count`` on each axis, and weights [N]."""
    (x, u), (y, v) = (axis.points(count) for axis in axes)
    return torch.cartesian_prod(x, y), torch.outer(u, v).reshape(-1)
