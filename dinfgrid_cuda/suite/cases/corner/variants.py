"""The problems of `corner`: shape, equation, conditions, solution, points to measure at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dinfgrid_cuda import Disk, Jet, Polygon, Rectangle, Shape
from dinfgrid_cuda.suite.cases.shape.named import l_shape

from . import exact, torsion
from .graded import Graded, product

HOLE = exact.Hole((0.13, -0.21), 0.125)
UP, DOWN, BOTH = ("lower",), ("upper",), ("lower", "upper")


class Variant(ABC):
    """One of the problems.

    Attributes:
        free: pieces of the boundary with u_n = 0; u is given on the others.
    """

    free: tuple[str, ...] = ()

    @property
    @abstractmethod
    def caption(self) -> str:
        """What it is, for pictures."""

    @property
    @abstractmethod
    def body(self) -> Shape:
        """The shape."""

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """Returns the solution [N] at points x [N, 2] of the shape."""

    def residual(self, x: Tensor, u: Jet) -> Tensor:
        """Returns the residual of the equation [N, 1]; by default of Laplace's."""
        return u.laplacian

    @abstractmethod
    def points(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns points [N, 2] and weights [N] for errors, about ``count`` along an axis."""


class Corner(Variant):
    """Δu = 0 on the L, u = r^(2/3) sin(2θ/3)."""

    @property
    def caption(self) -> str:
        """The equation."""
        return "Δu = 0 on an L, r^(2/3) sin(2θ/3)"

    @cached_property
    def body(self) -> Shape:
        """The L with its inner corner at the origin."""
        return l_shape()

    def value(self, x: Tensor) -> Tensor:
        """Returns r^(2/3) sin(2θ/3), [N]."""
        return exact.power(x)

    def points(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns points of the three squares, dense at the inner corner."""
        up, down = Graded(0.0, 1.0, UP), Graded(-1.0, 0.0, DOWN)
        return _joined([(up, up), (down, up), (down, down)], count)


class Source(Corner):
    """-Δu = 1 on the L, u = 0 on its edges."""

    @property
    def caption(self) -> str:
        """The equation."""
        return "-Δu = 1 on an L"

    def value(self, x: Tensor) -> Tensor:
        """Returns the series, [N]."""
        return torsion.torsion("l").value(x)

    def residual(self, x: Tensor, u: Jet) -> Tensor:
        """Returns Δu + 1."""
        return u.laplacian + 1


class Slit(Source):
    """-Δu = 1 on a square with a slit, u = 0 on edges and slit, of which the upper half is solved.

    u is even in y: beside the slit, on x < 0, u_y = 0. One grid cannot hold both sides of the
    slit, as a field is continuous.
    """

    free = ("axis",)

    @property
    def caption(self) -> str:
        """The equation."""
        return "-Δu = 1 beside a slit, upper half"

    @cached_property
    def body(self) -> Shape:
        """The upper half, with pieces "axis" and "slit" below."""
        corners = [(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0)]
        return Polygon(corners, names=["axis", "slit", "right", "top", "left"])

    def value(self, x: Tensor) -> Tensor:
        """Returns the series, [N]."""
        return torsion.torsion("slit").value(x)

    def points(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns points of two squares, dense at the slit's end."""
        up, down = Graded(0.0, 1.0, UP), Graded(-1.0, 0.0, DOWN)
        return _joined([(up, up), (down, up)], count)


class Hole(Variant):
    """Δu = 0 in a square with a small round hole."""

    @property
    def caption(self) -> str:
        """The equation."""
        return "Δu = 0 around a hole"

    @cached_property
    def body(self) -> Shape:
        """The square [-1, 1]² less a disk of radius 1/8: of a cell, where 16 are across."""
        square = Rectangle((-1.0, -1.0), (1.0, 1.0), name="square")
        return square - Disk(HOLE.centre, HOLE.radius, name="hole")

    def value(self, x: Tensor) -> Tensor:
        """Returns log(r / a) + (r - a² / r) cos θ, [N]."""
        return HOLE.value(x)

    def points(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns points of the shape and the shares of the cells that it cuts."""
        rule = self.body.inside_points(2 / count)
        return rule.x, rule.weights


@dataclass(frozen=True)
class Layers(Variant):
    """Convection with little diffusion, along the diagonal or along x.

    Attributes:
        epsilon: the diffusion.
        diagonal: along both axes.
    """

    epsilon: float
    diagonal: bool

    @property
    def caption(self) -> str:
        """The equation."""
        flow = "u_x + u_y" if self.diagonal else "u_x"
        return f"-ε Δu + {flow} = f, ε = {self.epsilon:g}"

    @property
    def solution(self) -> exact.Layers:
        """The solution."""
        return exact.Layers(self.epsilon, self.diagonal)

    @property
    def body(self) -> Shape:
        """The square [0, 1]²."""
        return Rectangle((0.0, 0.0), (1.0, 1.0), name="rim")

    def value(self, x: Tensor) -> Tensor:
        """Returns the solution, [N]."""
        return self.solution.value(x)

    def residual(self, x: Tensor, u: Jet) -> Tensor:
        """Returns -ε Δu + u_x (+ u_y) - f, [N, 1]."""
        along = u.derivative((1, 0))
        if self.diagonal:
            along = along + u.derivative((0, 1))
        return along - self.epsilon * u.laplacian - self.solution.source(x)[:, None]

    def points(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns points that are dense in the layers."""
        outflow = Graded(0.0, 1.0, DOWN)
        return product((outflow, outflow if self.diagonal else Graded(0.0, 1.0, BOTH)), count)


def variant(name: str, epsilon: float) -> Variant:
    """Returns a problem by its name, one of `NAMES`."""
    if name in ("layers", "parabolic"):
        return Layers(epsilon, name == "layers")
    return {"l": Corner, "l-source": Source, "slit": Slit, "hole": Hole}[name]()


NAMES = ("l", "l-source", "slit", "hole", "layers", "parabolic")


def _joined(parts: list[tuple[Graded, Graded]], count: int) -> tuple[Tensor, Tensor]:
    each = [product(axes, count) for axes in parts]
    return torch.cat([x for x, _ in each]), torch.cat([weights for _, weights in each])
