"""The edges of a polygon: which parts of the lines through them lie on its boundary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Plane

# Two ends [2, 2] of an edge.
Segment = Tensor
# Of the size of a polygon: how far from an edge it is looked which side is inside.
STEP = 1e-7


def segments_of(shape: Shape) -> list[list[Segment]] | None:
    """Returns the parts of each surface on the boundary of a polygon, in the order of surfaces.

    None for what is no polygon: surfaces that are no lines, or a line that bounds nothing.
    """
    planes = [surface for surface in shape.surfaces if isinstance(surface, Plane)]
    if shape.dim != 2 or len(planes) < len(shape.surfaces):
        return None
    normals = torch.tensor([plane.normal for plane in planes], dtype=torch.float64)
    offsets = torch.tensor([plane.offset for plane in planes], dtype=torch.float64)
    segments = [_on_line(shape, normals, offsets, place) for place in range(len(planes))]
    return segments if all(segments) else None


def _on_line(shape: Shape, normals: Tensor, offsets: Tensor, place: int) -> list[Segment]:
    """Returns the parts of a line between crossings with others that have one side inside."""
    normal, origin = normals[place], offsets[place] * normals[place]
    along = torch.stack([-normal[1], normal[0]])
    # At origin + s * along the line meets another, n . x = c.
    slopes, rest = normals @ along, offsets - normals @ origin
    crossing = slopes.abs() > 1e-12
    ends = (rest[crossing] / slopes[crossing]).sort().values
    if len(ends) < 2:
        return []
    size = max(shape.lengths)
    apart = ends.diff() > 1e-12 * size
    starts, stops = ends[:-1][apart], ends[1:][apart]
    middles = origin + 0.5 * (starts + stops)[:, None] * along
    sides = [shape.contains(middles + side * STEP * size * normal) for side in (-1, 1)]
    parts: list[list[float]] = []
    for start, stop, one in zip(starts, stops, sides[0] != sides[1], strict=True):
        if not bool(one):
            continue
        if parts and float(start) - parts[-1][1] <= 1e-10 * size:
            parts[-1][1] = float(stop)
        else:
            parts.append([float(start), float(stop)])
    return [origin + torch.tensor(part, dtype=torch.float64)[:, None] * along for part in parts]


def spreads_along(segments: Sequence[Segment]) -> list[Callable[[Tensor], Tensor]]:
    """Returns functions [N] of points x [N, 2], each not negative where their foot is on a segment.

    Of a segment from 0 to 1, at coordinate s along it, s (1 - s).
    """

    def spread(segment: Segment) -> Callable[[Tensor], Tensor]:
        def function(x: Tensor) -> Tensor:
            start, stop = segment.to(x)
            edge = stop - start
            s: Tensor = (x - start) @ (edge / edge.square().sum())
            return s * (1 - s)

        return function

    return [spread(segment) for segment in segments]
