"""Checks of a triangle surface: closed, oriented outward, not crossing itself; cavities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.warn import warn_user

from .mesh_input import Edges, Floats, Indices, Triangles, meetings
from .mesh_tree import TriangleTree, libigl

WINDING = 'inside="winding" takes it as it is: inside is where its winding number exceeds 1/2'
EMPTY = 1e-12  # of the diagonal cubed: the least volume of a body
SMALL = 1e-5  # of the diagonal: triangles smaller than this are not tested for crossings
MOST_TESTED = 50_000  # triangles, evenly


def closed_tree(mesh: Triangles) -> TriangleTree:
    """Returns a tree of a watertight mesh, all normals pointing out of it and into cavities.

    Raises:
        ValueError: if it is not closed, crosses itself, cannot be oriented or has no volume.
    """
    edges = meetings(mesh)
    if len(edges.open) or len(edges.crowded):
        raise ValueError(f"Mesh: not watertight: {_faults(mesh, edges)}. Repair it, or {WINDING}.")
    faces, bodies = libigl().bfs_orient(mesh.faces)
    mesh = Triangles(mesh.vertices, np.ascontiguousarray(faces))
    twisted = meetings(mesh).twisted
    if len(twisted):
        raise ValueError(
            f"Mesh: cannot be oriented: it has one side only, as a Moebius strip or a Klein bottle "
            f"has, near {_place(mesh, twisted)}."
        )
    tree = TriangleTree(_oriented(mesh, bodies))
    _check_crossings(tree)
    return tree


def wound_tree(mesh: Triangles) -> TriangleTree:
    """Returns a tree of any surface, oriented as well as can be, for tests by winding number.

    Raises:
        ValueError: if it encloses nothing.
    """
    edges = meetings(mesh)
    if len(edges.twisted):
        mesh = Triangles(mesh.vertices, np.ascontiguousarray(libigl().bfs_orient(mesh.faces)[0]))
    if mesh.volume < 0:
        mesh = Triangles(mesh.vertices, np.ascontiguousarray(mesh.faces[:, ::-1]))
    tree = TriangleTree(mesh, closed=False)
    behind = _beside(tree)[1]
    if not (behind > 0.5).any():
        raise ValueError(
            f"Mesh: it encloses nothing: the winding number exceeds 1/2 nowhere behind its "
            f"{len(mesh.faces)} triangles."
        )
    if len(edges.open):
        warn_user(
            f"Mesh: {_faults(mesh, edges)}; the shape ends there where the winding number is 1/2, "
            "but no points are taken on that part of its boundary."
        )
    return tree


def _faults(mesh: Triangles, edges: Edges) -> str:
    """Says which edges are open or belong to more than two triangles."""
    parts = []
    if len(edges.open):
        parts.append(
            f"{len(edges.open)} open edges (of one triangle only) near {_place(mesh, edges.open)}"
        )
    if len(edges.crowded):
        parts.append(
            f"{len(edges.crowded)} edges of more than two triangles (non-manifold) near "
            f"{_place(mesh, edges.crowded)}"
        )
    if len(edges.twisted):
        parts.append(f"{len(edges.twisted)} edges with triangles of opposite orientation")
    return ", ".join(parts)


def _place(mesh: Triangles, edges: Indices) -> str:
    """Returns the middle of the first edge, for a message."""
    middle = mesh.vertices[edges[0]].mean(axis=0)
    return "(" + ", ".join(f"{entry:.4g}" for entry in middle) + ")"


def _oriented(mesh: Triangles, bodies: npt.NDArray[np.int64]) -> Triangles:
    """Returns the mesh with outward normals: bodies in an odd number of others are cavities."""
    count = int(bodies.max()) + 1
    parts = [Triangles(mesh.vertices, mesh.faces[bodies == body]) for body in range(count)]
    volumes = np.array([_own(part).volume for part in parts])
    empty = np.flatnonzero(np.abs(volumes) <= EMPTY * mesh.diagonal**3)
    if len(empty):
        raise ValueError(
            f"Mesh: has no volume near {_centre(parts[empty[0]])}: {len(empty)} of its {count} "
            "bodies are flat."
        )
    depths = _depths(parts)
    same = (depths % 2 == 1) & (np.sign(volumes) == np.sign(volumes[depths % 2 == 0].sum()))
    if same.any():
        inner = int(np.flatnonzero(same)[0])
        warn_user(
            f"Mesh: the body near {_centre(parts[inner])} lies inside another, with normals that "
            f"do not point into it ({int(same.sum())} such); it is taken as a cavity. If it is "
            "solid, leave it out."
        )
    inward = (volumes < 0) ^ (depths % 2 == 1)
    flipped = inward[bodies]
    faces = np.where(flipped[:, None], mesh.faces[:, ::-1], mesh.faces)
    return Triangles(mesh.vertices, np.ascontiguousarray(faces))


def _own(part: Triangles) -> Triangles:
    """Returns a body with its own vertices only, so that its middle is its own."""
    used, numbers = np.unique(part.faces, return_inverse=True)
    return Triangles(part.vertices[used], np.ascontiguousarray(numbers.reshape(-1, 3)))


def _centre(part: Triangles) -> str:
    centre = part.corners.reshape(-1, 3).mean(axis=0)
    return "(" + ", ".join(f"{entry:.4g}" for entry in centre) + ")"


def _depths(parts: list[Triangles]) -> npt.NDArray[np.int64]:
    """Returns the number of other bodies that each body lies in."""
    corners = [part.corners.reshape(-1, 3) for part in parts]
    lower = np.stack([each.min(axis=0) for each in corners])
    upper = np.stack([each.max(axis=0) for each in corners])
    depths = np.zeros(len(parts), dtype=np.int64)
    for outer, part in enumerate(parts):
        within = ((lower >= lower[outer]) & (upper <= upper[outer])).all(axis=1)
        within[outer] = False
        candidates = np.flatnonzero(within)
        if not len(candidates):
            continue
        tree = TriangleTree(_own(part), closed=False)
        # Bodies may touch: most of 20 triangles decide.
        for inner in candidates:
            middles = parts[inner].corners.mean(axis=1)
            chosen = middles[:: max(1, len(middles) // 20)]
            depths[inner] += bool(np.median(np.abs(tree.winding(chosen))) > 0.5)
    return depths


def _beside(tree: TriangleTree) -> tuple[Floats, Floats, Floats]:
    """Returns winding numbers in front of and behind triangles, and the places tested."""
    sizes = np.sqrt(tree.areas)
    tested = np.flatnonzero(sizes > SMALL * tree.diagonal)
    tested = tested[:: max(1, len(tested) // MOST_TESTED)]
    lengths = np.maximum(1e-3 * sizes[tested], 2e-6 * tree.diagonal)
    step = lengths[:, None] * tree.normals[tested]
    middles = tree.mesh.corners.mean(axis=1)[tested]
    front, behind = np.split(tree.winding(np.concatenate([middles + step, middles - step])), 2)
    return front, behind, middles


def _check_crossings(tree: TriangleTree) -> None:
    """Raises ValueError where a closed surface does not part inside, 1, from outside, 0.

    Tested at the middles of triangles: crossings that cover none are not found.
    """
    front, behind, middles = _beside(tree)
    wrong = (np.abs(front) > 0.3) | (np.abs(behind - 1) > 0.3)
    if wrong.any():
        place = ", ".join(f"{entry:.4g}" for entry in middles[wrong][0])
        raise ValueError(
            f"Mesh: the surface crosses itself, or bodies overlap: {int(wrong.sum())} of "
            f"{len(middles)} triangles tested lie inside or outside of it, one near ({place}). "
            f"Unite the bodies, or {WINDING}."
        )
