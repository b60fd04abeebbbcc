"""Three elliptic problems on the unit square: div(a grad u) + k^2 u = f, u = 0 on the boundary.

The solutions are smooth, vanish on the boundary, and are no eigenfunctions of the operator, for
which a sine transform would be exact whatever its number of points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import dinfgrid_cuda as dg

CONTRAST = 1000.0
DIRECTION = (math.cos(0.4), math.sin(0.4))


@dataclass(frozen=True)
class Elliptic:
    """An elliptic problem on the unit square.

    Attributes:
        name: for tables.
        wavenumber: k.
        contrast: largest a over smallest, a = exp(c sin 2 pi x sin 2 pi y).
    """

    name: str
    wavenumber: float = 0.0
    contrast: float = 1.0

    @property
    def box(self) -> dg.Box:
        """The unit square."""
        return dg.Box((0.0, 0.0), (1.0, 1.0))

    def coefficient(self, x: Tensor) -> Tensor:
        """The coefficient a and its derivatives along both axes, [N, 3]."""
        c = math.log(self.contrast) / 2
        s, t = torch.sin(2 * math.pi * x), torch.cos(2 * math.pi * x)
        a = torch.exp(c * s[:, 0] * s[:, 1])
        rate = 2 * math.pi * c * a
        return torch.stack([a, rate * t[:, 0] * s[:, 1], rate * s[:, 0] * t[:, 1]], dim=1)

    def _factor(self, x: Tensor) -> Tensor:
        """The values w, w_x, w_y and Laplacian w of u = sin(pi x) sin(pi y) w, [N, 4]."""
        if self.wavenumber:
            k, (c, s) = self.wavenumber, DIRECTION
            phase = k * (c * x[:, 0] + s * x[:, 1])
            w, slope = torch.cos(phase), -k * torch.sin(phase)
            return torch.stack([w, c * slope, s * slope, -(k**2) * w], dim=1)
        x0, y3 = x[:, 0], 3 * x[:, 1]
        w = torch.exp(x0 + torch.cos(y3))
        sine, cosine = torch.sin(y3), torch.cos(y3)
        down = -3 * sine * w
        return torch.stack([w, w, down, w + 9 * (sine * sine - cosine) * w], dim=1)

    def exact(self, x: Tensor) -> Tensor:
        """The exact u [N] at points [N, 2]."""
        u: Tensor = torch.sin(math.pi * x).prod(dim=1) * self._factor(x)[:, 0]
        return u

    def source(self, x: Tensor) -> Tensor:
        """The source f [N] at points [N, 2]."""
        s, t = torch.sin(math.pi * x), math.pi * torch.cos(math.pi * x)
        p, px, py = s[:, 0] * s[:, 1], t[:, 0] * s[:, 1], s[:, 0] * t[:, 1]
        w, wx, wy, wl = self._factor(x).unbind(dim=1)
        ux, uy = px * w + p * wx, py * w + p * wy
        laplacian = p * wl + 2 * (px * wx + py * wy) - 2 * math.pi**2 * p * w
        a, ax, ay = self.coefficient(x).unbind(dim=1)
        return a * laplacian + ax * ux + ay * uy + self.wavenumber**2 * p * w

    def problem(self) -> dg.Problem:
        """Returns the problem for `dg.solve`."""

        def equation(x: Tensor, u: dg.Jet) -> Tensor:
            k2 = self.wavenumber**2
            if self.contrast == 1.0:
                left = u.laplacian[:, 0] + k2 * u.value[:, 0]
            else:
                a, ax, ay = self.coefficient(x).unbind(dim=1)
                slope = u.gradient[:, 0]
                left = a * u.laplacian[:, 0] + ax * slope[:, 0] + ay * slope[:, 1]
            return left - self.source(x)

        return dg.Problem(
            self.box,
            [
                dg.Term("equation", dg.Interior(), equation, order=2),
                dg.Term("rim", dg.Boundary(), lambda x, u: u.value),
            ],
        )


PROBLEMS = (
    Elliptic("Poisson"),
    Elliptic("variable", contrast=CONTRAST),
    Elliptic("Helmholtz", wavenumber=25.0),
)
