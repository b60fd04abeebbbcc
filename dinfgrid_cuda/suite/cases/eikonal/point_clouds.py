"""Oriented point clouds: of analytic shapes, meshes and point files, scaled into the box."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dinfgrid_cuda.suite.tools.case import CaseError

from .shapes import Array, Shape

REACH = 0.8  # half the longest edge of the bounding box of a user's cloud
HELD_OUT = 20_000
# This share of the points of a file is held out; a file needs at least so many points.
HELD_OUT_SHARE, MIN_POINTS = 0.1, 100
MESH_SUFFIXES = (".obj", ".stl", ".off", ".glb", ".gltf")
TABLE_SUFFIXES = (".xyz", ".txt", ".csv", ".npy", ".npz")
COLUMNS = "x y z nx ny nz"


@dataclass(frozen=True)
class Cloud:
    """Points of a surface and outward normals, in the box [-1, 1]^3.

    Attributes:
        points, normals: [N, 3], the normals of length 1.
        held_points, held_normals: [M, 3], likewise, never trained on.
        source: file name, or name of a shape.
        scale, centre: a point x of the box is scale * x + centre for the user.
    """

    points: Array
    normals: Array
    held_points: Array
    held_normals: Array
    source: str
    scale: float = 1.0
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def to_user(self, x: Array) -> Array:
        """Points [N, 3] of the box in the coordinates of the user's file."""
        return np.asarray(self.scale * x + np.asarray(self.centre))

    def digest(self) -> str:
        """A hash of the points and normals."""
        data = self.points.tobytes() + self.normals.tobytes()
        return hashlib.sha256(data).hexdigest()[:16]


def sample_shape(shape: Shape, name: str, samples: int) -> Cloud:
    """Draws points uniform by area, the same at every call, and held-out ones apart from them."""
    points, normals = shape.sample(samples, np.random.default_rng(0))
    held_points, held_normals = shape.sample(HELD_OUT, np.random.default_rng(1))
    return Cloud(points, normals, held_points, held_normals, name)


def load_cloud(path: Path, samples: int) -> Cloud:
    """Reads a mesh, which is sampled by area, or points with normals, of which some are held out.

    Args:
        path: .ply (either), .obj .stl .off .glb .gltf (meshes), .xyz .txt .csv .npy (columns
            x y z nx ny nz, of text files in the order of their header where they have one), .npz
            (one such array, or "points" and "normals").
        samples: points to draw from a mesh, or to keep of a larger file.

    Raises:
        CaseError: if the file is missing, cannot be read, or does not hold what is needed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".ply", *MESH_SUFFIXES, *TABLE_SUFFIXES):
        suffixes = " ".join((".ply", *MESH_SUFFIXES, *TABLE_SUFFIXES))
        raise CaseError(f"{path} is of no known kind; there are {suffixes}.")
    if not path.exists():
        raise CaseError(f"there is no file {path}.")
    if path.is_dir():
        raise CaseError(f"{path} is a folder, not a mesh or point file.")
    try:
        if path.stat().st_size == 0:
            raise CaseError(f"{path} is empty.")
        content = _read_table(path) if suffix in TABLE_SUFFIXES else _read_trimesh(path)
    except (CaseError, ModuleNotFoundError):
        raise
    except Exception as error:  # readers raise errors of every kind on damaged files
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise CaseError(f"{path} cannot be read: {detail.rstrip('.')}.") from error
    if isinstance(content, np.ndarray):
        return _from_points(_checked(content, path.name), path.name, samples)
    return _from_mesh(content, path.name, samples)


def _read_table(path: Path) -> Array:
    """Reads the numbers of a file as they stand there, [N, columns]."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            if {"points", "normals"} <= set(arrays.files):
                return np.concatenate([arrays["points"], arrays["normals"]], axis=1)
            if len(arrays.files) == 1:
                return np.asarray(arrays[arrays.files[0]])
            raise CaseError(
                f'{path.name} holds {sorted(arrays.files)}; it must hold "points" and "normals", '
                f"or one array with the columns {COLUMNS}."
            )
    delimiter = "," if suffix == ".csv" else None
    skipped, header = _header(path, delimiter)
    table = np.loadtxt(
        path,
        delimiter=delimiter,
        skiprows=skipped,
        usecols=None if header is None else _order(header, path.name),
        ndmin=2,
        encoding="utf-8-sig",
    )
    return np.asarray(table, dtype=np.float64)


def _header(path: Path, delimiter: str | None) -> tuple[int, list[str] | None]:
    """The number of lines before a text file's numbers, and its columns' names in lower case.

    The names are the last line before the numbers; in a comment they are believed only if x, y and
    z are among them.
    """
    names, count = None, 0
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            text = line.strip()
            comment = text.startswith(("#", "//"))
            words = [word.strip(" \t\"'") for word in text.lstrip("#/ ").split(delimiter)]
            labels = [word.lower() for word in words if word]
            if not comment and _numbers(words):
                return count, names
            if labels and (not comment or {"x", "y", "z"} <= set(labels)):
                names = [word.lower() for word in words]
            count += 1
            if labels and not comment:
                return count, names
    return 0, None


def _numbers(words: list[str]) -> bool:
    """Whether all words are numbers; the last may have a comment."""
    try:
        return bool([float(word.split("#")[0]) for word in words])
    except ValueError:
        return False


def _order(header: list[str], name: str) -> list[int]:
    """The places of the columns x y z nx ny nz, or of x y z where there are no others.

    Raises:
        CaseError: if one of them is missing or there twice.
    """
    columns = COLUMNS.split()
    if sorted(header) == ["x", "y", "z"]:
        columns = columns[:3]
    missing = [column for column in columns if column not in header]
    twice = [column for column in columns if header.count(column) > 1]
    if missing or twice:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(twice)} twice"
        raise CaseError(
            f"{name} names its columns {', '.join(header)}, which {wrong}; the names {COLUMNS} are "
            "needed, in any order."
        )
    return [header.index(column) for column in columns]


def _read_trimesh(path: Path) -> Any:
    """Reads a file into a trimesh.Trimesh, or a point cloud into an array [N, 3 or 6]."""
    import trimesh

    scene = trimesh.load_scene(path)
    meshes = [g for g in scene.geometry.values() if isinstance(g, trimesh.Trimesh)]
    if any(len(mesh.faces) for mesh in meshes):
        return scene.to_mesh()
    clouds = [g for g in scene.geometry.values() if isinstance(g, trimesh.PointCloud)]
    if not clouds or not len(clouds[0].vertices):
        raise CaseError(f"{path.name} holds neither triangles nor points.")
    points = np.asarray(clouds[0].vertices, dtype=np.float64)
    raw = clouds[0].metadata.get("_ply_raw", {}).get("vertex", {}).get("data")
    try:
        normals = np.stack([np.asarray(raw[key]).ravel() for key in ("nx", "ny", "nz")], axis=1)
    except (KeyError, TypeError, ValueError):
        return points
    return np.concatenate([points, normals.astype(np.float64)], axis=1)


def _checked(table: Array, name: str) -> Array:
    """The table [N, 6] in float64, finite, with normals of length 1."""
    if table.dtype.kind not in "fiu" or table.ndim != 2:
        raise CaseError(
            f"{name} holds an array {list(table.shape)} of {table.dtype}; it must be numbers "
            f"[N, 6] with the columns {COLUMNS}."
        )
    if table.shape[0] == 0:
        raise CaseError(f"{name} holds no points.")
    if table.shape[1] == 3:
        raise CaseError(
            f"{name}: the points have no normals; the columns {COLUMNS} are needed (a mesh has "
            "normals of its own)."
        )
    if table.shape[1] != 6:
        raise CaseError(f"{name} has {table.shape[1]} columns; it must have 6: {COLUMNS}.")
    table = table.astype(np.float64)
    bad = int((~np.isfinite(table)).any(axis=1).sum())
    if bad:
        raise CaseError(f"{name}: {bad} of {len(table)} points are NaN or infinite.")
    if len(table) < MIN_POINTS:
        raise CaseError(f"{name} has {len(table)} points; at least {MIN_POINTS} are needed.")
    lengths = np.linalg.norm(table[:, 3:], axis=1)
    zero = int((lengths == 0).sum())
    if zero:
        raise CaseError(f"{name}: {zero} of {len(table)} normals have length zero.")
    table[:, 3:] /= lengths[:, None]
    return table


def _from_points(table: Array, name: str, samples: int) -> Cloud:
    order = np.random.default_rng(0).permutation(len(table))
    held_count = min(HELD_OUT, int(HELD_OUT_SHARE * len(table)))
    return _framed(
        table[order[held_count : held_count + samples]], table[order[:held_count]], table, name
    )


def _from_mesh(mesh: Any, name: str, samples: int) -> Cloud:
    """Samples a mesh by area, with its faces' normals; one that is inside out is turned."""
    import trimesh

    if not np.isfinite(mesh.vertices).all():
        raise CaseError(f"{name}: some vertices are NaN or infinite.")
    if not mesh.area > 0:
        raise CaseError(f"{name}: its {len(mesh.faces)} triangles have no area.")
    sign = -1.0 if mesh.is_watertight and mesh.volume < 0 else 1.0
    tables = []
    for seed, count in enumerate((samples, HELD_OUT)):
        points, faces = trimesh.sample.sample_surface(mesh, count, seed=seed)
        tables.append(np.concatenate([points, sign * mesh.face_normals[faces]], axis=1))
    used = np.asarray(mesh.vertices[np.unique(mesh.faces)])
    return _framed(tables[0], tables[1], used, name)


def _framed(table: Array, held_out: Array, extent: Array, name: str) -> Cloud:
    """Scales so that the bounding box of ``extent`` [K, 3 or more] fits [-REACH, REACH]^3."""
    lower, upper = extent[:, :3].min(axis=0), extent[:, :3].max(axis=0)
    centre, scale = (lower + upper) / 2, float((upper - lower).max()) / (2 * REACH)
    if not 0 < scale < np.inf:
        raise CaseError(f"{name}: all points lie in one place, or too far apart to be scaled.")
    x, y, z = (float(c) for c in centre)
    return Cloud(
        (table[:, :3] - centre) / scale,
        table[:, 3:],
        (held_out[:, :3] - centre) / scale,
        held_out[:, 3:],
        name,
        scale,
        (x, y, z),
    )
