"""Burgers' equation: a sine that steepens into a shock as thin as the viscosity lets it be.

    u_t + u u_x = nu u_xx,  u(0, x) = -sin(pi x),  u = 0 at x = -1 and 1;  t from 0 to 1.

Coordinates are (t, x). The exact solution is a quotient of two integrals (`burgers_exact`). The
viscosity may be unknown; then it is found, together with u, from values at scattered points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import Box, BSpline, Jet, Points, Problem, Term, Uniform
from dinfgrid_cuda.suite.cases.in_time.evolution import (
    ENDS,
    PAPER,
    START,
    Evolution,
    condition,
    direct,
    equation,
)
from dinfgrid_cuda.suite.tools.case import CaseError, Measure, Setup, option
from dinfgrid_cuda.suite.tools.evaluation import jet, lattice

from .burgers_exact import LARGEST, SMALLEST, solution

USUAL = 0.01 / math.pi
# The shock is -tanh(x / (2 nu)) times its height. With 1.6, 2.4, 3.2 cells to a length of 2 nu
# (500, 750, 1000 in all for the usual nu) the relative L2 error is 1.7e-3, 2.0e-5, 8.6e-7.
CELLS_IN_SHOCK = 3.18  # in 2 nu; as many as nu times the cells of [-1, 1]
SLABS, CELLS_OF_TIME = 8, 6
GUESS = 0.05  # start of an unknown viscosity
# Weight of the measurements, which are exact and should be met to a fraction of the error of the
# equation. The relative error of nu is 3e-4 with 100 and 1e-4 with 1e4.
DATA_WEIGHT = 1e4
DATA_SEED = 11
FEWEST, MOST = 50, 1_000_000


@dataclass(frozen=True)
class Burgers(Evolution):
    """A sine that steepens into a shock, u_t + u u_x = nu u_xx."""

    name: ClassVar[str] = "burgers"
    lattice: ClassVar[tuple[int, ...]] = (101, 1001)

    viscosity: float = option(USUAL, f"Viscosity nu, {SMALLEST} to {LARGEST}; usually 0.01/pi.")
    unknown_viscosity: bool = option(
        False, "Find nu along with u, from values of the solution at scattered points."
    )
    measurements: int = option(
        2000, "Number of these values; none are used where nu is known.", span=(FEWEST, MOST)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not SMALLEST <= self.viscosity <= LARGEST:
            raise CaseError(
                f"--viscosity is {self.viscosity:g}; it must lie in {SMALLEST}..{LARGEST}."
            )

    def box(self) -> Box:
        """The box of time from 0 to 1, and the line [-1, 1]."""
        return Box((0.0, -1.0), (1.0, 1.0))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the shock; one slab where nu is unknown, as all share it."""
        if config == "paper":
            return replace(PAPER, cells=128)
        across = math.ceil(CELLS_IN_SHOCK / self.viscosity)
        slabs = 1 if self.unknown_viscosity else SLABS
        cells = (CELLS_OF_TIME * SLABS // slabs, max(64, across))
        return direct(cells, BSpline(5), slabs=slabs)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, initial and end values, and measured ones where nu is unknown."""
        viscosity: float | nn.Parameter = self.viscosity
        if self.unknown_viscosity:
            viscosity = nn.Parameter(torch.tensor(GUESS, dtype=torch.float64))

        def residual(x: Tensor, u: Jet) -> Tensor:
            return u.derivative((1, 0)) + advection(u) - viscosity * u.derivative((0, 2))

        terms = [
            equation(residual, 2, setup, 2),
            condition("initial value", (START,), _initial_misfit, setup),
            condition("ends", ENDS, _value, setup),
        ]
        if not isinstance(viscosity, nn.Parameter):
            return Problem(self.box(), terms)
        x = Uniform()(self.measurements, self.box(), DATA_SEED, dtype=torch.float64)
        values = self.exact(x)[:, None]
        terms.append(Term("data", Points(x), _difference, weight=DATA_WEIGHT, data=values))
        return Problem(self.box(), terms, {"viscosity": viscosity})

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution u [N] at points (t, x) [N, 2]."""
        return solution(x, self.viscosity)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors over space and time, and the viscosity where it was unknown."""
        measures = super().measure(field, resolution)
        if self.unknown_viscosity:
            nu = self.fitted_viscosity(field)
            error = abs(nu / self.viscosity - 1)
            measures["viscosity"] = Measure(nu, "1", "nu with which u fits the equation best")
            measures["viscosity_error"] = Measure(error, "1", "|found / exact - 1| of nu")
        return measures

    def fitted_viscosity(self, field: nn.Module) -> float:
        """The nu that makes the equation's mean square residual smallest for a field's u."""
        u = jet(field, lattice(self.box(), self.lattice), 2)
        curved = u.derivative((0, 2))
        left = u.derivative((1, 0)) + advection(u)
        return float((left * curved).sum() / curved.square().sum())


def advection(u: Jet) -> Tensor:
    """The advection u u_x, [N, 1]."""
    return u.value * u.derivative((0, 1))


def _initial_misfit(x: Tensor, u: Jet) -> Tensor:
    return u.value + torch.sin(math.pi * x[:, 1:])


def _value(x: Tensor, u: Jet) -> Tensor:
    return u.value


def _difference(x: Tensor, u: Jet, data: Tensor) -> Tensor:
    return u.value - data
