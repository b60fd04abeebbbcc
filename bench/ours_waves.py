"""Our side of `bench.shapes`: a plane wave scattered by a disk, in a square with absorbing layers.

The layers are those of the problem `scattering` (a complex stretching of each axis). The
error is that of the scattered wave in the square within the layers, up to 1.5 radii
from the centre along the axes and 2.1 along the diagonals; NGSolve's is that in a disk of 2 radii.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.cases.shape.scattering_exact import DiskScattering

from .ours_on_shapes import Bounded, Grid, solved

WAVENUMBER, CLEAR, DEPTH = 10.0, 1.5, 1.0
# Power of the layers' profile, and the attenuation of a wave that crosses them twice, an exponent.
POWER, ATTENUATION = 4, 16.0
CELLS = 68


@dataclass(frozen=True)
class Scatterer:
    """The unit disk in a plane wave.

    Attributes:
        kind: "soft" or "hard".
    """

    kind: str

    @property
    def exact(self) -> DiskScattering:
        """The series."""
        return DiskScattering(WAVENUMBER, 1.0, self.kind)

    def problem(self) -> tuple[dg.Shape, list[dg.Term]]:
        """Returns the square less the disk; equation, condition on the disk, u = 0 on the rim."""
        disk, order = (self.soft, 0) if self.kind == "soft" else (self.hard, 1)
        return _square(CLEAR + DEPTH) - _disk(), [
            dg.Term("wave", dg.Interior(), self.equation, order=2),
            dg.Term("disk", dg.Boundary("disk"), disk, order=order),
            dg.Term("rim", dg.Boundary("rim"), lambda x, u: u.value),
        ]

    def equation(self, x: Tensor, u: dg.Jet) -> Tensor:
        """The residual d_x((e_y / e_x) d_x u) + d_y((e_x / e_y) d_y u) + e_x e_y k^2 u, [N, 1]."""
        wave = u.as_complex()
        (ex, dex), (ey, dey) = _stretch(x[:, :1]), _stretch(x[:, 1:])
        along_x = ey / ex * (wave.derivative((2, 0)) - dex / ex * wave.derivative((1, 0)))
        along_y = ex / ey * (wave.derivative((0, 2)) - dey / ey * wave.derivative((0, 1)))
        return along_x + along_y + ex * ey * WAVENUMBER**2 * wave.value

    def soft(self, x: Tensor, u: dg.Jet) -> Tensor:
        """The total wave on the disk, [N, 1]."""
        return u.as_complex().value + self.exact.incident(x)[:, None]

    def hard(self, x: Tensor, u: dg.Jet) -> Tensor:
        """Its normal derivative, [N, 1]."""
        incident = (self.exact.incident_gradient(x) * u.normal).sum(dim=1, keepdim=True)
        return u.as_complex().normal_derivative + incident

    def solved(self, quick: bool) -> Bounded:
        """Solves, and measures where there are no layers."""
        clear = _square(CLEAR) - _disk()
        return solved(
            self.problem, Grid(CELLS, channels=2), quick, self.exact.scattered, measured=clear
        )


def _square(half: float) -> dg.Shape:
    return dg.Box((-half, -half), (half, half), name="rim")


def _disk() -> dg.Shape:
    return dg.Disk((0.0, 0.0), 1.0, name="disk")


def _stretch(x: Tensor) -> tuple[Tensor, Tensor]:
    """The factor 1 + i s (l / L)^4 of an axis, l the depth in the layer, and its derivative."""
    strength = ATTENUATION * (POWER + 1) / (2 * WAVENUMBER * DEPTH)
    depth = ((x.abs() - CLEAR) / DEPTH).clamp(min=0)
    slope = strength * POWER / DEPTH * depth ** (POWER - 1) * x.sign()
    stretched = torch.complex(torch.ones_like(x), strength * depth**POWER)
    return stretched, torch.complex(torch.zeros_like(x), slope)


def scattering_soft(quick: bool) -> Bounded:
    """A sound-soft disk, ka = 10."""
    return Scatterer("soft").solved(quick)


def scattering_hard(quick: bool) -> Bounded:
    """A sound-hard disk, ka = 10."""
    return Scatterer("hard").solved(quick)
