"""The energy of a Kirchhoff-Love shell whose reference is flat, for large displacements.

The midsurface x(xi) = (xi_1, xi_2, 0) + u(xi) has tangents a_i = dx/dxi_i and unit normal n. Its
membrane strain and its change of curvature are

    eps_ij = (a_i . a_j - delta_ij) / 2,        kappa_ij = -n . d^2 x / dxi_i dxi_j,

differences of the first and the second fundamental forms, and the energy per area of a
St. Venant-Kirchhoff material in plane stress is

    D/2 [nu (tr eps)^2 + (1 - nu) eps : eps] + B/2 [nu (tr kappa)^2 + (1 - nu) kappa : kappa],
    D = E h / (1 - nu^2),                       B = E h^3 / (12 (1 - nu^2)):

Koiter's shell, as in NeuralClothSim (arXiv 2308.12970, section 3) and the paper
(arXiv 2601.10715).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda import Jet

# (m^2)^2, added to |a_1 x a_2|^2: a sheet folded to a line has no normal, and must not give NaN.
SMALL = 1e-24


@dataclass(frozen=True)
class Material:
    """A thin elastic sheet.

    Attributes:
        young: Young's modulus E in Pa.
        thickness: h in m.
        nu: Poisson's ratio.
    """

    young: float
    thickness: float
    nu: float

    @property
    def stretching(self) -> float:
        """The stretching stiffness D, in N/m."""
        return self.young * self.thickness / (1 - self.nu**2)

    @property
    def bending(self) -> float:
        """The bending stiffness B, in N m."""
        return self.stretching * self.thickness**2 / 12


@dataclass(frozen=True)
class Surface:
    """A deformed midsurface.

    Attributes:
        tangents: a_1, a_2, each [N, 3].
        seconds: x_11, x_12, x_22, each [N, 3], in 1/m.
    """

    tangents: tuple[Tensor, Tensor]
    seconds: tuple[Tensor, Tensor, Tensor]

    @staticmethod
    def of(u: Jet) -> Surface:
        """The surface of a displacement u: three channels in m, a jet of order 2."""
        first, second = u.derivative((1, 0)), u.derivative((0, 1))
        unit = torch.eye(3, dtype=first.dtype, device=first.device)
        seconds = tuple(u.derivative(alpha) for alpha in ((2, 0), (1, 1), (0, 2)))
        assert len(seconds) == 3
        return Surface((first + unit[0], second + unit[1]), seconds)

    @property
    def normal(self) -> Tensor:
        """The unit normals n, [N, 3]."""
        across: Tensor = torch.linalg.cross(*self.tangents)
        return across / torch.sqrt(across.square().sum(dim=1, keepdim=True) + SMALL)

    @property
    def strain(self) -> Tensor:
        """The membrane strains eps_11, eps_12, eps_22, [N, 3]."""
        a, b = self.tangents
        components = [_dot(a, a) - 1, _dot(a, b), _dot(b, b) - 1]
        return torch.stack(components, dim=1) / 2

    @property
    def curvature(self) -> Tensor:
        """The changes of curvature kappa_11, kappa_12, kappa_22, [N, 3], in 1/m."""
        n = self.normal
        return torch.stack([-_dot(n, second) for second in self.seconds], dim=1)

    @property
    def stretches(self) -> Tensor:
        """The principal stretches, the smaller first, [N, 2].

        They are the roots of the eigenvalues of a_i . a_j.
        """
        xx, xy, yy = (2 * self.strain).unbind(dim=1)
        middle, radius = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
        squares = 1 + torch.stack([middle - radius, middle + radius], dim=1)
        return torch.sqrt(squares.clamp(min=0))


def membrane_energy(surface: Surface, material: Material) -> Tensor:
    """The stretching energy per area [N], in J/m^2."""
    return 0.5 * material.stretching * _quadratic(surface.strain, material.nu)


def bending_energy(surface: Surface, material: Material) -> Tensor:
    """The bending energy per area [N], in J/m^2."""
    return 0.5 * material.bending * _quadratic(surface.curvature, material.nu)


def _quadratic(e: Tensor, nu: float) -> Tensor:
    """The form nu (tr e)^2 + (1 - nu) e : e, [N], of a symmetric e_11, e_12, e_22 [N, 3]."""
    xx, xy, yy = e.unbind(dim=1)
    return nu * (xx + yy) ** 2 + (1 - nu) * (xx * xx + 2 * xy * xy + yy * yy)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1)
