"""Integrals of polynomials over the parts of a polyhedron in the cells of a lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from .mesh_input import Floats, Indices

CHUNK = 20_000  # pieces


@dataclass(frozen=True)
class Moments:
    """Integrals over the part of a polyhedron in each cell.

    Attributes:
        powers: degrees (i, j, k) of the Legendre polynomials on [-1, 1], [M, 3].
        values: [cells, M], integrals of P_i P_j P_k over the part divided by the cell's volume.
        cut: whether a triangle passes through the cell or its boundary, [cells].
        lower, upper: corners of a box around the triangles in each cell, [cells, 3].
    """

    powers: Indices
    values: Floats
    cut: npt.NDArray[np.bool_]
    lower: Floats
    upper: Floats


def moments(corners: Floats, edges: tuple[Floats, Floats, Floats], degree: int) -> Moments:
    """Returns moments of all total degrees up to one, exact but for rounding.

    With Q_k' = P_k and Q_k(-1) = 0, the divergence theorem gives the integral of P_i P_j P_k over
    the part in a cell as that of P_i P_j Q_k n_z over the triangles in it, and over the cell's
    upper face where that is inside. Q_k is zero there but for k = 0; and the part of the face that
    is inside has the integral of n_z over all triangles above it.

    Args:
        corners: [F, 3, 3] of outward triangles, a closed surface.
        edges: of the cells on each axis, ascending.
        degree: the total one.
    """
    shape = tuple(len(each) - 1 for each in edges)
    pieces, cells = _located(split_by_cells(corners, edges), edges)
    every = np.array(list(np.ndindex(degree + 1, degree + 1, degree + 1)))
    powers = every[every.sum(axis=1) <= degree]
    flat = (cells[:, 0] * shape[1] + cells[:, 1]) * shape[2] + cells[:, 2]
    inside, above = (np.zeros((int(np.prod(shape)), len(powers))) for _ in range(2))
    # Triangles above the lattice count for all cells of their column.
    top = cells[:, 2] >= shape[2]
    below = cells[:, 2] < 0
    flat = np.where(top, flat - cells[:, 2] + shape[2] - 1, flat)
    over = np.zeros((shape[0], shape[1], len(powers)))
    for start in range(0, len(pieces), CHUNK):
        rows = slice(start, start + CHUNK)
        own, face = _integrals(pieces[rows], cells[rows], edges, powers)
        within = ~(top[rows] | below[rows])
        np.add.at(inside, flat[rows][within], own[within])
        np.add.at(above, flat[rows][within], face[within])
        high = top[rows]
        np.add.at(over, (cells[rows][high, 0], cells[rows][high, 1]), face[high])
    columns = above.reshape(*shape, -1)
    higher = np.cumsum(columns[:, :, ::-1], axis=2)[:, :, ::-1] - columns + over[:, :, None]
    kept = ~(top | below)
    cut, lower, upper = _boxes(pieces[kept], flat[kept], len(inside))
    return Moments(powers, inside + higher.reshape(len(inside), -1), cut, lower, upper)


def _boxes(
    pieces: Floats, cells: Indices, count: int
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Returns which of the cells hold pieces, and the corners of boxes around these."""
    lower, upper = (np.full((count, 3), sign * np.inf) for sign in (1, -1))
    np.minimum.at(lower, cells, pieces.min(axis=1))
    np.maximum.at(upper, cells, pieces.max(axis=1))
    cut = np.zeros(count, dtype=bool)
    cut[cells] = True
    return cut, lower, upper


def split_by_cells(corners: Floats, edges: tuple[Floats, Floats, Floats]) -> Floats:
    """Returns pieces [P, 3, 3] of triangles, none of which crosses a plane between cells."""
    for axis, planes in enumerate(edges):
        done = []
        while len(corners):
            low, high = corners[:, :, axis].min(axis=1), corners[:, :, axis].max(axis=1)
            first = np.searchsorted(planes, low, side="right")  # planes above the lowest corner
            last = np.searchsorted(planes, high, side="left") - 1  # and below the highest
            crossing = first <= last
            done.append(corners[~crossing])
            middle = (first + last)[crossing] // 2
            corners = _halved(corners[crossing], axis, planes[middle])
        corners = np.concatenate(done) if done else corners
    return corners


def _halved(corners: Floats, axis: int, planes: Floats) -> Floats:
    """Returns pieces of triangles that each cross a plane of theirs; corners on it stay on it."""
    sides = np.sign(corners[:, :, axis] - planes[:, None])
    # The corner that is alone on its side of the plane comes first; one on the plane goes with
    # the others.
    alone = (sides != 0) & ((sides[:, :, None] == sides[:, None]).sum(axis=2) == 1)
    order = (alone.argmax(axis=1)[:, None] + np.arange(3)) % 3
    rows = np.arange(len(corners))[:, None]
    a, b, c = np.moveaxis(corners[rows, order], 1, 0)
    ab, ac = (_met(a, end, axis, planes) for end in (b, c))
    pieces = np.concatenate(
        [np.stack(each, axis=1) for each in ((a, ab, ac), (ab, b, c), (ab, c, ac))]
    )
    # Where a corner lies on the plane, one of the three is empty.
    same = [(pieces[:, i] == pieces[:, (i + 1) % 3]).all(axis=1) for i in range(3)]
    result: Floats = pieces[~(same[0] | same[1] | same[2])]
    return result


def _met(start: Floats, end: Floats, axis: int, planes: Floats) -> Floats:
    """Returns where edges meet their planes, [N, 3]; the end itself if it lies on it."""
    share = (planes - start[:, axis]) / (end[:, axis] - start[:, axis])
    result = start + share[:, None] * (end - start)
    result[:, axis] = planes
    on = end[:, axis] == planes
    result[on] = end[on]
    return result


def _located(pieces: Floats, edges: tuple[Floats, Floats, Floats]) -> tuple[Floats, Indices]:
    """Returns the pieces in columns of the lattice and their cells [P, 3].

    The last index is -1 below the lattice and the number of cells above it.
    """
    middles = pieces.mean(axis=1)
    cells = np.stack(
        [
            np.searchsorted(planes, middles[:, k], side="right") - 1
            for k, planes in enumerate(edges)
        ],
        axis=1,
    )
    within = np.ones(len(cells), dtype=bool)
    for axis in (0, 1):
        count = len(edges[axis]) - 1
        # Pieces in the plane of an outermost face stand upright, and have no part in integrals.
        last = middles[:, axis] == edges[axis][-1]
        cells[last, axis] = count - 1
        within &= (cells[:, axis] >= 0) & (cells[:, axis] < count)
    return pieces[within], cells[within]


def _integrals(
    pieces: Floats, cells: Indices, edges: tuple[Floats, Floats, Floats], powers: Indices
) -> tuple[Floats, Floats]:
    """Returns integrals of P_i P_j Q_k n_z and P_i P_j Q_k(1) n_z by cell volume, [P, M] each."""
    degree = int(powers.max())
    shares, weights = triangle_rule((degree + 3) // 2 + 1)
    crosses = np.cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0])
    points = np.einsum("qc,pcd->pqd", shares, pieces)
    values = []
    for axis, planes in enumerate(edges):
        index = cells[:, axis].clip(0, len(planes) - 2)
        low, high = planes[index], planes[index + 1]
        local = (2 * points[:, :, axis] - (low + high)[:, None]) / (high - low)[:, None]
        values.append(legendre.legvander(local, degree + 1))
    primitive = _primitives(values[2])
    x, y = values[0][..., powers[:, 0]], values[1][..., powers[:, 1]]
    # dx dy over the cell's face, and dz over its height: 2 of local length.
    scale = np.ones(len(pieces))
    for axis in (0, 1):
        planes, index = edges[axis], cells[:, axis]
        scale /= planes[index + 1] - planes[index]
    plane = x * y * (weights * (crosses[:, 2] * scale / 2)[:, None])[..., None]
    own: Floats = (plane * primitive[..., powers[:, 2]]).sum(axis=1) / 2
    face: Floats = np.where(powers[:, 2] == 0, plane.sum(axis=1), 0.0)
    return own, face


def _primitives(values: Floats) -> Floats:
    """Returns Q_k = (P_{k+1} - P_{k-1}) / (2k + 1), Q_0 = P_1 + 1, from P_0 to P_{n+1}."""
    count = values.shape[-1] - 1
    first = values[..., 1:2] + 1
    rest = (values[..., 2:] - values[..., : count - 1]) / (2 * np.arange(1, count) + 1)
    return np.concatenate([first, rest], axis=-1)


def triangle_rule(count: int) -> tuple[Floats, Floats]:
    """Returns barycentric points [count², 3] and weights that add up to 1.

    Gauss points on the square, collapsed; exact to total degree 2 count - 2.
    """
    nodes, weights = legendre.leggauss(count)
    nodes, weights = (nodes + 1) / 2, weights / 2
    u, v = (grid.reshape(-1) for grid in np.meshgrid(nodes, nodes, indexing="ij"))
    product = np.multiply.outer(weights, weights).reshape(-1)
    shares = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    return shares, 2 * u * product
