"""Outlines read from SVG: path texts and files, curves flattened."""

from __future__ import annotations

import io
import math
import os
import re
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .edges import Edges, project
from .outlines import Part, read_text

# of the size of the drawing
TOLERANCE = 1e-4
MOST = 4096


def parts_of_svg(where: str, source: Any, tolerance: float | None) -> list[Part]:
    """Returns the outlines in a path text, an SVG text or an SVG file, y upwards.

    What lies inside an odd number of outlines is inside.

    Args:
        where: for messages.
        source: "M 0 0 L 1 0 ...", "<svg ...", or the path of a file.
        tolerance: by how much curves may be missed, in the units of the drawing; by default 1e-4 of
            its size.

    Raises:
        ImportError: without svgelements.
        TypeError, ValueError: for what cannot be read or encloses nothing.
    """
    try:
        import svgelements
    except ImportError as error:
        raise ImportError(f"{where} needs svgelements: pip install svgelements") from error
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"{where}: {source!r:.60} is no text or path of a file.")
    paths = _paths(where, svgelements, source)
    pieces = [list(path.as_subpaths()) for path in paths]
    boxes = [path.bbox() for path in paths if len(path)]
    if not any(boxes):
        raise ValueError(f"{where}: {str(source)!r:.60} encloses nothing; it holds no outline.")
    if tolerance is None:
        tolerance = TOLERANCE * max(
            max(box[2] - box[0], box[3] - box[1]) for box in boxes if box is not None
        )
    rings = [_flatten(svgelements, piece, tolerance) for path in pieces for piece in path]
    rings = [ring for ring in rings if len(torch.unique(ring, dim=0)) > 2]
    if not rings:
        raise ValueError(f"{where}: {str(source)!r:.60} encloses nothing; it holds no outline.")
    return nest(rings)


def _paths(where: str, svgelements: ModuleType, source: str | os.PathLike[str]) -> list[Any]:
    """Returns the paths of a source, their transforms applied."""
    text = str(source).lstrip() if isinstance(source, str) else ""
    if re.match(r"[Mm][\s,+.\d-]", text):
        odd = re.search(r"[^MmZzLlHhVvCcSsQqTtAaeE0-9\s,.+-]", text)
        if odd is not None:
            raise ValueError(f"{where}: {text!r:.60} is no SVG path: it holds {odd.group()!r}.")
        try:
            return [svgelements.Path(text)]
        except (ValueError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"{where}: {text!r:.60} is no SVG path: {error}.") from error
    document = text if text.startswith("<") else read_text(where, source)
    try:
        drawing = svgelements.SVG.parse(io.StringIO(document), reify=True)
    except Exception as error:  # the parser of XML raises its own
        raise ValueError(f"{where}: {str(source)!r:.60} is no SVG: {error}.") from error
    return [
        abs(svgelements.Path(element))
        for element in drawing.elements()
        if isinstance(element, svgelements.Shape) and len(svgelements.Path(element))
    ]


def _flatten(svgelements: ModuleType, piece: Any, tolerance: float) -> Tensor:
    """Returns the vertices [n, 2] of one outline, y upwards."""
    vertices: list[tuple[float, float]] = []
    for segment in svgelements.Path(piece):
        if segment.end is None:
            continue
        if isinstance(segment, (svgelements.Move, svgelements.Line, svgelements.Close)):
            vertices.append((segment.end.x, -segment.end.y))
            continue
        count = 1
        while count < MOST and _sagitta(segment, count) > tolerance:
            count *= 2
        places = segment.npoint([k / count for k in range(1, count)]) if count > 1 else []
        vertices += [(float(x), -float(y)) for x, y in places]
        vertices.append((segment.end.x, -segment.end.y))
    ring = torch.tensor(vertices, dtype=torch.float64).reshape(-1, 2)
    size = float((ring.amax(dim=0) - ring.amin(dim=0)).norm()) if len(ring) else 0.0
    # Texts round what transforms have moved: an end this close to the start is the start.
    if len(ring) > 1 and float((ring[0] - ring[-1]).norm()) <= 1e-9 * size:
        ring = ring[:-1]
    return ring


def _sagitta(segment: Any, count: int) -> float:
    """Returns by how much ``count`` chords miss a curve, as seen at their quarters."""
    places = torch.arange(4 * count + 1, dtype=torch.float64) / (4 * count)
    points = torch.as_tensor(segment.npoint(places.numpy()), dtype=torch.float64)
    start, end = points[:-1:4], points[4::4]
    _, squares = project(points[:-1].reshape(count, 4, 2), start[:, None], end[:, None])
    return math.sqrt(float(squares.nan_to_num(nan=math.inf).max()))


def nest(rings: list[Tensor]) -> list[Part]:
    """Returns outlines that lie in an even number of others, with those just inside as holes."""
    edges = [Edges(ring, ring.roll(-1, 0)) for ring in rings]
    middles = [0.5 * (ring + ring.roll(-1, 0)) for ring in rings]
    around = [
        [
            j
            for j in range(len(rings))
            if j != i and float(edges[j].inside(middles[i]).float().mean()) > 0.5
        ]
        for i in range(len(rings))
    ]
    parts: dict[int, Part] = {
        i: (rings[i], []) for i in range(len(rings)) if len(around[i]) % 2 == 0
    }
    for i in range(len(rings)):
        if len(around[i]) % 2:
            parent = max(around[i], key=lambda j: len(around[j]))
            parts[parent][1].append(rings[i])
    return list(parts.values())
