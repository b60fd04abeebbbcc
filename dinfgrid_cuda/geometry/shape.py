"""Shape: a set of points given by a level set, with named boundary pieces; unions and the like."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance, check_real, plain

from .cut_cells.own_points import whole_boundary
from .cut_cells.rules import SurfaceRule, VolumeRule
from .cut_cells.volume import volume_rule
from .surface import Affine, Surface

# Points per cell and axis where a spacing is asked for, and the part of a length by which the cells
# are longer than the shape, so that rounding leaves nothing out.
PER_CELL, SLACK = 4, 1e-9


class Shape(ABC):
    """A set of points, on which equations hold.

    Shapes combine: ``a | b`` (in one or both), ``a & b`` (in both), ``a - b``, ``~a`` (outside).
    The pieces of their boundary keep their names, by which `Boundary` selects them.

        plate = Rectangle((0, 0), (2, 1)) - Disk((0.5, 0.5), 0.2, name="hole")
        plate.names                         # ('lower 0', 'upper 0', 'lower 1', 'upper 1', 'hole')

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

    def boundary_rule(self, edges: Sequence[Tensor], count: int) -> SurfaceRule:
        """Returns points, normals and weights of an integral over the boundary within a lattice.

        Args:
            edges: ends of the cells on each axis, ascending, float64.
            count: points per cell along each direction, about.
        """
        return whole_boundary(self, edges, count)

    def boundary_points(self, spacing: float, name: str | None = None) -> SurfaceRule:
        """Returns points on the boundary at a spacing, with outward normals and weights.

            points = shape.boundary_points(0.01, "hole")
            flux = (points.weights * (grad(points.x) * points.normals).sum(dim=1)).sum()

        Args:
            spacing: about, in units of x.
            name: of one piece; None for all.

        Raises:
            ValueError: for a spacing <= 0, a shape without end, or a name that no piece has.
        """
        spacing = float(check_real("boundary_points", "spacing", spacing, positive=True))
        rule = self.boundary_rule(self._lattice(PER_CELL * spacing), PER_CELL)
        if name is None:
            return rule
        if name not in self.names:
            raise ValueError(
                f"boundary_points: no piece is named {name!r}; there are {self.names}."
            )
        places = [k for k, surface in enumerate(self.surfaces) if surface.name == name]
        return rule.of(places)

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

    def __or__(self, other: Shape) -> Shape:
        return Union(self, _checked("|", self, other))

    def __and__(self, other: Shape) -> Shape:
        return Intersection(self, _checked("&", self, other))

    def __sub__(self, other: Shape) -> Shape:
        return Intersection(self, Complement(_checked("-", self, other)))

    def __invert__(self) -> Shape:
        return Complement(self)

    def moved(self, *shift: float) -> Shape:
        """Returns the shape moved by a vector: ``shape.moved(0.5, 0)``."""
        numbers = _numbers("moved", shift, self.dim)
        return self.transformed(torch.eye(self.dim, dtype=torch.float64), numbers, 1.0)

    def rotated(
        self,
        angle: float,
        axis: Sequence[float] | None = None,
        about: Sequence[float] | None = None,
    ) -> Shape:
        """Returns the shape turned by an angle.

        Args:
            angle: in radians, counter-clockwise; in 3-D seen against the direction of ``axis``.
            axis: in 3-D, the direction that stays; by default the last axis.
            about: the point that stays; by default the origin.

        Raises:
            ValueError: in other than two or three dimensions.
        """
        rotation = _rotation(angle, axis, self.dim)
        centre = _numbers("rotated(about=...)", about or (0.0,) * self.dim, self.dim)
        return self.transformed(rotation, centre - rotation @ centre, 1.0)

    def scaled(self, factor: float, about: Sequence[float] | None = None) -> Shape:
        """Returns the shape enlarged by a factor > 0 about a point, by default the origin."""
        factor = float(check_real("scaled", "factor", factor, positive=True))
        centre = _numbers("scaled(about=...)", about or (0.0,) * self.dim, self.dim)
        eye = torch.eye(self.dim, dtype=torch.float64)
        return self.transformed(eye, (1 - factor) * centre, factor)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the points scale * R y + shift of all y in the shape.

        Args:
            rotation: R [dim, dim], float64, orthogonal.
            shift: [dim], float64.
            scale: positive.
        """
        return Transformed(self, rotation, shift, scale)


class Combination(Shape):
    """Two shapes combined.

    Args:
        first, second: of the same dimension.
    """

    def __init__(self, first: Shape, second: Shape) -> None:
        self.first, self.second = first, second

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Those of both."""
        return (*self.first.surfaces, *self.second.surfaces)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the combination of the two moved shapes."""
        moved = (shape.transformed(rotation, shift, scale) for shape in (self.first, self.second))
        return type(self)(*moved)


class Union(Combination):
    """The points that lie in one of two shapes, or in both."""

    def __init__(self, first: Shape, second: Shape) -> None:
        super().__init__(first, second)
        self.lower = tuple(map(min, first.lower, second.lower))
        self.upper = tuple(map(max, first.upper, second.upper))

    def level(self, x: Tensor) -> Tensor:
        """Returns the lesser of the two levels."""
        return torch.minimum(self.first.level(x), self.second.level(x))

    def contains(self, x: Tensor) -> Tensor:
        """Whether points are in one of the shapes."""
        return self.first.contains(x) | self.second.contains(x)

    def __repr__(self) -> str:
        return f"({self.first!r} | {self.second!r})"


class Intersection(Combination):
    """The points that lie in both of two shapes.

    Raises:
        ValueError: if the boxes around them do not meet.
    """

    def __init__(self, first: Shape, second: Shape) -> None:
        super().__init__(first, second)
        self.lower = tuple(map(max, first.lower, second.lower))
        self.upper = tuple(map(min, first.upper, second.upper))
        if any(low >= high for low, high in zip(self.lower, self.upper, strict=True)):
            raise ValueError(
                f"shape: nothing is left of {self!r}: the boxes around the two do not meet."
            )

    def level(self, x: Tensor) -> Tensor:
        """Returns the greater of the two levels."""
        return torch.maximum(self.first.level(x), self.second.level(x))

    def contains(self, x: Tensor) -> Tensor:
        """Whether points are in both of the shapes."""
        return self.first.contains(x) & self.second.contains(x)

    def __repr__(self) -> str:
        if isinstance(self.second, Complement):
            return f"({self.first!r} - {self.second.shape!r})"
        return f"({self.first!r} & {self.second!r})"


class Complement(Shape):
    """The points outside a shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.lower = (-math.inf,) * shape.dim
        self.upper = (math.inf,) * shape.dim

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Those of the shape."""
        return self.shape.surfaces

    def level(self, x: Tensor) -> Tensor:
        """Returns that of the shape with its sign turned."""
        return -self.shape.level(x)

    def contains(self, x: Tensor) -> Tensor:
        """Whether points are not in the shape."""
        return ~self.shape.contains(x)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the outside of the moved shape."""
        return Complement(self.shape.transformed(rotation, shift, scale))

    def __invert__(self) -> Shape:
        return self.shape

    def __repr__(self) -> str:
        return f"~{self.shape!r}"


class Transformed(Shape):
    """A shape moved, rotated and scaled; see `Shape.transformed`."""

    def __init__(self, shape: Shape, rotation: Tensor, shift: Tensor, scale: float) -> None:
        self.shape = shape
        self._map = Affine(_NoSurface(), rotation, shift, scale)
        bounds = torch.tensor([shape.lower, shape.upper], dtype=torch.float64)
        # Sums of the lesser products are exact bounds of a turned box; 0 * inf counts as 0.
        ends = torch.nan_to_num(
            bounds[:, None] * (scale * rotation), nan=0.0, posinf=math.inf, neginf=-math.inf
        )
        self.lower = tuple((ends.amin(dim=0).sum(dim=1) + shift).tolist())
        self.upper = tuple((ends.amax(dim=0).sum(dim=1) + shift).tolist())
        self._surfaces = tuple(
            Affine(surface, rotation, shift, scale) for surface in shape.surfaces
        )

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Those of the shape, moved with it."""
        return self._surfaces

    def back(self, x: Tensor) -> Tensor:
        """Returns the points of the shape itself that become x [N, dim]."""
        return self._map.back(x)

    def level(self, x: Tensor) -> Tensor:
        """Returns that of the shape, in units of x."""
        return self._map.scale * self.shape.level(self._map.back(x))

    def contains(self, x: Tensor) -> Tensor:
        """Whether points are in the moved shape."""
        return self.shape.contains(self._map.back(x))

    def __repr__(self) -> str:
        return f"{self.shape!r} moved"


class _NoSurface(Surface):
    """Stands where only the map of an `Affine` is used."""

    name = ""

    def level(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x))

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        return x.new_zeros(len(x), dtype=torch.bool)


def _checked(operator: str, shape: Shape, other: Shape) -> Shape:
    """Returns the second operand.

    Raises:
        TypeError, ValueError: unless it is a shape of the same dimension.
    """
    check_instance(f"shape {operator}", "the second operand", other)
    if not isinstance(other, Shape):
        raise TypeError(f"shape {operator}: {other!r} is no shape; pass a Disk, a Box, ...")
    if other.dim != shape.dim:
        raise ValueError(
            f"shape {operator}: {shape!r} is {shape.dim}-D, but {other!r} is {other.dim}-D."
        )
    return other


def _numbers(where: str, values: Sequence[float], dim: int) -> Tensor:
    """Returns numbers [dim], float64."""
    values = plain(values)
    if len(values) == 1 and isinstance(plain(values[0]), (list, tuple)):
        values = plain(values[0])
    numbers = torch.tensor([float(value) for value in values], dtype=torch.float64)
    if len(numbers) != dim or not bool(numbers.isfinite().all()):
        raise ValueError(f"{where}: {tuple(values)} must be {dim} finite numbers.")
    return numbers


def _rotation(angle: float, axis: Sequence[float] | None, dim: int) -> Tensor:
    """Returns the matrix of a rotation [dim, dim], in 3-D by Rodrigues' formula."""
    cosine, sine = math.cos(angle), math.sin(angle)
    if dim == 2 and axis is None:
        return torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
    if dim != 3:
        raise ValueError(f"rotated: a {dim}-D shape is not turned by an angle about an axis.")
    unit = _numbers("rotated(axis=...)", axis or (0.0, 0.0, 1.0), 3)
    if not float(unit.norm()):
        raise ValueError("rotated: axis is zero; pass a direction.")
    unit = unit / unit.norm()
    x, y, z = unit.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    return eye + sine * cross + (1 - cosine) * (cross @ cross)
