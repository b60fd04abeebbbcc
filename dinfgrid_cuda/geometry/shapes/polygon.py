"""Polygon: what straight edges enclose, with holes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_real
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_name
from .crossings import check_simple
from .edges import Edges, project
from .outlines import Part, parts_of_geojson, parts_of_shapely, parts_of_wkt
from .rings import Ring, check_holes, read_ring
from .segment import segments
from .svg import parts_of_svg


class Polygon(Shape):
    """What an outline of straight edges encloses, less its holes.

        Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], name="wall")
        Polygon(corners, names=["wall", "inlet", "wall", "outlet"])

    Args:
        outline: vertices [n, 2] in units of x, in either sense, n >= 3; the first may be repeated
            at the end.
        holes: outlines inside it.
        name: of its outer edges; those of the holes are "hole 0", "hole 1", ...
        names: of the outer edges one by one, the first from the first vertex to the second.

    Raises:
        TypeError: for what are no vertices or names.
        ValueError: for edges that cross, an outline without area, holes outside the outline.
    """

    def __init__(
        self,
        outline: Sequence[Sequence[float]] | Tensor,
        holes: Sequence[Sequence[Sequence[float]]] = (),
        name: str = "polygon",
        names: Sequence[str] | None = None,
    ) -> None:
        self._set([(outline, holes)], check_name("Polygon", name), names)

    @classmethod
    def from_shapely(cls, geometry: Any, name: str = "polygon") -> Polygon:
        """Returns a shapely Polygon, MultiPolygon or collection of these, joined, as a shape.

        Raises:
            ImportError: without shapely.
            TypeError, ValueError: for another geometry, an empty one, or crossing edges.
        """
        return cls._of(parts_of_shapely("Polygon.from_shapely", geometry), name)

    @classmethod
    def from_wkt(cls, text: str, name: str = "polygon") -> Polygon:
        """Returns the polygons in a WKT text, joined: ``"POLYGON ((0 0, 1 0, 0 1, 0 0))"``.

        Raises:
            ImportError: without shapely.
            TypeError, ValueError: for another text, an empty one, or crossing edges.
        """
        return cls._of(parts_of_wkt("Polygon.from_wkt", text), name)

    @classmethod
    def from_geojson(cls, source: Any, name: str = "polygon") -> Polygon:
        """Returns the polygons in GeoJSON, joined; its coordinates are taken as x and y.

        Args:
            source: a dict, a text or the path of a file: a geometry, Feature or FeatureCollection.
            name: of the outer edges.

        Raises:
            ImportError: without shapely.
            TypeError, ValueError: for what is none, or holds no polygon, or crossing edges.
        """
        return cls._of(parts_of_geojson("Polygon.from_geojson", source), name)

    @classmethod
    def from_svg(
        cls,
        source: str | os.PathLike[str],
        tolerance: float | None = None,
        name: str = "polygon",
    ) -> Polygon:
        """Returns the outlines in SVG as a shape, with y upwards: that of the drawing is -y.

        What lies inside an odd number of outlines is inside. Curves become edges.

        Args:
            source: a path text "M 0 0 L 1 0 ...", an SVG text "<svg ...", or the path of a file.
            tolerance: by how much edges may miss curves, in units of the drawing; by default 1e-4
                of its size. Fields near such an outline are no more accurate than that.
            name: of the outer edges.

        Raises:
            ImportError: without svgelements.
            TypeError, ValueError: for what cannot be read, encloses nothing, or crosses itself.
        """
        where = "Polygon.from_svg"
        if tolerance is not None:
            tolerance = float(check_real(where, "tolerance", tolerance, positive=True))
        return cls._of(parts_of_svg(where, source, tolerance), name)

    @classmethod
    def _of(cls, parts: list[Part], name: str) -> Polygon:
        """Returns the polygon of outlines with their holes."""
        result = object.__new__(cls)
        result._set(parts, check_name("Polygon", name))
        return result

    def _set(
        self,
        parts: Sequence[tuple[Any, Sequence[Any]]],
        name: str,
        names: Sequence[str] | None = None,
    ) -> None:
        """Takes outlines with their holes."""
        outer = [read_ring("outline", outline, name, names) for outline, _ in parts]
        holes: list[Ring] = []
        for (_, within), around in zip(parts, outer, strict=True):
            first = len(holes)
            for hole in within:
                holes.append(read_ring(f"hole {len(holes)}", hole, f"hole {len(holes)}", None))
            check_holes(holes, first, around)
        self._take([ring.turned(True) for ring in outer] + [ring.turned(False) for ring in holes])
        self.name = name

    def _take(self, rings: list[Ring]) -> None:
        """Takes outlines that run around the inside, holes the other way."""
        self.rings = rings
        starts = torch.cat([ring.vertices for ring in rings])
        ends = torch.cat([ring.vertices.roll(-1, 0) for ring in rings])
        check_simple("Polygon", starts, ends)
        self.lower = tuple(starts.amin(dim=0).tolist())
        self.upper = tuple(starts.amax(dim=0).tolist())
        self._edges = Edges(starts, ends)
        names = [name for ring in rings for name in ring.names]
        self._surfaces = tuple(segments(starts, ends, names))

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The lines through its edges; those of one name on one line are one."""
        return self._surfaces

    @property
    def corners(self) -> Tensor:
        """Its vertices [K, 2], float64."""
        return self._edges.starts

    @property
    def area(self) -> float:
        """What it encloses, less its holes."""
        return sum(ring.area for ring in self.rings)

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, 2] are inside or on an edge, [N]."""
        return self._edges.inside(x.detach().to("cpu", torch.float64)).to(x.device)

    def level(self, x: Tensor) -> Tensor:
        """Returns the signed distance [N] from the edges.

        Beside an edge it is that from its line, exact and smooth; where a vertex is closest, it is
        the distance from the vertex, its sign told by `contains`.
        """
        at = x.detach().to("cpu", torch.float64)
        edge = self._edges.nearest(at)
        start, end = self._edges.starts[edge], self._edges.ends[edge]
        place, _ = project(at, start, end)
        along = (end - start) / (end - start).norm(dim=1, keepdim=True)
        normal = torch.stack([along[:, 1], -along[:, 0]], dim=1).to(x)
        level = ((x - start.to(x)) * normal).sum(dim=1)
        beyond = ((place == 0) | (place == 1)).nonzero().reshape(-1)
        if len(beyond):
            vertex = torch.where((place == 0)[:, None], start, end)[beyond].to(x)
            sign = 1 - 2 * self._edges.inside(at[beyond]).to(x)
            level = level.index_put(
                (beyond.to(x.device),), sign * (x[beyond.to(x.device)] - vertex).norm(dim=1)
            )
        return level

    def transformed(self, rotation: Tensor, shift: Tensor, scale: float) -> Shape:
        """Returns the moved, turned and scaled polygon."""
        result = object.__new__(type(self))
        outer = [ring.area > 0 for ring in self.rings]
        moved = [Ring(scale * r.vertices @ rotation.t() + shift, r.names) for r in self.rings]
        result._take([r.turned(sense) for r, sense in zip(moved, outer, strict=True)])
        result.name = self.name
        return result

    def __repr__(self) -> str:
        outer = [ring for ring in self.rings if ring.area > 0]
        holes = len(self.rings) - len(outer)
        parts = [f"{sum(len(ring.vertices) for ring in outer)} vertices"]
        parts += [f"{len(outer)} parts"] * (len(outer) > 1)
        parts += [f"{holes} hole{'s' * (holes > 1)}"] * (holes > 0)
        return f"Polygon({', '.join(parts)})"
