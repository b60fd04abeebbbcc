"""Heat: a temperature u(t, x) that decays along a rod with ends kept at zero.

    u_t = u_xx,  u(0, x) = sin(pi x),  u = 0 at both ends;  u = exp(-pi^2 t) sin(pi x).

Coordinates are (t, x). By the method of separation the formula is exact wherever the ends lie at
integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import Adam, Box, Constraint, Jet, Problem, Term
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.suite.tools.case import DIRECT, POSITIVE, Case, Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import lattice, relative_l2, values

from . import space_time, space_time_plots

TIMES = (0.1, 0.5, 1.0)  # where relative errors are reported, up to the end
LARGEST = 512  # cells per axis
LATTICE = (129, 257)

PAPER = Setup(
    config="paper",
    cells=128,
    levels=2,
    boundary="clamp",
    method=Adam(lr=1e-3, decay=(0.1, 5000)),
    steps=5000,
    points=256**2,
)


@dataclass(frozen=True)
class Heat(Case):
    """The temperature of a rod, u_t = u_xx, from its exact initial and boundary values."""

    name: ClassVar[str] = "heat"

    end: float = option(1.0, "Time at the end; the paper's code takes 4.", span=POSITIVE)
    left: int = option(
        0,
        "Left end of the rod; the right end is 1. The paper's code takes -1.",
        span=(-1000, 0),
    )
    conditions: str | None = space_time.conditions_option()

    def box(self) -> Box:
        """The box of time and the rod, (0, left) to (end, 1)."""
        return Box((0.0, float(self.left)), (self.end, 1.0))

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces where values are given: the beginning and both ends of the rod."""
        return ((0, "lower"), (1, "lower"), (1, "upper"))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve exp(-pi^2 t) and half a sine wave per unit of length."""
        if config == "paper":
            return PAPER
        counts = (math.ceil(96 * max(1.0, self.end)), 64 * (1 - self.left))
        cells = tuple(min(LARGEST, count) for count in counts)
        return replace(DIRECT, cells=cells, points=4 * math.prod(cells))

    def constraint(self, setup: Setup) -> Constraint | None:
        """Holds sin(pi x) on all faces but the last time, where the conditions are hard."""
        return space_time.box_constraint(
            space_time.conditions_of(self.conditions, setup), initial, self.faces
        )

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, and initial and boundary values where they are soft."""
        conditions = space_time.conditions_of(self.conditions, setup)
        shape = space_time.lattice_shape(setup, 2)
        terms = [space_time.equation(_residual, 2, shape, conditions, setup)]
        if conditions == "soft":
            count = (2 * max(shape),)
            for name, some in (("initial", self.faces[:1]), ("ends", self.faces[1:])):
                region = space_time.faces(some, count, setup)
                terms.append(Term(name, region, _misfit, weight=space_time.soft_weight(setup)))
        return Problem(self.box(), terms)

    def samples(self, field: nn.Module, resolution: int | None = None) -> space_time.Samples:
        """The field and the exact solution on a lattice."""
        shape = LATTICE if resolution is None else (resolution, resolution)
        return space_time.sample(field, exact, self.box(), shape)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors over space and time, and at some times relative to u there."""
        whole = self.samples(field, resolution).measures()
        measures = {name: whole[name] for name in ("relative_l2", "max_error", "mean_error")}
        count = resolution or LATTICE[1]
        for time in (t for t in TIMES if t <= self.end):
            x = lattice(Box((float(self.left),), (1.0,)), count)
            x = torch.cat([torch.full_like(x, time), x], dim=1)
            error = relative_l2(values(field, x)[:, 0], exact(x))
            meaning = f"||found - exact|| / ||exact|| over x at t = {time:g}"
            measures[f"relative_l2_t{time:g}"] = Measure(error, "1", meaning)
        return measures

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws space-time diagrams with errors over time, and an animation of the profile."""
        samples = self.samples(field)
        return {
            "heat.png": space_time_plots.space_time_picture(samples, title, signed=self.left < 0),
            "heat.gif": space_time_plots.line_animation(samples, "u"),
        }

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes errors over time (CSV), and u over (x, t) (VTK)."""
        samples = self.samples(field)
        return {
            "errors.csv": space_time.csv_writer(samples.over_time()),
            "heat.vti": space_time.vti_writer(samples),
        }


def initial(x: Tensor) -> Tensor:
    """The initial values sin(pi x) [N] at points (t, x) [N, 2]."""
    return torch.sin(math.pi * x[:, 1])


def exact(x: Tensor) -> Tensor:
    """The exact solution exp(-pi^2 t) sin(pi x) [N] at points (t, x) [N, 2]."""
    return torch.exp(-(math.pi**2) * x[:, 0]) * initial(x)


def _residual(x: Tensor, u: Jet) -> Tensor:
    return u.derivative((1, 0)) - u.derivative((0, 2))


def _misfit(x: Tensor, u: Jet) -> Tensor:
    return u.value - exact(x)[:, None]
