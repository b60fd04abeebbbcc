"""Capsule: all points within a distance of a line from one point to another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point, check_real
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import DistanceSurface, Surface

from .arguments import check_name


class Capsule(Shape):
    """A cylinder with round ends, in the plane or in space.

    Its level is the signed distance. It has a tangent everywhere, but its curvature jumps where the
    round ends begin, so that integrals over cells there have fewer digits than elsewhere.

    Args:
        start, end: of the line in its middle, in units of x, different from each other.
        radius: positive.
        name: of its boundary, all of it one piece.

    Raises:
        TypeError, ValueError: for what are no points or radius.
    """

    def __init__(
        self, start: Sequence[float], end: Sequence[float], radius: float, name: str = "capsule"
    ) -> None:
        self.start = check_point("Capsule", "start", start)
        self.end = check_point("Capsule", "end", end, len(self.start))
        self.radius = float(check_real("Capsule", "radius", radius, positive=True))
        if self.start == self.end:
            raise ValueError(
                f"Capsule: start and end are both {self.start}; use a Disk or a Ball for that."
            )
        self.name = check_name("Capsule", name)
        ends = list(zip(self.start, self.end, strict=True))
        self.lower = tuple(min(pair) - self.radius for pair in ends)
        self.upper = tuple(max(pair) + self.radius for pair in ends)
        self._surface = DistanceSurface(name, self._distance)

    def _distance(self, x: Tensor) -> Tensor:
        start, end = x.new_tensor(self.start), x.new_tensor(self.end)
        along = end - start
        place = ((x - start) @ along / along.square().sum()).clamp(0, 1)
        distance: Tensor = (x - start - place[:, None] * along).norm(dim=1)
        return distance - self.radius

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """All of its boundary."""
        return (self._surface,)

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N]."""
        return self._distance(x)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved, turned and scaled capsule."""
        ends = torch.tensor([self.start, self.end], dtype=torch.float64)
        start, end = (scale * ends @ rotation.t() + shift).tolist()
        return Capsule(start, end, scale * self.radius, self.name)

    def __repr__(self) -> str:
        return f"Capsule({self.start}, {self.end}, {self.radius:g})"
