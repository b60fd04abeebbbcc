"""A plane wave scattered by a disk: the series, exact to rounding.

    Δu + k² u = 0 outside |x| = a,  u = exp(i k x_1) + scattered,  u = 0 (soft) or u_n = 0 (hard)
    on the disk, and a scattered wave that runs outwards (time factor exp(-i ω t)).

Formulas: J. J. Bowman, T. B. A. Senior, P. L. E. Uslenghi, Electromagnetic and Acoustic Scattering
by Simple Shapes (1969), chapter 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.packages import package

Complex = npt.NDArray[np.complex128]
Real = npt.NDArray[np.float64]

# Terms below this, relative to the incident wave, are left out: J_n(ka) falls faster than any
# power from n = ka on, and the ratios of Hankel functions beside it are at most about 1.
CUT = 1e-18
# Points are taken as lying on the disk's edge, not inside, up to this part of its radius.
ROUNDING = 1e-9


@dataclass(frozen=True)
class DiskScattering:
    """The fields around a disk in the plane wave exp(i k x_1).

    Points are float64 tensors [N, 2] measured from the disk's centre; values are complex128 [N],
    gradients complex128 [N, 2]. Inside the disk, where there is no field, all are NaN.

    Attributes:
        wavenumber: k, positive, in 1 / units of x.
        radius: a, positive, in units of x.
        kind: "soft" (u = 0 on the disk) or "hard" (u_n = 0).
    """

    wavenumber: float
    radius: float
    kind: str = "soft"

    def __post_init__(self) -> None:
        for name in ("wavenumber", "radius"):
            if not getattr(self, name) > 0 or not np.isfinite(getattr(self, name)):
                raise ValueError(
                    f"DiskScattering: {name} is {getattr(self, name)!r}; it must be positive."
                )
        if self.kind not in ("soft", "hard"):
            raise ValueError(f"DiskScattering: kind is {self.kind!r}; there are 'soft', 'hard'.")

    @cached_property
    def coefficients(self) -> Complex:
        """The factors c_n [terms] of ε_n i^n H_n(k r) cos(n θ), ε_0 = 1 and else 2.

        c_n = -J_n(ka) / H_n(ka) for a soft disk, -J_n'(ka) / H_n'(ka) for a hard one.
        """
        special = package("scipy.special", "scipy")
        ka, count = self.wavenumber * self.radius, 4
        while count < ka or abs(special.jv(count, ka)) > CUT:
            count += 1
        orders = np.arange(count + 1)
        if self.kind == "soft":
            ratio = special.jv(orders, ka) / special.hankel1(orders, ka)
        else:
            ratio = special.jvp(orders, ka) / special.h1vp(orders, ka)
        return np.asarray(-ratio, dtype=np.complex128)

    def incident(self, x: Tensor) -> Tensor:
        """Returns exp(i k x_1), [N]."""
        return torch.exp(1j * self.wavenumber * x[:, 0])

    def incident_gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of exp(i k x_1), [N, 2]."""
        along = 1j * self.wavenumber * self.incident(x)
        return torch.stack([along, torch.zeros_like(along)], dim=1)

    def scattered(self, x: Tensor) -> Tensor:
        """Returns the scattered wave, [N]."""
        r, angle = self._polar(x)
        wave = np.zeros(r.shape, dtype=np.complex128)
        for n, factor, hankel, _ in self._terms(r):
            wave += factor * hankel * np.cos(n * angle)
        return torch.from_numpy(wave).to(x.device)

    def scattered_gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of the scattered wave, [N, 2]."""
        r, angle = self._polar(x)
        outwards, around = np.zeros((2, *r.shape), dtype=np.complex128)
        for n, factor, hankel, slope in self._terms(r):
            outwards += self.wavenumber * factor * slope * np.cos(n * angle)
            around -= n / r * factor * hankel * np.sin(n * angle)
        cosine, sine = np.cos(angle), np.sin(angle)
        gradient = [outwards * cosine - around * sine, outwards * sine + around * cosine]
        return torch.from_numpy(np.stack(gradient, axis=1)).to(x.device)

    def total(self, x: Tensor) -> Tensor:
        """Returns the incident and the scattered wave together, [N]."""
        return self.incident(x) + self.scattered(x)

    def total_gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of `total`, [N, 2]."""
        return self.incident_gradient(x) + self.scattered_gradient(x)

    def width(self) -> float:
        """Returns the scattering width, the power scattered over the incident power per length."""
        weights = np.where(np.arange(len(self.coefficients)) == 0, 1.0, 2.0)
        return float(4 / self.wavenumber * (weights * np.abs(self.coefficients) ** 2).sum())

    def _polar(self, x: Tensor) -> tuple[Real, Real]:
        """The radii, NaN inside the disk, and angles of points, both [N]."""
        points = np.asarray(x.detach().cpu(), dtype=np.float64)
        r = np.hypot(points[:, 0], points[:, 1])
        outside = r >= self.radius * (1 - ROUNDING)
        return np.where(outside, r, np.nan), np.arctan2(points[:, 1], points[:, 0])

    def _terms(self, r: Real) -> Iterator[tuple[int, complex, Complex, Complex]]:
        """The orders n, factors c_n ε_n i^n, and H_n(k r), H_n'(k r) [N].

        By H_{n+1}(z) = (2 n / z) H_n(z) - H_{n-1}(z), which is stable upwards, since |H_n| grows.
        """
        special = package("scipy.special", "scipy")
        z = self.wavenumber * r
        previous, hankel = -special.hankel1(1, z), special.hankel1(0, z)  # H_{-1} = -H_1
        for n, coefficient in enumerate(self.coefficients):
            yield (
                n,
                complex((2 if n else 1) * 1j**n * coefficient),
                hankel,
                previous - n / z * hankel,
            )
            previous, hankel = hankel, 2 * n / z * hankel - previous
