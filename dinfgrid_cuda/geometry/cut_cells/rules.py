"""What quadrature over shapes takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.surface import Surface


class Solid(Protocol):
    """A set of points, bounded by surfaces."""

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """All surfaces that hold a part of the boundary."""
        ...

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, dim] are inside, [N]."""
        ...


@dataclass(frozen=True)
class VolumeRule:
    """Points and weights of an integral over a shape, cell by cell.

    Attributes:
        x: points [N, dim] inside the shape, float64.
        weights: [N], positive; they add up to the volume.
        cells: flat index [N] of the cell of each point, last axis fastest, ascending.
    """

    x: Tensor
    weights: Tensor
    cells: Tensor


@dataclass(frozen=True)
class SurfaceRule:
    """Points and weights of an integral over the boundary of a shape.

    Attributes:
        x: points [N, dim] on the boundary, float64.
        normals: outward unit normals [N, dim].
        weights: [N], positive; they add up to the length or area.
        surfaces: index [N] of the surface of each point among the shape's.
    """

    x: Tensor
    normals: Tensor
    weights: Tensor
    surfaces: Tensor

    def of(self, places: Sequence[int]) -> SurfaceRule:
        """Returns the points on some surfaces, by their places among the shape's."""
        held = torch.isin(self.surfaces, torch.tensor(places))
        return self.at(held)

    def at(self, rows: Tensor) -> SurfaceRule:
        """Returns some of the points, by a mask [N] or indices."""
        return SurfaceRule(
            self.x[rows], self.normals[rows], self.weights[rows], self.surfaces[rows]
        )
