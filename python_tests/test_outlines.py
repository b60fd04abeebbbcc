"""Polygons from shapely objects, WKT, GeoJSON and SVG."""

import json
import math
import re
import sys

import pytest
import torch
from cases_of_shapes import HOLE, L_SHAPE, around

from dinfgrid_cuda.geometry.shapes.polygon import Polygon

pytestmark = pytest.mark.usefixtures("one_thread")

SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
SQUARE_WKT = "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"


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


def test_a_shapely_object_in_place_of_vertices_names_the_way():
    shapely = pytest.importorskip("shapely")
    with pytest.raises(
        TypeError, match="use Polygon.from_wkt, from_geojson, from_svg or from_shapely"
    ):
        Polygon(shapely.Point(0, 0).buffer(1))


@pytest.mark.parametrize(
    ("read", "source", "error", "message"),
    [
        (
            Polygon.from_shapely,
            SQUARE,
            TypeError,
            "Polygon.from_shapely: [(0, 0), (1, 0), (1, 1), (0, 1)] is no shapely geometry.",
        ),
        (
            Polygon.from_wkt,
            "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))",
            ValueError,
            "Polygon.from_wkt: self-intersection at (0.5, 0.5).",
        ),
        (
            Polygon.from_wkt,
            "POLYGON EMPTY",
            ValueError,
            "Polygon.from_wkt: the Polygon is empty; pass a Polygon or a MultiPolygon.",
        ),
        (
            Polygon.from_wkt,
            "LINESTRING (0 0, 1 1)",
            ValueError,
            "Polygon.from_wkt: the LineString holds no polygon; pass a Polygon or a MultiPolygon.",
        ),
        (
            Polygon.from_wkt,
            3,
            TypeError,
            "Polygon.from_wkt: 3 is no text; pass e.g. 'POLYGON ((0 0, 1 0, 0 1))'.",
        ),
        (
            Polygon.from_geojson,
            3,
            TypeError,
            "Polygon.from_geojson: 3 is no dict, text or path of a file.",
        ),
        (
            Polygon.from_geojson,
            "nowhere.json",
            ValueError,
            "Polygon.from_geojson: file 'nowhere.json' cannot be read: No such file or directory.",
        ),
        (
            Polygon.from_geojson,
            {},
            ValueError,
            "Polygon.from_geojson: there is no geometry in it; pass a Feature or a Polygon.",
        ),
        (
            Polygon.from_geojson,
            "[1, 2]",
            ValueError,
            "Polygon.from_geojson: there is no geometry in it; pass a Feature or a Polygon.",
        ),
        (Polygon.from_svg, 3, TypeError, "Polygon.from_svg: 3 is no text or path of a file."),
        (
            Polygon.from_svg,
            "nowhere.svg",
            ValueError,
            "Polygon.from_svg: file 'nowhere.svg' cannot be read: No such file or directory.",
        ),
        (
            Polygon.from_svg,
            "M 0 0 L 1 1",
            ValueError,
            "Polygon.from_svg: 'M 0 0 L 1 1' encloses nothing; it holds no outline.",
        ),
        (
            Polygon.from_svg,
            "M 0 0 L 1 1 X 3",
            ValueError,
            "Polygon.from_svg: 'M 0 0 L 1 1 X 3' is no SVG path: it holds 'X'.",
        ),
        (
            Polygon.from_svg,
            "M 0 0 L 2 2 L 2 0 L 0 1 Z",
            ValueError,
            "Polygon: its edges cross at (0.6667, -0.6667).",
        ),
    ],
)
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
        (
            Polygon.from_geojson,
            {"type": "Polygon", "coordinates": 3},
            "Polygon.from_geojson: its geometry is malformed: ",
        ),
        (
            Polygon.from_geojson,
            {"type": "Polygon"},
            "Polygon.from_geojson: its geometry is malformed: ",
        ),
        (
            Polygon.from_geojson,
            {"type": "Pentagon"},
            "Polygon.from_geojson: its geometry is malformed: ",
        ),
        (Polygon.from_svg, "<svg", "Polygon.from_svg: '<svg' is no SVG: "),
        (Polygon.from_svg, "M 0 0 C 3", "Polygon.from_svg: 'M 0 0 C 3' is no SVG path: "),
    ],
)
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
