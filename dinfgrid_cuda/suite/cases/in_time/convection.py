"""Convection: a sine that is carried around a ring, many times its length in unit time.

    u_t + c u_x = 0,  u(0, x) = sin x,  x in [0, 2 pi], periodic;  u = sin(x - c t).

Coordinates are (t, x). With c = 30 and t up to 1 it is the case that Krishnapriyan et al. (NeurIPS
2021, arXiv 2109.01050) show physics-informed networks to fail on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from dinfgrid_cuda import Box, Jet, Problem
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.suite.tools.case import POSITIVE, SIGNED, Setup, option

from .evolution import PAPER, START, Evolution, cells_for, condition, direct, equation

# Cells per wavelength. At 8, 12, 16, 24 the relative L2 error is 2.4e-6, 5.4e-8, 5.5e-9, 1.5e-10.
PER_WAVE = 24
LEAST, MOST = 8, 1000
ENDS = ("periodic", "inflow")


@dataclass(frozen=True)
class Convection(Evolution):
    """A sine carried around a ring, u_t + c u_x = 0."""

    name: ClassVar[str] = "convection"
    lattice: ClassVar[tuple[int, ...]] = (258, 132)

    speed: float = option(30.0, "Velocity c, length per time; the ring is 2 pi long.", span=SIGNED)
    end: float = option(1.0, "Time at the end.", span=POSITIVE)
    ends: str = option(
        "periodic",
        "periodic: the grid closes to a ring, which siren and mlp cannot do; inflow: values of the "
        "solution where the velocity enters.",
        choices=ENDS,
    )

    def box(self) -> Box:
        """The box of time and the ring."""
        return Box((0.0, 0.0), (self.end, 2 * math.pi))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve a wave in time and space."""
        along = "periodic" if self.ends == "periodic" else "ghost"
        if config == "paper":
            clamped = "clamp" if along == "ghost" else along
            return replace(PAPER, boundary=("clamp", clamped))
        lengths = abs(self.speed) * self.end / (2 * math.pi), 1.0
        t, x = (cells_for(waves, PER_WAVE, LEAST, MOST) for waves in lengths)
        return direct((t, x), boundary=("ghost", along))

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, the initial values, and those that enter."""
        terms = [
            equation(self._residual, 1, setup, dim=2),
            condition("initial value", (START,), self.misfit, setup),
        ]
        if self.ends == "inflow" and self.speed:
            face: Face = (1, "lower" if self.speed > 0 else "upper")
            terms.append(condition("inflow", (face,), self.misfit, setup))
        return Problem(self.box(), terms)

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution sin(x - c t), [N]."""
        return torch.sin(x[:, 1] - self.speed * x[:, 0])

    def _residual(self, x: Tensor, u: Jet) -> Tensor:
        return u.derivative((1, 0)) + self.speed * u.derivative((0, 1))
