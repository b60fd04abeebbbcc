"""Ellipse and Ellipsoid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_name, check_number

BISECTIONS = 50
# of the largest radius: what `Quadric.distance` is known to
SLACK = 1e-6


class Quadric(Surface):
    """The points with Σ (y_k / r_k)² = 1 in axes of their own: an ellipse or an ellipsoid.

    Its function min(r) (Σ (y_k / r_k)² - 1) / 2 is a polynomial with slopes from min(r) / max(r) to
    1 on the piece.

    Args:
        name: of the piece.
        centre: [dim].
        radii: [dim], positive, along the columns of ``axes``.
        axes: [dim, dim], orthogonal, float64.
    """

    def __init__(
        self, name: str, centre: tuple[float, ...], radii: tuple[float, ...], axes: Tensor
    ) -> None:
        self.name, self.centre, self.radii, self.axes = name, centre, radii, axes

    def _own(self, x: Tensor) -> Tensor:
        """Returns the coordinates y [N, dim] along the axes."""
        return (x - x.new_tensor(self.centre)) @ self.axes.to(x)

    def level(self, x: Tensor) -> Tensor:
        """Returns min(r) (Σ (y_k / r_k)² - 1) / 2, [N]."""
        squares = (self._own(x) / x.new_tensor(self.radii)).square().sum(dim=1)
        level: Tensor = 0.5 * min(self.radii) * (squares - 1)
        return level

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient of `level`, [N, dim]."""
        own = self._own(x) / x.new_tensor(self.radii).square()
        return min(self.radii) * own @ self.axes.to(x).t()

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether the piece is within a distance of each point, [N]."""
        return self.distance(x) <= radius + SLACK * max(self.radii)

    def distance(self, x: Tensor) -> Tensor:
        """Returns the distance [N] from the piece, to 1e-6 of the largest radius.

        The closest point is r_k² y_k / (t + r_k²), and t the largest root of
        Σ (r_k y_k / (t + r_k²))² = 1 (Eberly, Distance from a point to an ellipse), by bisection.
        """
        y = self._own(x.detach().double()).abs()
        radii = y.new_tensor(self.radii)
        y = torch.where(y < 1e-3 * SLACK * radii, 0.0, y)
        squares = radii.square()
        low = (radii * y - squares).amax(dim=1)
        high = (radii * y).norm(dim=1) - squares.min()
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            terms = radii * y / (middle[:, None] + squares)
            outside = terms.square().sum(dim=1) > 1
            low, high = torch.where(outside, middle, low), torch.where(outside, high, middle)
        gaps = high[:, None] + squares
        closest = torch.where(gaps > 0, squares * y / gaps.clamp(min=1e-300), 0.0)
        # The part along the shortest axis of a point on the longer ones is what the others leave.
        short = int(radii.argmin())
        rest = (closest / radii).square()
        left = (1 - rest.sum(dim=1) + rest[:, short]).clamp(min=0).sqrt() * radii[short]
        on_axis = gaps[:, short] <= 1e-9 * squares[short]
        closest[:, short] = torch.where(on_axis, left, closest[:, short])
        distance: Tensor = (closest - y).norm(dim=1).to(x)
        return distance


class _Oval(Shape):
    """An ellipse or ellipsoid in axes of its own."""

    DIM = 0

    def __init__(
        self, centre: Sequence[float], radii: Sequence[float], axes: Tensor, name: str
    ) -> None:
        where = type(self).__name__
        self.centre = check_point(where, "centre", centre, self.DIM)
        self.radii = check_point(where, "radii", radii, self.DIM)
        if min(self.radii) <= 0:
            raise ValueError(f"{where}: radii is {self.radii}; they must be positive.")
        self.name, self.axes = check_name(where, name), axes
        reach = (axes * torch.tensor(self.radii, dtype=torch.float64)).norm(dim=1).tolist()
        self.lower = tuple(c - r for c, r in zip(self.centre, reach, strict=True))
        self.upper = tuple(c + r for c, r in zip(self.centre, reach, strict=True))
        self._quadric = Quadric(name, self.centre, self.radii, axes)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The curve or surface around it."""
        return (self._quadric,)

    def level(self, x: Tensor) -> Tensor:
        """Returns min(r) (Σ (y_k / r_k)² - 1) / 2, [N], y along its axes."""
        return self._quadric.level(x)

    def _moved(
        self, rotation: Tensor, shift: Tensor, scale: float
    ) -> tuple[list[float], list[float], Tensor]:
        """Returns centre, radii and axes [dim, dim] after a map."""
        centre = scale * (rotation @ torch.tensor(self.centre, dtype=torch.float64)) + shift
        return centre.tolist(), [scale * r for r in self.radii], rotation @ self.axes


class Ellipse(_Oval):
    """An ellipse in the plane.

    Args:
        centre: two numbers, in units of x.
        radii: half its lengths along its two axes, positive.
        angle: by which the first of its axes is turned from the x axis, in radians,
            counter-clockwise.
        name: of its boundary.

    Raises:
        TypeError, ValueError: for what is no centre, radii or angle.
    """

    DIM = 2

    def __init__(
        self,
        centre: Sequence[float],
        radii: Sequence[float],
        angle: float = 0.0,
        name: str = "ellipse",
    ) -> None:
        self.angle = check_number("Ellipse", "angle", angle)
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        axes = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
        super().__init__(centre, radii, axes, name)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved, turned and scaled ellipse."""
        centre, radii, axes = self._moved(rotation, shift, scale)
        return Ellipse(centre, radii, math.atan2(axes[1, 0], axes[0, 0]), self.name)

    def __repr__(self) -> str:
        turned = f", {self.angle:g}" if self.angle else ""
        return f"Ellipse({self.centre}, {self.radii}{turned})"


class Ellipsoid(_Oval):
    """An ellipsoid in space, its axes along x, y and z; `rotated` turns it.

    Args:
        centre: three numbers, in units of x.
        radii: half its lengths along the three axes, positive.
        name: of its boundary.

    Raises:
        TypeError, ValueError: for what is no centre or radii.
    """

    DIM = 3

    def __init__(
        self, centre: Sequence[float], radii: Sequence[float], name: str = "ellipsoid"
    ) -> None:
        super().__init__(centre, radii, torch.eye(3, dtype=torch.float64), name)

    def __repr__(self) -> str:
        return f"Ellipsoid({self.centre}, {self.radii})"
