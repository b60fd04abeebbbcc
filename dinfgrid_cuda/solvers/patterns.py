"""Sparse matrices whose pattern is a Kronecker product of small patterns, one an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pattern:
    """Places of a square matrix that may hold entries, row by row and each row from the left.

    Attributes:
        rows, columns: [entries].
        size: rows of the matrix.
    """

    rows: Ints
    columns: Ints
    size: int

    @classmethod
    def of(cls, used: npt.NDArray[np.bool_]) -> Pattern:
        """From a mask [size, size]."""
        rows, columns = (places.astype(np.int64) for places in np.nonzero(used))
        return cls(rows, columns, len(used))

    @property
    def widths(self) -> Ints:
        """Entries of each row, [size]."""
        return np.bincount(self.rows, minlength=self.size)

    @property
    def ranks(self) -> Ints:
        """Place of each entry in its row, [entries]."""
        starts = np.cumsum(self.widths) - self.widths
        return np.arange(len(self.rows)) - starts[self.rows]


def csr_of(patterns: Sequence[Pattern], entries: npt.NDArray[np.float64]) -> Any:
    """The CSR matrix with entries [n_1, n_2, ...] on the product of patterns of n_a entries each.

    Rows and columns count the last axis fastest. Each entry's place follows from its ranks: nothing
    is sorted.
    """
    from scipy.sparse import csr_array

    dim, size = len(patterns), math.prod(p.size for p in patterns)
    kind = np.int32 if max(entries.size, size) < 2**31 else np.int64
    widths = np.ones(1, dtype=kind)
    for pattern in patterns:
        widths = np.multiply.outer(widths, pattern.widths.astype(kind)).reshape(-1)
    starts = np.concatenate([[0], np.cumsum(widths)]).astype(kind)
    row = column = place = np.zeros((1,) * dim, dtype=kind)
    width = np.ones((1,) * dim, dtype=kind)
    for axis, pattern in enumerate(patterns):
        shape = [1] * dim
        shape[axis] = -1
        r, c, rank, own = (
            part.astype(kind).reshape(shape)
            for part in (
                pattern.rows,
                pattern.columns,
                pattern.ranks,
                pattern.widths[pattern.rows],
            )
        )
        row, column = row * pattern.size + r, column * pattern.size + c
        place, width = place * own + rank, width * own
    place = starts[row] + place
    data, indices = np.empty(entries.size), np.empty(entries.size, dtype=kind)
    data[place.reshape(-1)] = entries.reshape(-1)
    indices[place.reshape(-1)] = np.broadcast_to(column, entries.shape).reshape(-1)
    return csr_array((data, indices, starts), shape=(size, size))
