"""Points on a surface of a shape: on the boundary of the shape, or inside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

# Points per axis by the number of axes.
PER_AXIS = {1: 400, 2: 160, 3: 40, 4: 16}
# Of the size of the shape: the distance from a surface at which it is looked what is inside.
STEP = 1e-6
NEWTON_STEPS = 30


@dataclass(frozen=True)
class Samples:
    """Points on a surface.

    Attributes:
        boundary: where one side of it is inside the shape, [M, dim].
        inner: where both sides are, [K, dim].
        near: whether the surface may come near the shape at all.
    """

    boundary: Tensor
    inner: Tensor
    near: bool


def lattice_around(shape: Shape) -> Tensor:
    """Returns points [M, dim], float64, that fill the box around a shape and a little more.

    They are shifted by odd fractions of their spacing, so that none lies on a seam or a corner.
    """
    box = bounding_box(shape)
    count = PER_AXIS[min(shape.dim, max(PER_AXIS))]
    lines = []
    for axis, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
        shift = (0.5 + math.sqrt(2 + axis)) % 0.9
        spots = torch.arange(-1, count + 1, dtype=torch.float64) + shift
        lines.append(low + (high - low) * spots / count)
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1).reshape(-1, shape.dim)


def samples_on(shape: Shape, surface: Surface, lattice: Tensor) -> Samples:
    """Returns points on a surface next to those of a lattice, found by Newton's method.

    Args:
        shape: that the surface belongs to.
        surface: one of its surfaces.
        lattice: see `lattice_around`.
    """
    size = max(shape.lengths)
    count = PER_AXIS[min(shape.dim, max(PER_AXIS))]
    reach = math.hypot(*shape.lengths) / count
    x = lattice[surface.near(lattice, reach)]
    start = x
    for _ in range(NEWTON_STEPS):
        slope = surface.gradient(x)
        squares = slope.square().sum(dim=1, keepdim=True)
        x = x - torch.where(squares > 0, surface.level(x)[:, None] * slope / squares, 0.0)
    slope = surface.gradient(x)
    length = slope.norm(dim=1)
    on = x.isfinite().all(dim=1) & (length > 0)
    on &= surface.level(x).abs() <= 1e-9 * size * length
    on &= (x - start).norm(dim=1) <= 2 * reach
    x, normal = x[on], (slope / length[:, None])[on]
    behind, ahead = (shape.contains(x + side * STEP * size * normal) for side in (-1, 1))
    return Samples(x[behind != ahead], x[behind & ahead], len(start) > 0)
