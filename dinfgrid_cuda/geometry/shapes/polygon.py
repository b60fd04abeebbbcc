"""Polygon: what straight edges enclose, with holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dinfgrid_cuda.checks import plain
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.surface import Surface

from .arguments import check_name
from .crossings import check_simple
from .edges import Edges, project
from .segment import segments


class Ring(NamedTuple):
    """A closed outline.

    Attributes:
        vertices: [n, 2], float64, each once.
        names: of the n edges, the first from vertex 0 to vertex 1.
    """

    vertices: Tensor
    names: list[str]

    @property
    def area(self) -> float:
        """What it encloses, positive if it runs counter-clockwise."""
        away = self.vertices - self.vertices.mean(dim=0)
        after = away.roll(-1, 0)
        return 0.5 * float((away[:, 0] * after[:, 1] - away[:, 1] * after[:, 0]).sum())

    def turned(self, counter_clockwise: bool) -> Ring:
        """Returns the same outline in the given sense."""
        if (self.area > 0) == counter_clockwise:
            return self
        return Ring(self.vertices.flip(0), [*self.names[-2::-1], self.names[-1]])


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

    def _set(
        self,
        parts: Sequence[tuple[Any, Sequence[Any]]],
        name: str,
        names: Sequence[str] | None = None,
    ) -> None:
        """Takes outlines with their holes."""
        outer = [_ring("outline", outline, name, names) for outline, _ in parts]
        holes: list[Ring] = []
        for (_, within), around in zip(parts, outer, strict=True):
            first = len(holes)
            for hole in within:
                holes.append(_ring(f"hole {len(holes)}", hole, f"hole {len(holes)}", None))
            _check_inside(holes, first, around)
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
        place = project(at, start, end)
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


def _ring(what: str, value: Any, name: str, names: Sequence[str] | None) -> Ring:
    """Returns vertices as an outline.

    Raises:
        TypeError, ValueError: if they are none, or enclose nothing.
    """
    if isinstance(value, str) or hasattr(value, "geom_type"):
        raise TypeError(
            f"Polygon: {what} is {value!r:.60}; pass vertices, or use Polygon.from_wkt, "
            "from_geojson, from_svg or from_shapely."
        )
    try:
        rows = [[float(entry) for entry in plain(row)] for row in plain(value)]
    except (TypeError, ValueError) as error:
        raise TypeError(f"Polygon: {what} is {value!r:.60}; pass vertices [n, 2].") from error
    if any(len(row) != 2 for row in rows):
        raise ValueError(f"Polygon: {what} has vertices that are not two numbers each.")
    vertices = torch.tensor(rows, dtype=torch.float64).reshape(-1, 2)
    if not bool(vertices.isfinite().all()):
        place = int((~vertices.isfinite()).any(dim=1).nonzero()[0])
        raise ValueError(f"Polygon: vertex {place} of {what} is {tuple(rows[place])}.")
    if len(vertices) > 1 and torch.equal(vertices[0], vertices[-1]):
        vertices = vertices[:-1]
    if names is not None:
        _check_names(names, len(vertices))
    again = (vertices == vertices.roll(1, 0)).all(dim=1) if len(vertices) > 1 else None
    if again is not None and bool(again.any()):
        if names is not None:
            place = int(again.nonzero()[0])
            raise ValueError(f"Polygon: vertex {place} of {what} repeats the one before it.")
        vertices = vertices[~again]
    if len(vertices) < 3:
        raise ValueError(f"Polygon: {what} has {len(vertices)} different vertices; pass 3 or more.")
    ring = Ring(vertices, list(names) if names is not None else [name] * len(vertices))
    size = float((vertices.amax(dim=0) - vertices.amin(dim=0)).norm())
    if abs(ring.area) <= 1e-14 * size**2:
        raise ValueError(f"Polygon: {what} encloses no area.")
    return ring


def _check_names(names: Sequence[str], count: int) -> None:
    """Raises TypeError, ValueError unless there is a text for each edge."""
    if isinstance(names, str) or any(not isinstance(name, str) for name in names):
        raise TypeError(f"Polygon: names is {names!r}; pass a text for each edge.")
    if len(names) != count:
        raise ValueError(
            f"Polygon: there are {len(names)} names for {count} edges; pass one for each."
        )


def _check_inside(holes: list[Ring], first: int, around: Ring) -> None:
    """Raises ValueError unless holes from ``first`` on are in an outline, not in one another."""
    outline = Edges(around.vertices, around.vertices.roll(-1, 0))
    own = [Edges(hole.vertices, hole.vertices.roll(-1, 0)) for hole in holes[first:]]
    for k, hole in enumerate(holes[first:]):
        middles = 0.5 * (hole.vertices + hole.vertices.roll(-1, 0))
        if not bool(outline.inside(middles).all()):
            raise ValueError(f"Polygon: hole {first + k} is not inside the outline.")
        for j, other in enumerate(own):
            if j != k and bool(other.inside(middles).all()):
                raise ValueError(f"Polygon: hole {first + k} is inside hole {first + j}.")
