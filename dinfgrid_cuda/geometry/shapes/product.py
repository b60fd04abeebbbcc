"""Product: a shape times an interval, for extrusion or for time."""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance, check_whole
from dinfgrid_cuda.geometry.box import face_name, split_face_name
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Plane, Surface

from .arguments import check_name, check_number, check_order


def across(x: Tensor, axis: int) -> Tensor:
    """Returns the coordinates x [N, dim] of all axes but one, [N, dim - 1]."""
    return torch.cat([x[:, :axis], x[:, axis + 1 :]], dim=1)


def _with(column: Tensor, x: Tensor, axis: int) -> Tensor:
    """Returns x [N, dim - 1] with one more column [N] at an axis, [N, dim]."""
    return torch.cat([x[:, :axis], column[:, None], x[:, axis:]], dim=1)


class Wall(Surface):
    """A surface at every place of an interval on one more axis.

    Args:
        surface: of the other axes.
        lower, upper: ends of the interval.
        axis: of the interval.
    """

    def __init__(self, surface: Surface, lower: float, upper: float, axis: int) -> None:
        self.surface, self.name = surface, _renumbered(surface.name, axis)
        self.lower, self.upper, self.axis = lower, upper, axis

    def level(self, x: Tensor) -> Tensor:
        """Returns that of the surface, [N]."""
        return self.surface.level(across(x, self.axis))

    def gradient(self, x: Tensor) -> Tensor:
        """Returns that of the surface, and 0 along the interval, [N, dim]."""
        inner = self.surface.gradient(across(x, self.axis))
        return _with(x.new_zeros(len(x)), inner, self.axis)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece may pass within a distance of each point, [N]."""
        along = x[:, self.axis]
        beyond = torch.maximum(self.lower - along, along - self.upper).clamp(min=0)
        radii = torch.as_tensor(radius, dtype=x.dtype, device=x.device)
        left = (radii.square() - beyond.square()).clamp(min=0).sqrt()
        return (beyond <= radii) & self.surface.near(across(x, self.axis), left)

    def holds(self, x: Tensor) -> Tensor:
        """Whether points of the zero set belong to the piece, [N]."""
        return self.surface.holds(across(x, self.axis))


def _renumbered(name: str, axis: int) -> str:
    """Returns the name of a piece whose axes from ``axis`` on have moved by one."""
    found = split_face_name(name)
    if found is None or found[1][0] < axis:
        return name
    prefix, (own, side) = found
    return face_name((own + 1, side), prefix)


class Lid(Plane):
    """An end of a product: a plane, near the box around the shape.

    Args:
        name: of the piece.
        at: coordinate on the axis.
        outward: 1 if the inside is below, -1 if it is above.
        base: the shape.
        axis: of the interval.
    """

    def __init__(self, name: str, at: float, outward: float, base: Shape, axis: int) -> None:
        normal = tuple(outward * (k == axis) for k in range(base.dim + 1))
        super().__init__(name, normal, outward * at)
        self.at, self.base, self.axis = at, base, axis

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the end of the box around the product is within a distance, [N]."""
        low, high = x.new_tensor(self.base.lower), x.new_tensor(self.base.upper)
        inner = across(x, self.axis)
        beyond = torch.maximum(low - inner, inner - high).clamp(min=0).norm(dim=1)
        return torch.hypot(beyond, x[:, self.axis] - self.at) <= radius


class Product(Shape):
    """A shape times an interval on one more axis, the last by default: for extrusion or for time.

        pipe = Product(Disk((0, 0), 1, name="wall"), 0, 5)              # "wall", "lower 2", ...
        domain = Product(Disk((0, 0), 1, name="wall"), 0, 5, axis=0)    # time first, for SlabField

    The boundary pieces of the shape keep their names; the ends are "lower k" and "upper k", k the
    new axis; faces of a box behind it are counted one further.

    Args:
        shape: of any dimension.
        lower, upper: ends of the interval, lower < upper.
        name: put before the names of the two ends, "pipe lower 2"; by default nothing is.
        axis: of the interval among those of the product; by default the last.

    Raises:
        TypeError, ValueError: for what is no shape, interval or axis.
    """

    def __init__(
        self, shape: Shape, lower: float, upper: float, name: str = "", axis: int | None = None
    ) -> None:
        check_instance("Product", "shape", shape)
        if not isinstance(shape, Shape):
            raise TypeError(f"Product: shape is {shape!r}; pass a shape, a Disk, a Box, ...")
        self.shape, self.name = shape, check_name("Product", name)
        low, high = check_number("Product", "lower", lower), check_number("Product", "upper", upper)
        self.interval = low, high
        self.axis = axis = shape.dim if axis is None else check_whole("Product", "axis", axis, 0)
        if axis > shape.dim:
            raise ValueError(
                f"Product: axis is {axis}; a {shape.dim + 1}-D product has 0 to {shape.dim}."
            )
        check_order("Product", [low], [high], axis)
        self.lower = (*shape.lower[:axis], low, *shape.lower[axis:])
        self.upper = (*shape.upper[:axis], high, *shape.upper[axis:])
        self._surfaces: tuple[Surface, ...] = (
            *(Wall(surface, low, high, axis) for surface in shape.surfaces),
            Lid(face_name((axis, "lower"), name), low, -1.0, shape, axis),
            Lid(face_name((axis, "upper"), name), high, 1.0, shape, axis),
        )

    def during(self, lower: float, upper: float) -> Product:
        """Returns the product of the same shape with another interval."""
        return Product(self.shape, lower, upper, self.name, self.axis)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The walls, then the lower and the upper end."""
        return self._surfaces

    def level(self, x: Tensor) -> Tensor:
        """Returns the largest [N] of the shape's level and the distances from the ends."""
        low, high = self.interval
        along = x[:, self.axis]
        ends = torch.maximum(low - along, along - high)
        return torch.maximum(self.shape.level(across(x, self.axis)), ends)

    def contains(self, x: Tensor) -> Tensor:
        """Whether points are in the shape, and in the interval."""
        low, high = self.interval
        along = x[:, self.axis]
        return self.shape.contains(across(x, self.axis)) & (along >= low) & (along <= high)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved product, one again unless its axis is turned."""
        axis = self.axis
        if float(rotation[axis, axis]) != 1:
            return super().transformed(rotation, shift, scale)
        others = [k for k in range(self.dim) if k != axis]
        base = self.shape.transformed(rotation[others][:, others], shift[others], scale)
        low, high = (scale * end + float(shift[axis]) for end in self.interval)
        return Product(base, low, high, self.name, axis)

    def __repr__(self) -> str:
        low, high = self.interval
        axis = "" if self.axis == self.shape.dim else f", axis={self.axis}"
        return f"Product({self.shape!r}, {low:g}, {high:g}{axis})"
