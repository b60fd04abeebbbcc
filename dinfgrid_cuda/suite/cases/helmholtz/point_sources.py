"""Point sources in a plane of absorbing layers: coefficients, sources and the exact waves.

    d_x((e_y / e_x) d_x u) + d_y((e_x / e_y) d_y u) + e_x e_y k^2 u = f

is the Helmholtz equation in the complex coordinates X(x) with dX/dx = e (a perfectly matched layer,
Berenger 1994; this form: Chew and Weedon 1994). With the time factor exp(+j omega t) outgoing waves
are H_0^(2)(k r), and e = 1 - j sigma / k damps them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# The layers fill depth INNER..OUTER of each axis; sigma = k STRENGTH (l / DEPTH)^2.
INNER, OUTER, STRENGTH = 0.5, 1.0, 5.0
DEPTH = OUTER - INNER
# Width and complex strength of the Gaussian that represents a point source.
WIDTH, AMPLITUDE = 0.01, 1 + 1j
# Distance at which a Gaussian is zero: exp(-8^2 / 2) = 1e-14.
NEAR = 8 * WIDTH
# Radius of the circle about the origin on which several sources stand.
RING = 0.3


def positions(count: int) -> list[tuple[float, float]]:
    """The places of the sources: the origin, or ``count`` on the circle of radius `RING`.

    The first stands at (RING, 0), the others follow counterclockwise.
    """
    if count == 1:
        return [(0.0, 0.0)]
    angles = [2 * math.pi * i / count for i in range(count)]
    return [(RING * math.cos(angle), RING * math.sin(angle)) for angle in angles]


def stretch(x: Tensor) -> tuple[Tensor, Tensor]:
    """The factor e = dX/dx = 1 - j STRENGTH (l / DEPTH)^2 and its derivative along one axis."""
    depth = (x.abs() - INNER).clamp(min=0)
    e = torch.complex(torch.ones_like(x), -STRENGTH * (depth / DEPTH) ** 2)
    slope = -2 * STRENGTH / DEPTH**2 * depth * x.sign()
    return e, torch.complex(torch.zeros_like(x), slope)


def stretched(x: Array) -> ComplexArray:
    """The complex coordinate X(x), the integral of e from 0."""
    depth = np.maximum(np.abs(x) - INNER, 0.0)
    result: ComplexArray = x - 1j * STRENGTH * np.sign(x) * depth**3 / (3 * DEPTH**2)
    return result


def source(x: Tensor, at: list[tuple[float, float]]) -> Tensor:
    """The source f at points x [N, 2], complex [N]: AMPLITUDE times Gaussians of `WIDTH`."""
    total = torch.zeros_like(x[:, 0])
    for a, b in at:
        square = (x[:, 0] - a) ** 2 + (x[:, 1] - b) ** 2
        total = total + torch.exp(-square / (2 * WIDTH**2)) / (2 * math.pi * WIDTH**2)
    return AMPLITUDE * total


def distances(x: Array, at: list[tuple[float, float]]) -> Array:
    """The distances [N] of points x [N, 2] to the nearest source."""
    result: Array = np.min([np.hypot(x[:, 0] - a, x[:, 1] - b) for a, b in at], axis=0)
    return result


@dataclass(frozen=True)
class Wave:
    """The outgoing wave of sources in layers of infinite depth.

    Where layers end, at `DEPTH` with u = 0, a wave at normal incidence comes back smaller by
    exp(-2 k STRENGTH DEPTH / 3): 3e-15 for k = 20, 2e-4 for k = 5.

    Attributes:
        wavenumber: k.
        at: positions of the sources.
    """

    wavenumber: float
    at: list[tuple[float, float]]

    def __call__(self, x: Array) -> ComplexArray:
        """The wave u at points x [N, 2], complex [N], in the layers too."""
        total: ComplexArray = np.zeros(len(x), dtype=np.complex128)
        for a, b in self.at:
            first, second = stretched(x[:, 0]) - a, stretched(x[:, 1]) - b
            # Both squares lie in the lower half plane: the root with positive real part is meant.
            total += self.of_distance(np.sqrt(first**2 + second**2))
        return total

    def of_distance(self, r: ComplexArray) -> ComplexArray:
        """The wave u at distance r from one source, complex inside the layers.

        With the fundamental solution (j/4) H_0^(2)(k r) of Delta + k^2. Outside the Gaussian its
        convolution is a factor exp(-k^2 s^2 / 2), by the mean value property of J_0.
        """
        from scipy.special import hankel2

        near = np.abs(r) < NEAR
        factor = AMPLITUDE * 0.25j * math.exp(-((self.wavenumber * WIDTH) ** 2) / 2)
        result: ComplexArray = factor * hankel2(0, self.wavenumber * np.where(near, 1.0, r))
        result[near] = self._inside(r[near].real)
        return result

    @cached_property
    def _inside(self) -> Any:
        """The convolution inside the Gaussian g as a spline over r in [0, NEAR].

        By the addition theorem (j/4) (H(k r) int_0^r g J(k p) 2 pi p dp + J(k r) int_r^oo g H(k p)
        2 pi p dp), H = H_0^(2), J = J_0, in which r only takes the place of one limit.
        """
        from scipy.interpolate import CubicSpline
        from scipy.special import hankel2, j0

        intervals, k = 800, self.wavenumber
        # Narrow at 0, where H is logarithmic.
        r = NEAR * (np.arange(intervals + 1) / intervals) ** 2
        nodes, weights = np.polynomial.legendre.leggauss(10)
        p = r[:-1, None] + np.diff(r)[:, None] * (nodes + 1) / 2
        mass = np.exp(-(p**2) / (2 * WIDTH**2)) * p / WIDTH**2 * np.diff(r)[:, None] / 2 * weights
        inner = np.concatenate([[0], np.cumsum((mass * j0(k * p)).sum(1))])
        outer = np.concatenate([[0], np.cumsum((mass * hankel2(0, k * p)).sum(1)[::-1])])[::-1]
        first = inner * hankel2(0, k * np.maximum(r, 1e-12))
        first[0] = 0.0
        return CubicSpline(r, AMPLITUDE * 0.25j * (first + j0(k * r) * outer))
