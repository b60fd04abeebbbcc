"""-Δu = 1 on an L and on a square with a slit, u = 0 on their edges, by series to rounding.

The L is [-1, 1]² without x > 0, y < 0; the slit is y = 0, 0 < x < 1. u + |z|²/4, z = x + iy, is
harmonic, and is fitted at points of the edges by least squares (as in L. N. Trefethen, Series
solution of Laplace problems, ANZIAM J. 60, 2018) with

- r^(2k/3) sin(2kθ/3) at the inner corner of the L, and r^(k/2) sin(kθ/2), k odd, at the slit's end;
- at every other corner, where -Δu = 1 contradicts u = 0 on both sides, (z - c)² log(z - c): in it
  lies the whole singularity, since an angle of 90 degrees continues u oddly without any other;
- at the inner corner of the L, z² log z: what the smooth functions leave on its sides, y² and x²,
  is in resonance with r² sin 2θ;
- powers of z.

Every function is harmonic, so that by the maximum principle no error inside exceeds the largest on
the boundary, which is measured at other points than those of the fit: `Torsion.bound`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

# Corners of 90 degrees; cuts of their logarithms lead away from the domain.
L_CORNERS = {1: 1 - 1j, 1 + 1j: 1 + 1j, -1 + 1j: -1 + 1j, -1 - 1j: -1 - 1j, -1j: 1 - 1j}
SLIT_CORNERS = (1 + 1j, -1 + 1j)  # those above the slit, but for its own end at 1
# The edges, from the inner corner or the slit's end around; of the slit square the upper half.
L_EDGES = (0, 1, 1 + 1j, -1 + 1j, -1 - 1j, -1j, 0)
SLIT_EDGES = (0, 1, 1 + 1j, -1 + 1j, -1)
RADIUS = math.sqrt(2)  # of the farthest corners
WEDGES, POWERS = 60, 40
FITTED, MEASURED = 200, 577  # points of an edge
CLOSEST = 1e-14  # points of the fit to the inner corner


@dataclass(frozen=True)
class Torsion:
    """The series of one domain.

    Attributes:
        domain: "l" or "slit".
        coefficients: [n].
        bound: the largest |u| on the boundary, which no error exceeds.
    """

    domain: str
    coefficients: Array
    bound: float

    def value(self, x: Tensor) -> Tensor:
        """Returns u at points x [N, 2] of the domain, [N], to `bound`."""
        z = torch.view_as_complex(x.detach().cpu().double().contiguous()).numpy()
        u = np.concatenate(
            [self._at(part) for part in np.array_split(z, max(1, len(z) // (1 << 14)))]
        )
        return torch.from_numpy(u).to(x)

    def _at(self, z: Complex) -> Array:
        return np.asarray(functions(self.domain, z) @ self.coefficients - np.abs(z) ** 2 / 4)


@lru_cache(maxsize=2)
def torsion(domain: str) -> Torsion:
    """Returns the series of a domain, "l" or "slit", fitted in 0.1 s."""
    z = boundary(domain, FITTED)
    basis = functions(domain, z)
    sizes = np.linalg.norm(basis, axis=0)
    fit = np.linalg.lstsq(basis / sizes, np.abs(z) ** 2 / 4, rcond=1e-15)[0]
    found = Torsion(domain, np.asarray(fit / sizes, dtype=np.float64), 0.0)
    bound = float(np.abs(found._at(boundary(domain, MEASURED))).max())
    return Torsion(domain, found.coefficients, bound)


def boundary(domain: str, count: int) -> Complex:
    """Returns points of the edges on which u = 0: dense at corners, close to the inner one."""
    share = (1 - np.cos(math.pi * (np.arange(count) + 0.5) / count)) / 2
    close = np.concatenate([np.geomspace(CLOSEST, 1e-2, count // 2), share])
    corners = np.array(L_EDGES if domain == "l" else SLIT_EDGES, dtype=np.complex128)
    edges = []
    for pair in pairwise(corners):
        start, end = sorted(pair, key=lambda corner: corner != 0)  # from the inner corner
        edges.append(start + (end - start) * (close if start == 0 else share))
    return np.concatenate(edges)


def functions(domain: str, z: Complex) -> Array:
    """Returns the harmonic functions at points z [N] of the domain, [N, n]."""
    return l_functions(z) if domain == "l" else slit_functions(z)


def l_functions(z: Complex) -> Array:
    """Returns those of the L."""
    log = _log(z)
    k = np.arange(1, WEDGES + 1)
    columns = [_wedges(log, 2 * k / 3)]
    for corner, outwards in L_CORNERS.items():
        columns.append(_parts(_corner(z, corner, outwards)))
    columns.append(_parts(z**2 * log))
    powers = (z[:, None] / RADIUS) ** np.arange(POWERS + 1)
    return np.hstack([*columns, powers.real, powers.imag[:, 1:]])


def slit_functions(z: Complex) -> Array:
    """Returns those of the square with a slit; all of them are even in y, as u is.

    Where the slit meets the edge, (z - 1)² log(1 - √z) has the singularity above the slit only.
    """
    log = _log(z)
    k = np.arange(1, 2 * WEDGES, 2)
    columns = [_wedges(log, k / 2)]
    for corner in SLIT_CORNERS:
        here, mirrored = (_corner(at, corner, corner) for at in (z, z.conj()))
        columns.append(_parts(here) + _parts(mirrored))
    root = np.exp(log / 2)
    safe = [np.where(s == 0, 1.0, s) for s in (1 - root, 1 + root)]
    columns.append(((z - 1) ** 2 * (np.log(safe[0]) - np.log(safe[1]))).imag[:, None])
    powers = (z[:, None] / RADIUS) ** np.arange(POWERS + 1)
    return np.hstack([*columns, powers.real])


def _wedges(log: Complex, exponents: Array) -> Array:
    """(r / RADIUS)^a sin(a θ) for exponents a, of log z = log r + iθ."""
    result: Array = np.exp((log[:, None] - math.log(RADIUS)) * exponents).imag
    return result


def _corner(z: Complex, corner: complex, outwards: complex) -> Complex:
    away = (z - corner) / -outwards
    result: Complex = (z - corner) ** 2 * np.log(np.where(away == 0, 1.0, away))
    return result


def _parts(f: Complex) -> Array:
    return np.stack([f.real, f.imag], axis=1)


def _log(z: Complex) -> Complex:
    """log z with an angle from 0 to 2π: below the positive x-axis it is 2π."""
    angle = np.angle(z)
    angle = np.where(angle < 0, angle + 2 * math.pi, angle)
    result: Complex = np.log(np.maximum(np.abs(z), 1e-300)) + 1j * angle
    return result
