"""Exact deflections of thin plates, D Lap^2 w = q, as functions of the points in float64.

All of them return w D / q [N] at points x [N, 2] measured from the centre of the plate; for loads
that vary, q is the amplitude. Formulas: S. Timoshenko and S. Woinowsky-Krieger, Theory of Plates
and Shells, 2nd edition (1959), sections 16, 27, 28 and 30.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from numpy.polynomial import legendre
from torch import Tensor

Array = npt.NDArray[np.float64]

# Odd terms of Levy's series: what is cut off is below 1 / (8 (2 LEVY)^4) of the first term.
LEVY = 160
# Even functions per axis of the Ritz series. Centre and largest deflection of the square change by
# less than 1e-11 of themselves from 24 to 40.
RITZ = 40


def simple_sine(x: Tensor, a: float, b: float) -> Tensor:
    """The deflection of a simply supported rectangle under q cos(pi x / a) cos(pi y / b)."""
    amplitude = 1 / (math.pi**2 * (1 / a**2 + 1 / b**2)) ** 2
    return amplitude * sine_load(x, a, b)


def sine_load(x: Tensor, a: float, b: float) -> Tensor:
    """The load of `simple_sine`: half a wave along each axis, 1 at the centre."""
    return torch.cos(math.pi / a * x[:, 0]) * torch.cos(math.pi / b * x[:, 1])


def simple_uniform(x: Tensor, a: float, b: float) -> Tensor:
    """The deflection of a simply supported rectangle under uniform load, Levy's single series.

    w = strip(s) + sum over odd m of (4 a^4 / (pi m)^5) Y_m(y) sin(m pi s / a), s = x + a/2, with
    the deflection of an infinitely long plate, strip = (s^4 - 2 a s^3 + a^3 s) / 24, summed in
    closed form. Navier's double series has the same sum but converges far more slowly.
    """
    s, t = x[:, 0] + a / 2, 2 / b * x[:, 1]
    m = 2.0 * torch.arange(LEVY, dtype=x.dtype, device=x.device) + 1
    alpha = m * (math.pi * b / (2 * a))
    t = t[:, None]
    # cosh(alpha t) / cosh(alpha) and sinh(alpha t) / cosh(alpha) without overflow
    rise, fall = torch.exp(-alpha * (1 - t)), torch.exp(-alpha * (1 + t))
    scale = 1 + torch.exp(-2 * alpha)
    cosh, sinh = (rise + fall) / scale, (rise - fall) / scale
    profile = (alpha * t * sinh - (alpha * torch.tanh(alpha) + 2) * cosh) / 2
    waves = torch.sin(m * (math.pi / a) * s[:, None])
    series = (4 * a**4 / math.pi**5) * (profile * waves / m**5).sum(dim=1)
    strip: Tensor = (s**4 - 2 * a * s**3 + a**3 * s) / 24
    return strip + series


def clamped_bump(x: Tensor, a: float, b: float) -> Tensor:
    """The deflection (a/2)^4 (1 - X^2)^2 (1 - Y^2)^2 of a clamped one, X = 2 x / a, Y = 2 y / b."""
    u, v = 2 / a * x[:, 0], 2 / b * x[:, 1]
    return (a / 2) ** 4 * ((1 - u * u) * (1 - v * v)) ** 2


def bump_load(x: Tensor, a: float, b: float) -> Tensor:
    """The load of `clamped_bump`, its bilaplacian."""
    u, v = 2 / a * x[:, 0], 2 / b * x[:, 1]
    ratio = (a / b) ** 2
    across = 24 * ((1 - v * v) ** 2 + ratio**2 * (1 - u * u) ** 2)
    return across + 2 * ratio * (12 * u * u - 4) * (12 * v * v - 4)


def clamped_disk(x: Tensor, radius: float) -> Tensor:
    """The deflection of a clamped disk under uniform load, (R^2 - r^2)^2 / 64."""
    return (radius**2 - x.square().sum(dim=1)) ** 2 / 64


def simple_disk(x: Tensor, radius: float, nu: float) -> Tensor:
    """The deflection of a simply supported disk under uniform load.

    (R^2 - r^2) ((5 + nu) / (1 + nu) R^2 - r^2) / 64
    """
    r2 = x.square().sum(dim=1)
    return (radius**2 - r2) * ((5 + nu) / (1 + nu) * radius**2 - r2) / 64


@dataclass(frozen=True)
class Ritz:
    """A series over products of one-dimensional polynomials with double zeros at -1 and 1.

    Attributes:
        polynomials: [n, degree + 1], Legendre coefficients of the one-dimensional functions.
        coefficients: [n, n].
    """

    polynomials: Tensor
    coefficients: Tensor

    def __call__(self, u: Tensor, v: Tensor) -> Tensor:
        """The sum [N] at coordinates u and v [N] in [-1, 1]."""
        first, second = self._functions(u), self._functions(v)
        return ((first @ self.coefficients) * second).sum(dim=1)

    def _functions(self, u: Tensor) -> Tensor:
        """The values of all functions at u, [N, n], by the three-term recurrence."""
        polynomials = [torch.ones_like(u), u]
        for k in range(1, self.polynomials.shape[1] - 1):
            polynomials.append(
                ((2 * k + 1) * u * polynomials[k] - k * polynomials[k - 1]) / (k + 1)
            )
        return torch.stack(polynomials, dim=1) @ self.polynomials.T.to(u.device)


def clamped_uniform(x: Tensor, a: float, b: float, count: int = RITZ) -> Tensor:
    """The deflection of a clamped rectangle under uniform load, the Ritz series of `ritz`."""
    series = ritz(a / b, count)
    return (a / 2) ** 4 * series(2 / a * x[:, 0], 2 / b * x[:, 1])


@lru_cache(maxsize=8)
def ritz(ratio: float, count: int = RITZ) -> Ritz:
    """The w that minimises the energy of a clamped plate under uniform load, a / b = ratio.

    Functions of J. Shen (SIAM J. Sci. Comput. 15, 1994, section 3): combinations of the Legendre
    polynomials of degree k, k + 2 and k + 4 that vanish with their slope at both ends, even k
    only, scaled so that their second derivatives are orthonormal. With the matrices A = I, B and
    C of the products of second, first and no derivatives, the coefficients c solve
    (A x C + 2 ratio^2 B x B + ratio^4 C x A) c = f x f.
    """
    polynomials = np.zeros((count, 2 * count + 4))
    for row, k in enumerate(range(0, 2 * count, 2)):
        polynomials[row, k] = 1
        polynomials[row, k + 2] = -2 * (2 * k + 5) / (2 * k + 7)
        polynomials[row, k + 4] = (2 * k + 3) / (2 * k + 7)
        polynomials[row] /= math.sqrt(2 * (2 * k + 3) ** 2 * (2 * k + 5))
    nodes, weights = legendre.leggauss(2 * count + 4)
    second, first, none = (_products(polynomials, order, nodes, weights) for order in (2, 1, 0))
    load = np.zeros(count)
    load[0] = 2 * polynomials[0, 0]  # the other functions are orthogonal to 1
    matrix = np.kron(second, none) + ratio**4 * np.kron(none, second)
    matrix += 2 * ratio**2 * np.kron(first, first)
    coefficients = np.linalg.solve(matrix, np.kron(load, load)).reshape(count, count)
    return Ritz(torch.from_numpy(polynomials), torch.from_numpy(coefficients))


def _products(polynomials: Array, order: int, nodes: Array, weights: Array) -> Array:
    """The integrals [n, n] over [-1, 1] of the products of the derivatives of this order."""
    derived = legendre.legder(polynomials, m=order, axis=1) if order else polynomials
    values = legendre.legval(nodes, derived.T)
    return np.asarray((values * weights) @ values.T, dtype=np.float64)
