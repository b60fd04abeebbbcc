"""Solutions in closed form: at an inner corner, around a small hole, in boundary layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def angle(x: Tensor) -> Tensor:
    """Returns θ [N] of points x [N, 2] of the L, 0 on its side y = 0 to 3π/2 on x = 0.

    The cut is the diagonal x = -y > 0 outside, so that points near a side stay next to it.
    """
    theta = torch.atan2(x[:, 1], x[:, 0])
    return torch.where(theta < -math.pi / 4, theta + 2 * math.pi, theta)


def power(x: Tensor) -> Tensor:
    """Returns r^(2/3) sin(2θ/3), harmonic and 0 on both sides of the L's inner corner, [N]."""
    result: Tensor = x.norm(dim=1) ** (2 / 3) * torch.sin(2 / 3 * angle(x))
    return result


@dataclass(frozen=True)
class Hole:
    """log(r / a) + (r - a² / r) cos θ: harmonic outside a disk, and 0 on it.

    Attributes:
        centre, radius: of the disk; r and θ are those around it, and a its radius.
    """

    centre: tuple[float, float]
    radius: float

    def value(self, x: Tensor) -> Tensor:
        """Returns u at points x [N, 2], [N]."""
        away = x - x.new_tensor(self.centre)
        square = away.square().sum(dim=1)
        ratio = square / self.radius**2
        return 0.5 * torch.log(ratio) + away[:, 0] * (1 - 1 / ratio)


@dataclass(frozen=True)
class Layers:
    """Convection along x (or the diagonal) with little diffusion ε on [0, 1]², u = 0 around.

        -ε Δu + u_x + u_y = f,  u = X(x) X(y)        (both axes)
        -ε Δu + u_x       = f,  u = X(x) Y(y)        (along x only)

    X = x - (exp((x - 1)/ε) - exp(-1/ε)) / (1 - exp(-1/ε)) solves -ε X'' + X' = 1: an exponential
    layer, ε wide, at the outflow x = 1. Y = 1 - cosh((y - 1/2)/√ε) / cosh(1/(2√ε)) solves
    -ε Y'' + Y = 1: two parabolic layers, √ε wide, along the flow (classical examples, as in H.-G.
    Roos, M. Stynes, L. Tobiska, Robust Numerical Methods for Singularly Perturbed Differential
    Equations, 2008). So f = X(x) + X(y), or Y + X (1 - Y), without a large number in it.

    Attributes:
        epsilon: ε.
        diagonal: along both axes, or along x.
    """

    epsilon: float
    diagonal: bool

    def value(self, x: Tensor) -> Tensor:
        """Returns u at points x [N, 2], [N]."""
        first, second = self._factors(x)
        return first * second

    def source(self, x: Tensor) -> Tensor:
        """Returns f, [N]."""
        first, second = self._factors(x)
        return first + second if self.diagonal else second + first * (1 - second)

    def _factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        across = self._outflow if self.diagonal else self._along
        return self._outflow(x[:, 0]), across(x[:, 1])

    def _outflow(self, s: Tensor) -> Tensor:
        """X = (1 - exp(-(1 - s)/ε)) / (1 - exp(-1/ε)) - (1 - s)."""
        rest = 1 - s
        return torch.expm1(-rest / self.epsilon) / math.expm1(-1 / self.epsilon) - rest

    def _along(self, s: Tensor) -> Tensor:
        """Y = (1 - a) (1 - b) / (1 + a b) with a = exp(-s/√ε), b = exp((s - 1)/√ε)."""
        width = math.sqrt(self.epsilon)
        product = torch.expm1(-s / width) * torch.expm1((s - 1) / width)
        return product / (1 + math.exp(-1 / width))
