"""Direct solvers for the symmetric positive definite matrices of least-squares problems."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.problem.deadline import OutOfTime
from dinfgrid_cuda.solvers.errors import SolveError

# Where these were once.
from .factor_estimate import Size as Size
from .factor_estimate import estimate as estimate
from .factor_estimate import estimate_of as estimate_of
from .factors import Array, Plan
from .factors import Factor as Factor

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


class ScaledMatrix:
    """The matrix N = sum of A' A, scaled to a unit diagonal and ordered in space.

    Faint features (see `FAINT`) may keep a smaller diagonal.

    Args:
        matrix: CSR [n, n].
        order: permutation of the unknowns [n] that brings neighbours in space together, for a
            narrow band. Those that no point reaches are left out of the system.
        starts: of the supports of the unknowns, [axes, n].
        faint: part of the largest diagonal entry below which features are not scaled up.
        local: whether only neighbours in space couple.

    Attributes:
        order: of the unknowns that some point reaches.
        scaled: CSR, scaled and ordered.
        scale: of each unknown [n]; 0 for those that no point reaches.
        faint: whether each unknown [n] is faint.
        shift: that the last factor has, relative to the diagonal.
        plan: of the factor.
    """

    def __init__(
        self,
        matrix: Any,
        order: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        faint: float = 0.0,
        local: bool = True,
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
        self.shift = SHIFTS[0]
        self.plan = Plan(self.scaled, starts[:, order], local)

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
            return self.plan.factorise(whole)
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
