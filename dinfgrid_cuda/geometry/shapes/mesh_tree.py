"""Distances from a triangle surface, and which side of it a point is on; by libigl."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .mesh_input import INSTALL, Floats, Indices, Triangles

Flags = npt.NDArray[np.bool_]

# Winding numbers come in float32: nearer to the surface than this, in diagonals, the side is told
# by the normal at the closest point instead. Measured: they are right down to 1e-7.
NEAR = 1e-5
# Points of triangles nearer to an edge than this, in diagonals, lie on it: some roundings. Measured
# around the corners and edges of sharp stars: all points 1e-12 away are on the right side; with
# 1e-13 some are not.
ON_EDGE = 2e-15


@dataclass(frozen=True)
class Closest:
    """Points of a surface that are closest to given ones.

    Attributes:
        distances: [N].
        faces: triangles [N].
        places: the closest points [N, 3].
        away: from these to the given ones, [N, 3].
        local: the closest points from the middle of the mesh, less rounded.
    """

    distances: Floats
    faces: Indices
    places: Floats
    away: Floats
    local: Floats


class TriangleTree:
    """A tree over the triangles of a mesh.

    Args:
        mesh: its triangles; their normals point outward.
        closed: whether it is closed and does not cross itself; else sides are told by winding
            numbers alone.

    Raises:
        ModuleNotFoundError: without libigl.
    """

    def __init__(self, mesh: Triangles, closed: bool = True) -> None:
        self.closed = closed
        self._igl = libigl()
        doubled = np.linalg.norm(mesh.crosses, axis=1)
        # Triangles without an area have no normal, and what they cover belongs to others too.
        flat = doubled <= 1e-14 * mesh.diagonal * _longest(mesh)
        self.mesh = Triangles(mesh.vertices, np.ascontiguousarray(mesh.faces[~flat]))
        self.diagonal = mesh.diagonal
        self.areas = doubled[~flat] / 2
        self.normals: Floats = self.mesh.crosses / doubled[~flat, None]
        self._edge_normals, self._vertex_normals = self._means()
        # About its middle, so that far from the origin nothing more is lost to rounding.
        self._middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
        self._local = mesh.vertices - self._middle
        self._unit = self._local / self.diagonal
        self._tree = self._built()

    def _built(self) -> Any:
        tree = self._igl.AABB()
        tree.init(self._local, self.mesh.faces)
        return tree

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tree": None, "_igl": None}  # neither can be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._igl = libigl()
        self._tree = self._built()

    def _means(self) -> tuple[Floats, Floats]:
        """Returns sums of normals at edges [F, 3, 3] (opposite corner i) and at vertices [V, 3].

        At vertices they are weighted by the angle; the side of a point is then the sign of its
        offset along the sum: Baerentzen and Aanaes, "Signed distance computation using the angle
        weighted pseudonormal", 2005.
        """
        faces, corners = self.mesh.faces, self.mesh.corners
        edges = np.sort(np.stack([faces[:, [1, 2]], faces[:, [2, 0]], faces[:, [0, 1]]], 1), 2)
        keys = edges[..., 0] * len(self.mesh.vertices) + edges[..., 1]
        numbers = np.unique(keys, return_inverse=True)[1].reshape(-1)
        each = np.repeat(self.normals, 3, axis=0)
        at_edges = np.stack([np.bincount(numbers, each[:, k]) for k in range(3)], axis=1)
        forward = np.roll(corners, -1, axis=1) - corners
        backward = np.roll(corners, 1, axis=1) - corners
        sines = np.linalg.norm(np.cross(forward, backward), axis=2)
        angles = np.arctan2(sines, (forward * backward).sum(axis=2))
        weighted = each * angles.reshape(-1, 1)
        at_vertices: Floats = np.stack(
            [
                np.bincount(faces.reshape(-1), weighted[:, k], len(self.mesh.vertices))
                for k in range(3)
            ],
            axis=1,
        )
        per_triangle: Floats = at_edges[numbers].reshape(-1, 3, 3)
        return per_triangle, at_vertices

    def closest(self, points: Floats) -> Closest:
        """Returns the points of the surface closest to points [N, 3]."""
        local = np.ascontiguousarray(points - self._middle)
        if not len(points):
            return Closest(np.zeros(0), np.zeros(0, dtype=np.int64), local, local, local)
        _, faces, places = self._tree.squared_distance(self._local, self.mesh.faces, local)
        away = local - places
        return Closest(np.linalg.norm(away, axis=1), faces, places + self._middle, away, places)

    def normals_at(self, faces: Indices, places: Floats) -> Floats:
        """Returns outward vectors at points of triangles, [N, 3], of any length.

        Those of the triangle inside it, the sums of those around an edge or a corner.

        Args:
            faces: triangles [N].
            places: on them [N, 3], from the middle of the mesh.
        """
        corners = self._local[self.mesh.faces[faces]]
        edges = corners[:, [2, 0, 1]] - corners[:, [1, 2, 0]]
        offsets = places[:, None] - corners[:, [1, 2, 0]]
        heights = (np.cross(edges, offsets) * self.normals[faces][:, None]).sum(axis=2)
        # On the edge opposite i.
        on = heights < ON_EDGE * self.diagonal * np.linalg.norm(edges, axis=2)
        result: Floats = self.normals[faces].copy()
        single = on.sum(axis=1) == 1
        result[single] = self._edge_normals[faces[single], on[single].argmax(axis=1)]
        corner = on.sum(axis=1) >= 2
        which = np.where(on[corner].all(axis=1), 0, (~on[corner]).argmax(axis=1))
        result[corner] = self._vertex_normals[self.mesh.faces[faces[corner], which]]
        return result

    def winding(self, points: Floats) -> Floats:
        """Returns the generalised winding number [N], 1 inside and 0 outside a closed surface.

        Barill et al., "Fast winding numbers for soups and clouds", 2018; to about 0.01, and wrong
        closer than 1e-7 diagonals to the surface.
        """
        if not len(points):
            return np.zeros(0)
        scaled = np.ascontiguousarray((points - self._middle) / self.diagonal)
        numbers: Floats = self._igl.fast_winding_number(self._unit, self.mesh.faces, scaled)
        return numbers

    def inside(self, points: Floats) -> Flags:
        """Whether points are inside: the winding number exceeds 1/2, [N]."""
        return self.sides(points, self.closest(points))

    def sides(self, points: Floats, closest: Closest) -> Flags:
        """Whether points are inside, [N], where their closest points are known."""
        close = closest.distances < NEAR * self.diagonal
        tested = points.copy()
        outward = self.normals_at(closest.faces[close], closest.local[close])
        outward /= np.linalg.norm(outward, axis=1, keepdims=True).clip(1e-300)
        behind = (closest.away[close] * outward).sum(axis=1) <= 0
        # Further along the normal the number is the same, and can be trusted.
        step = NEAR * self.diagonal * np.where(behind, -1.0, 1.0)
        tested[close] = closest.places[close] + step[:, None] * outward
        result: Flags = self.winding(tested) > 0.5
        if self.closed:
            result[close] = behind  # walls may be thinner than that step
        return result


def libigl() -> Any:
    """Returns the module igl.

    Raises:
        ModuleNotFoundError: that says how to get it.
    """
    try:
        return importlib.import_module("igl")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"Mesh: requires libigl; {INSTALL}", name="igl") from error


def _longest(mesh: Triangles) -> Floats:
    """Returns the longest edge of each triangle, [F]."""
    corners = mesh.corners
    lengths: Floats = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    return lengths
