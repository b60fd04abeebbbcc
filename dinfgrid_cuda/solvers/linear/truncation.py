"""Truncated hierarchical B-splines: coarse functions without what finer ones add up to.

On a grid with local levels a coarse function reaches into finer boxes, where it is a sum of finer
functions. Without those of them that take part it is shorter, overlaps with fewer others, and the
matrix is better conditioned (C. Giannelli, B. Juettler, H. Speleers, Comput. Aided Geom. Design 29,
2012). At a corner with 15 levels of degree 7 a point sees 80 functions instead of 700.

A truncated basis is a change of the unknowns, features F = T c. In the box of a level, u is a
combination of that level's own B-splines: with the coefficients c of those that take part, and with
coefficients that follow from the next coarser level, by inserting knots, for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.kernels.held import supports, taking_part
from dinfgrid_cuda.kernels.spec import GridSpec

from .unknown_nodes import unknown_nodes

Array = npt.NDArray[np.float64]
# Grids whose bases are remembered.
KEPT = 4


@dataclass(frozen=True)
class Truncation:
    """The truncated basis of a grid.

    Attributes:
        levels: of the grid that have leaves, coarse before fine.
        on_level: for each of them the coefficients of u by the level's own functions, scipy CSR
            [nodes of the level, total nodes].
        change: T, scipy CSR [total nodes, total nodes].
        parents: of each of them, the finest coarser level around it; of the first itself.
        placed: where each of them keeps its features: CSR [nodes of the level, total nodes].
        inserted: functions of the parent by those of each level, CSR; of the first None.
    """

    levels: tuple[int, ...]
    on_level: tuple[Any, ...]
    change: Any
    parents: tuple[int, ...]
    placed: tuple[Any, ...]
    inserted: tuple[Any, ...]

    def collapsed(self, features: Array) -> Iterator[Array]:
        """Yields u's coefficients [nodes of the level, C] by the functions of each level alone.

        Args:
            features: [total nodes, C], any that may be other than zero.
        """
        known: dict[int, Array] = {}
        for level, parent, placed, inserted in self._steps():
            own = placed @ features
            known[level] = own if inserted is None else own + inserted @ known[parent]
            yield known[level]

    def collected(self, sums: Mapping[int, Array], features: Array) -> None:
        """Adds the transpose of `collapsed` of sums [nodes of the level, C] to features.

        Args:
            sums: by level; those that are not named are zero.
        """
        known = dict(sums)
        for level, parent, placed, inserted in reversed(list(self._steps())):
            own = known.get(level)
            if own is None:
                continue
            features += placed.T @ own
            if inserted is not None:
                known[parent] = known.get(parent, 0.0) + inserted.T @ own

    def _steps(self) -> Iterator[tuple[int, int, Any, Any]]:
        return zip(self.levels, self.parents, self.placed, self.inserted, strict=True)


@lru_cache(maxsize=KEPT)
def truncation(spec: GridSpec) -> Truncation | None:
    """Returns the truncated basis of a grid; None where it has none.

    That is for B-splines with one global level, each of whose local levels lies in a coarser one
    and overlaps with no others than those around that one, those within it, and those of cells as
    large as its own.
    """
    from scipy.sparse import vstack

    if not spec.local or spec.global_levels > 1 or not isinstance(spec.basis, BSpline):
        return None
    parents = _parents(spec)
    if parents is None:
        return None
    order = sorted(range(spec.levels), key=lambda level: sum(_halvings(spec, level)))
    part, free = _flags(taking_part(spec)), _flags(unknown_nodes(spec))
    owners = _owners(spec, part)
    on_level: dict[int, Any] = {}
    change: dict[int, Any] = {}
    placed: dict[int, Any] = {}
    inserted: dict[int, Any] = {0: None}
    for level in order:
        start, size = spec.level_offset(level), spec.level_size(level)
        owner = owners[level]
        taken = owner >= 0
        own = taken & free[np.maximum(owner, 0)]
        units, placed[level] = (_units(owner, flags, spec.total_nodes) for flags in (own, taken))
        if level == 0:
            on_level[0] = change[0] = units
            continue
        parent = parents[level]
        inserted[level] = _inserted(spec, parent, level)
        coarse = (inserted[level] @ on_level[parent]).tocsr()
        on_level[level] = (units + _rows_where(coarse, ~taken)).tocsr()
        mine = part[start : start + size]
        change[level] = (_rows_where(units, mine) - _rows_where(coarse, mine)).tocsr()
    whole = vstack([change[level] for level in range(spec.levels)], format="csr")
    return Truncation(
        levels=tuple(order),
        on_level=tuple(on_level[level] for level in order),
        change=whole,
        parents=tuple(parents.get(level, 0) for level in order),
        placed=tuple(placed[level] for level in order),
        inserted=tuple(inserted[level] for level in order),
    )


def _units(owner: npt.NDArray[np.int64], flags: npt.NDArray[np.bool_], size: int) -> Any:
    """Returns the matrix with a 1 from each flagged row's owner, CSR [rows, size]."""
    from scipy.sparse import csr_array

    rows = np.flatnonzero(flags)
    return csr_array((np.ones(len(rows)), (rows, owner[rows])), shape=(len(owner), size))


def _flags(nodes: Tensor | None) -> npt.NDArray[np.bool_]:
    assert nodes is not None
    return nodes.numpy()


def _rows_where(matrix: Any, kept: npt.NDArray[np.bool_]) -> Any:
    """Returns a CSR matrix with zero in the rows that are not kept."""
    from scipy.sparse import dia_array

    flags = kept.astype(np.float64)
    result = (dia_array((flags[None], [0]), shape=(len(flags), len(flags))) @ matrix).tocsr()
    result.eliminate_zeros()
    return result


def _halvings(spec: GridSpec, level: int) -> tuple[int, ...]:
    own = spec.local_level(level)
    return (0,) * spec.dim if own is None else own.halvings


def _finer(spec: GridSpec, one: int, other: int) -> bool:
    """Whether a level has smaller cells than another one, along no axis larger ones."""
    pairs = list(zip(_halvings(spec, one), _halvings(spec, other), strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _ends(spec: GridSpec, level: int, halvings: tuple[int, ...]) -> list[tuple[int, int]]:
    """Returns the first cell and the one after the last of a level's box, in cells of a size."""
    own = spec.local_level(level)
    if own is None:
        return [(0, n << k) for n, k in zip(spec.cells, halvings, strict=True)]
    shifts = [k - n for k, n in zip(halvings, own.halvings, strict=True)]
    return [(a << k, b << k) for a, b, k in zip(own.start, own.end, shifts, strict=True)]


def _parents(spec: GridSpec) -> dict[int, int] | None:
    """Returns the finest coarser level around each local one; None where some overlap in part."""
    parents: dict[int, int] = {}
    for level in range(1, spec.levels):
        around = [
            other
            for other in range(spec.levels)
            if _finer(spec, level, other) and _holds(spec, other, level)
        ]
        parents[level] = max(around, key=lambda other: sum(_halvings(spec, other)))
    for level in range(1, spec.levels):
        chain, at = {_halvings(spec, level)}, level
        while at:
            at = parents[at]
            chain.add(_halvings(spec, at))
        for other in range(1, spec.levels):
            if _finer(spec, other, level) or not _overlap(spec, level, other):
                continue
            if _halvings(spec, other) not in chain:
                return None
    return parents


def _holds(spec: GridSpec, outer: int, inner: int) -> bool:
    finest = _halvings(spec, inner)
    pairs = zip(_ends(spec, outer, finest), _ends(spec, inner, finest), strict=True)
    return all(a[0] <= b[0] and b[1] <= a[1] for a, b in pairs)


def _overlap(spec: GridSpec, one: int, other: int) -> bool:
    both = zip(_halvings(spec, one), _halvings(spec, other), strict=True)
    finest = tuple(max(a, b) for a, b in both)
    pairs = zip(_ends(spec, one, finest), _ends(spec, other, finest), strict=True)
    return all(a[0] < b[1] and b[0] < a[1] for a, b in pairs)


def _owners(spec: GridSpec, part: npt.NDArray[np.bool_]) -> dict[int, npt.NDArray[np.int64]]:
    """Returns, for each level, where the feature of each of its functions is kept; -1 for nowhere.

    A function that lies in several boxes with cells of one size is kept in one of them.
    """
    owners: dict[int, npt.NDArray[np.int64]] = {}
    for level in range(spec.levels):
        start, nodes = spec.level_offset(level), spec.level_nodes(level)
        places = np.arange(start, start + spec.level_size(level))
        owner = np.where(part[places], places, -1).reshape(nodes)
        for other in range(1, spec.levels):
            if other == level or _halvings(spec, other) != _halvings(spec, level):
                continue
            if spec.level_boundary(other) != spec.level_boundary(level):
                continue
            shape, first = spec.level_nodes(other), spec.level_offset(other)
            own = np.arange(first, first + spec.level_size(other)).reshape(shape)
            own = np.where(part[own], own, -1)
            to, of = [], []
            for axis in range(spec.dim):
                apart = int(supports(spec, other, axis)[0] - supports(spec, level, axis)[0])
                low, high = max(0, apart), min(nodes[axis], apart + shape[axis])
                to.append(slice(low, max(low, high)))
                of.append(slice(low - apart, max(low, high) - apart))
            view = owner[tuple(to)]
            np.copyto(view, own[tuple(of)], where=(view < 0) & (own[tuple(of)] >= 0))
        owners[level] = owner.reshape(-1)
    return owners


def _inserted(spec: GridSpec, coarse: int, fine: int) -> Any:
    """Returns the coefficients of coarse functions by fine ones, CSR [fine nodes, coarse nodes]."""
    from scipy.sparse import kron

    matrix = None
    for axis in range(spec.dim):
        along = _inserted_along(spec, coarse, fine, axis)
        matrix = along if matrix is None else kron(matrix, along, format="csr")
    return matrix


def _inserted_along(spec: GridSpec, coarse: int, fine: int, axis: int) -> Any:
    """Returns `_inserted` of one axis.

    N(x) is the sum of a_j N(m x - j), a_j the coefficients of m^-p (1 + z + ... + z^(m-1))^(p+1).
    Functions are told by the first cell of their support.
    """
    from scipy.sparse import csr_array

    assert isinstance(spec.basis, BSpline)
    degree = spec.basis.degree
    steps = _halvings(spec, fine)[axis] - _halvings(spec, coarse)[axis]
    mask = np.ones(1)
    for k in range(steps):  # (1 + z^m)^(p+1) / 2^p for m = 1, 2, 4, ...
        factor = np.zeros((degree + 1) * 2**k + 1)
        factor[:: 2**k] = [comb(degree + 1, j) / 2.0**degree for j in range(degree + 2)]
        mask = np.convolve(mask, factor)
    first, firsts = supports(spec, fine, axis), supports(spec, coarse, axis)
    count = len(firsts)
    low = first[:, None] - (np.arange(len(mask))[None, :])
    exact = low % (1 << steps) == 0
    place = (low >> steps) - firsts[0]
    if spec.level_boundary(coarse)[axis] == "periodic":
        place %= count
    row, j = np.nonzero(exact & (place >= 0) & (place < count))
    size = len(first), count
    return csr_array((mask[j], (row, place[row, j])), shape=size)
