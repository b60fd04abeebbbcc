"""Direct solvers for the symmetric positive definite matrices of least-squares problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.deadline import OutOfTime
from dinfgrid_cuda.solvers.errors import SolveError

from .memory import BYTES_PER_ENTRY, matrix_bytes
from .normal_operator import NormalOperator
from .taking_part import nodes_taking_part
from .unknown_nodes import unknown_nodes

Array = npt.NDArray[np.float64]
# A band of more numbers than this (6 GB) is left to a sparse factorisation.
LARGEST_BAND = 750_000_000
# From this many numbers of a band per entry of the matrix on, a sparse factorisation takes less.
FULL = 8
# Memory of SuperLU's factor, with the copies that reading its pivots makes, compared with that of a
# band: 2.5 on a square of 320 cells, 5.4 in a cube of 24 (degree 5).
SUPERLU = 5.5
# Shifts relative to the diagonal, without which redundant features (several levels, corners of the
# grid that few points reach) are not determined. The first that gives a positive definite matrix is
# taken, and refinement removes its trace. A smaller one lets rounding into what the residuals
# hardly see: Van der Pol's oscillator, mu = 2, ends at an error of 3e-12 with 1e-12, 3e-9 with
# 1e-13.
SHIFTS = (1e-12, 1e-11, 1e-10)
# Features of a Gaussian seen less than this part of the largest diagonal entry are not scaled up to
# 1: ghost nodes (weights from exp(-16) down) would grow to 1e14 and cancel to nothing but rounding.
# B-splines have faint corner features too, but none nearly alike; a clamped plate would lose three
# digits.
FAINT = 1e-9


@dataclass(frozen=True)
class Size:
    """The memory and work that a direct solve will take.

    Attributes:
        unknown_count: number of features.
        bytes: at the peak, for the factor and the matrix that it is made of.
        work: multiplications of the factorisation.
    """

    unknown_count: int
    bytes: float
    work: float


def estimate(spec: GridSpec, channels: int) -> Size:
    """Estimates the size of the factor of a grid's matrix.

    With unknowns sorted along the longest axis, a band reaches over the 2 rho - 1 planes of the
    coarsest level that a basis function touches, on a periodic axis over twice as many. SuperLU
    takes more, see `SUPERLU`.

    Raises:
        SolveError: if scipy is not installed.
    """
    try:
        import scipy.linalg  # noqa: F401
    except ImportError as error:
        raise SolveError(
            "solve: least-squares needs the package scipy; install it with: pip install scipy"
        ) from error
    if spec.local:
        return _size_of_local(spec, channels)
    unknown_count = spec.total_nodes * channels
    planes = (2 * spec.basis.rho - 1) << (spec.levels - 1)
    folds = [1 + (boundary == "periodic") for boundary in spec.boundary]
    longest = max(cells / fold for cells, fold in zip(spec.cells, folds, strict=True))
    width = unknown_count * min(1.0, planes / longest)
    return _size(unknown_count, width, matrix_bytes(spec, channels))


def _size_of_local(spec: GridSpec, channels: int) -> Size:
    """Estimates the size of the factor on local levels: that of as many features side by side.

    Unknowns of a truncated basis have neighbours as those of one level have, and an ordering by
    minimum degree needs no more than a band across the shortest side does.
    """
    free = unknown_nodes(spec)
    nodes = spec.total_nodes if free is None else int(free.sum())
    reach = 2 * spec.basis.rho - 1
    width = min(nodes, reach * nodes ** ((spec.dim - 1) / spec.dim))
    matrix = BYTES_PER_ENTRY * channels**2 * nodes * min(nodes, (2 * reach + 1) ** spec.dim)
    return _size(nodes * channels, width * channels, matrix)


def estimate_of(normal: NormalOperator) -> Size:
    """Estimates the size of the factor of a linearised problem, whose features may not all matter.

    On a shape the band reaches over the features of as many planes as differences of the extension
    do, where these are most.
    """
    whole = estimate(normal.spec, normal.channels)
    if normal.extension is None or normal.spec.levels > 1:
        return whole
    spec, taking_part = normal.spec, nodes_taking_part(normal)
    longest = max(range(spec.dim), key=lambda axis: spec.cells[axis])
    others = tuple(axis for axis in range(spec.dim) if axis != longest)
    planes = taking_part.reshape(spec.level_nodes(0)).sum(axis=others)
    reach = min(len(planes), spec.basis.nodes)
    width = float(np.convolve(planes, np.ones(reach), mode="valid").max()) * normal.channels
    count = int(planes.sum()) * normal.channels
    part = count / whole.unknown_count
    return _size(count, width, part * matrix_bytes(spec, normal.channels))


def _size(unknown_count: int, width: float, matrix: float) -> Size:
    """Returns the size of the factor of a matrix of ``matrix`` bytes by its half-bandwidth."""
    band = unknown_count * width
    numbers = band if band <= LARGEST_BAND else SUPERLU * band
    return Size(unknown_count, 8.0 * numbers + matrix, band * width)


class Factor(Protocol):
    """A factorised matrix that systems can be solved with."""

    def solve(self, b: Array) -> Array:
        """Returns x [n] of the system with right-hand side b [n]."""
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
        """Returns x [n] of the system with right-hand side b [n]."""
        from scipy.linalg import cho_solve_banded

        x: Array = cho_solve_banded((self.band, True), b, check_finite=False)
        return x


class SparseFactor:
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
        """Returns x [n] of the system with right-hand side b [n]."""
        x: Array = self.lu.solve(b)
        return x


class CholmodFactor:
    """The supernodal factor by CHOLMOD, where the package scikit-sparse is installed."""

    def __init__(self, matrix: Any) -> None:
        from sksparse.cholmod import CholmodError, cholesky

        try:
            self.factor = cholesky(matrix.tocsc())
        except CholmodError as error:
            raise np.linalg.LinAlgError(str(error)) from error

    def solve(self, b: Array) -> Array:
        """Returns x [n] of the system with right-hand side b [n]."""
        x: Array = self.factor(b)
        return x


def sparse_factor(matrix: Any) -> Factor:
    """Factorises by CHOLMOD where it is installed, else by SuperLU."""
    try:
        return CholmodFactor(matrix)
    except ImportError:
        return SparseFactor(matrix)


class ScaledMatrix:
    """The matrix N = sum of A' A, scaled to a unit diagonal and ordered for a narrow band.

    Faint features (see `FAINT`) may keep a smaller diagonal.

    Args:
        matrix: CSR [n, n].
        order: permutation of the unknowns [n] that brings neighbours in space together. Those that
            no point reaches are left out of the system.
        faint: part of the largest diagonal entry below which features are not scaled up.
        banded: whether all entries lie near the diagonal in that order.

    Attributes:
        order: of the unknowns that some point reaches.
        scaled: CSR, scaled and ordered.
        scale: of each unknown [n]; 0 for those that no point reaches.
        faint: whether each unknown [n] is faint.
        shift: that the last factor has, relative to the diagonal.
    """

    def __init__(
        self,
        matrix: Any,
        order: npt.NDArray[np.int64],
        faint: float = 0.0,
        banded: bool = True,
    ) -> None:
        diagonal = matrix.diagonal()
        if not np.isfinite(diagonal).all():
            raise SolveError("solve: the least-squares matrix holds NaN or infinite numbers.")
        largest = float(diagonal.max(initial=0.0))
        if largest == 0.0:
            raise SolveError(
                "solve: the residuals do not depend on any feature; a degree-1 B-spline, for "
                "instance, has no second derivatives."
            )
        least = max(faint * largest, 1e-300)
        self.faint = (diagonal > 1e-300) & (diagonal < least)
        self.scale = np.where(diagonal > 1e-300, 1 / np.sqrt(np.maximum(diagonal, least)), 0.0)
        # Features that no point reaches stay what they are.
        self.order = order = order[self.scale[order] > 0]
        scaling = _diagonal(self.scale)
        self.scaled = (scaling @ matrix @ scaling).tocsr()[order][:, order]
        places = self.scaled.tocoo()
        self.width = int(np.abs(places.row - places.col).max(initial=0))
        self.shift = SHIFTS[0]
        band = (self.width + 1) * len(order)
        full = FULL * self.scaled.nnz
        self.banded = band <= (LARGEST_BAND if banded else min(LARGEST_BAND, full))

    def factorize(self, damping: float) -> Factor:
        """Factorises the scaled N + damping I.

        Raises:
            SolveError: if it is singular or does not fit into memory.
        """
        for shift in SHIFTS:
            try:
                self.shift = max(damping, shift)
                return self._factorize(self.shift)
            except (SolveError, OutOfTime):  # RuntimeErrors too
                raise
            except (np.linalg.LinAlgError, RuntimeError) as error:
                reason = str(error)
        raise SolveError(f"solve: the least-squares matrix is singular ({reason}).")

    def _factorize(self, shift: float) -> Factor:
        """Factorises the scaled N + shift I."""
        n = len(self.order)
        whole = (self.scaled + _diagonal(np.full(n, shift))).tocsr()
        try:
            if self.banded:
                return BandFactor(whole, self.width)
            return sparse_factor(whole)
        except MemoryError as error:
            raise SolveError(
                f"solve: {n:,} unknowns with {whole.nnz:,} entries do not fit into memory as a "
                "factor; use fewer cells, or method='lbfgs'."
            ) from error

    def solve(self, factor: Factor, b: Array) -> Array:
        """Returns (N + shift diag N)^-1 b [n], with diag N as in `scale`."""
        scaled = (self.scale * b)[self.order]
        x = np.zeros_like(b)
        x[self.order] = factor.solve(scaled)
        return self.scale * x

    def condition(self, factor: Factor, iterations: int = 3) -> float:
        """Estimates the condition of the scaled matrix from a factor of it."""
        largest = float(abs(self.scaled).sum(axis=1).max())
        x = np.random.default_rng(0).standard_normal(len(self.order))
        growth = 1.0
        for _ in range(iterations):
            y = factor.solve(x / np.linalg.norm(x))
            growth, x = float(np.linalg.norm(y)), y
        return max(1.0, largest * growth)

    def quadratic(self, p: Array) -> float:
        """Returns p' N p of a p [n] that is zero where no point reaches, as `solve` gives it."""
        reached = self.scale > 0
        scaled = np.divide(p, self.scale, out=np.zeros_like(p), where=reached)[self.order]
        return float(scaled @ (self.scaled @ scaled))


def _diagonal(entries: Array) -> Any:
    """Returns the sparse matrix with this diagonal [n]."""
    from scipy.sparse import dia_array

    return dia_array((entries[None], [0]), shape=(len(entries), len(entries)))
