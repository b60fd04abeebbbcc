"""What the study of boundaries solves: exact solutions, domains and points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.kernels.basis import Basis

Array = npt.NDArray[np.float64]

HEAVIER = 100.0


@dataclass(frozen=True)
class Way:
    """A basis and how its equations are set up.

    Attributes:
        basis, boundary: of the grid.
        crowded: collocation points as dense near the boundary as Chebyshev's.
        weight: of the boundary term, on top of the balance that `solve` finds.
        taper: the equation is multiplied by this power of the distance to the L's corner.
        fitted: to the exact solution itself, which shows what the grid can represent.
    """

    basis: Basis
    boundary: str = "ghost"
    crowded: bool = False
    weight: float = 1.0
    taper: float = 0.0
    fitted: bool = False


PAPER, FLAT, FLATTER = dg.Gaussian(), dg.Gaussian(0.7, 6), dg.Gaussian(0.5, 12)
BASES = {
    "Gaussian(1, 3), clamp": Way(PAPER, "clamp"),
    "Gaussian(1, 3)": Way(PAPER),
    "Gaussian(1, 3), smooth window": Way(dg.Gaussian(1.0, 3, window="smooth")),
    "Gaussian(0.7, 6)": Way(FLAT),
    "Gaussian(0.7, 6), smooth window": Way(dg.Gaussian(0.7, 6, window="smooth")),
    "B-spline 3": Way(dg.BSpline(3)),
    "B-spline 5": Way(dg.BSpline(5)),
    "B-spline 7": Way(dg.BSpline(7)),
    "B-spline 5, best fit to u": Way(dg.BSpline(5), fitted=True),
}
# The exponent: functions that a grid can hold come arbitrarily near to u in the norm of r^g times
# the Laplacian if 1 - 2/3 < g <= 1 (Costabel and Dauge 2002), and the faster the larger g is.
L_WAYS = {**BASES, "B-spline 5, equation times r": Way(dg.BSpline(5), taper=1.0)}
REMEDIES = {
    "Gaussian(1, 3), clamp": Way(PAPER, "clamp"),
    "Gaussian(1, 3), clamp, points crowded": Way(PAPER, "clamp", crowded=True),
    f"Gaussian(1, 3), clamp, boundary ×{HEAVIER:g}": Way(PAPER, "clamp", weight=HEAVIER),
    "Gaussian(0.7, 6), clamp": Way(FLAT, "clamp"),
    "Gaussian(0.5, 12), clamp": Way(FLATTER, "clamp"),
    "Gaussian(1, 3)": Way(PAPER),
    "Gaussian(0.7, 6)": Way(FLAT),
    "Gaussian(0.7, 6), smooth window": Way(dg.Gaussian(0.7, 6, window="smooth")),
    "Gaussian(0.5, 12)": Way(FLATTER),
    "B-spline 5": Way(dg.BSpline(5)),
}
FITS = {
    "Gaussian(1, 3), clamp": Way(PAPER, "clamp", fitted=True),
    "Gaussian(0.7, 6), clamp": Way(FLAT, "clamp", fitted=True),
    "Gaussian(0.5, 12), clamp": Way(FLATTER, "clamp", fitted=True),
    "Gaussian(1, 3)": Way(PAPER, fitted=True),
    "B-spline 5": Way(dg.BSpline(5), fitted=True),
}


def jump_solution(count: int) -> Array:
    """The harmonic function that is 1 on the unit square's upper side and 0 on the others.

    At the middles of count x count parts of the square, last axis fastest. Separation of
    variables: the sum over odd n of 4/(n pi) sin(n pi x) sinh(n pi y) / sinh(n pi), with the
    quotient as decaying exponentials, until these are below double precision.
    """
    t = (np.arange(count) + 0.5) / count
    # The point nearest to the upper side is 1 / (2 count) away; exp(-40) is 4e-18.
    n = np.arange(1, 40 / (math.pi * 0.5 / count) + 2, 2)[None] * math.pi
    y = t[:, None]
    rise = np.exp(-n * (1 - y)) * np.expm1(-2 * n * y) / np.expm1(-2 * n)
    result: Array = np.sin(n * y) @ (4 / n * rise).T
    return result.reshape(-1)


def l_solution(x: Tensor) -> Tensor:
    """The function r^(2/3) sin(2 theta / 3), [N, 1], harmonic at a corner of 3/2 pi."""
    angle = torch.remainder(torch.atan2(x[:, 1:], x[:, :1]), 2 * math.pi)
    radius = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    result: Tensor = radius ** (2 / 3) * torch.sin(2 / 3 * angle)
    return result


def wave(x: Tensor) -> Tensor:
    """The function sin 3x cos 2y, [N, 1]; its Laplacian is -13 times itself."""
    return torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:])


WAVE_FACTOR = -13.0


def inside_l(x: Tensor) -> Tensor:
    """Whether points are in the closed L, [-1, 1]^2 without x > 0 > y."""
    return (x[:, 0] <= 0) | (x[:, 1] >= 0)


class LBoundary(dg.Boundary):
    """The six edges of the L; a `Boundary`, so that `solve` balances its weight."""

    def sample(self, *args: Any, **options: Any) -> Tensor:
        """The square's points that are in the L, and those of the two edges at its corner."""
        x = super().sample(*args, **options)
        t = x[(x[:, 1] == 1) & (x[:, 0] >= 0), 0]
        zero = torch.zeros_like(t)
        edges = [torch.stack([t, zero], dim=1), torch.stack([zero, -t], dim=1)]
        return torch.cat([x[inside_l(x)], *edges])


def crowded(cells: int) -> Tensor:
    """The points cos(j pi / n) on each axis of [-1, 1]^2, crowded near the boundary.

    In the middle they are as dense as those of `solve`, two per cell: so n = pi cells. Their
    spacing shrinks with the root of the distance to the boundary.
    """
    count = round(math.pi * cells)
    t = torch.cos(torch.arange(count + 1, dtype=torch.float64) * (math.pi / count))
    x, y = torch.meshgrid(t, t, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)], dim=1)
