"""Laplace's equation in a square with four round holes, solved by a series to rounding.

    Δu = 0 in [-1/2, 1/2]² less four disks of radius 0.1 around (±0.3, ±0.3),
    u = 1 on the square, u = 0 on the disks

It is Poisson2d-C of PINNacle (Z. Hao et al., arXiv 2306.08827), whose best error is 1.2e-2.

1 - u is odd about every side of the square, so that it has no singularity in the corners, and all
its singularities lie in the disks and their mirror images. It is a sum of multipoles in the disks,
each with its eight nearest images, and of a polynomial for the images farther away (a method of
least squares as in L. N. Trefethen, Series solution of Laplace problems, ANZIAM J. 60, 2018). Each
function is harmonic, so that by the maximum principle no error inside exceeds the one on the
boundary, which is measured: `Series.bound`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

HALF, OFFSET, RADIUS = 0.5, 0.3, 0.1
CENTRES = tuple((a, b) for a in (-OFFSET, OFFSET) for b in (-OFFSET, OFFSET))
MULTIPOLES, POWERS = 26, 9
# Points of an eighth of the square's edge and of half of a circle.
FITTED, MEASURED = 120, 1001


def contains(x: Tensor) -> Tensor:
    """Returns whether points x [N, 2] lie in the square and in no hole, [N]."""
    inside = (x.abs() <= HALF).all(dim=1)
    return inside & ((x.abs() - OFFSET).square().sum(dim=1) >= RADIUS**2)


def value(x: Tensor) -> Tensor:
    """Returns u at points x [N, 2] of the domain, [N], to about 1e-14."""
    found = series().value(np.asarray(x.detach().cpu(), dtype=np.float64))
    return torch.from_numpy(found).to(x.device)


def gradient(x: Tensor) -> Tensor:
    """Returns the gradient of u at points x [N, 2] of the domain, [N, 2]."""
    found = series().gradient(np.asarray(x.detach().cpu(), dtype=np.float64))
    return torch.from_numpy(found).to(x.device)


@dataclass(frozen=True)
class Series:
    """u = 1 - the sum of multipoles and powers.

    Attributes:
        coefficients: [MULTIPOLES + 1 + POWERS + 1].
        bound: the largest error on the boundary, at points other than those of the fit.
    """

    coefficients: Array
    bound: float

    def value(self, x: Array) -> Array:
        """Returns u [N] at points x [N, 2]."""
        return np.asarray(1 - functions(x)[0].real @ self.coefficients)

    def gradient(self, x: Array) -> Array:
        """Returns the gradient of u, [N, 2]."""
        slope = -(functions(x)[1] @ self.coefficients)
        # f analytic: Re f has the gradient (Re f', -Im f')
        return np.stack([slope.real, -slope.imag], axis=1)


@lru_cache(maxsize=1)
def series() -> Series:
    """Returns the series, fitted in less than 0.1 s."""
    x, target = boundary(FITTED)
    coefficients = np.linalg.lstsq(functions(x)[0].real, 1 - target, rcond=1e-15)[0]
    x, target = boundary(MEASURED)
    found = 1 - functions(x)[0].real @ coefficients
    return Series(np.asarray(coefficients, dtype=np.float64), float(np.abs(found - target).max()))


def boundary(count: int) -> tuple[Array, Array]:
    """Returns points [2 count, 2] of one hole's and one side's half, and u on them, [2 count].

    By the symmetries of the square they stand for the whole boundary.
    """
    angle = math.pi * (0.25 + (np.arange(count) + 0.5) / count)
    hole = OFFSET + RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    side = np.stack([np.full(count, HALF), HALF * (np.arange(count) + 1) / count], axis=1)
    return np.concatenate([hole, side]), np.repeat([0.0, 1.0], count)


def functions(x: Array) -> tuple[Complex, Complex]:
    """Returns analytic functions whose real parts are the basis, and derivatives, both [N, n].

    First log z and powers (RADIUS / z)^k of the distance z to the holes' centres, turned so that
    the holes' symmetry about the diagonal leaves real factors, with the images' signs; then powers
    z^(4 k). A logarithm's imaginary part is meaningless.
    """
    z = x[:, 0] + 1j * x[:, 1]
    values = np.zeros((len(z), MULTIPOLES + 1), dtype=np.complex128)
    slopes = np.zeros_like(values)
    for centre, direction, sign in _sources():
        power = inverse = RADIUS * direction / (z - centre)
        values[:, 0] += sign * np.log(z - centre)
        slopes[:, 0] += sign / (z - centre)
        for k in range(1, MULTIPOLES + 1):
            values[:, k] += sign * power
            slopes[:, k] -= sign * k * power / (z - centre)
            power = power * inverse
    steps = 4 * np.arange(POWERS + 1)
    scale = math.sqrt(2) * HALF  # the corners' distance
    powers = (z[:, None] / scale) ** steps
    slopes_of_powers = steps * (z[:, None] / scale) ** np.maximum(steps - 1, 0) / scale
    return np.hstack([values, powers]), np.hstack([slopes, slopes_of_powers])


def _sources() -> list[tuple[complex, complex, int]]:
    """The centres of the holes and of their images in the squares around, outwards, and signs."""
    return [
        (
            complex(column + a * OFFSET, row + b * OFFSET),
            complex(a, b) / math.sqrt(2),
            (-1) ** (column + row),
        )
        for column in (-1, 0, 1)
        for row in (-1, 0, 1)
        for a in (-1, 1)
        for b in (-1, 1)
    ]
