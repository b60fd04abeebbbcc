"""The Allen-Cahn equation: phases of u = 1 and u = -1 that separate, with thin walls.

    u_t = D u_xx + 5 u - 5 u^3,  u(0, x) = x^2 cos(pi x),  x in [-1, 1], periodic;  t from 0 to 1.

Coordinates are (t, x). D = 1e-4 is the case of Raissi et al. (J. Comput. Phys. 378, 2019) and of
the literature on neural solvers since. The reference is computed with Fourier modes and ETDRK4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda import Box, BSpline, Jet, Problem
from dinfgrid_cuda.suite.cases.in_time.evolution import (
    PAPER,
    START,
    Evolution,
    condition,
    direct,
    equation,
)
from dinfgrid_cuda.suite.tools.case import CaseError, Setup, option

from . import allen_cahn_exact
from .allen_cahn_exact import REACTION

USUAL, SMALLEST, LARGEST = 1e-4, 2e-5, 1e-2
# Cells across the box for the usual D; walls are sqrt(D) thick. At 512, 768, 1024 the relative L2
# error is 9.9e-6, 4.8e-6, 2.9e-6; most of it is the kink at x = 1 at the beginning.
CELLS = 1024
SLABS, CELLS_OF_TIME = 4, 6


@dataclass(frozen=True)
class AllenCahn(Evolution):
    """Phases that separate, u_t = D u_xx + 5 u - 5 u^3, on a ring."""

    name: ClassVar[str] = "allen-cahn"
    lattice: ClassVar[tuple[int, ...]] = (101, 1025)

    diffusion: float = option(
        USUAL, f"Diffusion D, {SMALLEST:g} to {LARGEST:g}; usually {USUAL:g}."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not SMALLEST <= self.diffusion <= LARGEST:
            raise CaseError(
                f"--diffusion is {self.diffusion:g}; it must lie in {SMALLEST:g}..{LARGEST:g}."
            )

    def box(self) -> Box:
        """The box of time from 0 to 1, and once around the ring."""
        return Box((0.0, -1.0), (1.0, 1.0))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the walls."""
        if config == "paper":
            return replace(PAPER, cells=128, boundary=("clamp", "periodic"))
        across = max(256, math.ceil(CELLS * math.sqrt(USUAL / self.diffusion)))
        cells = (CELLS_OF_TIME, across)
        return direct(cells, BSpline(5), slabs=SLABS, boundary=("ghost", "periodic"))

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation and the initial values; the grid is periodic."""
        terms = [
            equation(self._residual, 2, setup, 2),
            condition("initial value", (START,), _initial_misfit, setup),
        ]
        return Problem(self.box(), terms)

    def _residual(self, x: Tensor, u: Jet) -> Tensor:
        reaction = REACTION * (u.value - u.value**3)
        return u.derivative((1, 0)) - self.diffusion * u.derivative((0, 2)) - reaction

    def exact(self, x: Tensor) -> Tensor:
        """The reference [N] at points (t, x) [N, 2]; fast where these share times and places."""
        t, at = (column.detach().cpu().double().numpy() for column in x.unbind(dim=1))
        times, row = np.unique(t, return_inverse=True)
        places, column = np.unique(at, return_inverse=True)
        u = allen_cahn_exact.solution(times.tolist(), places, self.diffusion)
        return torch.from_numpy(u[row, column]).to(x)


def _initial_misfit(x: Tensor, u: Jet) -> Tensor:
    at = x[:, 1:]
    return u.value - at**2 * torch.cos(math.pi * at)
