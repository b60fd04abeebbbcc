"""Heat in time on a plane shape with holes: a temperature u(x, y, t), all times at once.

    u_t = κ Δu + f,  u given at the start and on the outer boundary, the flux u_n on the holes

The unknown is one field on the product of the shape and the interval of time, whose axis is the
last. The solution is cos(2 t) sin(3 x) exp(y), x and y from the middle of the box around a user's
shape, in units of half its longest edge; κ is 1 in this unit of length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import Jet, Problem, Product, Shape, Term
from dinfgrid_cuda.fields.covering import Covering, covering
from dinfgrid_cuda.suite.tools.case import Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import relative_l2, values

from . import heat_shape_output, named
from .manufactured import WAVE_2D, Pulsing, Scaled
from .shape_case import (
    MEASURED,
    TABLE,
    ShapeCase,
    condition,
    degree_option,
    direct,
    equation,
    first,
    inside,
    paper,
    write_table,
)

CELLS = 14
# Cells along the time for each along the longest edge of the shape and unit of time, and at least.
IN_TIME, LEAST = 0.45, 4
# How the pieces of holes are named, in the shapes and in polygons of files.
HOLES = ("hole", "bore")


@dataclass(frozen=True)
class HeatShape(ShapeCase):
    """Finds a temperature in time on a plane shape with holes, on one grid of space and time."""

    name: ClassVar[str] = "heat-shape"

    shape: str = option("four-holes", f"Shape in the plane: {named.HELP_IN_PLANE}")
    end: float = option(
        1.5, "Time at the end; the temperature changes its sign in pi / 2.", span=(0.1, 10.0)
    )
    degree: int = degree_option(5)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "shape", named.absolute(self.shape))
        named.check_plane(self.given, self.shape)

    @cached_property
    def given(self) -> named.Given:
        """The shape, and where it is."""
        return named.given(self.shape)

    @cached_property
    def body(self) -> Shape:
        """The shape times the interval of time."""
        return Product(self.given.shape, 0.0, self.end)

    def fingerprint(self) -> dict[str, Any]:
        """A hash of the user's file."""
        return {"shape": self.given.digest} if self.given.digest else {}

    @cached_property
    def solution(self) -> Pulsing:
        """The temperature with its derivatives."""
        wave = Scaled(WAVE_2D, self.given.centre, self.given.size)
        return Pulsing(wave, diffusivity=self.given.size**2)

    def exact(self, x: Tensor) -> Tensor:
        """The temperature [N] at points (x, y, t) [N, 3]."""
        return self.solution.value(x[:, :2], x[:, 2])

    @property
    def caption(self) -> str:
        """The shape and its conditions."""
        held = "fluxes on the holes" if self._holes else "values all around"
        return f"{self.given.label}, {held}"

    @property
    def _holes(self) -> tuple[str, ...]:
        return tuple(name for name in self.given.shape.names if name.startswith(HOLES))

    def covering(self, setup: Setup) -> Covering:
        """The squares of a grid around the shape, and cells of the interval of time."""
        cells = max(setup.cells_per_axis(3))
        plane = covering(self.given.shape, cells, setup.levels, setup.boundary, 0)
        multiple = 2 ** (setup.levels - 1)
        count = max(LEAST, math.ceil(IN_TIME * cells * self.end))
        count = -(-count // multiple) * multiple
        return Covering((*plane.cells, count), (*plane.lower, 0.0), (*plane.upper, self.end))

    def setup(self, config: str) -> Setup:
        """Returns B-splines in space and time, or what the paper might take."""
        return paper(3) if config == "paper" else direct(CELLS, self.degree, 3)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, the temperature at the start, and conditions on the boundary."""
        names, size = self.given.shape.names, self.given.size
        outer = tuple(name for name in names if name not in self._holes)

        def residual(x: Tensor, u: Jet) -> Tensor:
            spread = u.derivative((2, 0, 0)) + u.derivative((0, 2, 0))
            source = self.solution.source(x[:, :2], x[:, 2])[:, None]
            return u.derivative((0, 0, 1)) - self.solution.diffusivity * spread - source

        def value(x: Tensor, u: Jet) -> Tensor:
            return u.value - self.exact(x)[:, None]

        def flux(x: Tensor, u: Jet) -> Tensor:
            given = self.solution.flux(x[:, :2], x[:, 2], u.normal[:, :2])[:, None]
            return (u.normal_derivative - given) * size

        terms: list[Term] = [
            equation(residual, 2, setup, 3),
            condition("start", ("lower 2",), value, setup),
        ]
        if outer:
            terms.append(condition("outer", outer, value, setup))
        if self._holes:
            terms.append(condition("holes", self._holes, flux, setup, 1))
        return Problem(self.body, terms)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors over space and time, and at the end."""
        measures = super().measure(field, resolution)
        x = inside(self.given.shape, resolution or MEASURED[2])
        x = torch.cat([x, torch.full_like(x[:, :1], self.end)], dim=1)
        end = relative_l2(values(field, x)[:, 0], self.exact(x))
        return {
            **measures,
            "relative_l2_end": Measure(end, "1", f"|u - exact| / |exact| at t = {self.end:g}"),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws the temperature and its error at several times."""
        text = f"{self.caption} ({title})"
        picture = heat_shape_output.snapshots(
            self.given.shape, self.end, first(field), self.exact, text
        )
        return {"heat-shape.png": picture}

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes the clipped product of shape and time, z = t, a table, and errors over time."""

        def errors(path: Any) -> None:
            x = inside(self.given.shape, TABLE[2])
            heat_shape_output.write_errors(path, x, self.end, first(field), self.exact)

        def table(path: Any) -> None:
            x, u = inside(self.body, TABLE[3]), first(field)
            columns = {"u": u(x), "exact": self.exact(x), "error": u(x) - self.exact(x)}
            write_table(path, x, columns, "xyt")

        return {**super().exports(field), "heat-shape.csv": table, "errors.csv": errors}
