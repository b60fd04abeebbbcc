"""Torus: all points within a distance of a circle in space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point, check_real
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_direction, check_name
from .axial import Axis


class Tube(Surface):
    """The points at a distance r from a circle of radius R about an axis.

    Its function ((ρ - R)² + z² - r²) / 2r, ρ the distance from the axis and z the coordinate along
    it, is smooth away from the axis; its gradient on the piece is the normal.

    Args:
        name: of the piece.
        axis: through the centre.
        major, minor: R and r, R > r > 0.
    """

    def __init__(self, name: str, axis: Axis, major: float, minor: float) -> None:
        self.name, self.axis, self.major, self.minor = name, axis, major, minor

    def level(self, x: Tensor) -> Tensor:
        """Returns ((ρ - R)² + z² - r²) / 2r, [N]."""
        along, offset = self.axis.split(x)
        across = offset.norm(dim=1) - self.major
        level: Tensor = (across.square() + along.square() - self.minor**2) / (2 * self.minor)
        return level

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of `level`, [N, 3]; on the axis, where it has a kink, along it."""
        along, offset = self.axis.split(x)
        distance = offset.norm(dim=1, keepdim=True)
        outward = offset / distance.clamp(min=torch.finfo(x.dtype).tiny)
        across = (distance - self.major) * outward
        away: Tensor = across + along[:, None] * x.new_tensor(self.axis.direction)
        return away / self.minor

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece is within a distance of each point, [N]."""
        along, offset = self.axis.split(x)
        core = torch.hypot(offset.norm(dim=1) - self.major, along)
        near: Tensor = (core - self.minor).abs() <= radius
        return near


class Torus(Shape):
    """A ring in space.

    Args:
        centre: three numbers, in units of x.
        major: radius of the circle in its middle.
        minor: radius of its tube, 0 < minor < major.
        axis: about which it runs, of any length but 0.
        name: of its boundary.

    Raises:
        TypeError, ValueError: for what is no centre, radius or axis, or a tube that meets itself.
    """

    def __init__(
        self,
        centre: Sequence[float],
        major: float,
        minor: float,
        axis: Sequence[float] = (0.0, 0.0, 1.0),
        name: str = "torus",
    ) -> None:
        self.centre = check_point("Torus", "centre", centre, 3)
        self.major = float(check_real("Torus", "major", major, positive=True))
        self.minor = float(check_real("Torus", "minor", minor, positive=True))
        if self.minor >= self.major:
            raise ValueError(
                f"Torus: minor is {self.minor:g} and major {self.major:g}; the tube meets itself "
                "unless minor < major."
            )
        self.axis = check_direction("Torus", "axis", axis, 3)
        self.name = check_name("Torus", name)
        self._axis = Axis(self.centre, self.axis)
        low, high = self._axis.ring(0.0, self.major)
        self.lower = tuple((low - self.minor).tolist())
        self.upper = tuple((high + self.minor).tolist())
        self._tube = Tube(name, self._axis, self.major, self.minor)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The tube."""
        return (self._tube,)

    def level(self, x: Tensor) -> Tensor:
        """Returns (d² - minor²) / (2 minor), [N], d the distance from the circle in its middle."""
        return self._tube.level(x)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved, turned and scaled torus."""
        centre, axis = self._axis.moved(rotation, shift, scale)
        return Torus(centre, scale * self.major, scale * self.minor, axis, self.name)

    def __repr__(self) -> str:
        return f"Torus({self.centre}, {self.major:g}, {self.minor:g}, axis={self.axis})"
