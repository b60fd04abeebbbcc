"""Triangles of a mesh as given: read, welded, and what is wrong with them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.checks import check_instance, plain

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

WELD = 1e-8  # of the diagonal: vertices closer than this are one, where the mesh is open otherwise
INSTALL = "pip install 'dinfgrid_cuda[shapes]'"


@dataclass(frozen=True)
class Triangles:
    """Corners and triangles.

    Attributes:
        vertices: [V, 3].
        faces: [F, 3], indices of vertices, counter-clockwise as seen from outside.
    """

    vertices: Floats
    faces: Indices

    @property
    def corners(self) -> Floats:
        """Corners of each triangle, [F, 3, 3]."""
        return self.vertices[self.faces]

    @property
    def crosses(self) -> Floats:
        """Twice the area of each triangle times its normal, [F, 3]."""
        first, second, third = np.moveaxis(self.corners, 1, 0)
        return np.cross(second - first, third - first)

    @property
    def volume(self) -> float:
        """Signed volume, by the divergence theorem about the middle of the mesh."""
        middle = (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2
        return float(((self.corners.mean(axis=1) - middle) * self.crosses).sum()) / 6

    @property
    def diagonal(self) -> float:
        """Length of the diagonal of the box around it."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))


@dataclass(frozen=True)
class Edges:
    """How the triangles of a mesh meet.

    Attributes:
        open: edges [O, 2] of one triangle only.
        crowded: edges [C, 2] of more than two triangles.
        twisted: edges [T, 2] of two triangles that run along it in the same direction.
    """

    open: Indices
    crowded: Indices
    twisted: Indices


def read_triangles(source: Any) -> Triangles:
    """Returns the triangles of a file, a trimesh object or (vertices, faces), welded.

    Raises:
        ModuleNotFoundError: for a file without trimesh.
        FileNotFoundError, TypeError, ValueError: for what cannot be read or holds no triangles.
    """
    check_instance("Mesh", "the mesh", source)
    what = "the mesh"
    if isinstance(source, (str, os.PathLike)):
        what = str(source)
        source = _loaded(Path(source))
    if hasattr(source, "to_mesh"):  # a scene of several bodies
        source = source.to_mesh()
    if hasattr(source, "vertices") and hasattr(source, "faces"):
        source = (source.vertices, source.faces)
    if not isinstance(source, (tuple, list)) or len(source) != 2:
        raise TypeError(
            f"Mesh: {source!r} is no mesh; pass the path of a file (STL, OBJ, PLY, ...), a "
            "trimesh.Trimesh, or (vertices, faces)."
        )
    return _welded(_arrays(what, *source))


def _loaded(path: Path) -> Any:
    """Returns what trimesh reads from a file."""
    try:
        import trimesh
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Mesh: reading {path.name} requires trimesh; {INSTALL}", name="trimesh"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"Mesh: there is no file {path}.")
    try:
        return trimesh.load_mesh(path)
    except Exception as error:  # each of trimesh's readers raises its own
        raise ValueError(
            f"Mesh: trimesh cannot read {path} ({type(error).__name__}: {error}); formats it reads "
            f"include {', '.join(sorted(trimesh.available_formats())[:40])}."
        ) from error


def _arrays(what: str, vertices: Any, faces: Any) -> Triangles:
    """Returns arrays that hold at least one triangle."""
    try:
        corners = np.asarray(plain(vertices), dtype=np.float64)
        numbers = np.asarray(plain(faces))
    except (TypeError, ValueError) as error:
        raise TypeError("Mesh: vertices and faces must be arrays of numbers.") from error
    if not corners.size or not numbers.size:
        raise ValueError(f"Mesh: {what} is empty: it has no triangles.")
    if corners.ndim != 2 or corners.shape[1] != 3 or numbers.ndim != 2 or numbers.shape[1] != 3:
        raise ValueError(
            f"Mesh: vertices {list(corners.shape)} and faces {list(numbers.shape)} must be [V, 3] "
            "and [F, 3]: triangles in space."
        )
    if not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(f"Mesh: faces are {numbers.dtype}; they must be indices of vertices.")
    if not np.isfinite(corners).all():
        place = int(np.flatnonzero(~np.isfinite(corners).all(axis=1))[0])
        raise ValueError(f"Mesh: vertex {place} is {corners[place].tolist()}, not finite.")
    if numbers.min() < 0 or numbers.max() >= len(corners):
        raise ValueError(
            f"Mesh: faces name vertices {numbers.min()} to {numbers.max()}, but there are "
            f"{len(corners)}, from 0."
        )
    return Triangles(corners, numbers.astype(np.int64))


def _welded(mesh: Triangles) -> Triangles:
    """Returns the mesh with vertices at the same place as one, without triangles that vanish.

    Files such as STL repeat a vertex for each triangle, at times rounded differently.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    mesh = _joined(mesh, np.unique(mesh.vertices, axis=0, return_inverse=True)[1].reshape(-1))
    if len(mesh.faces) and len(meetings(mesh).open):
        pairs = cKDTree(mesh.vertices).query_pairs(WELD * mesh.diagonal, output_type="ndarray")
        count = len(mesh.vertices)
        links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
        mesh = _joined(mesh, connected_components(links, directed=False)[1])
    if not len(mesh.faces):
        raise ValueError("Mesh: all triangles have two corners in one place: nothing is left.")
    return mesh


def _joined(mesh: Triangles, groups: npt.NDArray[Any]) -> Triangles:
    """Returns the mesh with each group of vertices as one of them; those unused are dropped."""
    first = np.unique(groups, return_index=True)[1]
    faces = groups[mesh.faces]
    distinct = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    )
    used, numbers = np.unique(faces[distinct], return_inverse=True)
    return Triangles(mesh.vertices[first][used], numbers.reshape(-1, 3).astype(np.int64))


def meetings(mesh: Triangles) -> Edges:
    """Returns the edges at which a surface is not closed or not oriented."""
    directed = np.concatenate([mesh.faces[:, [i, (i + 1) % 3]] for i in range(3)])
    count = len(mesh.vertices)
    keys = directed.min(axis=1) * count + directed.max(axis=1)
    keys, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    edges = np.stack([keys // count, keys % count], axis=1)
    forward = np.bincount(numbers.reshape(-1), directed[:, 0] < directed[:, 1], len(edges))
    return Edges(
        open=edges[counts == 1],
        crowded=edges[counts > 2],
        twisted=edges[(counts == 2) & (forward != 1)],
    )
