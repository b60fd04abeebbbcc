"""Shape: a set of points given by a level set, with named boundary pieces; unions and the like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance, check_real

from .level_set import LevelSet
from .motions import rotation_by, vector
from .surface import Affine, Surface


class Shape(LevelSet):
    """A set of points, on which equations hold.

    Shapes combine: ``a | b`` (in one or both), ``a & b`` (in both), ``a - b``, ``~a`` (outside).
    The pieces of their boundary keep their names, by which `Boundary` selects them.

        plate = Rectangle((0, 0), (2, 1)) - Disk((0.5, 0.5), 0.2, name="hole")
        plate.names                         # ('lower 0', 'upper 0', 'lower 1', 'upper 1', 'hole')

    Attributes:
        lower, upper: corners of a box around it, in units of x; infinite where it has no end.
    """

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
        entries = shift[0] if len(shift) == 1 and self.dim > 1 else shift
        by = vector("moved", "shift", entries, self.dim)
        return self.transformed(torch.eye(self.dim, dtype=torch.float64), by, 1.0)

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
        rotation = rotation_by(angle, axis, self.dim)
        centre = vector("rotated", "about", about or (0.0,) * self.dim, self.dim)
        return self.transformed(rotation, centre - rotation @ centre, 1.0)

    def scaled(self, factor: float, about: Sequence[float] | None = None) -> Shape:
        """Returns the shape enlarged by a factor > 0 about a point, by default the origin."""
        factor = float(check_real("scaled", "factor", factor, positive=True))
        centre = vector("scaled", "about", about or (0.0,) * self.dim, self.dim)
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
