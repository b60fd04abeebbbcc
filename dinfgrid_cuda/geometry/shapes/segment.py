"""Segments: the edges of a polygon that lie on one line."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.surface import Plane

from .edges import project

# of the longest edge: edges this close to one line are on it
STRAIGHT = 1e-12


class Segment(Plane):
    """One or more edges on one line; the line is its zero set.

    Args:
        name: of the piece.
        starts, ends: of the edges [K, 2], float64, the inside to the left of the first.
    """

    def __init__(self, name: str, starts: Tensor, ends: Tensor) -> None:
        along = ends[0] - starts[0]
        normal = (float(along[1]), -float(along[0]))
        offset = normal[0] * float(starts[0, 0]) + normal[1] * float(starts[0, 1])
        super().__init__(name, normal, offset)
        self.starts, self.ends = starts, ends

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        """Whether one of the edges is within a distance of each point, [N]."""
        least = x.new_full((len(x),), math.inf)
        for start, end in zip(self.starts.to(x), self.ends.to(x), strict=True):
            least = torch.minimum(least, project(x, start, end)[1])
        return least.sqrt() <= radius

    def holds(self, x: Tensor) -> Tensor:
        """Whether points of the line belong to one of the edges, [N]."""
        result = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for start, end in zip(self.starts.to(x), self.ends.to(x), strict=True):
            place = ((x - start) * (end - start)).sum(dim=1) / (end - start).square().sum()
            result |= (place >= -STRAIGHT) & (place <= 1 + STRAIGHT)
        return result


def segments(starts: Tensor, ends: Tensor, names: list[str]) -> list[Segment]:
    """Returns one surface for all edges of the same name on the same line.

    Each line is one, since where a line bounds the shape is told by the shape: two surfaces on one
    line would count the same points twice.

    Args:
        starts, ends: [E, 2], float64.
        names: of the edges.
    """
    along = ends - starts
    size = float(along.norm(dim=1).max())
    angle = torch.atan2(along[:, 1], along[:, 0]) % math.pi
    angle = torch.where(angle > math.pi - 1e-9, angle - math.pi, angle)
    offset = (starts * torch.stack([-angle.sin(), angle.cos()], dim=1)).sum(dim=1)
    groups: dict[str, list[list[int]]] = {}
    for edge in sorted(
        range(len(names)), key=lambda k: (round(float(angle[k]), 9), float(offset[k]))
    ):
        lines = groups.setdefault(names[edge], [])
        if lines and _straight(starts, ends, lines[-1][0], edge, size):
            lines[-1].append(edge)
        else:
            lines.append([edge])
    lines = sorted(
        (sorted(line) for lines in groups.values() for line in lines), key=lambda line: line[0]
    )
    return [Segment(names[line[0]], starts[line], ends[line]) for line in lines]


def _straight(starts: Tensor, ends: Tensor, first: int, second: int, size: float) -> bool:
    """Whether two edges are on one line."""
    along = ends[first] - starts[first]
    normal = torch.stack([along[1], -along[0]]) / along.norm()
    away = torch.stack([starts[second], ends[second]]) - starts[first]
    return bool(((away @ normal).abs() <= STRAIGHT * size).all())
