"""A solve on a shape by this package: its seconds, unknowns, and the error that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.tools.measuring import Watch

from .classical.result import Result

# Points along the longest edge at which the error is measured: of a quadrature in the plane, of a
# lattice in space.
ACROSS_PLANE, ACROSS_SPACE = 150, 61
QUICK = 8

Exact = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Bounded(Result):
    """What a solve reached, and what it says of its error.

    Attributes:
        bound: of the root mean square error, as the solver estimates it; None if it gives none.
        rms: that error over the part that is measured.
    """

    bound: float | None = None
    rms: float = 0.0


@dataclass(frozen=True)
class Grid:
    """The grid of a row.

    Attributes:
        cells: along the longest edge of the box around the shape.
        degree: of the splines.
        channels: of the field.
    """

    cells: int
    degree: int = 7
    channels: int = 1

    def on(self, shape: dg.Shape, quick: bool) -> dg.FeatureGrid:
        """Returns the grid, or a coarse one."""
        return dg.FeatureGrid.covering(
            shape,
            cells=min(self.cells, QUICK) if quick else self.cells,
            channels=self.channels,
            basis=dg.BSpline(self.degree),
            dtype=torch.float64,
        )


def solved(
    make: Callable[[], tuple[dg.Shape, Sequence[dg.Term]]],
    grid: Grid,
    quick: bool,
    exact: Exact,
    measured: dg.Shape | None = None,
    constraint: dg.Constraint | None = None,
    free_constant: bool = False,
) -> Bounded:
    """Solves a problem by least squares.

    Args:
        make: returns the shape and the terms; its time counts.
        grid: of the field.
        quick: on a coarse grid.
        exact: u at points [N, dim], [N], real or (of two channels) complex.
        measured: where the error is taken; by default the whole shape.
        constraint: that the field is held by.
        free_constant: whether u is known up to a constant, which the mean over the shape fixes.
    """
    watch = Watch()
    with watch.timed():
        shape, terms = make()
        field = dg.Field(grid.on(shape, quick), constraint=constraint)
        solution = dg.solve(dg.Problem(shape, terms), field, progress=False)
    x, weights = points_of(measured or shape)
    with torch.no_grad():
        found = field(x)
    u = torch.view_as_complex(found.contiguous()) if grid.channels == 2 else found[:, 0]
    right = exact(x)
    if free_constant:
        u = u - (weights * (u - right)).sum() / weights.sum()
    square, size = ((weights * f.abs().square()).sum() for f in (u - right, right))
    unknowns = solution.report.findings.unknowns or field.parameter_count()
    rms = float((square / weights.sum()).sqrt())
    error = float((square / size).sqrt())
    return Bounded(error, watch.seconds, unknowns, solution.report.error[1], rms)


def points_of(shape: dg.Shape) -> tuple[Tensor, Tensor]:
    """Points inside and their weights: in the plane a quadrature, in space a lattice."""
    longest = max(shape.lengths)
    if shape.dim == 2:
        rule = shape.inside_points(longest / ACROSS_PLANE)
        return rule.x, rule.weights
    axes = [
        torch.linspace(low, high, ACROSS_SPACE, dtype=torch.float64)
        for low, high in zip(shape.lower, shape.upper, strict=True)
    ]
    x = torch.cartesian_prod(*axes)
    x = x[shape.contains(x)]
    return x, torch.ones(len(x), dtype=torch.float64)
