"""Rectangle and Cuboid: boxes in the plane and in space, as shapes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.shape import Shape

from .arguments import check_name, check_order


class _Block(Box):
    """A box of a fixed dimension."""

    DIM = 0

    def __init__(self, lower: Sequence[float], upper: Sequence[float], name: str = "") -> None:
        where = type(self).__name__
        low = check_point(where, "lower", lower, self.DIM)
        high = check_point(where, "upper", upper, self.DIM)
        check_order(where, low, high)
        super().__init__(low, high, check_name(where, name))

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved and scaled box, of the same kind unless it is turned."""
        if not torch.equal(rotation, torch.eye(self.DIM).to(rotation)):
            return super().transformed(rotation, shift, scale)
        low = scale * torch.tensor(self.lower, dtype=torch.float64) + shift
        high = scale * torch.tensor(self.upper, dtype=torch.float64) + shift
        return type(self)(low.tolist(), high.tolist(), self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lower}, {self.upper})"


class Rectangle(_Block):
    """An axis-parallel rectangle; `rotated` turns it.

    Its boundary pieces are "lower 0" (left), "upper 0" (right), "lower 1" (below) and "upper 1"
    (above).

    Args:
        lower, upper: opposite corners, two numbers each, in units of x, lower < upper.
        name: put before the names of the edges, "plate lower 0"; by default nothing is.

    Raises:
        TypeError, ValueError: for what is no corner, or corners in the wrong order.
    """

    DIM = 2


class Cuboid(_Block):
    """An axis-parallel block in space; `rotated` turns it.

    Its boundary pieces are "lower 0", "upper 0", "lower 1", ..., one for each face.

    Args:
        lower, upper: opposite corners, three numbers each, in units of x, lower < upper.
        name: put before the names of the faces, "block lower 0"; by default nothing is.

    Raises:
        TypeError, ValueError: for what is no corner, or corners in the wrong order.
    """

    DIM = 3
