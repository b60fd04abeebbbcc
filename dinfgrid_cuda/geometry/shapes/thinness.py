"""Whether a shape is thin: how deep it is below its boundary."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.shape import Shape

STEPS = 8


def depth(shape: Shape, x: Tensor, normals: Tensor, spacing: float) -> Tensor:
    """Returns how far one gets from boundary points into the shape, [N], in units of x.

    Against the normal, in eighths of the spacing: the first step that is outside. Infinite where a
    whole spacing is inside.

    Args:
        shape: of any dimension.
        x: points on its boundary [N, dim].
        normals: outward, of length 1, [N, dim].
        spacing: how far to go.
    """
    result = x.new_full((len(x),), math.inf)
    for step in range(STEPS, 0, -1):
        away = step * spacing / STEPS
        result[~shape.contains(x - away * normals)] = away
    return result


def is_thin(
    shape: Shape, x: Tensor, normals: Tensor, spacing: float, corners: Tensor | None = None
) -> Tensor:
    """Whether the shape is thinner than a spacing below boundary points, [N].

    Every shape is thin beside a corner of less than a right angle: points within two spacings of
    corners do not count, since they would tell nothing about walls.

    Args:
        shape: of any dimension.
        x: points on its boundary [N, dim].
        normals: outward, of length 1, [N, dim].
        spacing: in units of x, the cell size.
        corners: points [K, dim], from `corners` or `sharp_edges`.
    """
    thin: Tensor = depth(shape, x, normals, spacing) <= spacing
    if corners is None or not len(corners) or not bool(thin.any()):
        return thin
    close = torch.cdist(x[thin], corners.to(x)).amin(dim=1) <= 2 * spacing
    return thin.masked_scatter(thin, ~close)
