"""What problems in time share whose solution is known and whose conditions are terms.

The solver chooses the points, to fit the grid; it also balances the conditions against the
equation, so that they need no weights.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from dinfgrid_cuda import Adam, Boundary, BSpline, Interior, Jet, LeastSquares, Term
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.suite.tools.case import DIRECT, Case, Measure, Setup, Writer

from . import space_time, space_time_plots
from .space_time import Samples

Residual = Callable[[Tensor, Jet], Tensor]

START: Face = (0, "lower")
ENDS: tuple[Face, ...] = ((1, "lower"), (1, "upper"))
SIDES: tuple[Face, ...] = (*ENDS, (2, "lower"), (2, "upper"))
# For Adam and L-BFGS: the weight of conditions against the equation's mean square, and how many
# times fewer points they have.
TRAINED_WEIGHT, TRAINED_SHARE = 100.0, 4
SEPTIC = BSpline(7)
# As the paper sets up its problems in time; it has none of these.
PAPER = Setup(
    config="paper",
    cells=64,
    levels=3,
    boundary="clamp",
    method=Adam(lr=5e-3, decay=(0.1, 5000)),
    steps=5000,
    points=128**2,
)
FIGURES = ("relative_l2", "max_error", "mean_error")


def direct(cells: tuple[int, ...], basis: Basis = SEPTIC, **changes: Any) -> Setup:
    """The setup of a solve by least squares, in double precision.

    Args:
        cells: per axis.
        basis: B-splines.
        changes: of other attributes of the `Setup`.
    """
    return replace(DIRECT, cells=cells, basis=basis, points=_points(cells), **changes)


def _points(cells: tuple[int, ...]) -> int:
    """The number of points: two per cell and axis."""
    return math.prod(2 * count for count in cells)


def cells_for(waves: float, per_wave: float, least: int, most: int) -> int:
    """The number of cells of an axis that holds so many wavelengths, within bounds."""
    return min(most, max(least, math.ceil(per_wave * waves)))


def equation(residual: Residual, order: int, setup: Setup, dim: int) -> Term:
    """The term of an equation inside the box.

    Args:
        residual: of the equation.
        order: of its derivatives.
        dim: axes of the box.
    """
    default = setup.points == _points(setup.cells_per_axis(dim))
    points = None if isinstance(setup.method, LeastSquares) and default else setup.points
    return Term("equation", Interior(), residual, order, points=points)


def condition(
    name: str, faces: tuple[Face, ...] | None, residual: Residual, setup: Setup, order: int = 0
) -> Term:
    """A term on faces (None: all of them), such as the difference to given values."""
    region = Boundary(faces)
    if isinstance(setup.method, LeastSquares):
        return Term(name, region, residual, order)
    points = max(1, setup.points // TRAINED_SHARE)
    return Term(name, region, residual, order, TRAINED_WEIGHT, points)


@dataclass(frozen=True)
class Evolution(Case):
    """A problem in time, axis 0, whose solution is known everywhere."""

    # Points of the lattice of errors and pictures. One less is prime: no multiple of the cells.
    lattice: ClassVar[tuple[int, ...]]
    signed: ClassVar[bool] = True

    @abstractmethod
    def exact(self, x: Tensor) -> Tensor:
        """The exact u [N] at points (t, x, ...) [N, dim]."""

    def misfit(self, x: Tensor, u: Jet) -> Tensor:
        """The difference u - exact, [N, 1]."""
        return u.value - self.exact(x)[:, None]

    def samples(self, field: nn.Module, resolution: int | None = None) -> Samples:
        """The field and the exact solution on a lattice of (t, x, ...)."""
        box = self.box()
        shape = self.lattice if resolution is None else (resolution,) * box.dim
        return space_time.sample(field, self.exact, box, shape)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors over all of space and time."""
        measures = self.samples(field, resolution).measures()
        return {name: measures[name] for name in FIGURES}

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws u, exact and error in space and time, and an animation."""
        samples = self.samples(field)
        if self.box().dim == 2:
            picture = space_time_plots.space_time_picture(samples, title, signed=self.signed)
            moving = space_time_plots.line_animation(samples, "u")
        else:
            picture = space_time_plots.square_picture(samples, title)
            moving = space_time_plots.square_animation(samples)
        return {f"{self.name}.png": picture, f"{self.name}.gif": moving}

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes errors over time (CSV), and u over space and time (VTK)."""
        samples = self.samples(field)
        return {
            "errors.csv": space_time.csv_writer(samples.over_time()),
            f"{self.name}.vti": space_time.vti_writer(samples),
        }
