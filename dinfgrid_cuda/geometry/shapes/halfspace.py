"""HalfSpace: all points on one side of a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Plane, Surface

from .arguments import check_direction, check_name, check_number


class HalfSpace(Shape):
    """The points with normal . x <= offset, in any dimension; it has no end.

        Disk((0, 0), 1) & HalfSpace((0, -1), point=(0, 0), name="diameter")    # the upper half

    Args:
        normal: points out of it, of any length but 0.
        offset: of normal . x, for ``normal`` as given.
        point: on the plane, in place of ``offset``.
        name: of the plane.

    Raises:
        TypeError, ValueError: for what is no normal, offset or point, or unless one of the two is
            given.
    """

    def __init__(
        self,
        normal: Sequence[float],
        offset: float | None = None,
        *,
        point: Sequence[float] | None = None,
        name: str = "plane",
    ) -> None:
        self.normal = check_direction("HalfSpace", "normal", normal)
        length = math.hypot(*check_point("HalfSpace", "normal", normal))
        if (offset is None) == (point is None):
            raise ValueError(
                "HalfSpace: pass an offset of normal . x or a point on the plane, one of the two."
            )
        if point is not None:
            entries = check_point("HalfSpace", "point", point, len(self.normal))
            self.offset = math.fsum(n * p for n, p in zip(self.normal, entries, strict=True))
        else:
            self.offset = check_number("HalfSpace", "offset", offset) / length
        self.name = check_name("HalfSpace", name)
        self._plane = Plane(name, self.normal, self.offset)
        self.lower, self.upper = self._bounds()

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Returns its ends; only along an axis that it is perpendicular to has it one."""
        along = [k for k, entry in enumerate(self.normal) if entry]
        lower, upper = [-math.inf] * len(self.normal), [math.inf] * len(self.normal)
        if len(along) == 1 and self.normal[along[0]] > 0:
            upper[along[0]] = self.offset
        elif len(along) == 1:
            lower[along[0]] = -self.offset
        return tuple(lower), tuple(upper)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The plane."""
        return (self._plane,)

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N] from the plane."""
        return self._plane.level(x)

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the half-space on one side of the moved plane."""
        normal = rotation @ torch.tensor(self.normal, dtype=torch.float64)
        offset = scale * self.offset + float(normal @ shift)
        return HalfSpace(normal.tolist(), offset, name=self.name)

    def __repr__(self) -> str:
        return f"HalfSpace({self.normal}, {self.offset:g})"
