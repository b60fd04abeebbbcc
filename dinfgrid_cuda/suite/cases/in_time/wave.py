"""Wave: a string that swings in two of its modes at once.

    u_tt = c^2 u_xx,  u = u_t = given at t = 0,  u = 0 at both ends,  0 < x < 1;
    u = sin(pi x) cos(c pi t) + 1/2 sin(4 pi x) cos(4 c pi t).

Coordinates are (t, x). With c = 2 and t up to 1 it is the example of Wang, Yu and Perdikaris (J.
Comput. Phys. 449, 2022, arXiv 2007.14527), which PINNacle (arXiv 2306.08827) took over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dinfgrid_cuda import Box, Jet, Problem
from dinfgrid_cuda.suite.tools.case import POSITIVE, Setup, option

from .evolution import ENDS, PAPER, START, Evolution, cells_for, condition, direct, equation

SECOND = 4  # number of the second mode
# Cells per wavelength of the second mode. At 12, 16, 24 the relative L2 error is 1.6e-7, 2.1e-8,
# 1.2e-9.
PER_WAVE = 24
LEAST, MOST = 8, 400


@dataclass(frozen=True)
class Wave(Evolution):
    """Two modes of a string, u_tt = c^2 u_xx."""

    name: ClassVar[str] = "wave"
    lattice: ClassVar[tuple[int, ...]] = (132, 258)

    speed: float = option(2.0, "Speed of the waves, c, length per time.", span=POSITIVE)
    end: float = option(1.0, "Time at the end.", span=POSITIVE)

    def box(self) -> Box:
        """The box of time and the string."""
        return Box((0.0, 0.0), (self.end, 1.0))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the second mode in time and space."""
        if config == "paper":
            return PAPER
        lengths = SECOND * self.speed * self.end / 2, SECOND / 2
        t, x = (cells_for(waves, PER_WAVE, LEAST, MOST) for waves in lengths)
        return direct((t, x))

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, deflection and velocity at the beginning, and the ends."""
        return Problem(
            self.box(),
            [
                equation(self._residual, 2, setup, dim=2),
                condition("initial value", (START,), self.misfit, setup),
                condition("initial velocity", (START,), _velocity, setup, order=1),
                condition("ends", ENDS, _value, setup),
            ],
        )

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution, two modes, [N]."""
        t, x = math.pi * x[:, 0], math.pi * x[:, 1]
        first = torch.sin(x) * torch.cos(self.speed * t)
        second = torch.sin(SECOND * x) * torch.cos(SECOND * self.speed * t)
        return first + 0.5 * second

    def _residual(self, x: Tensor, u: Jet) -> Tensor:
        return u.derivative((2, 0)) - self.speed**2 * u.derivative((0, 2))


def _velocity(x: Tensor, u: Jet) -> Tensor:
    return u.derivative((1, 0))


def _value(x: Tensor, u: Jet) -> Tensor:
    return u.value
