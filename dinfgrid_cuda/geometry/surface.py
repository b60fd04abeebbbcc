"""Surfaces: the named pieces, zero sets of smooth functions, that bound a shape."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor


class Surface(ABC):
    """One piece of the boundary of a primitive shape: where a smooth function is zero.

    In 2-D it is a curve, in 1-D a point. The zero set may reach beyond the piece (the line through
    an edge): what belongs to the boundary of a shape is told by the shape.

    Attributes:
        name: of the piece, for `Boundary`; pieces of one shape may share a name.
        kinked: whether it has kinks all over, as triangles do. Then points on it come from
            `own_points`, not from cells in which its function is smooth.
    """

    name: str
    kinked: bool = False

    @abstractmethod
    def level(self, x: Tensor) -> Tensor:
        """Returns [N] at points x [N, dim]: negative inside, smooth near the piece, zero on it."""

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of `level`, [N, dim], not zero on the piece."""
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            level = self.level(at)
            if not level.requires_grad:
                return torch.zeros_like(x)
            (gradient,) = torch.autograd.grad(level.sum(), at)
        return gradient

    @abstractmethod
    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece may pass within a distance of each point, [N].

        Args:
            x: points [N, dim].
            radius: one for all or [N], in units of x. True where in doubt.
        """

    def own_points(self, spacing: float) -> tuple[Tensor, Tensor, Tensor]:
        """Returns points on the piece, where it is ``kinked``.

        Args:
            spacing: of the points at most, in units of x.

        Returns:
            Points [N, dim], unit normals [N, dim] out of its own shape, weights [N] of an integral.
        """
        raise NotImplementedError

    def holds(self, x: Tensor) -> Tensor:
        """Whether points x [N, dim] of the zero set belong to the piece, [N].

        False only where another surface of the same shape has the same zero set there: the pieces
        of an edge that is split to have two names.
        """
        return torch.ones(len(x), dtype=torch.bool, device=x.device)


class DistanceSurface(Surface):
    """A surface whose function changes no faster than the distance from it.

    Args:
        name: of the piece.
        level: a function of points [N, dim] that returns [N], 1-Lipschitz.
    """

    def __init__(self, name: str, level: Callable[[Tensor], Tensor]) -> None:
        self.name, self._level = name, level

    def level(self, x: Tensor) -> Tensor:
        """Returns [N]: negative inside."""
        return self._level(x)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the function is small enough for the piece to be this near, [N]."""
        return self.level(x).abs() <= radius


class Plane(Surface):
    """The plane n . x = offset, in 2-D a line, in 1-D a point; inside is below.

    Args:
        name: of the piece.
        normal: outward, of any length but 0.
        offset: of n . x for ``normal`` as given.
    """

    def __init__(self, name: str, normal: tuple[float, ...], offset: float) -> None:
        length = math.hypot(*normal)
        self.name = name
        self.normal = tuple(entry / length for entry in normal)
        self.offset = offset / length

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N]."""
        return x @ x.new_tensor(self.normal) - self.offset

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the outward normal at every point, [N, dim]."""
        return x.new_tensor(self.normal).expand_as(x)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the plane is within the distance of each point, [N]."""
        return self.level(x).abs() <= radius


class Affine(Surface):
    """A surface moved, rotated and scaled: y on it for x = scale * R y + shift on the result.

    Args:
        surface: to be moved.
        rotation: R [dim, dim], float64, orthogonal.
        shift: [dim], float64.
        scale: positive.
    """

    def __init__(self, surface: Surface, rotation: Tensor, shift: Tensor, scale: float) -> None:
        self.surface, self.name = surface, surface.name
        self.rotation, self.shift, self.scale = rotation, shift, scale

    def back(self, x: Tensor) -> Tensor:
        """Returns the points of the surface itself that become x [N, dim]."""
        return (x - self.shift.to(x)) @ self.rotation.to(x) / self.scale

    def level(self, x: Tensor) -> Tensor:
        """Returns [N], in units of x."""
        return self.scale * self.surface.level(self.back(x))

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of `level`, [N, dim]."""
        return self.surface.gradient(self.back(x)) @ self.rotation.to(x).t()

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece may pass within a distance of each point, [N]."""
        return self.surface.near(self.back(x), radius / self.scale)

    def holds(self, x: Tensor) -> Tensor:
        """Whether points of the zero set belong to the piece, [N]."""
        return self.surface.holds(self.back(x))
