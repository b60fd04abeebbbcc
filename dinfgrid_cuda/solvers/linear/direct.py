"""The direct route: the normal matrix of a linearised problem, assembled and factorised."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.basis import Gaussian
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.lattice.assemble import lattice_matrix

from .cell_assembly import cell_matrix, suits_cells
from .cholesky import FAINT, ScaledMatrix
from .conjugate_gradients import Iterated, conjugate_gradients
from .factors import Factor
from .normal_operator import NormalOperator
from .patch_assembly import patch_matrix
from .places import intervals_of_supports, order_in_space
from .rows import rows
from .system import new_seconds
from .term_operator import TermOperator
from .truncated_assembly import spread, truncated_matrix
from .truncation import Truncation, truncation
from .unknowns import Array

# A damping above this part of the diagonal outweighs any shift.
NEARLY_UNDAMPED = 1e-9
# Tolerance and largest number of iterations of the conjugate gradients that remove the shift; the
# next refinement removes what they leave.
TOLERANCE, LIMIT = 1e-10, 300
# The same number where residuals couple points, which the factor leaves out.
COUPLED_LIMIT = 2000
# Condition of the preconditioned matrix up to which the factor alone is nearly a solver.
CLEAN = 1.5


class DirectSystem:
    """Solves N p = -g, with N = A' A by the features and dense rows and columns by the parameters.

    Args:
        normal: the problem, linearised.
        seconds: "assembly", "factor" and "solve" are added up here; None where nobody asks.

    Attributes:
        row_count, seen_count: numbers of residuals, and of features that they depend on.
        matrix: A' A by the features; on local levels by the unknowns of a truncated basis.
        cross: A' B, [features, parameter_count], by the same.
        corner: B' B, [parameter_count, parameter_count].
        last: the result of the conjugate gradients of the last step that needed them.
    """

    # A refinement that promises less than this of the loss is the last, since one costs little.
    enough = 1e-9

    def __init__(self, normal: NormalOperator, seconds: dict[str, float] | None = None) -> None:
        started = time.monotonic()
        self.seconds = new_seconds() if seconds is None else seconds
        self.row_count, self.normal = normal.row_count, normal
        self._local = all(operator.local for operator in normal.operators)
        basis = truncation(normal.spec)
        self._change = None if basis is None else spread(basis.change, normal.channels)
        total = _normal_matrix(normal, basis)
        cross, self.corner = _parameter_blocks(normal)
        self.cross = self._reduced(cross)
        self.seen_count = int((total.diagonal() > 0).sum())
        deadline.check()
        faint = FAINT if isinstance(normal.spec.basis, Gaussian) else 0.0
        order = order_in_space(normal.spec, normal.channels)
        starts = np.repeat(intervals_of_supports(normal.spec)[0], normal.channels, axis=1)
        self.matrix = ScaledMatrix(total.tocsr(), order, starts, faint, self._local)
        self._factor: tuple[float, Factor] | None = None
        self._reach: Array | None = None
        self._complement: Array | None = None
        self.last: Iterated | None = None
        self.seconds["assembly"] += time.monotonic() - started

    def step(
        self, gradient: Array, damping: float, loss: float, exact: bool = True
    ) -> tuple[Array, float]:
        """Returns the step p and the decrease of the loss that the quadratic model predicts.

        The factor is that of a shifted matrix. Where the step is hardly damped, conjugate
        gradients with that factor as preconditioner remove the shift again: this takes two or
        three products with the rows where the shift does no harm, and one more for each function
        that the residuals see less than the shift.

        Raises:
            SolveError: if the matrix is singular or its factor does not fit into memory.
        """
        factor = self._factorize(damping)
        started = time.monotonic()
        if self._local and (damping > NEARLY_UNDAMPED or not exact):
            c = -self._shifted_solve(factor, self._reduced(gradient))
            p, curvature = self._features(c), self._curvature(c)
        else:
            p, curvature = self._exact(factor, gradient, damping, loss)
        self.seconds["solve"] += time.monotonic() - started
        return p, max(0.0, -float(gradient @ p) - 0.5 * curvature)

    def _exact(
        self, factor: Factor, gradient: Array, damping: float, loss: float
    ) -> tuple[Array, float]:
        """Returns the step without the shift, and p' N p."""
        like = self.normal.operators[0].slopes
        damped = torch.from_numpy(self._kept(damping) * self._diagonal).to(like)

        def apply(v: Tensor) -> Tensor:
            return self.normal.by_rows(v) + damped * v

        def precondition(r: Tensor) -> Tensor:
            c = self._shifted_solve(factor, self._reduced(r.cpu().numpy()))
            return torch.from_numpy(self._features(c)).to(like)

        b = -torch.from_numpy(gradient).to(like)
        # The residual's rounding, seen through the inverse of the shift.
        floor = len(gradient) * self.normal.eps**2 * 2 * abs(loss) / self.matrix.shift
        limit = LIMIT if self._local else COUPLED_LIMIT
        with torch.no_grad():
            result = conjugate_gradients(apply, b, precondition, TOLERANCE, limit, floor=floor)
        self.last = result
        curvature = result.x @ (b - result.residual - damped * result.x)
        p: Array = result.x.double().cpu().numpy().astype(np.float64)
        return p, float(curvature)

    @property
    def finished(self) -> bool:
        """Whether the last step was solved as exactly as rounding allows."""
        return self.last is None or self.last.done

    @property
    def clean(self) -> bool:
        """Whether the shift did no harm in the last step."""
        return self.last is not None and self.last.condition < CLEAN

    def solve_features(self, b: Array, damping: float) -> Array:
        """Returns (N + shift)^-1 b of b [features], the parameters held.

        The shift is one of `cholesky.SHIFTS`, or the damping, times the diagonal. A factor of the
        last step with the same damping is used again.
        """
        c = self.matrix.solve(self._factorize(damping), self._reduced(b))
        return self._features(c)

    def _reduced(self, b: Array) -> Array:
        """Returns T' b of a gradient b [features, ...] or [unknowns, ...], see `truncation`."""
        if self._change is None:
            return b
        n = self.normal.feature_count
        return np.concatenate([self._change.T @ b[:n], b[n:]])

    def _features(self, c: Array) -> Array:
        """Returns T c of unknowns c of the factorised matrix, parameters unchanged."""
        if self._change is None:
            return c
        n = self.normal.feature_count
        return np.concatenate([self._change @ c[:n], c[n:]])

    def precondition(self, r: Tensor) -> Tensor:
        """Returns `solve_features` of r [features], undamped, as a tensor."""
        return torch.from_numpy(self.solve_features(r.cpu().numpy(), 0.0)).to(r)

    @property
    def condition(self) -> float:
        """The condition of the matrix scaled to a unit diagonal, by a few inverse iterations.

        Functions seen less than the shift show in the conjugate gradients of the last step.
        """
        if self._factor is None:
            return 1.0
        shifted = self.matrix.condition(self._factor[1])
        if self.last is None or self.last.condition < 2:
            return shifted
        return max(shifted, self.last.condition / self.matrix.shift)

    def _factorize(self, damping: float) -> Factor:
        """Returns the factor for a damping, that of the last step where it is the same."""
        if self._factor is None or self._factor[0] != damping:
            started = time.monotonic()
            deadline.check_work(self.matrix.plan.need.work)
            self._factor = self._reach = None  # two would not fit
            self._factor = (damping, self.matrix.factorize(damping))
            self.seconds["factor"] += time.monotonic() - started
        return self._factor[1]

    def _shifted_solve(self, factor: Factor, b: Array) -> Array:
        """Returns (N + shift)^-1 b of a vector b [unknowns], both by the unknowns of `matrix`.

        The parameters come from the Schur complement of the features' block. A shift of their own
        keeps the features' block from cancelling a parameter that the features can replace.
        """
        n = self.normal.feature_count
        p = self.matrix.solve(factor, b[:n])
        if not len(self.corner):
            return p
        if self._reach is None or self._complement is None:
            columns = [self.matrix.solve(factor, column) for column in self.cross.T]
            self._reach = np.stack(columns, axis=1)
            diagonal = np.diagonal(self.corner)
            shifts = self.matrix.shift * np.where(diagonal > 0, diagonal, 1.0)
            self._complement = self.corner - self.cross.T @ self._reach + np.diag(shifts)
        q = np.linalg.solve(self._complement, b[n:] - self.cross.T @ p)
        return np.concatenate([p - self._reach @ q, q])

    def _curvature(self, p: Array) -> float:
        """Returns p' N p of a step p [unknowns] by those of `matrix`."""
        n = self.normal.feature_count
        features, q = p[:n], p[n:]
        mixed = float(2 * features @ (self.cross @ q) + q @ (self.corner @ q)) if len(q) else 0.0
        return self.matrix.quadratic(features) + mixed

    def _kept(self, damping: float) -> Array:
        """Returns what stays of the shift, relative to `_diagonal`: all of it for faint features.

        Features that only the tail of a Gaussian reaches would follow noise as far as rounding lets
        them.
        """
        kept = np.full(len(self._diagonal), damping)
        kept[: len(self.matrix.faint)][self.matrix.faint] = self.matrix.shift
        return kept

    @property
    def _diagonal(self) -> Array:
        """What a damping of 1 adds to the diagonal, [unknowns]."""
        scale = self.matrix.scale
        of_features = np.divide(1.0, scale**2, out=np.zeros_like(scale), where=scale > 0)
        corner = np.diagonal(self.corner)
        return np.concatenate([of_features, np.where(corner > 0, corner, 1.0)])


def _normal_matrix(normal: NormalOperator, basis: Truncation | None = None) -> Any:
    """Assembles A' A by the features, or by a truncated basis, scipy CSR.

    Raises:
        SolveError: if the residuals do not depend on any feature.
    """
    squares = (
        _square(operator, normal, basis)
        for operator in normal.operators
        if operator.alphas or not operator.local or operator.explicit is not None
    )
    total = next(squares, None)
    if total is None:
        raise SolveError("solve: the residuals do not depend on any feature.")
    return sum(squares, total)


def _square(operator: TermOperator, normal: NormalOperator, basis: Truncation | None) -> Any:
    """Assembles A' A of an operator, scipy CSR; where it couples points, the sparse part of it."""
    deadline.check()
    explicit = operator.explicit
    if basis is not None and operator.local and explicit is None:
        return truncated_matrix(operator, normal.spec, normal.channels, basis)
    change = None if basis is None else spread(basis.change, normal.channels)
    if explicit is not None:
        explicit = explicit if change is None else explicit @ change
        return (explicit.T @ explicit).tocsr()
    if operator.local and normal.spec.local:
        return patch_matrix(operator, normal.spec, normal.channels)
    if operator.axes is not None and normal.spec.levels == 1:
        return lattice_matrix(operator, normal.spec, normal.channels)
    if operator.local and suits_cells(operator, normal.spec):
        return cell_matrix(operator, normal.spec, normal.channels)
    blocks = rows(operator, normal.spec, normal.channels)
    changed = blocks if change is None else (block @ change for block in blocks)
    squares = (block.T @ block for block in changed)
    return sum(squares, next(squares))


def _parameter_blocks(normal: NormalOperator) -> tuple[Array, Array]:
    """Forms A' B [features, parameter_count] and B' B [parameter_count, parameter_count]."""
    cross = np.zeros((normal.feature_count, normal.parameter_count))
    corner = np.zeros((normal.parameter_count, normal.parameter_count))
    for operator in normal.operators if normal.parameter_count else ():
        deadline.check()
        columns = operator.columns
        corner += (columns.t() @ columns).cpu().numpy()
        for place, column in enumerate(columns.t()):
            by_features, _ = operator.transpose(column.reshape(len(operator.x), -1))
            if by_features is not None:
                cross[:, place] += by_features.reshape(-1).cpu().numpy()
    return cross, corner
