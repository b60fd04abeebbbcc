"""Outlines read from shapely objects, WKT and GeoJSON."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, as_tensor, float64

# An outline [n, 2] with its holes [m, 2].
Part = tuple[Tensor, list[Tensor]]


def shapely_module(where: str) -> ModuleType:
    """Returns shapely.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import shapely
    except ImportError as error:
        raise ImportError(f"{where} needs shapely: pip install shapely") from error
    module: ModuleType = shapely
    return module


def parts_of_shapely(where: str, geometry: Any) -> list[Part]:
    """Returns the outlines of a shapely Polygon, MultiPolygon or collection of these.

    Raises:
        TypeError: for what is no geometry.
        ValueError: for one without polygons, or with crossing edges.
    """
    shapely = shapely_module(where)
    if not isinstance(geometry, shapely.Geometry):
        raise TypeError(f"{where}: {geometry!r:.60} is no shapely geometry.")
    polygons = [part for part in _flat(shapely, geometry) if part.geom_type == "Polygon"]
    polygons = [part for part in polygons if not part.is_empty]
    if not polygons:
        what = "is empty" if geometry.is_empty else "holds no polygon"
        raise ValueError(
            f"{where}: the {geometry.geom_type} {what}; pass a Polygon or a MultiPolygon."
        )
    for part in polygons:
        if not part.is_valid:
            raise ValueError(f"{where}: {_reason(shapely.is_valid_reason(part))}.")
    whole = polygons[0] if len(polygons) == 1 else shapely.union_all(polygons)
    return [
        (_vertices(shapely, part.exterior), [_vertices(shapely, ring) for ring in part.interiors])
        for part in _flat(shapely, whole)
    ]


def parts_of_wkt(where: str, text: str) -> list[Part]:
    """Returns the outlines in a WKT text.

    Raises:
        TypeError, ValueError: if it is none, or holds no polygon.
    """
    if not isinstance(text, str):
        raise TypeError(f"{where}: {text!r:.60} is no text; pass e.g. 'POLYGON ((0 0, 1 0, 0 1))'.")
    shapely = shapely_module(where)
    try:
        geometry = shapely.from_wkt(text)
    except shapely.errors.ShapelyError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{where}: {text!r:.60} is no WKT: {reason}.") from error
    return parts_of_shapely(where, geometry)


def parts_of_geojson(where: str, source: Any) -> list[Part]:
    """Returns the outlines in a GeoJSON dict, text or file, with all its features.

    Raises:
        TypeError, ValueError: if it is none, or holds no polygon.
    """
    shapely = shapely_module(where)
    content = source if isinstance(source, dict) else _read_json(where, source)
    geometries = [geometry for geometry in _geometries(content) if geometry]
    if not geometries:
        raise ValueError(f"{where}: there is no geometry in it; pass a Feature or a Polygon.")
    try:
        shapes = [shapely.geometry.shape(geometry) for geometry in geometries]
    except (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{where}: its geometry is malformed: {error}.") from error
    return parts_of_shapely(
        where, shapes[0] if len(shapes) == 1 else shapely.GeometryCollection(shapes)
    )


def _read_json(where: str, source: Any) -> Any:
    """Returns what is in a text or file."""
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"{where}: {source!r:.60} is no dict, text or path of a file.")
    text = source if isinstance(source, str) and source.lstrip()[:1] in ("{", "[") else None
    if text is None:
        text = read_text(where, source)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: {str(source)!r:.60} is no JSON: {error}.") from error


def read_text(where: str, path: str | os.PathLike[str]) -> str:
    """Returns the text of a file.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"{where}: file {str(path)!r:.80} cannot be read: {reason}.") from error


def _geometries(content: Any) -> list[Any]:
    """Returns the geometries of a Feature, a FeatureCollection or a geometry."""
    if not isinstance(content, dict):
        return []
    if content.get("type") == "FeatureCollection":
        features = content.get("features") or []
        return [geometry for feature in features for geometry in _geometries(feature)]
    if content.get("type") == "Feature":
        return [content.get("geometry")]
    return [content] if "type" in content else []


def _flat(shapely: ModuleType, geometry: Any) -> list[Any]:
    """Returns the single parts of a geometry, of collections in collections too."""
    parts = list(getattr(geometry, "geoms", [geometry]))
    if parts == [geometry]:
        return parts
    return [single for part in parts for single in _flat(shapely, part)]


def _vertices(shapely: ModuleType, ring: Any) -> Tensor:
    """Returns the vertices [n, 2] of a ring; a third coordinate is left out."""
    return as_tensor(shapely.get_coordinates(ring), dtype=float64)


def _reason(text: str) -> str:
    """Returns "self-intersection at (0.5, 0.5)" for what shapely says."""
    found = re.fullmatch(r"(.*)\[(\S+) (\S+)\]", text)
    if found is None:
        return text.lower()
    what, x, y = found.groups()
    return f"{what.lower()} at ({float(x):g}, {float(y):g})"
