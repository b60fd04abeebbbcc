"""Polygons: levels against shapely, outlines from everywhere, names, and what is refused."""

import json
import math
import re
import sys
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


# Reading


def test_shapely_wkt_geojson_and_vertices_agree(tmp_path):
    shapely = pytest.importorskip("shapely")
    twin = shapely.Polygon(L_SHAPE, [HOLE])
    geometry = shapely.geometry.mapping(twin)
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    empty = {"type": "Feature", "properties": {}, "geometry": None}
    path = tmp_path / "land.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature, empty]}))
    x = around(Polygon(L_SHAPE), 2000)
    expected = Polygon(L_SHAPE, [HOLE]).level(x)
    for polygon in (
        Polygon.from_shapely(twin, name="land"),
        Polygon.from_wkt(twin.wkt, name="land"),
        Polygon.from_geojson(json.loads(json.dumps(geometry)), name="land"),
        Polygon.from_geojson(json.dumps(feature), name="land"),
        Polygon.from_geojson(path, name="land"),
        Polygon.from_geojson(str(path), name="land"),
    ):
        assert polygon.names == ("land", "hole 0")
        torch.testing.assert_close(polygon.level(x), expected, rtol=0, atol=1e-14)


def test_several_polygons_are_joined():
    shapely = pytest.importorskip("shapely")
    apart = Polygon.from_wkt("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((3 3, 4 3, 4 4, 3 3)))")
    assert repr(apart) == "Polygon(6 vertices, 2 parts)"
    assert apart.area == pytest.approx(1)
    assert (apart.lower, apart.upper) == ((0, 0), (4, 4))
    neighbours = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": shapely.geometry.mapping(shapely.box(k, 0, k + 1, 1))}
            for k in range(2)
        ],
    }
    joined = Polygon.from_geojson(neighbours)
    assert bool(joined.contains(torch.tensor([[1.0, 0.5]])))
    assert float(joined.level(torch.tensor([[1.0, 0.5]]).double())) == -0.5
    x = torch.rand(100, 2, dtype=torch.float64) * 4
    assert torch.equal(apart.scaled(2).contains(2 * x), apart.contains(x))


CIRCLE = "m -2 0 a 2 2 0 1 0 4 0 a 2 2 0 1 0 -4 0 Z"


def test_svg_paths_are_flattened_to_the_tolerance_and_turned_upright():
    pytest.importorskip("svgelements")
    path = f"M 0 0 H 10 V 10 H 0 Z M 5 5 {CIRCLE} M 5 5 m 0.5 0.5 h -1 v -1 h 1 z"
    areas = []
    for tolerance in (1e-2, 1e-4, 1e-6):
        polygon = Polygon.from_svg(path, tolerance, name="sheet")
        areas.append(abs(polygon.area - (100 - 4 * math.pi + 1)))
        # A chord misses by at most the tolerance, over all of the circumference.
        assert areas[-1] <= tolerance * 4 * math.pi
        hole = polygon.rings[2].vertices - torch.tensor([5.0, -5.0])
        assert float((hole.norm(dim=1) - 2).abs().max()) <= 1e-6
    assert areas[2] < areas[1] < areas[0]
    assert polygon.names == ("sheet", "hole 0")
    assert polygon.lower == (0, -10)
    assert polygon.upper == (10, 0)
    assert polygon.contains(torch.tensor([[5.0, -5], [6, -6], [8, -8]])).tolist() == [
        True,
        False,
        True,
    ]


def test_svg_files_and_texts_are_read_with_their_transforms(tmp_path):
    pytest.importorskip("svgelements")
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" width="100" height="50">'
        '<g transform="translate(10 20)"><rect x="0" y="0" width="10" height="5"/></g>'
        '<path d="M 50 0 C 60 0 60 10 50 10 Z"/></svg>'
    )
    file = tmp_path / "drawing.svg"
    file.write_text(text)
    for polygon in (Polygon.from_svg(text), Polygon.from_svg(file), Polygon.from_svg(str(file))):
        assert len(polygon.rings) == 2
        assert polygon.lower[0] == pytest.approx(10)
        assert polygon.lower[1] == pytest.approx(-25)
        # under x = 50 + 30 s (1 - s), y = 30 s² - 20 s³: 1800 times the integral of s² (1 - s)²
        assert polygon.area == pytest.approx(50 + 60, rel=1e-3)


# What is refused


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Polygon([(0, 0), (1, 0)]), ValueError, "Polygon: outline has 2 different vertices; pass 3 or more."),
        (lambda: Polygon([]), ValueError, "Polygon: outline has 0 different vertices; pass 3 or more."),
        (lambda: Polygon([(0, 0), (1, 1), (2, 2)]), ValueError, "Polygon: outline encloses no area."),
        (lambda: Polygon([(0, 0), (1, 1), (1, 0), (0, 1.0)]), ValueError, "Polygon: outline encloses no area."),
        (lambda: Polygon([(0, 0), (2, 2), (2, 0), (0, 1)]), ValueError, "Polygon: its edges cross at (0.666667, 0.666667)."),
        (lambda: Polygon([(0, 0), (2, 0), (2, 1), (2, -1), (0, -1)]), ValueError, "Polygon: its edges cross: one runs on the other from (2, 0)."),
        (lambda: Polygon([(0, 0), (1, 0, 3), (1, 1)]), ValueError, "Polygon: outline has vertices that are not two numbers each."),
        (lambda: Polygon([(0, 0), (1, math.nan), (1, 1)]), ValueError, "Polygon: vertex 1 of outline is (1.0, nan)."),
        (lambda: Polygon("square"), TypeError, "Polygon: outline is 'square'; pass vertices, or use Polygon.from_wkt, from_geojson, from_svg or from_shapely."),
        (lambda: Polygon(3), TypeError, "Polygon: outline is 3; pass vertices [n, 2]."),
        (lambda: Polygon([(0, 0), (1, "x"), (1, 1)]), TypeError, "Polygon: outline is [(0, 0), (1, 'x'), (1, 1)]; pass vertices [n, 2]."),
        (lambda: Polygon(SQUARE, [[(0, 0), (3, 0), (1, 1)]]), ValueError, "Polygon: hole 0 is not inside the outline."),
        (lambda: Polygon(SQUARE, [[(0.1, 0.1), (0.5, 0.1)]]), ValueError, "Polygon: hole 0 has 2 different vertices; pass 3 or more."),
        (lambda: Polygon(SQUARE, [np.array(SQUARE) * 0.8 + 0.1, np.array(SQUARE) * 0.2 + 0.4]), ValueError, "Polygon: hole 1 is inside hole 0."),
        (lambda: Polygon(SQUARE, name=3), TypeError, "Polygon: name is 3; pass a text, e.g. name='wall'."),
        (lambda: Polygon(SQUARE, names="wall"), TypeError, "Polygon: names is 'wall'; pass a text for each edge."),
        (lambda: Polygon(SQUARE, names=["a", 1, "b", "c"]), TypeError, "Polygon: names is ['a', 1, 'b', 'c']; pass a text for each edge."),
        (lambda: Polygon(SQUARE, names=["a"]), ValueError, "Polygon: there are 1 names for 4 edges; pass one for each."),
        (lambda: Polygon([(0, 0), (1, 0), (1, 0), (1, 1)], names=list("abcd")), ValueError, "Polygon: vertex 2 of outline repeats the one before it."),
    ],
)  # fmt: skip
def test_vertices_that_make_no_polygon_are_refused(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()


def test_a_shapely_object_in_place_of_vertices_names_the_way():
    shapely = pytest.importorskip("shapely")
    with pytest.raises(
        TypeError, match="use Polygon.from_wkt, from_geojson, from_svg or from_shapely"
    ):
        Polygon(shapely.Point(0, 0).buffer(1))


@pytest.mark.parametrize(
    ("read", "source", "error", "message"),
    [
        (Polygon.from_shapely, SQUARE, TypeError, "Polygon.from_shapely: [(0, 0), (1, 0), (1, 1), (0, 1)] is no shapely geometry."),
        (Polygon.from_wkt, "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))", ValueError, "Polygon.from_wkt: self-intersection at (0.5, 0.5)."),
        (Polygon.from_wkt, "POLYGON EMPTY", ValueError, "Polygon.from_wkt: the Polygon is empty; pass a Polygon or a MultiPolygon."),
        (Polygon.from_wkt, "LINESTRING (0 0, 1 1)", ValueError, "Polygon.from_wkt: the LineString holds no polygon; pass a Polygon or a MultiPolygon."),
        (Polygon.from_wkt, 3, TypeError, "Polygon.from_wkt: 3 is no text; pass e.g. 'POLYGON ((0 0, 1 0, 0 1))'."),
        (Polygon.from_geojson, 3, TypeError, "Polygon.from_geojson: 3 is no dict, text or path of a file."),
        (Polygon.from_geojson, "nowhere.json", ValueError, "Polygon.from_geojson: file 'nowhere.json' cannot be read: No such file or directory."),
        (Polygon.from_geojson, {}, ValueError, "Polygon.from_geojson: there is no geometry in it; pass a Feature or a Polygon."),
        (Polygon.from_geojson, "[1, 2]", ValueError, "Polygon.from_geojson: there is no geometry in it; pass a Feature or a Polygon."),
        (Polygon.from_svg, 3, TypeError, "Polygon.from_svg: 3 is no text or path of a file."),
        (Polygon.from_svg, "nowhere.svg", ValueError, "Polygon.from_svg: file 'nowhere.svg' cannot be read: No such file or directory."),
        (Polygon.from_svg, "M 0 0 L 1 1", ValueError, "Polygon.from_svg: 'M 0 0 L 1 1' encloses nothing; it holds no outline."),
        (Polygon.from_svg, "M 0 0 L 1 1 X 3", ValueError, "Polygon.from_svg: 'M 0 0 L 1 1 X 3' is no SVG path: it holds 'X'."),
        (Polygon.from_svg, "M 0 0 L 2 2 L 2 0 L 0 1 Z", ValueError, "Polygon: its edges cross at (0.666667, -0.666667)."),
    ],
)  # fmt: skip
def test_sources_that_hold_no_polygon_are_refused(read, source, error, message):
    pytest.importorskip("shapely")
    pytest.importorskip("svgelements")
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        read(source)


@pytest.mark.parametrize(
    ("read", "source", "message"),
    [
        (Polygon.from_wkt, "what", "Polygon.from_wkt: 'what' is no WKT: "),
        (Polygon.from_geojson, "{", "Polygon.from_geojson: '{' is no JSON: "),
        (Polygon.from_geojson, {"type": "Polygon", "coordinates": 3}, "Polygon.from_geojson: its geometry is malformed: "),
        (Polygon.from_geojson, {"type": "Polygon"}, "Polygon.from_geojson: its geometry is malformed: "),
        (Polygon.from_geojson, {"type": "Pentagon"}, "Polygon.from_geojson: its geometry is malformed: "),
        (Polygon.from_svg, "<svg", "Polygon.from_svg: '<svg' is no SVG: "),
        (Polygon.from_svg, "M 0 0 C 3", "Polygon.from_svg: 'M 0 0 C 3' is no SVG path: "),
    ],
)  # fmt: skip
def test_malformed_sources_are_refused(read, source, message):
    pytest.importorskip("shapely")
    pytest.importorskip("svgelements")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read(source)


def test_files_that_are_no_text_are_refused(tmp_path):
    pytest.importorskip("svgelements")
    file = tmp_path / "picture.svg"
    file.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match="cannot be read: it is no text."):
        Polygon.from_svg(file)


def test_a_tolerance_must_be_positive():
    with pytest.raises(ValueError, match=re.escape("Polygon.from_svg: tolerance is 0; it must be")):
        Polygon.from_svg("M 0 0 L 1 0 L 1 1 Z", 0)


@pytest.mark.parametrize(
    ("module", "read"),
    [
        ("shapely", Polygon.from_wkt),
        ("shapely", Polygon.from_geojson),
        ("svgelements", Polygon.from_svg),
    ],
)
def test_a_library_that_is_missing_is_named(module, read, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"{read.__name__} needs {module}: pip install {module}"):
        read("{}" if "json" in read.__name__ else SQUARE_WKT)


def test_vertices_need_no_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "shapely", None)
    assert Polygon(SQUARE).area == 1
