"""Points and positive weights that integrate over a polyhedron, cell by cell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.polynomial import legendre

from dinfgrid_cuda.geometry.cut_cells.rules import VolumeRule
from dinfgrid_cuda.warn import warn_user

from .mesh_input import Floats, Indices
from .mesh_moments import Moments, moments
from .mesh_tree import Flags

WHOLE = 1e-12  # moments this near to those of a whole cell, or of none, count as such
FITTED = 1e-10  # of the cell's volume: the misfit of moments that is not tried again
TOLERATED = 1e-8  # of the whole volume: the sum of misfits without a warning
CANDIDATES = (9, 14, 20)  # per axis, tried in turn
CHUNK = 400  # cells whose candidates are tested at once

Inside = Callable[[Floats], Flags]
Edges = tuple[Floats, Floats, Floats]


def cell_rule(corners: Floats, inside: Inside, edges: Edges, count: int) -> VolumeRule:
    """Returns a rule exact for polynomials of total degree 2 count - 1 over the part in each cell.

    Whole cells have Gauss points. In cut cells the integrals of polynomials are known (`moments`);
    non-negative weights of points inside are fitted to them, of which at most as many are not zero
    as there are polynomials.

    Args:
        corners: [F, 3, 3] of the outward triangles of a closed surface.
        inside: whether points [N, 3] are inside it.
        edges: of the cells on each axis, ascending.
        count: Gauss points per cell and axis.
    """
    exact = moments(corners, edges, 2 * count - 1)
    low, size = _cells(edges)
    whole = np.zeros(exact.values.shape[1])
    whole[0] = 1.0
    off = np.abs(exact.values - whole).max(axis=1)
    empty = np.abs(exact.values).max(axis=1) <= WHOLE
    # Cells without triangles are whole or empty: what differs is rounding.
    full = (off <= WHOLE) | (~exact.cut & (exact.values[:, 0] > 0.5))
    parts = [_gauss(np.flatnonzero(full), low, size, count)]
    cut = np.flatnonzero(exact.cut & ~full & ~empty)
    fitted, misfit = _fitted(cut, exact, inside, low, size)
    parts.append(fitted)
    _warn_of(misfit, float((exact.values[:, 0] * size.prod(axis=1)).sum()))
    points, weights, cells = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.argsort(cells, kind="stable")
    return VolumeRule(
        torch.from_numpy(points[order]),
        torch.from_numpy(weights[order]),
        torch.from_numpy(cells[order]),
    )


def _cells(edges: Edges) -> tuple[Floats, Floats]:
    """Returns the lower corners and the sizes of all cells, [cells, 3] each."""
    low, size = (
        np.stack([grid.reshape(-1) for grid in np.meshgrid(*each, indexing="ij")], axis=1)
        for each in ([each[:-1] for each in edges], [np.diff(each) for each in edges])
    )
    return low, size


def _gauss(cells: Indices, low: Floats, size: Floats, count: int) -> tuple[Floats, Floats, Indices]:
    """Returns Gauss points and weights of whole cells, and whose they are."""
    nodes, weights = legendre.leggauss(count)
    local = np.stack([g.reshape(-1) for g in np.meshgrid(*[nodes] * 3, indexing="ij")], axis=1)
    product = np.einsum("i,j,k->ijk", *[weights / 2] * 3).reshape(-1)
    points = low[cells, None] + (local + 1) / 2 * size[cells, None]
    scaled = product * size[cells].prod(axis=1)[:, None]
    return points.reshape(-1, 3), scaled.reshape(-1), np.repeat(cells, count**3)


def _fitted(
    cells: Indices, exact: Moments, inside: Inside, low: Floats, size: Floats
) -> tuple[tuple[Floats, Floats, Indices], float]:
    """Returns points and weights in cut cells, whose they are, and the sum of misfits."""
    boxes = _reach(cells, exact, inside, low, size)
    best = {int(cell): (np.inf, np.zeros((0, 3)), np.zeros(0)) for cell in cells}
    remaining = cells
    for number in CANDIDATES:
        for start in range(0, len(remaining), CHUNK):
            chunk = remaining[start : start + CHUNK]
            points = _candidates(chunk, boxes, number)
            allowed = inside(points.reshape(-1, 3)).reshape(points.shape[:2])
            for cell, each, keep in zip(chunk.tolist(), points, allowed, strict=True):
                local = 2 * (each[keep] - low[cell]) / size[cell] - 1
                misfit, weights = _weights(local, exact.powers, exact.values[cell])
                if misfit < best[cell][0]:
                    used = weights > 0
                    volume = size[cell].prod()
                    best[cell] = (misfit, each[keep][used], weights[used] * volume)
        remaining = np.array([c for c in remaining if best[int(c)][0] > FITTED], dtype=np.int64)
        if not len(remaining):
            break
    misfit = sum(best[int(cell)][0] * float(size[cell].prod()) for cell in cells)
    points = np.concatenate([np.zeros((0, 3)), *(best[int(cell)][1] for cell in cells)])
    weights = np.concatenate([np.zeros(0), *(best[int(cell)][2] for cell in cells)])
    counts = [len(best[int(cell)][2]) for cell in cells]
    return (points, weights, np.repeat(cells, counts)), float(misfit)


def _reach(
    cells: Indices, exact: Moments, inside: Inside, low: Floats, size: Floats
) -> dict[int, tuple[Floats, Floats]]:
    """Returns for each cell a box around the part of the polyhedron in it.

    Its ends are corners of triangles in the cell or corners of the cell that are inside.
    """
    steps = np.array(list(np.ndindex(2, 2, 2)))
    corners = low[cells, None] + steps * size[cells, None]
    within = inside(corners.reshape(-1, 3)).reshape(len(cells), 8, 1)
    lower = np.where(within, corners, np.inf).min(axis=1, initial=np.inf)
    upper = np.where(within, corners, -np.inf).max(axis=1, initial=-np.inf)
    return {
        int(cell): (np.minimum(a, exact.lower[cell]), np.maximum(b, exact.upper[cell]))
        for cell, a, b in zip(cells, lower, upper, strict=True)
    }


def _candidates(cells: Indices, boxes: dict[int, tuple[Floats, Floats]], number: int) -> Floats:
    """Returns Gauss points of the boxes, denser at their ends, [cells, number³, 3]."""
    nodes = (legendre.leggauss(number)[0] + 1) / 2
    grid = np.stack([g.reshape(-1) for g in np.meshgrid(*[nodes] * 3, indexing="ij")], axis=1)
    low = np.stack([boxes[int(cell)][0] for cell in cells])
    high = np.stack([boxes[int(cell)][1] for cell in cells])
    result: Floats = low[:, None] + grid * (high - low)[:, None]
    return result


def _weights(local: Floats, powers: Indices, values: Floats) -> tuple[float, Floats]:
    """Returns the misfit of moments and non-negative weights of points [N, 3] in [-1, 1]."""
    from scipy.optimize import nnls

    if not len(local):
        return float(np.abs(values).max()), np.zeros(0)
    rows = [legendre.legvander(local[:, k], int(powers.max()))[:, powers[:, k]] for k in range(3)]
    matrix = (rows[0] * rows[1] * rows[2]).T
    try:
        weights, residual = nnls(matrix, values)
    except RuntimeError:  # it went on for too long
        return float(np.abs(values).max()), np.zeros(len(local))
    return float(residual), weights


def _warn_of(misfit: float, volume: float) -> None:
    if misfit > TOLERATED * volume:
        warn_user(
            f"Mesh: in some cut cells no points with positive weights integrate polynomials "
            f"exactly; integrals may be off by {misfit / volume:.1e} of the volume. Take other "
            "cells, or fewer points per cell."
        )
