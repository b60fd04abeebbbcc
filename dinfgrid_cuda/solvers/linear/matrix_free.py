"""The matrix-free route: conjugate gradients on the normal equations.

The preconditioner is fast diagonalisation of averaged coefficients where the points form lattices,
else the diagonal. On several levels the diagonal acts like the multilevel preconditioner of
Bramble, Pasciak and Xu (Math. Comp. 55, 1990), because every level's features enter with their own
entries. On local levels too: 192, 205, 260, 310 iterations on an L with 1, 2, 4, 8 levels to its
corner (12 cells, degree 3), 360 and 353 in a cube with 1 and 2 (8 cells, degree 3). Degree 5 takes
many more, 1,927 on the L with 4.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.lattice.fast_diagonal import FastDiagonal

from .conjugate_gradients import Iterated, conjugate_gradients
from .normal_operator import NormalOperator
from .schwarz import Schwarz, suits_boxes
from .system import Timed, new_seconds
from .unknowns import Array

# Tolerance of one step; the next step of refinement removes what it leaves.
TOLERANCE = 1e-10
# Largest number of iterations of one step.
LIMIT = 500


class MatrixFreeSystem:
    """Solves N p = -g by conjugate gradients, without forming N.

    Args:
        normal: the problem, linearised.
        seconds: "assembly" and "solve" are added up here; None where nobody asks for them.
        limit: largest number of iterations of a step.

    Attributes:
        row_count, seen_count: numbers of residuals, and of features that they depend on.
        iteration_count: number of iterations so far.
        condition: of the preconditioned matrix, a lower bound.
        last: the result of the last step.
    """

    # A step that promises less than this of the loss is the last.
    enough = 1e-8

    def __init__(
        self, normal: NormalOperator, seconds: dict[str, float] | None = None, limit: int = LIMIT
    ) -> None:
        started = time.monotonic()
        self.seconds = new_seconds() if seconds is None else seconds
        self.normal, self.limit, self.row_count = normal, limit, normal.row_count
        self.diagonal = normal.diagonal()
        if not bool(self.diagonal.isfinite().all()):
            raise SolveError("solve: the least-squares matrix holds NaN or infinite numbers.")
        self.seen_count = int((normal.layout.split(self.diagonal)[0] > 0).sum())
        if not self.seen_count:
            raise SolveError("solve: the residuals do not depend on any feature.")
        self.iteration_count, self.condition = 0, 1.0
        self.last: Iterated | None = None
        averaged = normal.averaged()
        self.fast = None if averaged is None else FastDiagonal(averaged)
        self._boxes: Schwarz | None = None
        self.seconds["assembly"] += time.monotonic() - started

    @property
    def finished(self) -> bool:
        """Whether the last step was solved to the tolerance."""
        return self.last is None or self.last.done

    @property
    def clean(self) -> bool:
        """Whether a small gain means that little is left; the tolerance ensures it."""
        return True

    def step(
        self, gradient: Array, damping: float, loss: float, exact: bool = True
    ) -> tuple[Array, float]:
        """Returns the step p and the decrease of the loss that the quadratic model predicts."""
        precondition = self.fast or self._of_boxes(damping)
        started = time.monotonic()
        b = -torch.from_numpy(gradient).to(self.diagonal)
        shift = damping * self.diagonal
        positive = self.diagonal > 0
        inverse = torch.where(positive, 1 / ((1 + damping) * self.diagonal), 0.0)

        def apply(v: Tensor) -> Tensor:
            return self.normal(v) + shift * v if damping else self.normal(v)

        def jacobi(r: Tensor) -> Tensor:
            return inverse * r

        with torch.no_grad():
            result = conjugate_gradients(
                apply, b, precondition or jacobi, TOLERANCE, self.limit, abs(loss)
            )
        self.last = result
        self.iteration_count += result.iteration_count
        self.condition = max(self.condition, result.condition)
        self.seconds["solve"] += time.monotonic() - started
        curvature = result.x @ (b - result.residual - shift * result.x)
        p: Array = result.x.double().cpu().numpy().astype(np.float64)
        return p, max(0.0, float(b @ result.x - 0.5 * curvature))

    def _of_boxes(self, damping: float) -> Schwarz | None:
        """Returns the preconditioner of shapes for a damping, that of the last step if the same."""
        if self.fast is not None or not suits_boxes(self.normal):
            return None
        if self._boxes is None or self._boxes.damping != damping:
            self._boxes = None  # two might not fit
            with Timed(self.seconds, "factor"):
                self._boxes = Schwarz(self.normal, damping)
        return self._boxes


def suits(normal: NormalOperator) -> bool:
    """Whether fast diagonalisation applies: constant coefficients on lattices throughout."""
    return not normal.general_operators and bool(normal.kronecker.coefficients)
