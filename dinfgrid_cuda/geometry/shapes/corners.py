"""Corners of plane shapes and sharp edges of solids: where two surfaces meet on the boundary."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_real
from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

STEPS = 30
CELLS = 20_000_000
# Directions in which the shape is looked at from a point, at this share of the spacing. Half of
# them are inside at a smooth point, up to two: corners that turn by less than 3 degrees are none.
DIRECTIONS = 256
CLOSE = 1e-4


def corners(shape: Shape, spacing: float) -> Tensor:
    """Returns the corners [K, 2] of a plane shape, each once, float64.

    They are the points where two of its surfaces cross on its boundary, which turns by 3 degrees or
    more there; a corner of a single surface (an `Implicit` with a kink) is not found.

    Args:
        shape: with two axes and finite bounds.
        spacing: of the cells that are searched, in units of x; corners of the same two surfaces
            that are closer than half of it may be taken for one.

    Raises:
        TypeError, ValueError: for a shape of other dimension or without end, or what is no spacing.
    """
    points = _crossings("corners", shape, spacing, 2)
    return _apart(points, 1e-6 * spacing)


def sharp_edges(shape: Shape, spacing: float) -> Tensor:
    """Returns points [K, 3] along the sharp edges of a solid, float64.

    Sharp are those where two of its surfaces cross on its boundary, which turns by 3 degrees or
    more there.

    Args:
        shape: with three axes and finite bounds.
        spacing: of the cells that are searched, in units of x. Points are at least half of it
            apart, and at most about twice.

    Raises:
        TypeError, ValueError: for a shape of other dimension or without end, or what is no spacing.
    """
    points = _crossings("sharp_edges", shape, spacing, 3)
    return _apart(points, 0.5 * spacing)


def _crossings(where: str, shape: Shape, spacing: float, dim: int) -> Tensor:
    """Returns points [K, dim] of the boundary where two surfaces cross."""
    spacing = float(check_real(where, "spacing", spacing, positive=True))
    if shape.dim != dim:
        raise ValueError(f"{where}: {shape!r} is {shape.dim}-D; pass a {dim}-D shape.")
    centres = _centres(where, shape, spacing)
    reach = 0.5 * spacing * math.sqrt(dim) * (1 + 1e-9)
    near = torch.stack([surface.near(centres, reach) for surface in shape.surfaces])
    several = near.sum(dim=0) > 1
    near, centres = near[:, several], centres[several]
    together = near.double() @ near.double().t()
    found = [centres[:0]]
    for first, second in combinations(range(len(shape.surfaces)), 2):
        if not together[first, second]:
            continue
        starts = centres[near[first] & near[second]]
        pair = shape.surfaces[first], shape.surfaces[second]
        points = _meet(pair, starts, 2 * reach, spacing)
        found.append(points[_is_sharp(shape, pair, points, CLOSE * spacing)])
    return torch.cat(found)


def _centres(where: str, shape: Shape, spacing: float) -> Tensor:
    """Returns the centres [C, dim] of cells that cover the shape."""
    box = bounding_box(shape)
    counts = [max(1, math.ceil(length / spacing - 1e-9)) for length in box.lengths]
    if math.prod(counts) > CELLS:
        raise ValueError(
            f"{where}: spacing is {spacing:g}, which makes {math.prod(counts):,} cells; pass a "
            "larger one."
        )
    axes = [
        middle + spacing * (torch.arange(count, dtype=torch.float64) - 0.5 * (count - 1))
        for middle, count in zip(
            (0.5 * (low + high) for low, high in zip(box.lower, box.upper, strict=True)),
            counts,
            strict=True,
        )
    ]
    return torch.cartesian_prod(*axes).reshape(-1, box.dim)


def _meet(pair: tuple[Surface, Surface], starts: Tensor, reach: float, spacing: float) -> Tensor:
    """Returns points [K, dim] on both surfaces, no further than ``reach`` from their starts.

    By the shortest steps that solve both linearised equations.
    """
    shifts = torch.cat([torch.zeros(1, starts.shape[1]), 0.25 * _signs(starts.shape[1])])
    around = (starts[:, None] + spacing * shifts.to(starts)).reshape(-1, starts.shape[1])
    x = around.clone()
    for _ in range(STEPS):
        levels, slopes = _levels(pair, x)
        step = slopes.transpose(1, 2) @ _solve(slopes @ slopes.transpose(1, 2), levels)
        length = step.norm(dim=1, keepdim=True)
        step = step * (0.5 * spacing / length.clamp(min=1e-300)).clamp(max=1)
        x = x - step[:, :, 0]
    levels, slopes = _levels(pair, x)
    away = levels[:, :, 0].abs() / slopes.norm(dim=2).clamp(min=1e-300)
    held = pair[0].holds(x) & pair[1].holds(x)
    close = (x - around).norm(dim=1) <= reach
    x = x[held & close & (away.amax(dim=1) <= 1e-9 * spacing)]
    return _apart(x, 1e-6 * spacing)


def _signs(dim: int) -> Tensor:
    """Returns the corners [2^dim, dim] of the box from -1 to 1."""
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * dim)


def _levels(pair: tuple[Surface, Surface], x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the two levels [N, 2, 1] and their gradients [N, 2, dim]."""
    levels = torch.stack([surface.level(x) for surface in pair], dim=1)
    return levels[:, :, None], torch.stack([surface.gradient(x) for surface in pair], dim=1)


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Returns the solution of 2 x 2 systems [N, 2, 2] by Cramer's rule, 0 for singular ones."""
    a, b, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
    determinant = a * d - b * b
    good = determinant > 1e-12 * a * d
    first = d * right[:, 0, 0] - b * right[:, 1, 0]
    second = a * right[:, 1, 0] - b * right[:, 0, 0]
    solution = torch.stack([first, second], dim=1) / torch.where(good, determinant, 1.0)[:, None]
    return torch.where(good[:, None], solution, 0.0)[:, :, None]


def _is_sharp(shape: Shape, pair: tuple[Surface, Surface], points: Tensor, close: float) -> Tensor:
    """Whether the shape looks unlike a half-plane from points, [N], in the plane of the normals."""
    if not len(points):
        return torch.zeros(0, dtype=torch.bool)
    first, second = (surface.gradient(points) for surface in pair)
    first = first / first.norm(dim=1, keepdim=True)
    second = second - (second * first).sum(dim=1, keepdim=True) * first
    second = second / second.norm(dim=1, keepdim=True).clamp(min=1e-300)
    angles = (torch.arange(DIRECTIONS, dtype=torch.float64) + 0.5) * (2 * math.pi / DIRECTIONS)
    around = angles.cos()[:, None] * first[:, None] + angles.sin()[:, None] * second[:, None]
    places = (points[:, None] + close * around).reshape(-1, points.shape[1])
    inside = shape.contains(places).reshape(len(points), DIRECTIONS)
    count = inside.sum(dim=1)
    changes = (inside != inside.roll(1, 1)).sum(dim=1)
    bent = (count - DIRECTIONS // 2).abs() > 2
    return (changes > 2) | ((changes == 2) & bent)


def _apart(points: Tensor, distance: float) -> Tensor:
    """Returns points no two of which are closer than a distance; of those that are, the first."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return points
    kept = torch.ones(len(points), dtype=torch.bool)
    neighbours = cKDTree(points.numpy()).query_ball_point(points.numpy(), distance)
    for k, close in enumerate(neighbours):
        if kept[k]:
            kept[[j for j in close if j > k]] = False
    return points[kept]
