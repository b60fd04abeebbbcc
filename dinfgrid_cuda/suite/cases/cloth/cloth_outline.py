"""What a cloth is cut to: a square or a round sheet, flat and at rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda import (
    Box,
    BoxConstraint,
    Constraint,
    Disk,
    GaussPoints,
    Interior,
    Shape,
    ShapeConstraint,
)
from dinfgrid_cuda.suite.tools.evaluation import lattice

SIDE = 2.0
# Points that rounding would put outside a disk are drawn in by this part of its radius.
ROUNDING = 1e-15


@dataclass(frozen=True)
class Flat:
    """A square sheet of 2 m x 2 m around 0, or a round one of the same width.

    Attributes:
        round: True for the disk.
    """

    round: bool

    @property
    def box(self) -> Box:
        """The square, or that around the disk, in m."""
        return Box((-SIDE / 2, -SIDE / 2), (SIDE / 2, SIDE / 2))

    @property
    def shape(self) -> Shape:
        """The sheet itself; the edge of a round one is named "rim"."""
        return Disk((0.0, 0.0), SIDE / 2, name="rim") if self.round else self.box

    @property
    def area(self) -> float:
        """The area in m^2."""
        return math.pi * SIDE**2 / 4 if self.round else SIDE**2

    @property
    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The points by which it hangs: the upper corners, or 45 degrees to both sides of the top.

        In m.
        """
        reach = SIDE / 2 * (math.sqrt(0.5) if self.round else 1.0)
        return ((-reach, reach), (reach, reach))

    def hem(self) -> Constraint:
        """Returns a constraint with a polynomial factor that holds the edge at 0."""
        return ShapeConstraint(self.shape) if self.round else BoxConstraint(factor="polynomial")

    def points(self, count: int) -> Tensor:
        """Returns the points [count^2, 2] of a structured grid that fills the sheet, in m.

        On a disk (u sqrt(1 - v^2 / 2), v sqrt(1 - u^2 / 2)) of a lattice on the square: its edge
        becomes the rim, its corners lie at 45 degrees, and no two points coincide.
        """
        x = lattice(self.box, count)
        if not self.round:
            return x
        across = torch.sqrt(1 - (2 / SIDE * x.flip(1)).square() / 2)
        mapped: Tensor = (1 - ROUNDING) * x * across
        return mapped

    def quadrature(self, cells: int, per_cell: int) -> tuple[Tensor, Tensor]:
        """Returns Gauss points [N, 2] in the sheet's part of cells, and weights [N], 1 in the mean.

        Args:
            cells: per axis of the square.
            per_cell: points per cell and axis.
        """
        region = Interior(GaussPoints(cells=cells, per_cell=per_cell))
        x = region.sample(1, self.shape, dtype=torch.float64)
        weights = region.weights(1, self.shape, torch.float64, x.device)
        assert weights is not None
        return x, weights
