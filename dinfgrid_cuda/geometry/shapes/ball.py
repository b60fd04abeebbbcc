"""Disk and Ball: all points within a distance of a centre."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point, check_real
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_name


class Sphere(Surface):
    """The points at a distance from a centre; in 2-D a circle.

    Its function (|x - c|² - r²) / 2r is a polynomial whose gradient on the sphere is the normal.

    Args:
        name: of the piece.
        centre: [dim].
        radius: positive.
    """

    def __init__(self, name: str, centre: tuple[float, ...], radius: float) -> None:
        self.name, self.centre, self.radius = name, centre, radius

    def level(self, x: Tensor) -> Tensor:
        """Returns (|x - c|² - r²) / 2r, [N]."""
        squares = (x - x.new_tensor(self.centre)).square().sum(dim=1)
        level: Tensor = (squares - self.radius**2) / (2 * self.radius)
        return level

    def gradient(self, x: Tensor) -> Tensor:
        """Returns (x - c) / r, [N, dim]."""
        return (x - x.new_tensor(self.centre)) / self.radius

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the sphere is within a distance of each point, [N]."""
        away = (x - x.new_tensor(self.centre)).norm(dim=1) - self.radius
        close: Tensor = away.abs() <= radius
        return close


class _Round(Shape):
    """A disk or a ball."""

    DIM = 0

    def __init__(self, centre: Sequence[float], radius: float, name: str) -> None:
        where = type(self).__name__
        self.centre = check_point(where, "centre", centre, self.DIM)
        self.radius = float(check_real(where, "radius", radius, positive=True))
        self.name = check_name(where, name)
        self.lower = tuple(c - self.radius for c in self.centre)
        self.upper = tuple(c + self.radius for c in self.centre)
        self._sphere = Sphere(name, self.centre, self.radius)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The circle or sphere around it."""
        return (self._sphere,)

    def level(self, x: Tensor) -> Tensor:
        """Returns (|x - c|² - r²) / 2r, [N]."""
        return self._sphere.level(x)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the disk or ball around the moved centre."""
        centre = scale * (rotation @ torch.tensor(self.centre, dtype=torch.float64)) + shift
        return type(self)(centre.tolist(), scale * self.radius, self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.centre}, {self.radius:g})"


class Disk(_Round):
    """The disk |x - centre| <= radius in the plane.

    Args:
        centre: two numbers, in units of x.
        radius: positive.
        name: of its boundary, a circle.

    Raises:
        TypeError, ValueError: for what is no centre or radius.
    """

    DIM = 2

    def __init__(self, centre: Sequence[float], radius: float, name: str = "disk") -> None:
        super().__init__(centre, radius, name)


class Ball(_Round):
    """The ball |x - centre| <= radius in space.

    Args:
        centre: three numbers, in units of x.
        radius: positive.
        name: of its boundary, a sphere.

    Raises:
        TypeError, ValueError: for what is no centre or radius.
    """

    DIM = 3

    def __init__(self, centre: Sequence[float], radius: float, name: str = "ball") -> None:
        super().__init__(centre, radius, name)
