"""The slotted disk: its signed distance, and how well a shape agrees with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.suite.cases.in_time.space_time import Array, Samples

CENTRE = (0.5, 0.75)
RADIUS, SLOT_WIDTH, SLOT_TOP = 0.15, 0.05, 0.85
MIDDLE = 0.5  # centre of the rotation, on both axes


def turns(revolutions: float) -> str:
    """A number of revolutions in words."""
    return f"{revolutions:g} revolution" + ("" if revolutions == 1 else "s")


@dataclass(frozen=True)
class Shape:
    """A signed distance and its reference on a face-to-face lattice of the unit square.

    Attributes:
        u, exact: [n, n].
    """

    u: Array
    exact: Array

    @property
    def mean_error(self) -> float:
        """The mean error where r < 0.5: the paths of these points never leave the square."""
        away = np.linspace(-MIDDLE, MIDDLE, len(self.u))
        inside = away[:, None] ** 2 + away**2 < MIDDLE**2
        return float(np.abs(self.u - self.exact)[inside].mean())

    @property
    def area_loss(self) -> float:
        """The area that has been lost, in % of the exact one; negative: a gain."""
        covered, exact = self._covered(self.u), self._covered(self.exact)
        return float(100 * (1 - covered.sum() / exact.sum()))

    @property
    def symmetric_difference(self) -> float:
        """The area that is in one of both shapes only, in % of the exact one."""
        covered, exact = self._covered(self.u), self._covered(self.exact)
        return float(100 * np.abs(covered - exact).sum() / exact.sum())

    @staticmethod
    def _covered(distance: Array) -> Array:
        """The part of each point's cell that is inside: second order, as |grad u| = 1."""
        covered: Array = np.clip(0.5 - distance * (len(distance) - 1), 0.0, 1.0)
        return covered


def over_time(samples: Samples) -> dict[str, Array]:
    """The columns of errors at each time."""
    shapes = [Shape(u, exact) for u, exact in zip(samples.u, samples.exact, strict=True)]
    return {
        "time": samples.times,
        "mean_error": np.array([shape.mean_error for shape in shapes]),
        "max_error": samples.over_time()["max_error"],
        "area_loss_percent": np.array([shape.area_loss for shape in shapes]),
        "symmetric_difference_percent": np.array([s.symmetric_difference for s in shapes]),
    }


def signed_distance(p: Tensor) -> Tensor:
    """The distances [N] of points [N, 2] to the slotted disk's outline, negative inside.

    The outline is an arc and the three sides of the slot. Where a point's direction from the centre
    misses the arc, the nearest point of the arc is a corner, which is an end of a side too.
    """
    half = SLOT_WIDTH / 2
    x, y = (p[:, 0] - CENTRE[0]).abs(), p[:, 1] - CENTRE[1]
    top, corner = SLOT_TOP - CENTRE[1], -math.sqrt(RADIUS**2 - half**2)
    r = _norm(x, y)
    # Inside the wedge below the centre the arc is missing: |x| < half at the height of the corner.
    missing = (y < 0) & (x * -corner < half * -y)
    arc = torch.where(missing, torch.full_like(r, math.inf), (r - RADIUS).abs())
    side = _norm(x - half, y - y.clamp(corner, top))
    ceiling = _norm(x - x.clamp(max=half), y - top)
    inside = (r < RADIUS) & ~((x < half) & (y < top))
    distance = torch.minimum(torch.minimum(arc, side), ceiling)
    return torch.where(inside, -distance, distance)


def _norm(x: Tensor, y: Tensor) -> Tensor:
    """The length of (x, y); its gradient at 0 is 0."""
    length: Tensor = torch.linalg.vector_norm(torch.stack([x, y], dim=-1), dim=-1)
    return length
