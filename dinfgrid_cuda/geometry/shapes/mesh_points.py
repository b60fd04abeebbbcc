"""Points, normals and weights on a triangle surface."""

from __future__ import annotations

import numpy as np

from .mesh_input import Floats, Indices
from .mesh_tree import TriangleTree
from .mesh_voxels import split

MOST = 10_000_000  # points
BLOCK = 0.7  # edge of a cell whose small triangles share a point, in spacings
TURNS = 2.0  # normals that differ by more than about 1 / 2 have points of their own


def surface_points(
    tree: TriangleTree, spacing: float, merged: bool = True
) -> tuple[Floats, Floats, Floats]:
    """Returns points [N, 3], outward normals [N, 3] and weights [N] that add up to the area.

    Large triangles are split, small ones share a point: the one of the surface nearest to their
    common centre. Integrals are as exact as a midpoint rule.

    Args:
        tree: of the mesh.
        spacing: of the points, in units of x.
        merged: whether small triangles share points; else each has one at least.

    Raises:
        ValueError: if there would be too many points.
    """
    # Right triangles with legs of one spacing are the largest: two points a square.
    few = tree.areas.sum() < MOST * spacing**2
    corners, owners = split(tree.mesh.corners, np.sqrt(2) * spacing, MOST if few else 0)
    if len(corners) > MOST or not few:
        raise ValueError(
            f"Mesh: a spacing of {spacing:g} takes more than {MOST:,} points on an area of "
            f"{tree.areas.sum():.4g}; choose a larger one."
        )
    sides = corners - np.roll(corners, 1, axis=1)
    doubled = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    pieces = np.bincount(owners, doubled)[owners]
    weights = tree.areas[owners] * doubled / pieces
    middles, normals = corners.mean(axis=1), tree.normals[owners]
    small = np.linalg.norm(sides, axis=2).max(axis=1) < spacing / 2
    if not merged or not small.any():
        return middles, normals, weights
    shared = _merged(tree, middles[small], owners[small], weights[small], spacing)
    return (
        np.concatenate([middles[~small], shared[0]]),
        np.concatenate([normals[~small], shared[1]]),
        np.concatenate([weights[~small], shared[2]]),
    )


def _merged(
    tree: TriangleTree, middles: Floats, owners: Indices, weights: Floats, spacing: float
) -> tuple[Floats, Floats, Floats]:
    """Returns a point, normal and weight for the triangles of each cell that face one way."""
    normals = tree.normals[owners]
    cells = np.floor((middles - middles.min(axis=0)) / (BLOCK * spacing))
    keys = np.concatenate([cells, np.round(TURNS * normals)], axis=1).astype(np.int64)
    numbers = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    total = np.bincount(numbers, weights)
    centres = _sums(numbers, weights[:, None] * middles) / total[:, None]
    mean = _sums(numbers, weights[:, None] * normals)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    closest = tree.closest(centres)
    faces, places = closest.faces, closest.places
    turned = (tree.normals[faces] * mean).sum(axis=1) < 0.7
    # Across a thin wall or at an edge: the middle of the group's own triangle nearest to it.
    order = np.lexsort((np.linalg.norm(middles - centres[numbers], axis=1), numbers))
    nearest = order[np.searchsorted(numbers[order], np.arange(len(total)))]
    faces = np.where(turned, owners[nearest], faces)
    places = np.where(turned[:, None], middles[nearest], places)
    weight: Floats = total.astype(np.float64)
    return places, tree.normals[faces], weight


def _sums(numbers: Indices, rows: Floats) -> Floats:
    """Returns sums of the rows [N, 3] of each number."""
    return np.stack([np.bincount(numbers, rows[:, k]) for k in range(3)], axis=1)
