"""Zalesak's slotted disk (J. Comput. Phys. 31, 1979), carried around by rigid rotation.

    u_t + a . grad u = 0,  a = 2 pi n (0.5 - y, x - 0.5) on [0, 1]^2,  t from 0 to 1, n revolutions;

u(0, .) is the signed distance of a disk of radius 0.15 about (0.5, 0.75) with a slot of width 0.05
from below up to y = 0.85: negative inside. Rotation keeps distances, so that the exact solution is
that distance at the point rotated back. Coordinates are (t, x, y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import Adam, Box, BSpline
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.suite.cases.in_time import space_time
from dinfgrid_cuda.suite.cases.in_time.space_time import FRAMES
from dinfgrid_cuda.suite.cases.in_time.transport import Transport
from dinfgrid_cuda.suite.tools.case import DIRECT, Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import lattice, values

from . import zalesak_plots
from .slotted_disk import MIDDLE, Shape, over_time, signed_distance, turns

LATTICE = (FRAMES, 101, 101)
FINE = 401  # points per axis for areas: each is 0.01 % of the disk's area

PAPER = Setup(
    config="paper",
    cells=64,
    levels=3,
    boundary="clamp",
    method=Adam(lr=5e-3, decay=(0.1, 5000)),
    steps=10_000,
    points=64**3,
)
# One level of cubic B-splines, solved directly. At (24, 16, 16), (48, 24, 24), (64, 32, 32) cells
# the mean error is 2.6e-3, 1.6e-3, 9.8e-4; quintic ones reach 0.8 of it in five times as long.
CELLS = (64, 32, 32)
DEFAULT = replace(DIRECT, cells=CELLS, basis=BSpline(3), points=8 * math.prod(CELLS))


@dataclass(frozen=True)
class Zalesak(Transport):
    """A slotted disk after one revolution: the transport of its signed distance."""

    name: ClassVar[str] = "zalesak"

    default_conditions: ClassVar[str] = "soft"

    conditions: str | None = space_time.conditions_option("soft")
    revolutions: float = option(
        1.0,
        "Turns about (0.5, 0.5) while t goes from 0 to 1; the paper's code takes 0.5.",
        span=(1e-6, 1000.0),
    )

    def box(self) -> Box:
        """The box of time and the unit square."""
        return Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def setup(self, config: str) -> Setup:
        """Returns the paper's setup, or the default."""
        return PAPER if config == "paper" else DEFAULT

    def velocity(self, x: Tensor) -> Tensor:
        """The velocity [N, 2] of a rigid rotation, anticlockwise."""
        away = x[:, 1:] - MIDDLE
        return 2 * math.pi * self.revolutions * torch.stack([-away[:, 1], away[:, 0]], dim=1)

    def exact(self, x: Tensor) -> Tensor:
        """The signed distance [N] at the point rotated back to the beginning."""
        angle = 2 * math.pi * self.revolutions * x[:, 0]
        cos, sin = angle.cos(), angle.sin()
        px, py = x[:, 1] - MIDDLE, x[:, 2] - MIDDLE
        return signed_distance(
            torch.stack([cos * px + sin * py + MIDDLE, cos * py - sin * px + MIDDLE], dim=1)
        )

    def inflow_faces(self, setup: Setup) -> list[Face]:
        """The sides of the square; the paper's code leaves what enters undetermined."""
        if space_time.is_paper(setup):
            return []
        return [(axis, side) for axis in (1, 2) for side in ("lower", "upper")]

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors at the end, in the distance and in the shape, and over all times."""
        shape = LATTICE if resolution is None else (resolution,) * 3
        last = self.last(field, FINE if resolution is None else resolution)
        when = f"after {turns(self.revolutions)}"
        meaning = "mean |found - exact| distance where r < 0.5 about the middle"
        over_time = float(self.samples(field, shape).over_time()["mean_error"].mean())
        return {
            "mean_error_end": Measure(last.mean_error, "1", f"{meaning}, {when}"),
            "area_loss": Measure(last.area_loss, "%", f"of the disk, {when}; negative: a gain"),
            "symmetric_difference": Measure(
                last.symmetric_difference, "%", f"area in one shape only, of the disk's, {when}"
            ),
            "mean_error": Measure(over_time, "1", "mean |found - exact|, whole square, all times"),
        }

    def last(self, field: nn.Module, count: int) -> Shape:
        """The field and the exact solution at the end, on a lattice of the square."""
        square = lattice(Box((0.0, 0.0), (1.0, 1.0)), count)
        x = torch.cat([torch.ones(len(square), 1, dtype=torch.float64), square], dim=1)
        u, exact = values(field, x)[:, 0], self.exact(x)
        return Shape(u.reshape(count, count).numpy(), exact.reshape(count, count).numpy())

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws outlines at several times and at the end, errors over time, and an animation."""
        samples = self.samples(field, LATTICE)
        turn = self.revolutions
        return {
            "zalesak.png": zalesak_plots.picture(samples, self.last(field, FINE), turn, title),
            "zalesak.gif": zalesak_plots.animation(samples, turn),
        }

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes errors over time (CSV), and u over (x, y, t) (VTK)."""
        samples = self.samples(field, LATTICE)
        return {
            "errors.csv": space_time.csv_writer(over_time(samples)),
            "zalesak.vti": space_time.vti_writer(samples),
        }
