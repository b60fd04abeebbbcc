"""Helmholtz's equation in a box, with a product of sines as its solution.

    Δu + k^2 u = q on [-1, 1]^d,  u = 0 on the faces;  u = sin(a_1 pi x_1) ... sin(a_d pi x_d),
    q = (k^2 - pi^2 (a_1^2 + ... + a_d^2)) u.

With k = 1 and a = (1, 4) it is the example of Wang, Teng and Perdikaris (SIAM J. Sci. Comput. 43,
2021, arXiv 2001.04536), which many have taken up with other a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dinfgrid_cuda import Adam, Box, Jet, Problem
from dinfgrid_cuda.suite.cases.in_time import space_time
from dinfgrid_cuda.suite.cases.in_time.evolution import (
    PAPER,
    cells_for,
    condition,
    direct,
    equation,
)
from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.case import Case, CaseError, Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import Array, component, lattice, values
from dinfgrid_cuda.suite.tools.vtk import write_image

# Cells per wavelength where the box holds four. With r of them the relative L2 error of septic
# splines is about 5e-8 (10 / r)^8, whatever the number of waves (in 1-D, 4 to 100 waves, r from 6
# to 12). So r falls with the eighth root of the waves: the error grows in proportion to them.
PER_WAVE, AT = 10.0, 4
LEAST, MOST = 16, 2000
# Most wavelengths by dimension: errors are taken at ten points and more per wave, some GB in all.
MOST_WAVES = {2: 500, 3: 40}
HIGHEST = 3000.0  # two cells of the largest grid per wave
# Points per axis, at least this many and 5 for each half wave; one less is prime.
POINTS = {2: 212, 3: 54}
# A wavenumber this close to a resonance, in k^2, leaves the solution undetermined.
RESONANT = 1e-6
SHOWN = 10  # wavelengths that a picture holds

ADAM = Adam(lr=1e-3, decay=(0.1, 5000))
PAPER_2D = replace(PAPER, cells=128, levels=4, channels=2, method=ADAM)
PAPER_3D = replace(PAPER, cells=32, method=ADAM, points=32**3)


@dataclass(frozen=True)
class HelmholtzBox(Case):
    """Standing waves in a box, Δu + k^2 u = q, in two dimensions or three."""

    name: ClassVar[str] = "helmholtz-box"

    a1: int = option(4, "Wavelengths of the solution along x on [-1, 1].", span=(1, MOST_WAVES[2]))
    a2: int = option(1, "The same along y.", span=(1, MOST_WAVES[2]))
    a3: int = option(0, "The same along z; 0 leaves z out.", span=(0, MOST_WAVES[3]))
    wavenumber: float = option(
        1.0, "Wavenumber k, radians per length; not a resonance.", span=(0.0, HIGHEST)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.a3 and max(self.waves) > MOST_WAVES[3]:
            raise CaseError(
                f"--a1 {self.a1} --a2 {self.a2} --a3 {self.a3} are too many wavelengths; with z "
                f"each can be at most {MOST_WAVES[3]}."
            )
        if _resonates(self.wavenumber, len(self.waves)):
            raise CaseError(
                f"--wavenumber {self.wavenumber} is a resonance of the box, where the equation has "
                "no unique solution; take another."
            )

    @property
    def waves(self) -> tuple[int, ...]:
        """The numbers of wavelengths along each axis."""
        return (self.a1, self.a2, self.a3) if self.a3 else (self.a1, self.a2)

    def box(self) -> Box:
        """The box [-1, 1]^d."""
        dim = len(self.waves)
        return Box((-1.0,) * dim, (1.0,) * dim)

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the solution, and the waves that the equation lets travel."""
        dim = len(self.waves)
        if config == "paper":
            return PAPER_2D if dim == 2 else PAPER_3D
        free = self.wavenumber / math.pi
        lengths = [max(waves, free) for waves in self.waves]
        rates = [PER_WAVE * (AT / n) ** (1 / 8) for n in lengths]
        cells = [cells_for(n, r, LEAST, MOST) for n, r in zip(lengths, rates, strict=True)]
        return direct(tuple(cells))

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, and zero on all faces."""
        inside = equation(self._residual, 2, setup, len(self.waves))
        return Problem(self.box(), [inside, condition("faces", None, _value, setup)])

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution, a product of sines, [N]."""
        return torch.sin(math.pi * x * x.new_tensor(self.waves)).prod(dim=1)

    def _residual(self, x: Tensor, u: Jet) -> Tensor:
        square = self.wavenumber**2
        amplitude = square - math.pi**2 * sum(waves**2 for waves in self.waves)
        return u.laplacian + square * u.value - amplitude * self.exact(x)[:, None]

    def _shape(self, resolution: int | None = None) -> tuple[int, ...]:
        """The numbers of points per axis for figures and files."""
        dim, most = len(self.waves), max(self.waves)
        if resolution is not None and resolution <= 4 * most:
            raise CaseError(
                f"--resolution is {resolution}, but {most} wavelengths need more than {4 * most}."
            )
        return (resolution or max(POINTS[dim], 10 * most + 2),) * dim

    def _sampled(self, field: nn.Module, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """The field and the exact solution on a lattice."""
        exact: Array = self.exact(lattice(self.box(), shape)).reshape(shape).numpy()
        return component(field, self.box(), shape), exact

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors over the box."""
        shape = self._shape(resolution)
        u, exact = self._sampled(field, shape)
        where = " x ".join(map(str, shape)) + " lattice"
        error = np.abs(u - exact)
        relative = float(np.linalg.norm(error) / np.linalg.norm(exact))
        return {
            "relative_l2": Measure(relative, "1", f"||found - exact|| / ||exact||, {where}"),
            "max_error": Measure(float(error.max()), "1", f"largest |found - exact|, {where}"),
            "mean_error": Measure(float(error.mean()), "1", f"mean |found - exact|, {where}"),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws the field and the exact solution, as many waves as can be seen, and the error."""
        half = [min(1.0, SHOWN / waves) for waves in self.waves[:2]]
        u, exact = self._plane(field, half)
        whole = np.subtract(*self._plane(field, [1.0, 1.0]))
        where = "" if min(half) == 1.0 else ", the middle"
        common = {"signed": True, "limits": (-1.0, 1.0)}
        extent = (-half[0], half[0], -half[1], half[1])
        worst = float(np.abs(whole).max())
        panels = [
            plots.Panel(u, f"found{where}", extent, **common),  # type: ignore[arg-type]
            plots.Panel(exact, f"exact{where}", extent, **common),  # type: ignore[arg-type]
            plots.Panel(whole, f"found - exact, at most {worst:.1e}", (-1, 1, -1, 1), signed=True),
        ]
        cut = "" if len(self.waves) == 2 else f", cut at z = {self._height:.3g}"
        return {"helmholtz-box.png": plots.panels(panels, title + cut)}

    @property
    def _height(self) -> float:
        """The height z of a plane where the solution is largest."""
        return 0.5 / self.a3

    def _plane(self, field: nn.Module, half: Sequence[float]) -> tuple[Array, Array]:
        """The field and the exact solution on a lattice of (x, y) within +- half."""
        count = self._shape()[0]
        x = lattice(Box((-half[0], -half[1]), (half[0], half[1])), count)
        if len(self.waves) == 3:
            x = torch.cat([x, torch.full_like(x[:, :1], self._height)], dim=1)
        u: Array = values(field, x)[:, 0].reshape(count, count).numpy()
        return u, self.exact(x).reshape(count, count).numpy()

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes u, exact and error along x where the solution is largest (CSV), and everywhere."""
        u, exact = self._sampled(field, self._shape())

        def image(path: Path) -> None:
            arrays = {"found": u, "exact": exact, "error": u - exact}
            single = {name: array.astype(np.float32) for name, array in arrays.items()}
            write_image(path, self.box().lower, self.box().upper, single)

        return {
            "line.csv": space_time.csv_writer(self._line(field)),
            "helmholtz-box.vti": image,
        }

    def _line(self, field: nn.Module) -> dict[str, Array]:
        """The columns of u, exact and error along x."""
        x = lattice(Box((-1.0,), (1.0,)), self._shape()[0])
        rest = [torch.full_like(x, 0.5 / waves) for waves in self.waves[1:]]
        points = torch.cat([x, *rest], dim=1)
        u, exact = values(field, points)[:, 0].numpy(), self.exact(points).numpy()
        return {"x": x[:, 0].numpy(), "found": u, "exact": exact, "error": u - exact}


def _value(x: Tensor, u: Jet) -> Tensor:
    return u.value


def _resonates(wavenumber: float, dim: int) -> bool:
    """Whether k^2 is an eigenvalue of -Δ, (pi / 2)^2 times a sum of ``dim`` positive squares."""
    ratio = (2 * wavenumber / math.pi) ** 2
    nearest = round(ratio)
    return abs(ratio - nearest) <= RESONANT and _is_sum_of_squares(nearest, dim)


def _is_sum_of_squares(number: int, count: int) -> bool:
    """Whether a number is the sum of ``count`` squares of positive integers."""
    if count == 1:
        return number > 0 and math.isqrt(number) ** 2 == number
    rest = range(1, math.isqrt(max(number, 0)) + 1)
    return any(_is_sum_of_squares(number - n * n, count - 1) for n in rest)
