"""Closed outlines of straight edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dinfgrid_cuda.checks import plain

from .edges import Edges


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


def read_ring(what: str, value: Any, name: str, names: Sequence[str] | None) -> Ring:
    """Returns vertices as an outline.

    Args:
        what: it is, for messages.
        value: vertices [n, 2]; the first may be repeated at the end.
        name: of all edges, unless there are ``names`` for each.
        names: of the edges one by one, or None.

    Raises:
        TypeError, ValueError: if they are none, or enclose nothing.
    """
    vertices = _read_vertices(what, value)
    if len(vertices) > 1 and torch.equal(vertices[0], vertices[-1]):
        vertices = vertices[:-1]
    if names is not None:
        _check_names(names, len(vertices))
    again = (vertices == vertices.roll(1, 0)).all(dim=1) & (len(vertices) > 1)
    if bool(again.any()) and names is not None:
        place = int(again.nonzero()[0])
        raise ValueError(f"Polygon: vertex {place} of {what} repeats the one before it.")
    vertices = vertices[~again]
    if len(vertices) < 3:
        raise ValueError(f"Polygon: {what} has {len(vertices)} different vertices; pass 3 or more.")
    ring = Ring(vertices, list(names) if names is not None else [name] * len(vertices))
    size = float((vertices.amax(dim=0) - vertices.amin(dim=0)).norm())
    if abs(ring.area) <= 1e-14 * size**2:
        raise ValueError(
            f"Polygon: {what} encloses no area: its vertices are in a line, or its edges cross."
        )
    return ring


def _read_vertices(what: str, value: Any) -> Tensor:
    """Returns vertices [n, 2].

    Raises:
        TypeError, ValueError: if they are none, or not finite.
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
    return vertices


def _check_names(names: Sequence[str], count: int) -> None:
    """Raises TypeError, ValueError unless there is a text for each edge."""
    if isinstance(names, str) or any(not isinstance(name, str) for name in names):
        raise TypeError(f"Polygon: names is {names!r}; pass a text for each edge.")
    if len(names) != count:
        raise ValueError(
            f"Polygon: there are {len(names)} names for {count} edges; pass one for each."
        )


def check_holes(holes: list[Ring], first: int, around: Ring) -> None:
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
