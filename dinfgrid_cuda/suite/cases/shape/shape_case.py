"""What problems on shapes share whose solution is known: grid, errors, pictures, files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dinfgrid_cuda import Adam, Boundary, Box, BSpline, Interior, Jet, LeastSquares, Shape, Term
from dinfgrid_cuda.fields.covering import Covering, covering
from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.suite.tools.case import DIRECT, Case, CaseError, Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import Array, relative_l2, values
from dinfgrid_cuda.suite.tools.shape_plots import plane_picture, solid_picture
from dinfgrid_cuda.suite.tools.shape_samples import frame
from dinfgrid_cuda.suite.tools.vtk import clipped_vtk

Residual = Callable[[Tensor, Jet], Tensor]

DEGREES = (3, 5, 7)
PER_CELL = 3  # points per axis, as the solver places them on shapes
# Nodes along the longest axis of the lattice of errors, and of that in the table, by dimension.
MEASURED, TABLE = {2: 257, 3: 65}, {2: 101, 3: 33}
# Cells of the points on an outline at which the largest error is looked for as well.
ALONG = 144
# For Adam and L-BFGS: the weight of conditions against the equation's mean square, and how many
# times fewer points they have.
TRAINED_WEIGHT, TRAINED_SHARE = 100.0, 4


def degree_option(default: int) -> int:
    """The option of the degree of the B-splines."""
    degree: int = option(default, f"Degree of the B-splines: {', '.join(map(str, DEGREES))}.")
    return degree


@dataclass(frozen=True)
class ShapeCase(Case):
    """A problem on a shape whose solution is known everywhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        degree = getattr(self, "degree", DEGREES[-1])
        if degree not in DEGREES:
            raise CaseError(f"--degree is {degree}; it must be one of {DEGREES}.")

    @property
    @abstractmethod
    def body(self) -> Shape:
        """The shape on which the equation holds."""

    @abstractmethod
    def exact(self, x: Tensor) -> Tensor:
        """The solution [N] at points x [N, dim] of the shape."""

    @property
    def caption(self) -> str:
        """What the picture shows, put before its title."""
        return repr(self.body)

    def box(self) -> Box:
        """The box around the shape."""
        return bounding_box(self.body)

    def covering(self, setup: Setup) -> Covering:
        """The cells and the box of the grid: cubes, unless a case has axes of other units."""
        return covering(self.body, setup.cells, setup.levels, setup.boundary, 0)

    def grid_box(self, setup: Setup) -> Box:
        """The box of whole cells around the shape."""
        around = self.covering(setup)
        return Box(around.lower, around.upper)

    def grid_cells(self, setup: Setup) -> tuple[int, ...]:
        """The cells of the grid, one number per axis."""
        return self.covering(setup).cells

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors at the nodes of a lattice that are inside, and on the outline."""
        count = resolution or MEASURED[self.body.dim]
        x = inside(self.body, count)
        u, exact = values(field, x)[:, 0], self.exact(x)
        where = f"{len(x):,} nodes inside, {count} along the longest axis"
        largest, most = float((u - exact).abs().max()), float(exact.abs().max())
        if self.body.dim == 2:
            edge = outline_points(self.body)
            on_edge = self.exact(edge)
            largest = max(largest, float((values(field, edge)[:, 0] - on_edge).abs().max()))
            most = max(most, float(on_edge.abs().max()))
            where_most = "there and on the outline"
        else:
            where_most = "there"
        return {
            "relative_l2": Measure(relative_l2(u, exact), "1", f"|u - exact| / |exact|, {where}"),
            "relative_max": Measure(
                largest / most, "1", f"max |u - exact| / max |exact|, {where_most}"
            ),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Draws u, the exact solution and the error, cut out along the outline; or a solid."""
        text, u = f"{self.caption} ({title})", first(field)
        if self.body.dim == 2:
            picture = plane_picture(self.body, u, text, self.exact)
        else:
            picture = solid_picture(self.body, u, text, self.exact, axis=1)
        return {f"{self.name}.png": picture}

    def exports(self, field: nn.Module) -> dict[str, Writer]:
        """Writes the clipped shape for ParaView, and a table of the points inside."""
        u = first(field)

        def error(x: Tensor) -> Tensor:
            return u(x) - self.exact(x)

        functions = {"u": u, "exact": self.exact, "error": error}

        def vtk(path: Path) -> None:
            clipped_vtk(path, self.body, functions)

        def table(path: Path) -> None:
            x = inside(self.body, TABLE[self.body.dim])
            write_table(path, x, {name: function(x) for name, function in functions.items()})

        return {f"{self.name}.vtu": vtk, f"{self.name}.csv": table}


def first(field: nn.Module) -> Callable[[Tensor], Tensor]:
    """Returns the first channel of a field as a function of points [N, dim], [N]."""
    return lambda x: values(field, x)[:, 0]


def inside(shape: Shape, count: int) -> Tensor:
    """Returns the nodes [N, dim] of a lattice, ``count`` along the longest axis, that are inside.

    Raises:
        CaseError: if there are none.
    """
    x = frame(shape.lower, shape.upper, count).points
    x = x[shape.contains(x)]
    if not len(x):
        raise CaseError(f"no node of {count} along the longest axis is inside {shape!r}; take more")
    return x


def outline_points(shape: Shape) -> Tensor:
    """Returns points [N, dim] all along the boundary of a shape."""
    return shape.boundary_points(max(shape.lengths) / ALONG).x


def write_table(path: Path, x: Tensor, columns: dict[str, Tensor], axes: str = "xyz") -> None:
    """Writes points [N, dim] and values there with the names of axes and columns, as CSV."""
    names = [*axes[: x.shape[1]], *columns]
    table: Array = torch.cat([x, torch.stack(list(columns.values()), dim=1)], dim=1).numpy()
    np.savetxt(path, table, fmt="%.12g", delimiter=",", header=",".join(names), comments="")


def direct(cells: int, degree: int, dim: int) -> Setup:
    """The setup of a solve by least squares, with as many points as cells need."""
    return replace(DIRECT, cells=cells, basis=BSpline(degree), points=_points(cells, dim))


def paper(dim: int) -> Setup:
    """The setup of the paper's problems in a square or cube; it has none on shapes."""
    cells = 64 if dim == 2 else 32
    return Setup(
        config="paper",
        cells=cells,
        levels=3,
        boundary="clamp",
        method=Adam(lr=5e-3, decay=(0.1, 5000)),
        steps=5000,
        points=2**14 if dim == 2 else 2**15,
    )


def equation(residual: Residual, order: int, setup: Setup, dim: int) -> Term:
    """The term of an equation inside; the solver places the points unless others are asked for."""
    cells = max(setup.cells_per_axis(dim))
    default = setup.points == _points(cells, dim)
    points = None if isinstance(setup.method, LeastSquares) and default else setup.points
    return Term("equation", Interior(), residual, order, points=points)


def condition(
    name: str, pieces: tuple[str, ...] | None, residual: Residual, setup: Setup, order: int = 0
) -> Term:
    """A term on pieces of the boundary (None: all of it)."""
    region = Boundary(pieces)
    if isinstance(setup.method, LeastSquares):
        return Term(name, region, residual, order)
    points = max(1, setup.points // TRAINED_SHARE)
    return Term(name, region, residual, order, TRAINED_WEIGHT, points)


def _points(cells: int, dim: int) -> int:
    return int((PER_CELL * cells) ** dim)
