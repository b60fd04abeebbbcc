"""Product: a shape times an interval, for extrusion or for time."""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance
from dinfgrid_cuda.geometry.box import face_name
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Plane, Surface

from .arguments import check_name, check_number, check_order


class Wall(Surface):
    """A surface at every place of an interval on one more axis.

    Args:
        surface: of the other axes.
        lower, upper: ends of the interval.
    """

    def __init__(self, surface: Surface, lower: float, upper: float) -> None:
        self.surface, self.name = surface, surface.name
        self.lower, self.upper = lower, upper

    def level(self, x: Tensor) -> Tensor:
        """Returns that of the surface, [N]."""
        return self.surface.level(x[:, :-1])

    def gradient(self, x: Tensor) -> Tensor:
        """Returns that of the surface, and 0 along the last axis, [N, dim]."""
        across = self.surface.gradient(x[:, :-1])
        return torch.cat([across, torch.zeros_like(across[:, :1])], dim=1)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece may pass within a distance of each point, [N]."""
        beyond = torch.maximum(self.lower - x[:, -1], x[:, -1] - self.upper).clamp(min=0)
        radii = torch.as_tensor(radius, dtype=x.dtype, device=x.device)
        left = (radii.square() - beyond.square()).clamp(min=0).sqrt()
        return (beyond <= radii) & self.surface.near(x[:, :-1].contiguous(), left)

    def holds(self, x: Tensor) -> Tensor:
        """Whether points of the zero set belong to the piece, [N]."""
        return self.surface.holds(x[:, :-1])


class Lid(Plane):
    """An end of a product: a plane, near the box around the shape.

    Args:
        name: of the piece.
        at: coordinate on the last axis.
        outward: 1 if the inside is below, -1 if it is above.
        base: the shape.
    """

    def __init__(self, name: str, at: float, outward: float, base: Shape) -> None:
        super().__init__(name, (*(0.0,) * base.dim, outward), outward * at)
        self.at, self.base = at, base

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the end of the box around the product is within a distance, [N]."""
        low, high = x.new_tensor(self.base.lower), x.new_tensor(self.base.upper)
        across = x[:, :-1]
        beyond = torch.maximum(low - across, across - high).clamp(min=0).norm(dim=1)
        return torch.hypot(beyond, x[:, -1] - self.at) <= radius


class Product(Shape):
    """A shape times an interval on one more, last, axis: extruded, or for a while.

        pipe = Product(Disk((0, 0), 1, name="wall"), 0, 5)      # "wall", "lower 2", "upper 2"

    The boundary pieces of the shape keep their names; the ends are "lower k" and "upper k", k the
    new axis.

    Args:
        shape: of any dimension.
        lower, upper: ends of the interval, lower < upper.
        name: put before the names of the two ends, "pipe lower 2"; by default nothing is.

    Raises:
        TypeError, ValueError: for what is no shape or interval.
    """

    def __init__(self, shape: Shape, lower: float, upper: float, name: str = "") -> None:
        check_instance("Product", "shape", shape)
        if not isinstance(shape, Shape):
            raise TypeError(f"Product: shape is {shape!r}; pass a shape, a Disk, a Box, ...")
        self.shape, self.name = shape, check_name("Product", name)
        low, high = check_number("Product", "lower", lower), check_number("Product", "upper", upper)
        self.interval = low, high
        check_order("Product", [low], [high], shape.dim)
        self.lower, self.upper = (*shape.lower, low), (*shape.upper, high)
        axis = shape.dim
        self._surfaces: tuple[Surface, ...] = (
            *(Wall(surface, low, high) for surface in shape.surfaces),
            Lid(face_name((axis, "lower"), name), low, -1.0, shape),
            Lid(face_name((axis, "upper"), name), high, 1.0, shape),
        )

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The walls, then the lower and the upper end."""
        return self._surfaces

    def level(self, x: Tensor) -> Tensor:
        """Returns the largest [N] of the shape's level and the distances from the ends."""
        low, high = self.interval
        ends = torch.maximum(low - x[:, -1], x[:, -1] - high)
        return torch.maximum(self.shape.level(x[:, :-1]), ends)

    def contains(self, x: Tensor) -> Tensor:
        """Whether points are in the shape, and in the interval."""
        low, high = self.interval
        along = x[:, -1]
        return self.shape.contains(x[:, :-1]) & (along >= low) & (along <= high)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved product, one again unless its axis is turned."""
        if float(rotation[-1, -1]) != 1:
            return super().transformed(rotation, shift, scale)
        base = self.shape.transformed(rotation[:-1, :-1], shift[:-1], scale)
        low, high = (scale * end + float(shift[-1]) for end in self.interval)
        return Product(base, low, high, self.name)

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Product({self.shape!r}, {low:g}, {high:g})"
