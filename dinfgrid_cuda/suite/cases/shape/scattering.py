"""Scattering: a plane wave on a sound-soft or sound-hard disk, with absorbing layers around it.

The unknown is the scattered wave, on a square less the disk; the incident wave enters through the
condition on the disk. Lengths are in radii of the disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import (
    Adam,
    Boundary,
    Box,
    BSpline,
    Disk,
    Interior,
    Jet,
    LeastSquares,
    Problem,
    Shape,
    Term,
)
from dinfgrid_cuda.suite.tools.case import DIRECT, Case, CaseError, Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import jet, lattice, relative_l2
from dinfgrid_cuda.suite.tools.vtk import clipped_vtk

from . import scattering_plots
from .scattering_exact import DiskScattering

RADIUS, CLEAR = 1.0, 1.5  # of the disk; half the side of the square inside the layers
# Depth of the layers in wavelengths, the power of their profile, and the least attenuation of a
# wave that crosses them twice, as an exponent. With 72 cells, k = 10: depth 0.96 (refl. 16) 6.7e-6,
# 1.6 1.5e-6; at 1.6 an exponent of 10 leaves exp(-10) = 5e-5 of a wave at normal incidence.
DEPTH, POWER, ATTENUATION = 1.6, 4, 16.0
SOFTEST, HARDEST = 2.0, 40.0
# Cells per wavelength, and least.
PER_WAVE, LEAST = 9.0, 72
MEASURED, SHOWN, EXPORTED, AROUND = 201, 401, 301, 256
# Points per cell and axis.
PER_CELL = 3

PAPER = Setup(
    config="paper",
    cells=128,
    levels=4,
    channels=2,
    boundary="clamp",
    decoder="mlp",
    method=Adam(lr=1e-3),
    steps=10_000,
    points=256**2,
)


@dataclass(frozen=True)
class Scattering(Case):
    """Scatters a plane wave by a disk, sound-soft or sound-hard, in absorbing layers (PML)."""

    name: ClassVar[str] = "scattering"

    kind: str = option(
        "soft",
        "The disk: soft (total wave 0 on it) or hard (its normal derivative is 0).",
        choices=("soft", "hard"),
    )
    wavenumber: float = option(
        10.0, "Wavenumber k times the radius a of the disk.", span=(SOFTEST, HARDEST)
    )

    @cached_property
    def exact(self) -> DiskScattering:
        """The exact waves, a series."""
        return DiskScattering(self.wavenumber, RADIUS, self.kind)

    @property
    def depth(self) -> float:
        """The depth of the layers, in radii."""
        return DEPTH * 2 * math.pi / self.wavenumber

    @property
    def outer(self) -> float:
        """Half the side of the square with its layers, in radii."""
        return CLEAR + self.depth

    @property
    def out_channels(self) -> int:
        """The number of channels: real and imaginary part."""
        return 2

    def box(self) -> Box:
        """The square with its layers, in radii."""
        return Box((-self.outer, -self.outer), (self.outer, self.outer), name="rim")

    @cached_property
    def shape(self) -> Shape:
        """The square with its layers, less the disk."""
        return self.box() - Disk((0.0, 0.0), RADIUS, name="disk")

    @cached_property
    def clear(self) -> Shape:
        """What the layers leave free."""
        return Box((-CLEAR, -CLEAR), (CLEAR, CLEAR)) - Disk((0.0, 0.0), RADIUS)

    def setup(self, config: str) -> Setup:
        """Returns septic B-splines, nine cells a wave, or the paper's setup of its waves."""
        if config == "paper":
            return PAPER  # the paper scatters no wave
        waves = 2 * self.outer * self.wavenumber / (2 * math.pi)
        cells = max(LEAST, 2 * math.ceil(PER_WAVE * waves / 2))
        return replace(DIRECT, cells=cells, basis=BSpline(7), points=(PER_CELL * cells) ** 2)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, the condition on the disk, and u = 0 where the layers end.

        Raises:
            CaseError: for splines without second derivatives.
        """
        if isinstance(setup.basis, BSpline) and setup.basis.degree < 2:
            raise CaseError(
                "scattering needs second derivatives, which splines of degree "
                f"{setup.basis.degree} (--model linear-grid) lack; take --model grid."
            )
        direct = isinstance(setup.method, LeastSquares)
        count = None if direct else max(4, math.isqrt(setup.points))
        # Least squares weighs the conditions by itself; their residuals are k^2 smaller.
        weight = 1.0 if direct else self.wavenumber**4
        disk, order = (self.soft, 0) if self.kind == "soft" else (self.hard, 1)
        if order and not direct:
            weight = self.wavenumber**2
        terms = [
            Term("wave", Interior(), self.residual, order=2, points=setup.points),
            Term("disk", Boundary("disk"), disk, order=order, weight=weight, points=count),
        ]
        if direct:
            terms.append(Term("rim", Boundary("rim"), lambda x, u: u.value))
        return Problem(self.shape, terms)

    def stretch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The factor e = dX/dx = 1 + i s (l / L)^4 of an axis and its derivative, complex [N, 1].

        l is the depth in the layer and L all of it. A wave that runs outwards, exp(i k X), is
        damped to exp(-2 k s L / 5) of itself on its way to the rim and back.
        """
        strength = ATTENUATION * (POWER + 1) / (2 * self.wavenumber * self.depth)
        depth = ((x.abs() - CLEAR) / self.depth).clamp(min=0)
        slope = strength * POWER / self.depth * depth ** (POWER - 1) * x.sign()
        e = torch.complex(torch.ones_like(x), strength * depth**POWER)
        return e, torch.complex(torch.zeros_like(x), slope)

    def residual(self, x: Tensor, u: Jet) -> Tensor:
        """The residual d_x((e_y / e_x) d_x u) + d_y((e_x / e_y) d_y u) + e_x e_y k^2 u, [N, 1]."""
        wave = u.as_complex()
        (ex, dex), (ey, dey) = self.stretch(x[:, :1]), self.stretch(x[:, 1:])
        along_x = ey / ex * (wave.derivative((2, 0)) - dex / ex * wave.derivative((1, 0)))
        along_y = ex / ey * (wave.derivative((0, 2)) - dey / ey * wave.derivative((0, 1)))
        return along_x + along_y + ex * ey * self.wavenumber**2 * wave.value

    def soft(self, x: Tensor, u: Jet) -> Tensor:
        """The total wave on the disk, [N, 1]."""
        return u.as_complex().value + self.exact.incident(x)[:, None]

    def hard(self, x: Tensor, u: Jet) -> Tensor:
        """The normal derivative of the total wave on the disk, [N, 1]."""
        incident = (self.exact.incident_gradient(x) * u.normal).sum(dim=1, keepdim=True)
        return u.as_complex().normal_derivative + incident

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors between the disk and the layers, on a lattice of 201 x 201 points."""
        x = lattice(Box((-CLEAR, -CLEAR), (CLEAR, CLEAR)), resolution or MEASURED)
        x = x[self.clear.contains(x)]
        wave, exact = wave_of(field, x), self.exact.scattered(x)
        difference = wave - exact
        width, exact_width = self.width(field), self.exact.width()
        where = f"of the scattered wave, on [-{CLEAR:g}, {CLEAR:g}]^2 less the disk"
        return {
            "relative_l2": Measure(relative_l2(wave, exact), "1", f"|u - exact| / |exact| {where}"),
            "relative_max": Measure(
                float(difference.abs().max() / exact.abs().max()),
                "1",
                f"largest |u - exact| over largest |exact| {where}",
            ),
            "relative_l2_total": Measure(
                float(difference.norm() / self.exact.total(x).norm()),
                "1",
                "|u - exact| / |incident + scattered|, as above",
            ),
            "condition": Measure(
                self._violated(field),
                "1" if self.kind == "soft" else "1/a",
                "largest modulus on the disk of what is 0 there, of an incident wave of modulus 1",
            ),
            "width": Measure(width, "a", "scattering width: power scattered / incident per length"),
            "width_exact": Measure(exact_width, "a", "the series'"),
        }

    def _violated(self, field: nn.Module) -> float:
        normal = _circle(AROUND)
        u = jet(field, RADIUS * normal, 1)
        wave, gradient = _complex(u.value), _complex(u.gradient.movedim(1, -1)).squeeze(-1)
        if self.kind == "soft":
            return float((wave + self.exact.incident(normal)).abs().max())
        total = gradient + self.exact.incident_gradient(normal)
        return float((total * normal).sum(dim=1).abs().max())

    def width(self, field: nn.Module) -> float:
        """Returns the scattering width in radii, (1 / k) Im of the integral of conj(u) u_r.

        Along a circle in the middle of what the layers leave free, on which equal weights are exact
        to rounding.
        """
        normal, radius = _circle(AROUND), (RADIUS + CLEAR) / 2
        u = jet(field, radius * normal, 1)
        outwards = _complex((u.gradient * normal[:, None]).sum(dim=2))
        flux = (_complex(u.value).conj() * outwards).imag.mean() * 2 * math.pi * radius
        return float(flux) / self.wavenumber

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws the total and the scattered wave and the error; the total wave in motion."""
        title = f"sound-{self.kind} disk, k a = {self.wavenumber:g} ({title})"
        scene = scattering_plots.Scene(
            self.shape,
            self.clear,
            CLEAR,
            lambda x: wave_of(field, x),
            self.exact.incident,
            self.exact.scattered,
        )
        return {
            "scattering.png": scattering_plots.comparison(scene, title, SHOWN),
            "scattering.gif": scattering_plots.motion(scene),
        }

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes the waves between disk and layers, cut out along the disk, for ParaView."""

        def write(path: Path) -> None:
            fields = {
                "scattered_real": lambda x: wave_of(field, x).real,
                "scattered_imaginary": lambda x: wave_of(field, x).imag,
                "total_real": lambda x: (wave_of(field, x) + self.exact.incident(x)).real,
                "total_modulus": lambda x: (wave_of(field, x) + self.exact.incident(x)).abs(),
                "error": lambda x: (wave_of(field, x) - self.exact.scattered(x)).abs(),
            }
            clipped_vtk(path, self.clear, fields, EXPORTED)

        return {"scattering.vtu": write}


def wave_of(field: nn.Module, x: Tensor) -> Tensor:
    """The scattered wave u of a field at points x [N, 2], complex [N]."""
    return _complex(jet(field, x, 0).value)


def _complex(pairs: Tensor) -> Tensor:
    """Numbers [..., 2] as complex ones [...]."""
    return torch.view_as_complex(pairs.contiguous())


def _circle(count: int) -> Tensor:
    """Equally spaced unit vectors, [count, 2]."""
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return torch.stack([angle.cos(), angle.sin()], dim=1)
