"""Cylinder and Cone: round solids between two planes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point, check_real
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Plane, Surface

from .arguments import check_direction, check_name, prefixed
from .axial import Axis


class Side(Surface):
    """The points at a distance from an axis that changes linearly along it.

    For a cylinder its function is the polynomial (ρ² - r²) / 2r, ρ the distance from the axis; for
    a cone it is the signed distance from its generator, which has a kink on the axis. Its gradient
    on the piece is the normal.

    Args:
        name: of the piece.
        axis: from the lower end.
        height: of the piece along the axis.
        radii: at the lower and at the upper end.
    """

    def __init__(self, name: str, axis: Axis, height: float, radii: tuple[float, float]) -> None:
        self.name, self.axis, self.height, self.radii = name, axis, height, radii
        self.slope = (radii[1] - radii[0]) / height
        self.cosine = 1 / math.hypot(1.0, self.slope)

    def level(self, x: Tensor) -> Tensor:
        """Returns (ρ² - r²) / 2r or the signed distance from a generator, [N]."""
        along, offset = self.axis.split(x)
        if self.slope == 0:
            radius = self.radii[0]
            level: Tensor = (offset.square().sum(dim=1) - radius**2) / (2 * radius)
        else:
            level = (offset.norm(dim=1) - self.radii[0] - self.slope * along) * self.cosine
        return level

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of `level`, [N, 3]; on the axis of a cone, along it."""
        _, offset = self.axis.split(x)
        if self.slope == 0:
            return offset / self.radii[0]
        outward = offset / offset.norm(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        away: Tensor = outward - self.slope * x.new_tensor(self.axis.direction)
        return away * self.cosine

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece between the two ends is within a distance of each point, [N]."""
        along, offset = self.axis.split(x)
        across = offset.norm(dim=1) - self.radii[0]
        rise = self.radii[1] - self.radii[0]
        place = (along * self.height + across * rise) / (self.height**2 + rise**2)
        place = place.clamp(0, 1)
        return torch.hypot(along - place * self.height, across - place * rise) <= radius


class End(Plane):
    """A disk in space, an end of a cylinder; its plane is the zero set.

    Args:
        name: of the piece.
        axis: from the lower end.
        along: where on the axis.
        radius: of the disk.
        outward: 1 if the inside is below, -1 if it is above.
    """

    def __init__(self, name: str, axis: Axis, along: float, radius: float, outward: float) -> None:
        normal = tuple(outward * entry for entry in axis.direction)
        offset = math.fsum(n * p for n, p in zip(normal, axis.at(along), strict=True))
        super().__init__(name, normal, offset)
        self.axis, self.radius = axis, radius

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the disk is within a distance of each point, [N]."""
        _, offset = self.axis.split(x)
        beyond = (offset.norm(dim=1) - self.radius).clamp(min=0)
        return torch.hypot(self.level(x), beyond) <= radius


class _Turned(Shape):
    """A solid that is round about an axis, between two planes."""

    def __init__(
        self,
        base: Sequence[float],
        radii: tuple[float, float],
        height: float,
        axis: Sequence[float],
        name: str,
    ) -> None:
        where = type(self).__name__
        self.base = check_point(where, "base", base, 3)
        self.height = float(check_real(where, "height", height, positive=True))
        self.axis = check_direction(where, "axis", axis, 3)
        self.name, self.radii = check_name(where, name), radii
        self._axis = Axis(self.base, self.axis)
        rings = [self._axis.ring(at, r) for at, r in zip((0.0, self.height), radii, strict=True)]
        self.lower = tuple(torch.minimum(rings[0][0], rings[1][0]).tolist())
        self.upper = tuple(torch.maximum(rings[0][1], rings[1][1]).tolist())
        pieces: list[Surface] = [Side(prefixed(name, "side"), self._axis, self.height, radii)]
        for end, at, radius, outward in zip(
            ("lower", "upper"), (0.0, self.height), radii, (-1.0, 1.0), strict=True
        ):
            if radius:
                pieces.append(End(prefixed(name, end), self._axis, at, radius, outward))
        self._pieces = tuple(pieces)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Its side, its lower and its upper end; the end at an apex is none."""
        return self._pieces

    def level(self, x: Tensor) -> Tensor:
        """Returns the largest level [N] of its pieces."""
        return torch.stack([piece.level(x) for piece in self._pieces]).amax(dim=0)


class Cylinder(_Turned):
    """A circular cylinder. Its boundary pieces are "side", "lower" and "upper".

    Args:
        base: centre of its lower end, three numbers, in units of x.
        radius: positive.
        height: from the lower to the upper end, positive.
        axis: direction from the lower to the upper end, of any length but 0.
        name: put before the names of the pieces, "tank side"; by default nothing is.

    Raises:
        TypeError, ValueError: for what is no base, radius, height or axis.
    """

    def __init__(
        self,
        base: Sequence[float],
        radius: float,
        height: float,
        axis: Sequence[float] = (0.0, 0.0, 1.0),
        name: str = "",
    ) -> None:
        self.radius = float(check_real("Cylinder", "radius", radius, positive=True))
        super().__init__(base, (self.radius, self.radius), height, axis, name)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved, turned and scaled cylinder."""
        base, axis = self._axis.moved(rotation, shift, scale)
        return Cylinder(base, scale * self.radius, scale * self.height, axis, self.name)

    def __repr__(self) -> str:
        return f"Cylinder({self.base}, {self.radius:g}, {self.height:g}, axis={self.axis})"


class Cone(_Turned):
    """A circular cone, or what is left of one when its tip is cut off.

    Its boundary pieces are "side", "lower" and, if the tip is cut off, "upper".

    Args:
        base: centre of its lower end, three numbers, in units of x.
        radius: of the lower end, positive.
        height: from the lower end to the tip or to the upper end, positive.
        axis: direction from the lower end to the tip, of any length but 0.
        upper_radius: of the upper end, 0 for a tip.
        name: put before the names of the pieces, "hat side"; by default nothing is.

    Raises:
        TypeError, ValueError: for what is no base, radius, height or axis.
    """

    def __init__(
        self,
        base: Sequence[float],
        radius: float,
        height: float,
        axis: Sequence[float] = (0.0, 0.0, 1.0),
        upper_radius: float = 0.0,
        name: str = "",
    ) -> None:
        self.radius = float(check_real("Cone", "radius", radius, positive=True))
        self.upper_radius = float(check_real("Cone", "upper_radius", upper_radius))
        super().__init__(base, (self.radius, self.upper_radius), height, axis, name)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved, turned and scaled cone."""
        base, axis = self._axis.moved(rotation, shift, scale)
        radii = scale * self.radius, scale * self.upper_radius
        return Cone(base, radii[0], scale * self.height, axis, radii[1], self.name)

    def __repr__(self) -> str:
        cut = f", upper_radius={self.upper_radius:g}" if self.upper_radius else ""
        return f"Cone({self.base}, {self.radius:g}, {self.height:g}, axis={self.axis}{cut})"
