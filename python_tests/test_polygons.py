"""Polygons: levels against shapely, outlines from everywhere, names, and what is refused."""

import math
import re
import time

import numpy as np
import pytest
import torch
from cases_of_shapes import HOLE, L_SHAPE, around

from dinfgrid_cuda.geometry.shapes.polygon import Polygon
from dinfgrid_cuda.geometry.shapes.segment import Segment

pytestmark = pytest.mark.usefixtures("one_thread")

SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
SQUARE_WKT = "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"


def gear(count=300, turns=5):
    """A wavy outline of many vertices."""
    t = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    radius = 0.7 + 0.2 * torch.cos(turns * t)
    return torch.stack([radius * t.cos(), radius * t.sin()], dim=1)


# Levels


@pytest.mark.parametrize("outline", [L_SHAPE, gear(50), gear(), L_SHAPE[::-1]])
@pytest.mark.parametrize("holes", [(), [HOLE]])
def test_level_and_contains_are_those_of_shapely(outline, holes):
    shapely = pytest.importorskip("shapely")
    if holes and len(outline) > 10:
        holes = [0.3 * gear(20)]
    polygon = Polygon(outline, holes)
    twin = shapely.Polygon(np.asarray(outline), [np.asarray(hole) for hole in holes])
    x = around(polygon, 20_000)
    inside = torch.as_tensor(shapely.contains_xy(twin, x.numpy()))
    assert torch.equal(polygon.contains(x), inside)
    few = x[:1000]
    distance = torch.as_tensor(shapely.distance(twin.boundary, shapely.points(few.numpy())))
    expected = torch.where(inside[:1000], -distance, distance)
    torch.testing.assert_close(polygon.level(few), expected, rtol=0, atol=1e-14)
    assert polygon.area == pytest.approx(twin.area, rel=1e-14)


def test_level_of_many_points_takes_a_second_or_two():
    polygon = Polygon(gear(300))
    x = around(polygon, 100_000)
    start = time.process_time()
    polygon.level(x)
    assert time.process_time() - start < 2


def test_points_on_edges_and_vertices_are_inside():
    polygon = Polygon(L_SHAPE)
    x = torch.tensor([[2, 0.5], [0, 0.3], [1, 1], [0.5, 0], [2, 0], [1, 1.5], [1.5, 1]])
    assert bool(polygon.contains(x.double()).all())
    beside = x.double() + torch.tensor([3e-16, 1e-15]).double() * 1e3
    assert not bool(polygon.contains(beside[[0, 6]]).any())
    assert torch.equal(polygon.level(x.double()), torch.zeros(7, dtype=torch.float64).neg().abs())


def test_level_differentiates_like_the_distance_it_is():
    polygon = Polygon(L_SHAPE, [HOLE])
    x = around(polygon, 2_000).requires_grad_()
    (slope,) = torch.autograd.grad(polygon.level(x).sum(), x)
    torch.testing.assert_close(slope.norm(dim=1), torch.ones(2_000).double(), rtol=0, atol=1e-12)
    with torch.no_grad():
        ahead = polygon.level(x + 1e-7 * slope) - polygon.level(x - 1e-7 * slope)
    # but for points whose difference reaches across a kink
    assert float(((ahead / 2e-7 - 1).abs() <= 1e-6).double().mean()) >= 0.999


def test_either_sense_and_a_repeated_vertex_make_no_difference():
    x = around(Polygon(L_SHAPE), 1000)
    expected = Polygon(L_SHAPE, [HOLE]).level(x)
    for outline in (L_SHAPE[::-1], [*L_SHAPE, L_SHAPE[0]], [L_SHAPE[0], *L_SHAPE]):
        for hole in (HOLE, HOLE[::-1]):
            torch.testing.assert_close(Polygon(outline, [hole]).level(x), expected, rtol=0, atol=0)


# Pieces


def test_edges_share_the_name_and_holes_are_numbered():
    polygon = Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [HOLE, np.array(HOLE) + 3], name="plate")
    assert polygon.names == ("plate", "hole 0", "hole 1")
    assert len(polygon.surfaces) == 10
    assert repr(polygon) == "Polygon(4 vertices, 2 holes)"


@pytest.mark.parametrize("sense", [1, -1])
def test_names_go_with_the_edges_as_given_in_either_sense(sense):
    outline = L_SHAPE[::sense]
    names = [f"edge {k}" for k in range(6)]
    polygon = Polygon(outline, names=names)
    for k, name in enumerate(names):
        middle = 0.5 * (np.array(outline[k]) + np.array(outline[(k + 1) % 6]))
        x = torch.as_tensor(middle)[None]
        found = [s.name for s in polygon.surfaces if bool(s.near(x, 1e-9))]
        assert found == [name]
        moved = polygon.rotated(1).scaled(2).moved(3, 4)
        turn = torch.tensor([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]])
        y = 2 * x @ turn.double().t() + torch.tensor([3.0, 4.0])
        y = y.double()
        # turn has six digits
        assert [s.name for s in moved.surfaces if bool(s.near(y, 1e-5))] == [name]


def test_edges_of_one_name_on_one_line_are_one_surface():
    battlement = [(0, 0), (5, 0), (5, 2), (4, 2), (4, 1), (3, 1), (3, 2), (2, 2), (2, 1), (0, 1)]
    for polygon in (Polygon(battlement), Polygon(battlement).rotated(0.3)):
        # top at 2: two edges; at 1: two; the other six alone
        assert len(polygon.surfaces) == 8
    split = Polygon([(0, 0), (0.5, 0), (1, 0), (1, 1), (0, 1)])
    assert len(split.surfaces) == 4


def test_a_named_part_of_an_edge_holds_that_part_only():
    outline = [(0, 0), (0.4, 0), (1, 0), (1, 1), (0, 1)]
    polygon = Polygon(outline, names=["inlet", "wall", "wall", "wall", "wall"]).moved(1, 1)
    x = torch.tensor([[1.1, 1], [1.39, 1], [1.41, 1], [1.9, 1]], dtype=torch.float64)
    inlet = next(surface for surface in polygon.surfaces if surface.name == "inlet")
    below = [
        s for s in polygon.surfaces if s.name == "wall" and bool(s.level(x).abs().max() < 1e-12)
    ]
    assert inlet.holds(x).tolist() == [True, True, False, False]
    assert len(below) == 1
    assert below[0].holds(x).tolist() == [False, False, True, True]
    assert inlet.near(x, 0.05).tolist() == [True, True, True, False]
    turned = (polygon | Polygon(SQUARE).moved(7, 7)).rotated(1)
    assert isinstance(polygon.surfaces[0], Segment)
    assert len(turned.surfaces) == 5 + 4


# What is refused


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: Polygon([(0, 0), (1, 0)]),
            ValueError,
            "Polygon: outline has 2 different vertices; pass 3 or more.",
        ),
        (
            lambda: Polygon([]),
            ValueError,
            "Polygon: outline has 0 different vertices; pass 3 or more.",
        ),
        (
            lambda: Polygon([(0, 0), (1, 1), (2, 2)]),
            ValueError,
            "Polygon: outline encloses no area: its vertices are in a line, or its edges cross.",
        ),
        (
            lambda: Polygon([(0, 0), (1, 1), (1, 0), (0, 1.0)]),
            ValueError,
            "Polygon: outline encloses no area: its vertices are in a line, or its edges cross.",
        ),
        (
            lambda: Polygon([(0, 0), (2, 2), (2, 0), (0, 1)]),
            ValueError,
            "Polygon: its edges cross at (0.6667, 0.6667).",
        ),
        (
            lambda: Polygon([(0, 0), (2, 0), (2, 1), (2, -1), (0, -1)]),
            ValueError,
            "Polygon: its edges cross: one runs on the other from (2, 0).",
        ),
        (
            lambda: Polygon([(0, 0), (1, 0, 3), (1, 1)]),
            ValueError,
            "Polygon: outline has vertices that are not two numbers each.",
        ),
        (
            lambda: Polygon([(0, 0), (1, math.nan), (1, 1)]),
            ValueError,
            "Polygon: vertex 1 of outline is (1.0, nan).",
        ),
        (
            lambda: Polygon("square"),
            TypeError,
            "Polygon: outline is 'square'; pass vertices, or use Polygon.from_wkt, "
            "from_geojson, from_svg or from_shapely.",
        ),
        (lambda: Polygon(3), TypeError, "Polygon: outline is 3; pass vertices [n, 2]."),
        (
            lambda: Polygon([(0, 0), (1, "x"), (1, 1)]),
            TypeError,
            "Polygon: outline is [(0, 0), (1, 'x'), (1, 1)]; pass vertices [n, 2].",
        ),
        (
            lambda: Polygon(SQUARE, [[(0, 0), (3, 0), (1, 1)]]),
            ValueError,
            "Polygon: hole 0 is not inside the outline.",
        ),
        (
            lambda: Polygon(SQUARE, [[(0.1, 0.1), (0.5, 0.1)]]),
            ValueError,
            "Polygon: hole 0 has 2 different vertices; pass 3 or more.",
        ),
        (
            lambda: Polygon(SQUARE, [np.array(SQUARE) * 0.8 + 0.1, np.array(SQUARE) * 0.2 + 0.4]),
            ValueError,
            "Polygon: hole 1 is inside hole 0.",
        ),
        (
            lambda: Polygon(SQUARE, name=3),
            TypeError,
            "Polygon: name is 3; pass a text, e.g. name='wall'.",
        ),
        (
            lambda: Polygon(SQUARE, names="wall"),
            TypeError,
            "Polygon: names is 'wall'; pass a text for each edge.",
        ),
        (
            lambda: Polygon(SQUARE, names=["a", 1, "b", "c"]),
            TypeError,
            "Polygon: names is ['a', 1, 'b', 'c']; pass a text for each edge.",
        ),
        (
            lambda: Polygon(SQUARE, names=["a"]),
            ValueError,
            "Polygon: there are 1 names for 4 edges; pass one for each.",
        ),
        (
            lambda: Polygon([(0, 0), (1, 0), (1, 0), (1, 1)], names=list("abcd")),
            ValueError,
            "Polygon: vertex 2 of outline repeats the one before it.",
        ),
    ],
)
def test_vertices_that_make_no_polygon_are_refused(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()
