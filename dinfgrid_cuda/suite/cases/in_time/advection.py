"""Advection: a Gaussian bump carried at constant velocity, along a line or across a square.

    u_t + a . grad u = 0,  u(0, x) = exp(-|x - c|^2 / (2 sigma^2)),

on [-2, 2] (1-D) or [-1, 1]^2 (2-D), t from 0 to ``end``. The line is the example of INSR-PDE (Chen
et al., ICML 2023, arXiv 2210.00124; its code: sigma 0.1, c = -1.5, velocity 0.25, 240 steps of
0.05), which the ∂∞-Grid paper compares to; the square is that of the paper's code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import Adam, Box, BSpline
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.suite.tools.case import (
    DIRECT,
    POSITIVE,
    SIGNED,
    CaseError,
    Measure,
    Setup,
    Writer,
    option,
)

from . import space_time, space_time_plots
from .space_time import FRAMES
from .transport import START, Transport

LATTICE = {1: (121, 801), 2: (FRAMES, 81, 81)}
PAPER = Setup(
    config="paper",
    cells=64,
    boundary="clamp",
    method=Adam(lr=1e-2, decay=(0.1, 5000)),
    steps=5000,
    points=256**2,
)
PAPER_2D = replace(
    PAPER, levels=3, method=Adam(lr=1e-3, decay=(0.1, 5000)), steps=10_000, points=64**3
)
# Cells per time in which the bump moves by sigma, and per sigma of space.
RESOLUTION = {1: (4.0, 4.0), 2: (2.4, 1.6)}
LARGEST = 512


@dataclass(frozen=True)
class Advection(Transport):
    """A Gaussian bump carried at constant velocity along a line, or across a square."""

    name: ClassVar[str] = "advection"

    dim: int = option(1, "1 for the line [-2, 2], 2 for the square [-1, 1]^2.")
    velocity_x: float = option(0.25, "Velocity along x, length per time.", span=SIGNED)
    velocity_y: float | None = option(
        None, "Velocity along y, --dim 2 only; 0.25 by default.", span=SIGNED
    )
    sigma: float = option(0.1, "Width of the bump, a length.", span=POSITIVE)
    end: float | None = option(
        None, "Time at the end; 12 on the line and 4 on the square by default.", span=POSITIVE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim not in (1, 2):
            raise CaseError(f"--dim is {self.dim}, but it must be 1 or 2.")
        if self.dim == 1 and self.velocity_y is not None:
            raise CaseError(
                f"--velocity-y is {self.velocity_y}, but --dim 1 has no y; use --dim 2."
            )

    @property
    def last(self) -> float:
        """The time at the end."""
        return {1: 12.0, 2: 4.0}[self.dim] if self.end is None else self.end

    @property
    def speeds(self) -> tuple[float, ...]:
        """The velocity along each axis of space."""
        y = 0.25 if self.velocity_y is None else self.velocity_y
        return (self.velocity_x, y)[: self.dim]

    @property
    def centre(self) -> float:
        """The coordinate on each axis at which the bump starts, upstream."""
        return {1: -1.5, 2: -0.6}[self.dim]

    def box(self) -> Box:
        """The box of time and space."""
        half = {1: 2.0, 2: 1.0}[self.dim]
        return Box((0.0, *[-half] * self.dim), (self.last, *[half] * self.dim))

    def setup(self, config: str) -> Setup:
        """Returns cells that resolve the bump in space, and in time as it passes by."""
        if config == "paper":
            return PAPER if self.dim == 1 else PAPER_2D
        box, fastest = self.box(), max(map(abs, self.speeds))
        along, across = (count / self.sigma for count in RESOLUTION[self.dim])
        counts = (self.last * fastest * along, *[length * across for length in box.lengths[1:]])
        cells = tuple(min(LARGEST, max(8, math.ceil(count))) for count in counts)
        basis = BSpline(7 if self.dim == 1 else 5)  # in 2-D septic ones take too much memory
        return replace(
            DIRECT, cells=cells, basis=basis, points=2 ** (self.dim + 1) * math.prod(cells)
        )

    def velocity(self, x: Tensor) -> Tensor:
        """The velocity [N, dim of space], the same everywhere."""
        return x.new_tensor(self.speeds).expand(len(x), self.dim)

    def exact(self, x: Tensor) -> Tensor:
        """The bump [N], moved by the velocity times t."""
        away = x[:, 1:] - self.centre - self.velocity(x) * x[:, :1]
        return torch.exp(-away.square().sum(dim=1) / (2 * self.sigma**2))

    @property
    def held_faces(self) -> list[Face]:
        """The beginning, and the faces the velocity enters through."""
        inflow: list[Face] = [
            (axis, "lower" if speed > 0 else "upper")
            for axis, speed in enumerate(self.speeds, 1)
            if speed
        ]
        return [START, *inflow]

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors over space and time, and at the end."""
        shape = LATTICE[self.dim] if resolution is None else (resolution,) * (self.dim + 1)
        samples = self.samples(field, shape)
        last = samples.over_time()
        when = f"at t = {self.last:g}"
        u, exact = samples.u[-1], samples.exact[-1]
        return {
            **samples.measures(),
            "mean_error_end": Measure(float(last["mean_error"][-1]), "1", f"mean error {when}"),
            "peak_end": Measure(float(u.max()), "1", f"largest u {when}, exact {exact.max():.4g}"),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws u, exact and error in space and time, and an animation."""
        samples = self.samples(field, LATTICE[self.dim])
        if self.dim == 1:
            return {
                "advection.png": space_time_plots.space_time_picture(samples, title),
                "advection.gif": space_time_plots.line_animation(samples, "u"),
            }
        return {
            "advection.png": space_time_plots.square_picture(samples, title),
            "advection.gif": space_time_plots.square_animation(samples),
        }

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes errors over time (CSV), and u over (x, t) or (x, y, t) (VTK)."""
        samples = self.samples(field, LATTICE[self.dim])
        return {
            "errors.csv": space_time.csv_writer(samples.over_time()),
            "advection.vti": space_time.vti_writer(samples),
        }
