"""Smooth functions with their derivatives, from which problems on any shape are made.

u = WAVE_2D                                    # sin(3 x) exp(y)
-Δu = -u.laplacian(x)                          # the right-hand side
u.value(x), u.flux(x, normal), u.robin(x, normal, 2.0)      # data on the boundary
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.packages import package


class Manufactured(ABC):
    """A function of points [N, dim] that is to be found."""

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """Returns u, [N]."""

    @abstractmethod
    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient, [N, dim]."""

    @abstractmethod
    def laplacian(self, x: Tensor) -> Tensor:
        """Returns Δu, [N]."""

    def flux(self, x: Tensor, normal: Tensor) -> Tensor:
        """Returns the derivative along normals [N, dim], the data of Neumann's condition, [N]."""
        return (self.gradient(x) * normal).sum(dim=1)

    def robin(self, x: Tensor, normal: Tensor, factor: float) -> Tensor:
        """Returns u_n + factor u, the data of Robin's condition, [N]."""
        return self.flux(x, normal) + factor * self.value(x)


@dataclass(frozen=True)
class Product(Manufactured):
    """The product of sin(k_i x_i + phase_i) and exp(g_i x_i) over the axes.

    Attributes:
        waves: k, one per axis; 0 leaves the sine of an axis out.
        rates: g, one per axis.
        phases: in radians.
    """

    waves: tuple[float, ...]
    rates: tuple[float, ...]
    phases: tuple[float, ...]

    def value(self, x: Tensor) -> Tensor:
        """Returns u, [N]."""
        return self._factors(x)[0].prod(dim=1)

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient, [N, dim]."""
        factors, slopes, _ = self._factors(x)
        return self._replaced(factors, slopes)

    def laplacian(self, x: Tensor) -> Tensor:
        """Returns Δu, [N]."""
        factors, _, seconds = self._factors(x)
        return self._replaced(factors, seconds).sum(dim=1)

    def _replaced(self, factors: Tensor, others: Tensor) -> Tensor:
        """The products in which one factor is replaced, for each axis, [N, dim]."""
        columns = []
        for axis in range(factors.shape[1]):
            changed = factors.clone()
            changed[:, axis] = others[:, axis]
            columns.append(changed.prod(dim=1))
        return torch.stack(columns, dim=1)

    def _factors(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The factors of all axes with two derivatives, [N, dim] each."""
        k, g, phase = (x.new_tensor(row) for row in (self.waves, self.rates, self.phases))
        angle, growth, still = k * x + phase, torch.exp(g * x), k == 0
        sine = torch.where(still, torch.ones_like(x), torch.sin(angle))
        cosine = torch.where(still, torch.zeros_like(x), torch.cos(angle))
        first = (g * sine + k * cosine) * growth
        second = ((g * g - k * k) * sine + 2 * g * k * cosine) * growth
        return sine * growth, first, second


@dataclass(frozen=True)
class Charge(Manufactured):
    """The potential 1 / |x - place| of a charge, harmonic away from it, in three dimensions.

    Attributes:
        place: outside the shape.
    """

    place: tuple[float, float, float]

    def value(self, x: Tensor) -> Tensor:
        """Returns u, [N]."""
        potential: Tensor = 1 / (x - x.new_tensor(self.place)).norm(dim=1)
        return potential

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient, [N, 3]."""
        away = x - x.new_tensor(self.place)
        gradient: Tensor = -away / away.norm(dim=1, keepdim=True) ** 3
        return gradient

    def laplacian(self, x: Tensor) -> Tensor:
        """Returns zeros, [N]."""
        return x.new_zeros(len(x))


@dataclass(frozen=True)
class Scaled(Manufactured):
    """A function of (x - centre) / size, for shapes anywhere and of any size.

    Attributes:
        function: of the scaled points.
        centre: in units of x, one number per axis.
        size: in units of x, positive.
    """

    function: Manufactured
    centre: tuple[float, ...]
    size: float

    def value(self, x: Tensor) -> Tensor:
        """Returns u, [N]."""
        return self.function.value(self._scaled(x))

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient, [N, dim]."""
        return self.function.gradient(self._scaled(x)) / self.size

    def laplacian(self, x: Tensor) -> Tensor:
        """Returns Δu, [N]."""
        return self.function.laplacian(self._scaled(x)) / self.size**2

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - x.new_tensor(self.centre)) / self.size


# -Δu = 8 u
WAVE_2D = Product((3.0, 0.0), (0.0, 1.0), (0.0, 0.0))
# sin(2 x) exp(y) cos(z), -Δu = 4 u
WAVE_3D = Product((2.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, math.pi / 2))
# sin(3 x) cos(4 y) exp(5 z), harmonic
HARMONIC_3D = Product((3.0, 4.0, 0.0), (0.0, 0.0, 5.0), (0.0, math.pi / 2, 0.0))


@dataclass(frozen=True)
class Pulsing:
    """A temperature cos(rate t) u(x) for u_t = diffusivity Δu + f on any shape.

    Attributes:
        shape: u.
        rate: in radians per unit of t.
        diffusivity: of the equation.
    """

    shape: Manufactured
    rate: float = 2.0
    diffusivity: float = 1.0

    def value(self, x: Tensor, t: Tensor) -> Tensor:
        """Returns the temperature at points x [N, dim] and times t [N], [N]."""
        return torch.cos(self.rate * t) * self.shape.value(x)

    def flux(self, x: Tensor, t: Tensor, normal: Tensor) -> Tensor:
        """Returns its derivative along normals [N, dim], [N]."""
        return torch.cos(self.rate * t) * self.shape.flux(x, normal)

    def source(self, x: Tensor, t: Tensor) -> Tensor:
        """Returns f, [N]."""
        change = -self.rate * torch.sin(self.rate * t) * self.shape.value(x)
        spread = self.diffusivity * torch.cos(self.rate * t) * self.shape.laplacian(x)
        return change - spread


@dataclass(frozen=True)
class DecayingMode:
    """A mode of a disk whose edge is kept at 0, J_m(j r / R) cos(m θ) exp(-diffusivity (j / R)² t).

    Attributes:
        radius: R, of the disk around the origin.
        order: m.
        number: which positive zero j of J_m, from 1.
        diffusivity: of u_t = diffusivity Δu.
    """

    radius: float = 1.0
    order: int = 0
    number: int = 1
    diffusivity: float = 1.0

    @property
    def zero(self) -> float:
        """The zero j of J_m; 2.404825... for the first of J_0."""
        return float(package("scipy.special", "scipy").jn_zeros(self.order, self.number)[-1])

    @property
    def rate(self) -> float:
        """The rate of decay, in 1 / units of t."""
        return self.diffusivity * (self.zero / self.radius) ** 2

    def value(self, x: Tensor, t: Tensor) -> Tensor:
        """Returns the temperature at points x [N, 2] and times t [N], [N], on the CPU's numbers."""
        special = package("scipy.special", "scipy")
        points = np.asarray(x.detach().cpu(), dtype=np.float64)
        r, angle = np.hypot(points[:, 0], points[:, 1]), np.arctan2(points[:, 1], points[:, 0])
        mode = special.jv(self.order, self.zero / self.radius * r) * np.cos(self.order * angle)
        return torch.from_numpy(mode).to(x) * torch.exp(-self.rate * t)
