"""Flow mixing: two fluids that a vortex winds up into each other.

    u_t + a u_x + b u_y = 0 on [-4, 4]^2,  t from 0 to 4,
    (a, b) = omega (-y, x),  omega(r) = sech^2(r) tanh(r) / (0.385 r),  u(0, x, y) = -tanh(y / 2).

Coordinates are (t, x, y). Each circle turns at its own speed, so that the exact solution is u(0, .)
at the point turned back: u = -tanh((y cos(omega t) - x sin(omega t)) / 2). The sides of the square
take its values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from dinfgrid_cuda import Box, Interior, Jet, Lattice, LeastSquares, Problem, Term
from dinfgrid_cuda.suite.tools.case import DIRECT, Setup, option

from . import space_time
from .evolution import PAPER, SIDES, START, Evolution, condition

FASTEST = 0.385  # v_max: the largest of sech^2(r) tanh(r)
HALF = 4.0  # half the side of the square
# Cells of space across. At 48, 64, 80 the relative L2 error is 5.6e-4, 1.9e-4, 5.9e-5.
ACROSS = 80
# One cell of time per slab keeps the band of its matrix narrow: slabs of two cells, twice as long,
# would double the work for the same error.
SLABS_PER_TIME = 4
LONGEST = 100.0  # 400 slabs; layers are then far thinner than a cell
# Points per cell on an axis of space; 2 take one and a half times as long for the same error.
DENSITY = 1.5


@dataclass(frozen=True)
class FlowMixing(Evolution):
    """Two fluids wound up by a vortex, u_t + a u_x + b u_y = 0."""

    name: ClassVar[str] = "flow-mixing"
    lattice: ClassVar[tuple[int, ...]] = (space_time.FRAMES, 102, 102)

    end: float = option(
        4.0, "Time at the end; layers get thinner in proportion to it.", span=(1e-6, LONGEST)
    )

    def box(self) -> Box:
        """The box of time and the square."""
        return Box((0.0, -HALF, -HALF), (self.end, HALF, HALF))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the layers."""
        if config == "paper":
            return replace(PAPER, points=32**3)
        slabs = math.ceil(SLABS_PER_TIME * self.end)
        setup = replace(DIRECT, cells=(1, ACROSS, ACROSS), slabs=slabs)
        return replace(setup, points=math.prod(lattice_shape(setup)))

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, the initial values, and those of the sides."""
        terms = [
            _equation(setup),
            condition("initial value", (START,), self.misfit, setup),
            condition("sides", SIDES, self.misfit, setup),
        ]
        return Problem(self.box(), terms)

    def exact(self, x: Tensor) -> Tensor:
        """The exact u [N] at points (t, x, y) [N, 3]."""
        angle = turning(x) * x[:, 0]
        return -torch.tanh((x[:, 2] * angle.cos() - x[:, 1] * angle.sin()) / 2)


def turning(x: Tensor) -> Tensor:
    """The angular velocity omega [N] at points (t, x, y) [N, 3]; 1 / 0.385 in the middle."""
    r = torch.linalg.vector_norm(x[:, 1:], dim=1).clamp_min(1e-6)
    omega: Tensor = r.tanh() / (FASTEST * r * r.cosh().square())
    return omega


def lattice_shape(setup: Setup) -> tuple[int, ...]:
    """The numbers of points of a slab per axis for a direct solve, more than features on each."""
    feature_counts = [count + setup.basis.nodes - 1 for count in setup.cells_per_axis(3)]
    point_counts = [round(DENSITY * count) + 1 for count in setup.cells_per_axis(3)]
    pairs = zip(feature_counts, point_counts, strict=True)
    return tuple(max(features + 1, points) for features, points in pairs)


def _equation(setup: Setup) -> Term:
    if not isinstance(setup.method, LeastSquares):
        return Term("equation", Interior(), _residual, 1, points=setup.points)
    return Term("equation", Interior(Lattice(lattice_shape(setup), ends=True)), _residual, 1)


def _residual(x: Tensor, u: Jet) -> Tensor:
    t, dx, dy = (u.derivative(alpha) for alpha in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    return t + turning(x)[:, None] * (x[:, 1:2] * dy - x[:, 2:] * dx)
