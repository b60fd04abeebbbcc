"""The matrix-free route: conjugate gradients on the normal equations, each product by kernels.

Preconditioned by fast diagonalisation of averaged coefficients where the points are lattices, else
by the diagonal; on several levels that acts like the multilevel preconditioner of Bramble, Pasciak
and Xu (Math. Comp. 55, 1990), because every level's features enter with their own diagonal.
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
from .unknowns import Array

# Of one step: what it leaves, the next step of refinement takes up.
TOLERANCE = 1e-10
LIMIT = 500


class MatrixFreeSystem:
    """N p = -g by conjugate gradients, without N.

    Args:
        normal: the problem, linearised.
        seconds: "assembly" and "solve" are added up here.
        limit: of iterations a step.

    Attributes:
        rows, seen: residuals, and features that they depend on.
        iterations: taken so far.
        condition: of the preconditioned matrix, a lower bound.
        last: what the last step found.
    """

    # A step that promises less than this of the loss is the last.
    enough = 1e-8

    def __init__(
        self, normal: NormalOperator, seconds: dict[str, float], limit: int = LIMIT
    ) -> None:
        started = time.monotonic()
        self.seconds, self.normal, self.limit = seconds, normal, limit
        self.rows = normal.rows
        self.diagonal = normal.diagonal()
        if not bool(self.diagonal.isfinite().all()):
            raise SolveError("solve: the least-squares matrix holds NaN or infinite numbers.")
        self.seen = int((self.diagonal[: normal.features] > 0).sum())
        if not self.seen:
            raise SolveError("solve: the residuals do not depend on any feature.")
        self.iterations, self.condition = 0, 1.0
        self.last: Iterated | None = None
        averaged = normal.averaged()
        self.fast = None if averaged is None else FastDiagonal(averaged)
        seconds["assembly"] += time.monotonic() - started

    @property
    def finished(self) -> bool:
        """Whether the last step was solved to the tolerance."""
        return self.last is None or self.last.done

    @property
    def clean(self) -> bool:
        """Whether a small gain means that little is left: the tolerance sees to it."""
        return True

    def step(
        self, gradient: Array, damping: float, loss: float, exact: bool = True
    ) -> tuple[Array, float]:
        """The step p and the fall of the loss that the quadratic model predicts."""
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
            found = conjugate_gradients(
                apply, b, self.fast or jacobi, TOLERANCE, self.limit, abs(loss)
            )
        self.last = found
        self.iterations += found.iterations
        self.condition = max(self.condition, found.condition)
        self.seconds["solve"] += time.monotonic() - started
        curvature = found.x @ (b - found.residual - shift * found.x)
        p: Array = found.x.double().cpu().numpy().astype(np.float64)
        return p, max(0.0, float(b @ found.x - 0.5 * curvature))


def suits(normal: NormalOperator) -> bool:
    """Whether fast diagonalisation applies: constant coefficients on lattices throughout."""
    return not normal.others and bool(normal.kronecker.coefficients)
