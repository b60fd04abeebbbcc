"""Outlines of plane shapes: the star and other wheels in polar form, the gear, the L, an annulus.

They are plain numbers and functions, from which shapes are made:

    star = Implicit(STAR.level, (-1, -1), (1, 1), name="star")      # or Curve(STAR.curve)
    gear = Polygon(gear().tolist()) - Disk((0, 0), BORE)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The corners of an L, counter-clockwise; the re-entrant one is at the origin.
L_SHAPE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (0.0, -1.0))
# Centres and radii of a disk and of the hole in it.
ANNULUS = (((0.0, 0.0), 0.9), ((0.2, 0.1), 0.25))
# Radius of the hole in the gear.
BORE = 0.25


@dataclass(frozen=True)
class Wave:
    """The outline r(θ) = mean + height cos(count θ).

    Attributes:
        mean, height: 0 <= height < mean, in units of x.
        count: number of its tips.
    """

    mean: float
    height: float
    count: int

    def radius(self, angle: Tensor) -> Tensor:
        """Returns r at angles in radians."""
        return self.mean + self.height * torch.cos(self.count * angle)

    def slope(self, angle: Tensor) -> Tensor:
        """Returns dr/dθ at angles in radians."""
        return -self.count * self.height * torch.sin(self.count * angle)

    def level(self, x: Tensor) -> Tensor:
        """Returns |x| - r(θ) at points x [N, 2], [N]: negative inside, not smooth at the origin."""
        level: Tensor = x.norm(dim=1) - self.radius(torch.atan2(x[:, 1], x[:, 0]))
        return level

    def curve(self, angle: Tensor) -> Tensor:
        """Returns the points [N, 2] at angles [N] from 0 to 2 pi, counter-clockwise."""
        return self.radius(angle)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    def normal(self, angle: Tensor) -> Tensor:
        """Returns the outward unit normals [N, 2] of the curve's points."""
        r, slope, cosine, sine = self.radius(angle), self.slope(angle), angle.cos(), angle.sin()
        normal = torch.stack([r * cosine + slope * sine, r * sine - slope * cosine], dim=1)
        unit: Tensor = normal / normal.norm(dim=1, keepdim=True)
        return unit

    def area(self) -> float:
        """Returns pi (mean² + height² / 2), the area."""
        return math.pi * (self.mean**2 + self.height**2 / 2)


STAR = Wave(0.7, 0.2, 5)


def gear(
    teeth: int = 12,
    pitch: float = 0.7,
    pressure: float = math.radians(20),
    flank: int = 8,
) -> Tensor:
    """Returns the vertices [n, 2] of a spur gear with involute flanks, counter-clockwise.

    Sizes are those of ISO 53: module m = 2 pitch / teeth, tips at pitch + m, roots at pitch
    - 1.25 m, teeth and gaps alike on the pitch circle. Below the base circle, pitch cos(pressure),
    flanks are radial. There are no fillets: all corners are sharp.

    Args:
        teeth: at least 5.
        pitch: radius of the pitch circle, in units of x.
        pressure: the angle between a flank and the radius at the pitch circle, in radians.
        flank: points of a flank, at least 2.

    Raises:
        ValueError: for fewer teeth or points, and where the flanks of a tooth cross below its tip.
    """
    if teeth < 5 or flank < 2:
        raise ValueError(f"gear: {teeth} teeth with {flank} points a flank; take 5 and 2 at least.")
    module = 2 * pitch / teeth
    tip, root, base = pitch + module, pitch - 1.25 * module, pitch * math.cos(pressure)
    radii = torch.linspace(max(base, root), tip, flank, dtype=torch.float64)
    # Half a tooth's angle at radius r: pi / (2 teeth) + inv(pressure) - inv(arccos(base / r)).
    half = math.pi / (2 * teeth) + _involute(torch.tensor(pressure, dtype=torch.float64))
    angles = half - _involute(torch.arccos((base / radii).clamp(max=1.0)))
    if float(angles[-1]) <= 0:
        raise ValueError(f"gear: {teeth} teeth at a pressure of {pressure:g} rad end in a point.")
    if root < base:
        radii = torch.cat([radii.new_tensor([root]), radii])
        angles = torch.cat([angles[:1], angles])
    radii, angles = torch.cat([radii, radii.flip(0)]), torch.cat([-angles, angles.flip(0)])
    turns = 2 * math.pi / teeth * torch.arange(teeth, dtype=torch.float64)
    angles = turns[:, None] + angles
    around = torch.stack([angles.cos(), angles.sin()], dim=2)
    return (radii[:, None] * around).reshape(-1, 2)


def _involute(angle: Tensor) -> Tensor:
    """The involute function, tan(angle) - angle."""
    return torch.tan(angle) - angle
