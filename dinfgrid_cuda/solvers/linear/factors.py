"""Factors of symmetric positive definite matrices, and the choice of the one that takes least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .dissection import FactorSize
from .memory import free_memory
from .multifrontal import Analysis, FrontalFactor

Array = npt.NDArray[np.float64]
# Multiplications of a band's factorisation up to which it takes less than looking for another one.
AT_ONCE = 2e9
# Time of a multiplication in fronts, and of a number of a factor by fronts, in those of
# multiplications in a band: 2.9 s for 35e9 and 45e6 on a square of 256 cells, 2.0 s for 34e9 and
# 21e6 in a cube of 16, where bands take 3.6 s for 117e9 and 1.2 s for 50e9 (degree 5, one thread).
MULTIPLICATION, NUMBER = 0.8, 1800.0
# Where residuals couple points, a factor with more numbers than this per entry of the matrix is
# left to SuperLU, which orders by the couplings alone.
FULL = 8


class Factor(Protocol):
    """A factorised matrix that systems can be solved with."""

    def solve(self, b: Array) -> Array:
        """Returns x of the system with right-hand side b, [n] or [n, columns] both."""
        ...


class BandFactor:
    """The Cholesky factor of a band matrix (LAPACK pbtrf).

    Args:
        matrix: CSR [n, n], symmetric.
        width: half-bandwidth, the largest |i - j| of an entry.
    """

    def __init__(self, matrix: Any, width: int) -> None:
        from scipy.linalg import cholesky_banded

        n = matrix.shape[0]
        entries = matrix.tocoo()
        lower = entries.row >= entries.col
        band = np.zeros((width + 1, n), order="F")
        rows, columns = entries.row[lower], entries.col[lower]
        band[rows - columns, columns] = entries.data[lower]
        self.band = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)

    def solve(self, b: Array) -> Array:
        """Returns x of the system with right-hand side b, [n] or [n, columns] both."""
        from scipy.linalg import cho_solve_banded

        x: Array = cho_solve_banded((self.band, True), b, check_finite=False)
        return x


class SuperLUFactor:
    """The factor by SuperLU, with an ordering for symmetric matrices."""

    def __init__(self, matrix: Any) -> None:
        from scipy.sparse.linalg import splu

        self.lu = splu(
            matrix.tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

        # Without pivoting the diagonal of U has the signs of the eigenvalues.
        if not (self.lu.U.diagonal() > 0).all():
            raise np.linalg.LinAlgError("a pivot is not positive")

    def solve(self, b: Array) -> Array:
        """Returns x of the system with right-hand side b, [n] or [n, columns] both."""
        x: Array = self.lu.solve(b)
        return x


@dataclass(frozen=True)
class Need:
    """What a factor takes.

    Attributes:
        kind: "band", "fronts" or "SuperLU".
        bytes: of memory.
        work: multiplications and additions of a band's factorisation that takes as long.
    """

    kind: str
    bytes: float
    work: float


def band_need(unknown_count: int, width: float) -> Need:
    """Returns what a band of this half-bandwidth takes."""
    numbers = unknown_count * (width + 1)
    return Need("band", 8.0 * numbers, unknown_count * width**2)


def fronts_need(size: FactorSize) -> Need:
    """Returns what fronts of this size take."""
    return Need("fronts", 8.0 * size.peak, MULTIPLICATION * size.work + NUMBER * size.numbers)


def better(band: Need, fronts: Need) -> Need:
    """Returns the faster of two factors; that with less memory where the other does not fit."""
    fast, other = (band, fronts) if band.work <= fronts.work else (fronts, band)
    return other if other.bytes < fast.bytes and fast.bytes > free_memory() else fast


class Plan:
    """The factor to be made of a matrix and others of its pattern.

    Args:
        matrix: CSR [n, n], symmetric, in an order that makes a narrow band if any does.
        starts: of the supports of the unknowns, [axes, n].
        local: whether only neighbours in space couple.

    Attributes:
        need: what it takes; zeros for SuperLU, of which it is known afterwards only.
    """

    def __init__(self, matrix: Any, starts: npt.NDArray[Any], local: bool = True) -> None:
        entries = matrix.tocoo()
        n, self.width = matrix.shape[0], int(np.abs(entries.row - entries.col).max(initial=0))
        self._analysis: Analysis | None = None
        self.need = band_need(n, self.width)
        full = 8.0 * FULL * matrix.nnz
        if self.need.work > AT_ONCE or (not local and self.need.bytes > full):
            analysis = Analysis(matrix, starts)
            fronts = fronts_need(analysis.size)
            self.need = better(self.need, fronts)
            if self.need.kind == "fronts":
                self._analysis = analysis
            if not local and min(8.0 * n * (self.width + 1), 8.0 * analysis.size.numbers) > full:
                self.need, self._analysis = Need("SuperLU", 0.0, 0.0), None

    def factorise(self, matrix: Any) -> Factor:
        """Returns the factor of a matrix of the pattern that was planned for.

        Raises:
            LinAlgError, RuntimeError: if it is not positive definite.
            MemoryError: if the factor does not fit.
        """
        if self.need.bytes > free_memory():
            raise MemoryError
        if self.need.kind == "SuperLU":
            return SuperLUFactor(matrix)
        if self._analysis is not None:
            return FrontalFactor(matrix, self._analysis)
        return BandFactor(matrix, self.width)
