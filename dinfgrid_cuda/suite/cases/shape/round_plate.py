"""A round plate: exact deflections, moments on a curved edge, energy.

    D Δ²w = q in |x| < a,   clamped: w = w_n = 0,   simply supported: w = 0, M_n = 0

Formulas: S. Timoshenko and S. Woinowsky-Krieger, Theory of Plates and Shells, 2nd edition (1959),
sections 16 and 17 and, for the energy and the moment of a curved edge, 22 and 25.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RoundPlate:
    """A plate around the origin under uniform load.

    Attributes:
        radius: a, in m.
        load: q, in N/m².
        rigidity: D, in N m.
        nu: Poisson's ratio.
        support: "clamped" or "simple".
    """

    radius: float = 1.0
    load: float = 1.0
    rigidity: float = 1.0
    nu: float = 0.3
    support: str = "clamped"

    def __post_init__(self) -> None:
        if self.support not in ("clamped", "simple"):
            raise ValueError(
                f"RoundPlate: support is {self.support!r}; there are 'clamped', 'simple'."
            )

    @property
    def ratio(self) -> float:
        """The factor c of w = q (a² - r²) (c a² - r²) / 64 D: 1, or (5 + nu) / (1 + nu)."""
        return 1.0 if self.support == "clamped" else (5 + self.nu) / (1 + self.nu)

    @property
    def centre(self) -> float:
        """The deflection of the centre, in m: q a⁴ / 64 D, or (5 + nu) / (1 + nu) times that."""
        return self.ratio * self.load * self.radius**4 / (64 * self.rigidity)

    def deflection(self, x: Tensor) -> Tensor:
        """Returns w at points x [N, 2], [N], in m."""
        a2, r2 = self.radius**2, x.square().sum(dim=1)
        return self.load / (64 * self.rigidity) * (a2 - r2) * (self.ratio * a2 - r2)

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the slopes, [N, 2]."""
        return 2 * self._first(x)[:, None] * x

    def hessian(self, x: Tensor) -> Tensor:
        """Returns the second derivatives, [N, 2, 2], in 1/m."""
        second = self.load / (32 * self.rigidity)
        eye = torch.eye(2, dtype=x.dtype, device=x.device)
        return 2 * self._first(x)[:, None, None] * eye + 4 * second * x[:, :, None] * x[:, None, :]

    def _first(self, x: Tensor) -> Tensor:
        """The derivative of w by r², [N]."""
        r2 = x.square().sum(dim=1)
        return self.load / (64 * self.rigidity) * (2 * r2 - (1 + self.ratio) * self.radius**2)

    def energy(self) -> float:
        """Returns the energy in J, minus half the work of the load.

        -q/2 ∫ w = -pi q² a⁶ (3 c - 1) / (768 D) with c of `ratio`; clamped, -pi q² a⁶ / (384 D).
        """
        size = math.pi * self.load**2 * self.radius**6 / (768 * self.rigidity)
        return -size * (3 * self.ratio - 1)


def bending_moment(hessian: Tensor, normal: Tensor, nu: float, rigidity: float = 1.0) -> Tensor:
    """Returns M_n = -D (nu Δw + (1 - nu) n·H n) [N] on an edge, straight or curved.

    By arc length s and curvature κ of the edge it is -D (w_nn + nu (w_ss + κ w_n)): the Hessian
    holds the curvature, so that nothing is to be added on a curved edge.

    Args:
        hessian: H of w, [N, 2, 2].
        normal: unit normals n, [N, 2], outward or inward.
        nu: Poisson's ratio.
        rigidity: D.
    """
    trace = hessian.diagonal(dim1=1, dim2=2).sum(dim=1)
    across = torch.einsum("ni,nij,nj->n", normal, hessian, normal)
    return -rigidity * (nu * trace + (1 - nu) * across)


def twisting_moment(hessian: Tensor, normal: Tensor, nu: float, rigidity: float = 1.0) -> Tensor:
    """Returns M_ns = -D (1 - nu) s·H n [N], s the normal turned a quarter counter-clockwise."""
    tangent = torch.stack([-normal[:, 1], normal[:, 0]], dim=1)
    return -rigidity * (1 - nu) * torch.einsum("ni,nij,nj->n", tangent, hessian, normal)


def energy_density(
    value: Tensor, hessian: Tensor, nu: float, load: float | Tensor = 1.0, rigidity: float = 1.0
) -> Tensor:
    """Returns D/2 ((Δw)² - 2 (1 - nu) (w_xx w_yy - w_xy²)) - q w, [N].

    The integral of the second part does not vanish on a curved edge that is not clamped.

    Args:
        value: w [N].
        hessian: of w, [N, 2, 2].
        nu: Poisson's ratio.
        load: q, one number or [N].
        rigidity: D.
    """
    trace = hessian.diagonal(dim1=1, dim2=2).sum(dim=1)
    determinant = hessian[:, 0, 0] * hessian[:, 1, 1] - hessian[:, 0, 1] * hessian[:, 1, 0]
    return rigidity / 2 * (trace.square() - 2 * (1 - nu) * determinant) - load * value


def clamped_wave(x: Tensor, radius: float, wave: tuple[float, float]) -> Tensor:
    """Returns (a² - r²)² cos(k·x) [N]: a clamped deflection that is no polynomial.

    Args:
        x: points [N, 2].
        radius: a.
        wave: k.
    """
    return _bump(x, radius) * torch.cos(x @ x.new_tensor(wave))


def clamped_wave_load(x: Tensor, radius: float, wave: tuple[float, float]) -> Tensor:
    """Returns the bilaplacian of `clamped_wave`, [N].

    Δ²(f g) = g Δ²f + 4 ∇Δf·∇g + 2 Δf Δg + 4 D²f : D²g + 4 ∇f·∇Δg + f Δ²g with f = (a² - r²)²,
    g = cos(k·x), Δg = -|k|² g.
    """
    k = x.new_tensor(wave)
    k2, along, r2, a2 = float(k @ k), x @ k, x.square().sum(dim=1), radius**2
    cosine, sine = torch.cos(along), torch.sin(along)
    laplacian = 16 * r2 - 8 * a2
    curvature = -4 * (a2 - r2) * k2 + 8 * along.square()  # k·H k, H the Hessian of f
    even = 64 - 2 * k2 * laplacian - 4 * curvature + k2**2 * _bump(x, radius)
    odd = -4 * 32 * along - 16 * k2 * (a2 - r2) * along
    return even * cosine + odd * sine


def _bump(x: Tensor, radius: float) -> Tensor:
    bump: Tensor = (radius**2 - x.square().sum(dim=1)).square()
    return bump
