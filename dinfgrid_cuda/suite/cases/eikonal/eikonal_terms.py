"""The equations of a signed distance, in two losses, and the field they start from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda import Box, Constraint, Interior, Jet, Points, Problem, Term

from .point_clouds import Cloud

# SIREN's (Sitzmann et al., 2020, section 4.2; weights of its released code, which averages all four
# terms over surface and volume points together: half of these each, which Adam does not notice).
SIREN_DISTANCE, SIREN_NORMAL, SIREN_OFF, SIREN_EIKONAL = 3e3, 1e2, 1e2, 5e1
OFF_RATE = 100.0
# Weights of |u|^2 and |grad u - n|^2 on the surface against (|grad u| - 1)^2 in the volume. After
# 100 L-BFGS steps on the torus at 32^3 cells the mean error is 3e-2, 6e-3, 1.3e-3 and 1.0e-3 for
# (1e4, 10), (1e3, 10), (100, 1) and (30, 1): larger weights fit the surface better, but the
# problem is conditioned worse.
DISTANCE, NORMAL = 100.0, 1.0
# The start is rounded at its centre over this fraction of its radius: a grid, which has no kink,
# could not cancel that of a true distance.
ROUNDING = 0.5
TINY = 1e-12  # inside a square root, so that a gradient of zero has a derivative


class SphereStart(Constraint):
    """Adds s(x) = sqrt(|x - c|^2 + a^2) - sqrt(r^2 + a^2) to the field, so that it starts there.

    s vanishes on the sphere of centre c and radius r, is positive outside, and has nearly unit
    gradient. (Networks are started at a sphere by Atzmon and Lipman, SAL, 2020, and Gropp et al.,
    IGR, 2020; a grid takes it as a summand.)

    Args:
        centre: c, three numbers.
        radius: r > 0.
    """

    def __init__(self, centre: tuple[float, float, float], radius: float) -> None:
        super().__init__()
        self.centre, self.radius = centre, radius
        self.rounding = ROUNDING * radius

    @staticmethod
    def around(cloud: Cloud) -> SphereStart:
        """The start of a sphere about the mean of the points, at their mean distance from it."""
        centre = cloud.points.mean(axis=0)
        x, y, z = (float(c) for c in centre)
        away = ((cloud.points - centre) ** 2).sum(axis=1) ** 0.5
        return SphereStart((x, y, z), float(away.mean()))

    def start(self, x: Tensor) -> Tensor:
        """The summand s [N] at points x [N, 3]."""
        from_centre = [x[:, k] - c for k, c in enumerate(self.centre)]
        square = from_centre[0] ** 2 + from_centre[1] ** 2 + from_centre[2] ** 2
        return (square + self.rounding**2).sqrt() - math.hypot(self.radius, self.rounding)

    def forward(self, x: Tensor, net: Tensor) -> Tensor:
        """The sum net + s, [N, out]."""
        return net + self.start(x)[:, None]

    def jet(self, x: Tensor, net: Jet) -> Jet:
        """The jet of net + s."""
        return net + Jet.of(self.start, x, net.order)


def gradient_length(u: Jet) -> Tensor:
    """The length |grad u|, [N]."""
    return (u.gradient[:, 0].square().sum(dim=1) + TINY).sqrt()


def siren_terms(cloud: Cloud, points: int) -> list[Term]:
    """SIREN's terms of absolute values, one for each set of points, so that its jet is made once.

    Surface: 3000 |u|, 100 (1 - cos(grad u, n)), 50 | |grad u| - 1 |; volume: 50 | |grad u| - 1 |,
    100 exp(-100 |u|). Without a cosine in place of grad u . n a long gradient would be rewarded.
    """

    def surface(x: Tensor, u: Jet, normal: Tensor) -> Tensor:
        length = gradient_length(u)
        cosine = (u.gradient[:, 0] * normal).sum(dim=1) / length
        distance = SIREN_DISTANCE * u.value[:, 0].abs()
        return distance + SIREN_NORMAL * (1 - cosine) + SIREN_EIKONAL * (length - 1).abs()

    def volume(x: Tensor, u: Jet) -> Tensor:
        off = SIREN_OFF * torch.exp(-OFF_RATE * u.value[:, 0].abs())
        return SIREN_EIKONAL * (gradient_length(u) - 1).abs() + off

    region, normals = _region(cloud)
    return [
        Term("surface", region, surface, 1, points=points, data=normals, loss="mean"),
        Term("volume", Interior(), volume, 1, points=points, loss="mean"),
    ]


def square_terms(cloud: Cloud, points: int) -> list[Term]:
    """Terms of squares: 100 u^2 + |grad u - n|^2 on the surface, (|grad u| - 1)^2 in the volume."""

    def surface(x: Tensor, u: Jet, normal: Tensor) -> Tensor:
        # The mean is over the four columns as well; 2 makes it their sum.
        columns = [math.sqrt(DISTANCE) * u.value, math.sqrt(NORMAL) * (u.gradient[:, 0] - normal)]
        return 2 * torch.cat(columns, dim=1)

    def volume(x: Tensor, u: Jet) -> Tensor:
        return gradient_length(u) - 1

    region, normals = _region(cloud)
    return [
        Term("surface", region, surface, 1, points=points, data=normals),
        Term("eikonal", Interior(), volume, 1, points=points),
    ]


def _region(cloud: Cloud) -> tuple[Points, Tensor]:
    return Points(torch.from_numpy(cloud.points)), torch.from_numpy(cloud.normals)


def make_problem(box: Box, cloud: Cloud, loss: str, points: int) -> Problem:
    """Returns the problem of the signed distance of a cloud.

    Args:
        box: the volume.
        cloud: inside it.
        loss: "squares" or "siren".
        points: per step in the volume, and as many (or all there are) on the surface.
    """
    terms = {"squares": square_terms, "siren": siren_terms}[loss]
    return Problem(box, terms(cloud, points))
