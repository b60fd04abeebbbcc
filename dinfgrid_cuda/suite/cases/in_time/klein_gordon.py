"""Klein-Gordon: a nonlinear wave equation on a square, with a manufactured solution.

    u_tt - Δu + u^2 = f on [-1, 1]^2,  u and u_t given at t = 0, u on the sides;
    u = (x + y) cos(k t) + x y sin(k t),  k = 2,  f = u^2 - k^2 u.

Coordinates are (t, x, y). The example is that of SPINN (Cho et al., NeurIPS 2023, arXiv
2306.15969), which PIG (Kang et al., ICLR 2025, arXiv 2412.05994) compares to: t up to 10. In space
the solution is a polynomial, Δu = 0, which splines reproduce: time alone decides the accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from dinfgrid_cuda import Box, BSpline, Jet, Problem
from dinfgrid_cuda.suite.tools.case import POSITIVE, Setup, option

from .evolution import PAPER, SIDES, START, Evolution, cells_for, condition, direct, equation

# Cells per wavelength in time, and per slab: a Newton step forms the matrix of one slab anew.
PER_WAVE, PER_SLAB = 24, 16
LEAST, MOST = 8, 1000
# Cells along each axis of space. Four represent the polynomial; more only cost time.
ACROSS = 4


@dataclass(frozen=True)
class KleinGordon(Evolution):
    """A nonlinear wave equation on a square, u_tt - Δu + u^2 = f."""

    name: ClassVar[str] = "klein-gordon"
    lattice: ClassVar[tuple[int, ...]] = (38, 54, 54)

    frequency: float = option(2.0, "Frequency of the solution, k, radians per time.", span=POSITIVE)
    end: float = option(10.0, "Time at the end.", span=POSITIVE)

    def box(self) -> Box:
        """The box of time and the square."""
        return Box((0.0, -1.0, -1.0), (self.end, 1.0, 1.0))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the solution in time."""
        if config == "paper":
            return replace(PAPER, cells=32, levels=2, points=32**3)
        waves = self.frequency * self.end / (2 * math.pi)
        time = cells_for(waves, PER_WAVE, LEAST, MOST)
        slabs = max(1, round(time / PER_SLAB))
        return direct((math.ceil(time / slabs), ACROSS, ACROSS), BSpline(5), slabs=slabs)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, value and velocity at the beginning, and those of the sides."""
        return Problem(
            self.box(),
            [
                equation(self._residual, 2, setup, dim=3),
                condition("initial value", (START,), self.misfit, setup),
                condition("initial velocity", (START,), self._velocity, setup, order=1),
                condition("sides", SIDES, self.misfit, setup),
            ],
        )

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution (x + y) cos(k t) + x y sin(k t), [N]."""
        phase = self.frequency * x[:, 0]
        return (x[:, 1] + x[:, 2]) * phase.cos() + x[:, 1] * x[:, 2] * phase.sin()

    def _residual(self, x: Tensor, u: Jet) -> Tensor:
        exact = self.exact(x)[:, None]
        f = exact.square() - self.frequency**2 * exact
        space = u.derivative((0, 2, 0)) + u.derivative((0, 0, 2))
        return u.derivative((2, 0, 0)) - space + u.value.square() - f

    def _velocity(self, x: Tensor, u: Jet) -> Tensor:
        """The difference of u_t to that of the solution, k x y, at t = 0."""
        return u.derivative((1, 0, 0)) - self.frequency * (x[:, 1] * x[:, 2])[:, None]
