"""Shapes of every kind, and points on their boundary, for the tests of shapes."""

import math

import torch

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.shapes.ball import Ball, Disk
from dinfgrid_cuda.geometry.shapes.capsule import Capsule
from dinfgrid_cuda.geometry.shapes.curve import Curve
from dinfgrid_cuda.geometry.shapes.cylinder import Cone, Cylinder
from dinfgrid_cuda.geometry.shapes.ellipse import Ellipse, Ellipsoid
from dinfgrid_cuda.geometry.shapes.halfspace import HalfSpace
from dinfgrid_cuda.geometry.shapes.polygon import Polygon
from dinfgrid_cuda.geometry.shapes.product import Product
from dinfgrid_cuda.geometry.shapes.rectangle import Cuboid, Rectangle
from dinfgrid_cuda.geometry.shapes.torus import Torus

L_SHAPE = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]
HOLE = [(0.3, 0.3), (0.7, 0.4), (0.4, 0.8)]


def star(t):
    """A five-pointed star with round tips, clockwise."""
    radius = 0.7 + 0.2 * torch.cos(5 * t)
    return torch.stack([radius * t.cos() + 0.1, -radius * t.sin()], dim=1)


SHAPES = {
    "rectangle": lambda: Rectangle((-1, 0), (2, 0.5)),
    "cuboid": lambda: Cuboid((-1, 0, 0.2), (2, 0.5, 1), name="block"),
    "disk": lambda: Disk((0.3, 0.1), 0.8),
    "ball": lambda: Ball((0.3, 0.1, -0.5), 0.8),
    "ellipse": lambda: Ellipse((0.3, 0.1), (1.5, 0.2), 0.7),
    "ellipsoid": lambda: Ellipsoid((0.3, 0.1, 0), (1.5, 0.4, 0.8)),
    "polygon": lambda: Polygon(L_SHAPE, [HOLE]),
    "curve": lambda: Curve(star),
    "half-space": lambda: HalfSpace((1, 2), 0.3),
    "cylinder": lambda: Cylinder((0.1, 0, -0.3), 0.5, 1.2, (1, 2, 3)),
    "cone": lambda: Cone((0.1, 0, -0.3), 0.5, 1.2, (1, -2, 3)),
    "truncated cone": lambda: Cone((0, 0, 0), 0.3, 0.5, (0, 1, 1), upper_radius=0.8),
    "torus": lambda: Torus((0.1, 0.2, 0.3), 0.8, 0.25, (1, 1, 2)),
    "stadium": lambda: Capsule((0, 0), (1, 0.5), 0.3),
    "capsule": lambda: Capsule((0, 0, 0), (1, 0.5, -0.3), 0.3),
    "product": lambda: Product(Disk((0, 0.2), 0.6), -0.3, 0.8),
    "product of a polygon": lambda: Product(Polygon(L_SHAPE, [HOLE]), 0, 1),
    "product in 4-D": lambda: Product(Ball((0, 0.2, 0), 0.6), -0.3, 0.8),
    "line": lambda: Box([0], [1]),
}
TURNED = {
    2: lambda shape: shape.rotated(0.6, about=(0.2, -0.3)).scaled(1.7).moved(0.3, 0.4),
    3: lambda shape: shape.rotated(0.6, (1, 2, -1), (0.2, 0, 1)).scaled(0.7).moved(0.3, 0.4, 1),
    1: lambda shape: shape.scaled(0.7, about=(3.0,)).moved(0.3),
    4: lambda shape: shape.scaled(0.7, about=(1, 2, 3, 4)).moved(0.3, 0.4, 1, 2),
}


def around(shape, count, seed=0, margin=0.3):
    """Random points [count, dim] in a box somewhat larger than the one around the shape."""
    ends = torch.tensor([shape.lower, shape.upper], dtype=torch.float64).nan_to_num(
        posinf=1.0, neginf=-1.0
    )
    size = (ends[1] - ends[0]).clamp(min=0.1)
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(count, shape.dim, generator=generator, dtype=torch.float64)
    return ends[0] - margin * size + unit * (1 + 2 * margin) * size


def boundary(shape, surface, count=3000, seed=0):
    """Points of a surface on the boundary of the shape [N, dim], and outward normals there."""
    x = around(shape, count, seed, margin=0.1)
    for _ in range(60):
        level, slope = surface.level(x), surface.gradient(x)
        if float(level.abs().quantile(0.9)) <= 1e-13:
            break
        x = x - (level / slope.square().sum(dim=1).clamp(min=1e-12))[:, None] * slope
    slope = surface.gradient(x)
    length = slope.norm(dim=1, keepdim=True)
    good = (surface.level(x).abs() <= 1e-12) & (length[:, 0] > 1e-3) & surface.holds(x)
    x, normal = x[good], (slope / length)[good]
    inner, outer = shape.contains(x - 1e-6 * normal), shape.contains(x + 1e-6 * normal)
    sign = inner.double() - outer.double()
    return x[inner != outer], (sign[:, None] * normal)[inner != outer]


def rotation(angle):
    """A rotation in the plane, [2, 2]."""
    return torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
