"""Inside tests of many points: cells that the surface misses are inside or outside as a whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .mesh_input import Floats
from .mesh_tree import Flags, TriangleTree

LONGEST = 128  # cells along the longest axis
MOST_PIECES = 2_000_000


class Voxels:
    """A lattice of cells around a mesh, each missed by the surface or not.

    Args:
        tree: of a mesh.
    """

    def __init__(self, tree: TriangleTree) -> None:
        self._tree = tree
        corners = tree.mesh.corners.reshape(-1, 3)
        low, high = corners.min(axis=0), corners.max(axis=0)
        self._size = float((high - low).max()) / LONGEST
        # A margin of one and a half cells: the outermost layer is outside.
        self._low = low - 1.5 * self._size
        self._shape = np.ceil((high - low) / self._size).astype(np.int64) + 3
        self.touched = self._touched()
        self._inside = self._filled() if tree.closed else None

    def _touched(self) -> Flags:
        """Returns which cells [n_0, n_1, n_2] a triangle may pass through."""
        given = self._tree.mesh.corners
        # A box around a piece of a cell's size spans few cells.
        corners = split(given, self._size, MOST_PIECES + 4 * len(given))[0]
        slack = 1e-9 * self._size
        first = self._cells(corners.min(axis=1) - slack)
        last = self._cells(corners.max(axis=1) + slack)
        touched = np.zeros(tuple(self._shape), dtype=bool)
        for step in np.ndindex(*(last - first).max(axis=0) + 1):
            cell = first + np.array(step)
            cell = cell[(cell <= last).all(axis=1)]
            touched[tuple(cell.T)] = True
        return touched

    def _filled(self) -> Flags:
        """Returns which of the cells that the surface misses are inside it."""
        from scipy import ndimage

        labels, count = ndimage.label(~self.touched)
        flat = labels.reshape(-1)
        numbers, first = np.unique(flat, return_index=True)
        cells = np.stack(np.unravel_index(first, labels.shape), axis=1)
        inside = np.zeros(count + 1, dtype=bool)
        # No surface lies between cells of one label: a point of one of them speaks for all.
        inside[numbers] = self._tree.inside(self._low + (cells + 0.5) * self._size)
        inside[0] = False
        result: Flags = inside[labels]
        return result

    def _cells(self, points: Floats) -> npt.NDArray[np.int64]:
        """Returns the cell of each point, [N, 3]; points outside the lattice get an end cell."""
        cells = np.floor((points - self._low) / self._size)
        result: npt.NDArray[np.int64] = np.clip(cells, 0, self._shape - 1).astype(np.int64)
        return result

    def contains(self, points: Floats) -> Flags:
        """Whether points [N, 3] are inside, [N]."""
        high = self._low + self._shape * self._size
        within = ((points > self._low) & (points < high)).all(axis=1)
        result = np.zeros(len(points), dtype=bool)
        rows = np.flatnonzero(within)
        cells = tuple(self._cells(points[rows]).T)
        near = self.touched[cells]
        if self._inside is None:
            result[rows[~near]] = self._tree.winding(points[rows[~near]]) > 0.5
        else:
            result[rows[~near]] = self._inside[cells][~near]
        result[rows[near]] = self._tree.inside(points[rows[near]])
        return result


def split(corners: Floats, longest: float, most: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Returns pieces of triangles with no edge longer than asked, and whose they are.

    Args:
        corners: [F, 3, 3].
        longest: edge of a piece; triangles are halved across their longest edge.
        most: pieces, about; splitting ends there.

    Returns:
        Corners [P, 3, 3], which together cover the triangles, and triangles [P].
    """
    owners = np.arange(len(corners))
    while len(corners) <= most:
        edges = np.roll(corners, -1, axis=1) - corners  # from corner i to i + 1
        lengths = np.linalg.norm(edges, axis=2)
        long = lengths.max(axis=1) > longest
        if not long.any():
            break
        rows = np.flatnonzero(long)
        start = lengths[rows].argmax(axis=1)
        a, b, c = (corners[rows, (start + k) % 3] for k in range(3))
        middle = (a + b) / 2
        halves = [np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)]
        corners = np.concatenate([corners[~long], *halves])
        owners = np.concatenate([owners[~long], owners[rows], owners[rows]])
    return corners, owners
