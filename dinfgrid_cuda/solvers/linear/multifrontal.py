"""The sparse Cholesky factor by fronts: dense blocks, one for each part of a nested dissection."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .dissection import FactorSize, FrontSize, Part, dissect, factor_size

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Front:
    """One dense block of a factor, by places in the order of elimination.

    Attributes:
        first, last: the range of its pivots.
        rows: later unknowns that its columns of the factor reach, ascending.
        children: places in the list of fronts of those that update it.
    """

    first: int
    last: int
    rows: Indices
    children: tuple[int, ...]


class Analysis:
    """The fronts of a factor, from the pattern of the matrix alone.

    Args:
        matrix: CSR [n, n], symmetric in pattern, without empty rows.
        starts: of the supports of the unknowns, [axes, n]. The factor is right whatever they are,
            and small if unknowns that couple are near each other.

    Attributes:
        order: of elimination, [n].
        place: of each unknown in it, [n].
        fronts: children before their parents.
        size: what the factor takes.
    """

    def __init__(self, matrix: Any, starts: npt.NDArray[Any]) -> None:
        neighbours, first = matrix.indices, matrix.indptr[:-1]
        # Of two that couple the earlier one's interval reaches the start of the later one.
        ends = np.stack([np.maximum.reduceat(along[neighbours], first) for along in starts])
        parts = dissect(starts, ends)
        self.order = np.concatenate([part.pivots for part in parts])
        self.place = np.empty_like(self.order)
        self.place[self.order] = np.arange(len(self.order))
        self.fronts = _fronts(parts, matrix[self.order], self.place)
        self.size: FactorSize = factor_size(
            [
                FrontSize(front.last - front.first, len(front.rows), front.children)
                for front in self.fronts
            ]
        )


def _fronts(parts: list[Part], matrix: Any, place: Indices) -> list[Front]:
    """Returns the fronts of the parts: a front's rows are its neighbours and its children's rows.

    Args:
        matrix: with its rows in the order of elimination.
    """
    fronts: list[Front] = []
    reached = np.zeros(len(place), dtype=np.bool_)
    last = 0
    for part in parts:
        first, last = last, last + len(part.pivots)
        own = matrix.indices[matrix.indptr[first] : matrix.indptr[last]]
        found = [place[own], *(fronts[child].rows for child in part.children)]
        for rows in found:
            reached[rows] = True
        end = max(int(rows.max(initial=-1)) for rows in found) + 1
        rows = last + np.flatnonzero(reached[last:end])
        for marked in found:
            reached[marked] = False
        fronts.append(Front(first, last, rows, part.children))
    return fronts


class FrontalFactor:
    """The factor by fronts (I. S. Duff and J. K. Reid, ACM Trans. Math. Softw. 9, 1983).

    The same matrix gives the same bits, as far as LAPACK does: with the same number of threads.

    Args:
        matrix: CSR [n, n], symmetric, of the pattern that was analysed.
        analysis: of the matrix.

    Raises:
        LinAlgError: if a pivot is not positive.
    """

    def __init__(self, matrix: Any, analysis: Analysis) -> None:
        self.order, self.fronts = analysis.order, analysis.fronts
        self._corners: list[Array] = []
        self._below: list[Array] = []
        ordered, place = matrix[analysis.order], analysis.place
        local = np.zeros(len(place), dtype=np.int64)
        updates: dict[int, Array] = {}
        for number, front in enumerate(self.fronts):
            k = front.last - front.first
            local[front.first : front.last] = np.arange(k)
            local[front.rows] = np.arange(k, k + len(front.rows))
            panel = _panel(ordered, front, place, local)
            update = np.zeros((len(front.rows),) * 2, order="F")
            for child in front.children:
                _add(panel, update, updates.pop(child), local[self.fronts[child].rows])
            corner, below = _eliminate(panel, update)
            self._corners.append(corner)
            self._below.append(below)
            updates[number] = update

    def solve(self, b: Array) -> Array:
        """Returns x of the system with right-hand side b, [n] or [n, columns] both."""
        from scipy.linalg.blas import dtrsm

        x = np.asfortranarray(b[self.order].reshape(len(b), -1))
        blocks = list(zip(self.fronts, self._corners, self._below, strict=True))
        for front, corner, below in blocks:
            own = dtrsm(1.0, corner, x[front.first : front.last], lower=1)
            x[front.first : front.last] = own
            x[front.rows] -= below @ own
        for front, corner, below in reversed(blocks):
            own = x[front.first : front.last] - below.T @ x[front.rows]
            x[front.first : front.last] = dtrsm(1.0, corner, own, lower=1, trans_a=1)
        solution = np.empty_like(x)
        solution[self.order] = x
        return solution.reshape(b.shape)


def _panel(ordered: Any, front: Front, place: Indices, local: Indices) -> Array:
    """Returns the columns of the matrix at the pivots, by the rows of the front."""
    k = front.last - front.first
    panel = np.zeros((k + len(front.rows), k), order="F")
    ends = ordered.indptr[front.first : front.last + 1]
    part = slice(ends[0], ends[-1])
    rows = place[ordered.indices[part]]
    kept = rows >= front.first
    columns = np.repeat(np.arange(k), np.diff(ends))
    panel[local[rows[kept]], columns[kept]] = ordered.data[part][kept]
    return panel


def _add(panel: Array, update: Array, child: Array, rows: Indices) -> None:
    """Adds the lower triangle of a child's update, whose rows are at these places of the front.

    They are few runs of consecutive places, of which whole blocks are added.
    """
    k = panel.shape[1]
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    cuts = np.unique(np.concatenate([[0], cuts, [np.searchsorted(rows, k), len(rows)]]))
    runs = [slice(low, high) for low, high in itertools.pairwise(cuts)]
    places = [slice(int(rows[run][0]), int(rows[run][-1]) + 1) for run in runs]
    for number, (columns, of_front) in enumerate(zip(runs, places, strict=True)):
        target, shift = (panel, 0) if of_front.start < k else (update, k)
        own = slice(of_front.start - shift, of_front.stop - shift)
        for below, rows_of_front in zip(runs[number:], places[number:], strict=True):
            block = slice(rows_of_front.start - shift, rows_of_front.stop - shift)
            target[block, own] += child[below, columns]


def _eliminate(panel: Array, update: Array) -> tuple[Array, Array]:
    """Returns the factor's columns, and subtracts what they leave from the update."""
    from scipy.linalg.blas import dsyrk, dtrsm
    from scipy.linalg.lapack import dpotrf

    k = panel.shape[1]
    corner, failed = dpotrf(panel[:k], lower=1, clean=1)
    if failed:
        raise np.linalg.LinAlgError("a pivot is not positive")
    below = dtrsm(1.0, corner, panel[k:], side=1, lower=1, trans_a=1)
    if len(update):
        dsyrk(-1.0, below, beta=1.0, c=update, overwrite_c=1, lower=1)
    return corner, below
