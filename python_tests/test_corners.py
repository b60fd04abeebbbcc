"""Corners, sharp edges, and parts thinner than a cell."""

import math
import re

import pytest
import torch
from cases_of_shapes import HOLE, L_SHAPE, boundary, star

from dinfgrid_cuda.geometry.shapes.ball import Ball, Disk
from dinfgrid_cuda.geometry.shapes.corners import corners, sharp_edges
from dinfgrid_cuda.geometry.shapes.curve import Curve
from dinfgrid_cuda.geometry.shapes.cylinder import Cone, Cylinder
from dinfgrid_cuda.geometry.shapes.halfspace import HalfSpace
from dinfgrid_cuda.geometry.shapes.polygon import Polygon
from dinfgrid_cuda.geometry.shapes.product import Product
from dinfgrid_cuda.geometry.shapes.rectangle import Cuboid, Rectangle
from dinfgrid_cuda.geometry.shapes.thinness import depth, is_thin

pytestmark = pytest.mark.usefixtures("one_thread")


def same_points(found, expected, tolerance):
    assert len(found) == len(expected)
    distances = torch.cdist(found, torch.as_tensor(expected, dtype=torch.float64))
    assert float(distances.amin(dim=0).max()) <= tolerance


@pytest.mark.parametrize("spacing", [0.05, 0.2])
def test_corners_of_a_polygon_are_its_vertices(spacing):
    polygon = Polygon(L_SHAPE, [HOLE])
    same_points(corners(polygon, spacing), polygon.corners.tolist(), 1e-9)
    turned = polygon.rotated(0.3)
    same_points(corners(turned, spacing), turned.corners.tolist(), 1e-9)


def test_corners_of_combinations_are_where_their_boundaries_cross():
    bite = Rectangle((0, 0), (2, 1)) - Disk((2, 0.5), 0.2)
    ends = [(0, 0), (2, 0), (2, 1), (0, 1), (2, 0.3), (2, 0.7)]
    same_points(corners(bite, 0.1), ends, 1e-9)
    lens = Disk((0, 0), 1) & Disk((1, 0), 1)
    same_points(corners(lens, 0.1), [(0.5, -(0.75**0.5)), (0.5, 0.75**0.5)], 1e-9)
    peanut = Disk((0, 0), 1) | Disk((1, 0), 1)
    same_points(corners(peanut, 0.1), [(0.5, -(0.75**0.5)), (0.5, 0.75**0.5)], 1e-9)


def test_crossings_off_the_boundary_are_no_corners():
    inside = Rectangle((-1, -1), (1, 1)) | (Disk((-0.2, 0), 0.4) | Disk((0.2, 0), 0.4))
    same_points(corners(inside, 0.1), [(-1, -1), (1, -1), (1, 1), (-1, 1)], 1e-9)
    assert corners(Disk((0, 0), 1), 0.1).shape == (0, 2)
    # Two squares side by side: the line between them ends on the boundary, which is straight there.
    side = Rectangle((0, 0), (1, 1)) | Rectangle((1, 0), (2, 1))
    same_points(corners(side, 0.1), [(0, 0), (2, 0), (2, 1), (0, 1)], 1e-9)


def test_corners_of_a_cut_curve():
    half = Curve(star) & HalfSpace((0, -1), 0)
    # clockwise from (1, 0); the diameter ends at angles 0 and pi
    same_points(corners(half, 0.05), [(1.0, 0.0), (-0.4, 0.0)], 1e-9)


@pytest.mark.parametrize(
    ("shape", "length", "on_edge"),
    [
        (
            Cuboid((0, 0, 0), (1, 1, 1)),
            12,
            lambda x: ((x.abs() < 1e-9) | ((x - 1).abs() < 1e-9)).sum(dim=1) >= 2,
        ),
        (
            Cylinder((0, 0, 0), 1, 2),
            4 * math.pi,
            lambda x: (
                ((x[:, :2].norm(dim=1) - 1).abs() < 1e-9) & (((x[:, 2] - 1).abs() - 1).abs() < 1e-9)
            ),
        ),
        (
            Cone((0, 0, 0), 1, 2),
            2 * math.pi,
            lambda x: ((x[:, :2].norm(dim=1) - 1).abs() < 1e-9) & (x[:, 2].abs() < 1e-9),
        ),
        (
            Ball((0, 0, 0), 1) - Ball((0, 0, 1), 1),
            math.pi * 3**0.5,
            lambda x: ((x[:, 2] - 0.5).abs() < 1e-9) & ((x.norm(dim=1) - 1).abs() < 1e-9),
        ),
    ],
)
def test_sharp_edges_get_points_at_the_spacing(shape, length, on_edge):
    spacing = 0.1
    x = sharp_edges(shape, spacing)
    assert bool(on_edge(x).all())
    distances = torch.cdist(x, x) + 9 * torch.eye(len(x))
    assert float(distances.amin()) > 0.5 * spacing
    assert float(distances.amin(dim=1).max()) <= 2 * spacing
    assert length / (2 * spacing) <= len(x) <= length / (0.5 * spacing)


def test_smooth_solids_have_no_sharp_edges():
    assert sharp_edges(Ball((0, 0, 0), 1), 0.2).shape == (0, 3)
    edges = sharp_edges(Product(Disk((0, 0), 1), 0, 1), 0.2)
    assert float((edges[:, :2].norm(dim=1) - 1).abs().max()) <= 1e-9


@pytest.mark.parametrize(
    ("search", "error", "message"),
    [
        (
            lambda: corners(Ball((0, 0, 0), 1), 0.1),
            ValueError,
            "corners: Ball((0.0, 0.0, 0.0), 1) is 3-D; pass a 2-D shape.",
        ),
        (
            lambda: sharp_edges(Disk((0, 0), 1), 0.1),
            ValueError,
            "sharp_edges: Disk((0.0, 0.0), 1) is 2-D; pass a 3-D shape.",
        ),
        (
            lambda: corners(Disk((0, 0), 1), 0),
            ValueError,
            "corners: spacing is 0; it must be positive and finite.",
        ),
        (
            lambda: corners(Disk((0, 0), 1), 1e-5),
            ValueError,
            "corners: spacing is 1e-05, which makes 40,000,000,000 cells; pass a larger one.",
        ),
        (
            lambda: corners(HalfSpace((1, 0), 1), 0.1),
            ValueError,
            "shape: HalfSpace((1.0, 0.0), 1) has no end; intersect it with a box, e.g. "
            "Box([-1, -1], [1, 1]) & shape.",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(search, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        search()


def all_boundary(shape):
    pieces = [boundary(shape, surface, 500) for surface in shape.surfaces]
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def test_a_ring_is_thin_where_it_is_thinner_than_a_cell():
    ring = Disk((0, 0), 1) - Disk((0, 0), 0.9)
    x, normals = all_boundary(ring)
    assert bool(is_thin(ring, x, normals, 0.11).all())
    assert not bool(is_thin(ring, x, normals, 0.09).any())
    found = depth(ring, x, normals, 0.24)
    # 0.1 is passed by the fourth eighth of 0.24
    assert torch.equal(found, torch.full_like(found, 0.12))
    assert bool(depth(ring, x, normals, 0.09).isinf().all())


def test_corners_are_no_thin_walls():
    wedge = Polygon([(0, 0), (4, 0), (4, 2)])
    x, normals = all_boundary(wedge)
    assert bool(is_thin(wedge, x, normals, 0.1).any())
    assert not bool(is_thin(wedge, x, normals, 0.1, wedge.corners).any())
    wall = Polygon([(0, 0), (4, 0), (4, 0.05), (0, 0.05)])
    x, normals = all_boundary(wall)
    assert bool(is_thin(wall, x, normals, 0.1, wall.corners).any())
    assert not bool(is_thin(wall, x, normals, 0.04, wall.corners).any())
