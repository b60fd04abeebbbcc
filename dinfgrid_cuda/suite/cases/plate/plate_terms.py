"""What a plate's problem is made of: energy and residual, its edge, hard supports, penalties."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda import (
    Boundary,
    Box,
    BoxConstraint,
    Constraint,
    Disk,
    DistanceConstraint,
    Jet,
    Points,
    Shape,
    ShapeConstraint,
)

# Width of the distance factor, in units of the area. The paper's for [-1, 1]^2 is 0.0025, narrower
# than four of 32 cells: relative L2 error of the clamped square by its energy 2e-5, by fourth
# derivatives 0.54; at 0.01 2e-7 and 6e-5, at 0.04 4e-9 and 3e-7.
SIGMA = 0.04


@dataclass(frozen=True)
class Outline:
    """A rectangle a x b around 0, or the disk of diameter a.

    Attributes:
        a, b: in m.
        disk: True for the disk; b = a.
    """

    a: float
    b: float
    disk: bool

    @property
    def box(self) -> Box:
        """The rectangle, or the square around the disk."""
        return Box((-self.a / 2, -self.b / 2), (self.a / 2, self.b / 2))

    @property
    def shape(self) -> Shape:
        """The plate itself; the edge of a disk is named "edge"."""
        return Disk((0.0, 0.0), self.a / 2, name="edge") if self.disk else self.box

    @property
    def area(self) -> float:
        """The area, in m^2."""
        return math.pi * self.a**2 / 4 if self.disk else self.a * self.b

    @property
    def perimeter(self) -> float:
        """The perimeter, in m."""
        return math.pi * self.a if self.disk else 2 * (self.a + self.b)

    def inside(self, x: Tensor) -> Tensor:
        """Whether points [N, 2] lie on the plate, [N] bool; all of a rectangle's box do."""
        if not self.disk:
            return torch.ones(len(x), dtype=torch.bool, device=x.device)
        return x.square().sum(dim=1) <= (self.a / 2) ** 2

    def edge(self, count: int) -> tuple[Tensor, Tensor]:
        """The equally spaced points of the edge and its outward unit normals, both [4 count, 2].

        A rectangle has no point in its corners, where there is no normal.
        """
        if self.disk:
            angle = torch.arange(4 * count, dtype=torch.float64) * (math.pi / (2 * count))
            normal = torch.stack([angle.cos(), angle.sin()], dim=1)
            return normal * (self.a / 2), normal
        middle = (torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5
        half = torch.full_like(middle, 0.5)
        sides, normals = [], []
        for axis in (0, 1):
            for sign in (-1.0, 1.0):
                unit = (sign * half, middle) if axis == 0 else (middle, sign * half)
                sides.append(torch.stack([self.a * unit[0], self.b * unit[1]], dim=1))
                normal = torch.zeros(count, 2, dtype=torch.float64)
                normal[:, axis] = sign
                normals.append(normal)
        return torch.cat(sides), torch.cat(normals)

    def rim(self, count: int) -> Boundary | Points:
        """The edge as a region with normals: that of a disk, or `edge` of a rectangle."""
        return Boundary("edge") if self.disk else Points(*self.edge(count))


class Squared(Constraint):
    """The square of another constraint's factor, so that u and its gradient vanish together."""

    def __init__(self, inner: Constraint) -> None:
        super().__init__(0.0)
        self.inner = inner

    def bind(self, dim: int, lower: tuple[float, ...], upper: tuple[float, ...]) -> None:  # type: ignore[override]
        """Passes the box on to the other constraint."""
        self.inner.bind(dim, lower, upper)

    def factor(self, x: Tensor) -> Tensor:
        """The factor B^2, [N, 1]."""
        return self.inner.factor(x) ** 2

    def factor_jet(self, x: Tensor, order: int) -> Jet:
        """The jet of the factor B^2."""
        b = self.inner.factor_jet(x, order)
        return b * b


def hard_support(outline: Outline, clamped: bool, factor: str) -> Constraint:
    """The constraint that holds w = 0 on the edge, and if it is clamped no slope there.

    Args:
        factor: "polynomial", or "distance": 1 - exp(-dist^2 / sigma), which always clamps.
    """
    sigma = SIGMA * outline.a * outline.b
    if factor == "distance":
        radius = outline.a / 2
        if outline.disk:
            return DistanceConstraint(
                lambda x: (x.square().sum(1) - radius**2) / (2 * radius), sigma=sigma
            )
        return BoxConstraint(sigma=sigma, factor="distance")
    once = ShapeConstraint(outline.shape) if outline.disk else BoxConstraint(factor="polynomial")
    return Squared(once) if clamped else once


def bending(w: Jet, nu: float) -> Tensor:
    """The bending energy per area over the rigidity [N], in 1/m^2.

    ((w_xx + w_yy)^2 - 2 (1 - nu) (w_xx w_yy - w_xy^2)) / 2
    """
    xx, xy, yy = (w.derivative(alpha)[:, 0] for alpha in ((2, 0), (1, 1), (0, 2)))
    return 0.5 * (xx + yy) ** 2 - (1 - nu) * (xx * yy - xy * xy)


def slope(w: Jet, normal: Tensor) -> Tensor:
    """The slope w_n [N] at points of the edge with normals [N, 2]."""
    return (w.gradient[:, 0] * normal).sum(dim=1)


def moment(w: Jet, normal: Tensor, nu: float) -> Tensor:
    """The sum w_nn + nu w_tt [N]: minus the bending moment across the edge, over the rigidity."""
    hessian = w.hessian[:, 0]
    across = torch.einsum("ni,nij,nj->n", normal, hessian, normal)
    return across + nu * (w.laplacian[:, 0] - across)
