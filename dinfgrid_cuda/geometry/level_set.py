"""LevelSet: what a shape is without its combinations; points, normals and weights on it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_real

from .cut_cells.own_points import whole_boundary
from .cut_cells.rules import SurfaceRule, VolumeRule
from .cut_cells.volume import volume_rule
from .pieces import places_of
from .surface import Surface

# Points per cell and axis where a spacing is asked for, and the part of a length by which the cells
# are longer than the shape, so that rounding leaves nothing out.
PER_CELL, SLACK = 4, 1e-9


class LevelSet(ABC):
    """A set of points given by a level set, with surfaces around it.

    Attributes:
        lower, upper: corners of a box around it, in units of x; infinite where it has no end.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    @abstractmethod
    def surfaces(self) -> tuple[Surface, ...]:
        """The surfaces that bound it; some may not reach its boundary after a combination."""

    @abstractmethod
    def level(self, x: Tensor) -> Tensor:
        """Returns [N] at points x [N, dim]: negative inside, positive outside, zero between.

        It is continuous, not a distance in general, and has kinks at corners.
        """

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, dim] are inside or on the boundary, [N]."""
        return self.level(x) <= 0

    def cell_rule(self, edges: Sequence[Tensor], count: int) -> VolumeRule:
        """Returns points and weights of an integral over the shape, cell by cell of a lattice.

        Smooth functions are integrated to 1e-10 in the plane and 1e-6 in space from 4 points per
        axis on, in cells that a few of fill the shape.

        Args:
            edges: ends of the cells on each axis, ascending, float64.
            count: Gauss points per axis in a whole cell.

        Raises:
            ValueError: for a combination with a `Mesh`, which has kinks everywhere.
        """
        if any(surface.kinked for surface in self.surfaces):
            raise ValueError(
                f"shape: integrals over {self!r}, a combination with a Mesh, are not known; "
                "combine meshes themselves (trimesh.boolean), and make one Mesh of the result."
            )
        return volume_rule(self, edges, count)

    def boundary_rule(
        self, edges: Sequence[Tensor], count: int, coarse: bool = False
    ) -> SurfaceRule:
        """Returns points, normals and weights of an integral over the boundary within a lattice.

        Args:
            edges: ends of the cells on each axis, ascending, float64.
            count: points per cell along each direction, about.
            coarse: whether weights need to be right to a part in a hundred only: faster.
        """
        return whole_boundary(self, edges, count, coarse)

    def boundary_points(self, spacing: float, name: str | None = None) -> SurfaceRule:
        """Returns points on the boundary at a spacing, with outward normals and weights.

            points = shape.boundary_points(0.01, "hole")
            flux = (points.weights * (grad(points.x) * points.normals).sum(dim=1)).sum()

        Args:
            spacing: approximate distance between neighbours, in units of x.
            name: of a piece, as of `Boundary`; None for all.

        Raises:
            ValueError: for a spacing <= 0, a shape without end, or a name that no piece has.
        """
        spacing = float(check_real("boundary_points", "spacing", spacing, positive=True))
        rule = self.boundary_rule(self._lattice(PER_CELL * spacing), PER_CELL)
        if name is None:
            return rule
        names = [surface.name for surface in self.surfaces]
        return rule.of(places_of("boundary_points", name, names))

    def inside_points(self, spacing: float) -> VolumeRule:
        """Returns points inside at a spacing, about, with weights that add up to the volume.

        Raises:
            ValueError: for a spacing <= 0, or a shape without end.
        """
        spacing = float(check_real("inside_points", "spacing", spacing, positive=True))
        return self.cell_rule(self._lattice(PER_CELL * spacing), PER_CELL)

    def _size(self) -> float:
        """Length of the longest edge of the box around it."""
        return max(self.lengths)

    def _lattice(self, size: float) -> list[Tensor]:
        """Ends of cells of about a size that cover it, float64."""
        if not math.isfinite(self._size()):
            raise ValueError(f"shape: {self!r} has no end; intersect it with a box.")
        edges = []
        for low, length in zip(self.lower, self.lengths, strict=True):
            cells, slack = max(1, math.ceil(length / size)), SLACK * length
            unit = torch.linspace(-slack, length + slack, cells + 1, dtype=torch.float64)
            edges.append(low + unit)
        return edges

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.lower)

    @property
    def lengths(self) -> tuple[float, ...]:
        """Edge lengths of the box around it."""
        return tuple(high - low for low, high in zip(self.lower, self.upper, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its boundary pieces, each once."""
        return tuple(dict.fromkeys(surface.name for surface in self.surfaces))
