"""Fixed points with weights that integrate splines exactly: Gauss-Legendre points per cell.

An energy at fixed points needs them: equal weights on a lattice are only second order, and the
minimiser fits fixed random points, which is an error.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda import Box, GaussPoints

from .case import Setup


def per_cell(setup: Setup, least: int) -> int:
    """The points per cell and axis that make about ``setup.points`` in 2-D, at least ``least``."""
    cells = math.prod(setup.cells_per_axis(2))
    return max(least, round(math.sqrt(setup.points / cells)))


def gauss_box(box: Box, cells: tuple[int, ...], count: int) -> tuple[Tensor, Tensor]:
    """The points [N, dim] of a box and their weights [N], whose mean is 1, float64."""
    points = GaussPoints(cells, count)
    return points(0, box, dtype=torch.float64), points.weights(box, dtype=torch.float64)
