"""Points seen from an axis in space: along it, and away from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Axis:
    """A line in space through a point.

    Args:
        origin: a point of it, [3].
        direction: of length 1, [3].
    """

    def __init__(self, origin: tuple[float, ...], direction: tuple[float, ...]) -> None:
        self.origin, self.direction = origin, direction

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the coordinate [N] of points along it and their offset [N, 3] from it."""
        direction = x.new_tensor(self.direction)
        away = x - x.new_tensor(self.origin)
        along = away @ direction
        return along, away - along[:, None] * direction

    def at(self, along: float) -> tuple[float, ...]:
        """Returns the point [3] at a coordinate."""
        return tuple(o + along * d for o, d in zip(self.origin, self.direction, strict=True))

    def ring(self, along: float, radius: float) -> tuple[Tensor, Tensor]:
        """Returns the corners [3] of the box around a circle about the axis."""
        reach = [radius * math.sqrt(max(0.0, 1 - d * d)) for d in self.direction]
        centre = torch.tensor(self.at(along), dtype=torch.float64)
        half = torch.tensor(reach, dtype=torch.float64)
        return centre - half, centre + half

    def moved(
        self, rotation: Tensor, shift: Tensor, scale: float
    ) -> tuple[list[float], list[float]]:
        """Returns the origin and the direction of the axis after a map."""
        origin = scale * (rotation @ torch.tensor(self.origin, dtype=torch.float64)) + shift
        direction = rotation @ torch.tensor(self.direction, dtype=torch.float64)
        return origin.tolist(), direction.tolist()
