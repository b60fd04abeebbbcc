"""The sparse direct route: the normal matrix of a linearised problem, assembled and factorised."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.basis import Gaussian
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.lattice.assemble import lattice_matrix

from .cholesky import FAINT, Factor, Normal, estimate
from .conjugate_gradients import Iterated, conjugate_gradients
from .coupled import CoupledOperator
from .normal_operator import NormalOperator
from .rows import rows
from .term_operator import TermOperator

Array = npt.NDArray[np.float64]
# Of the diagonal: above it the damping outweighs any shift.
NEARLY_UNDAMPED = 1e-9
# Of conjugate gradients that remove the shift: what they leave, the next refinement takes up.
TOLERANCE, LIMIT = 1e-10, 300
# Where residuals couple points, which the factor leaves out.
COUPLED_LIMIT = 2000
# Condition of the preconditioned matrix up to which the factor alone is nearly a solver.
CLEAN = 1.5


class DirectSystem:
    """N p = -g, with N = A' A by the features and dense rows and columns by the parameters.

    Args:
        normal: the problem, linearised.
        seconds: "assembly", "factor" and "solve" are added up here.

    Attributes:
        rows, seen: residuals, and features that they depend on.
    """

    # A refinement that promises less than this of the loss is the last: it costs little.
    enough = 1e-9

    def __init__(self, normal: NormalOperator, seconds: dict[str, float]) -> None:
        started = time.monotonic()
        self.seconds, self.rows, self.operator = seconds, normal.rows, normal
        self._local = all(part.local for part in normal.parts)
        squares = (_square(part, normal) for part in normal.parts if part.alphas or not part.local)
        total = next(squares, None)
        if total is None:
            raise SolveError("solve: the residuals do not depend on any feature.")
        total = sum(squares, total)
        self.cross = np.zeros((normal.features, normal.parameters))
        self.corner = np.zeros((normal.parameters, normal.parameters))
        for part in normal.parts if normal.parameters else ():
            deadline.check()
            columns = part.columns
            self.corner += (columns.t() @ columns).cpu().numpy()
            for place, column in enumerate(columns.t()):
                by_features, _ = part.transpose(column.reshape(len(part.x), -1))
                if by_features is not None:
                    self.cross[:, place] += by_features.reshape(-1).cpu().numpy()
        self.seen = int((total.diagonal() > 0).sum())
        deadline.check()
        faint = FAINT if isinstance(normal.spec.basis, Gaussian) else 0.0
        order = order_in_space(normal.spec, normal.channels)
        self.normal = Normal(total.tocsr(), order, faint, banded=self._local)
        self._factor: tuple[float, Factor] | None = None
        self._reach: Array | None = None
        self._complement: Array | None = None
        self.last: Iterated | None = None
        seconds["assembly"] += time.monotonic() - started

    def step(
        self, gradient: Array, damping: float, loss: float, exact: bool = True
    ) -> tuple[Array, float]:
        """The step p and the fall of the loss that the quadratic model predicts.

        The factor is that of a shifted matrix. Where the step is hardly damped, conjugate
        gradients with that factor as preconditioner remove the shift again: two or three products
        with the rows where it does no harm, as many more as there are functions that the residuals
        see less than the shift.

        Raises:
            SolveError: if the matrix is singular or its factor does not fit into memory.
        """
        factor = self._factorize(damping)
        started = time.monotonic()
        if self._local and (damping > NEARLY_UNDAMPED or not exact):
            p = -self._shifted_solve(factor, gradient)
            curvature = self._curvature(p)
        else:
            p, curvature = self._exact(factor, gradient, damping, loss)
        self.seconds["solve"] += time.monotonic() - started
        return p, max(0.0, -float(gradient @ p) - 0.5 * curvature)

    def _exact(
        self, factor: Factor, gradient: Array, damping: float, loss: float
    ) -> tuple[Array, float]:
        """The step and p' N p, without the shift."""
        like = self.operator.parts[0].slopes
        damped = torch.from_numpy(self._kept(damping) * self._diagonal).to(like)

        def apply(v: Tensor) -> Tensor:
            return self.operator.by_rows(v) + damped * v

        def precondition(r: Tensor) -> Tensor:
            return torch.from_numpy(self._shifted_solve(factor, r.cpu().numpy())).to(like)

        b = -torch.from_numpy(gradient).to(like)
        # The residual's rounding, seen through the inverse of the shift.
        floor = len(gradient) * self.operator.eps**2 * 2 * abs(loss) / self.normal.shift
        limit = LIMIT if self._local else COUPLED_LIMIT
        with torch.no_grad():
            found = conjugate_gradients(apply, b, precondition, TOLERANCE, limit, floor=floor)
        self.last = found
        curvature = found.x @ (b - found.residual - damped * found.x)
        p: Array = found.x.double().cpu().numpy().astype(np.float64)
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
        """(N + shift)^-1 b [features], the parameters held; by what the last step has factorised.

        The shift is `factor.SHIFTS`, or the damping, of the diagonal.
        """
        return self.normal.solve(self._factorize(damping), b)

    def precondition(self, r: Tensor) -> Tensor:
        """`solve_features` of r [features], undamped, as a tensor."""
        return torch.from_numpy(self.solve_features(r.cpu().numpy(), 0.0)).to(r)

    @property
    def condition(self) -> float:
        """Of the matrix scaled to a unit diagonal: a row sum times a few inverse iterations.

        What is seen less than the shift shows in the conjugate gradients of the last step.
        """
        if self._factor is None:
            return 1.0
        shifted = self.normal.condition(self._factor[1])
        if self.last is None or self.last.condition < 2:
            return shifted
        return max(shifted, self.last.condition / self.normal.shift)

    def _factorize(self, damping: float) -> Factor:
        if self._factor is None or self._factor[0] != damping:
            started = time.monotonic()
            deadline.check_work(estimate(self.operator.spec, self.operator.channels).work)
            self._factor = self._reach = None  # two would not fit
            self._factor = (damping, self.normal.factorize(damping))
            self.seconds["factor"] += time.monotonic() - started
        return self._factor[1]

    def _shifted_solve(self, factor: Factor, b: Array) -> Array:
        """(N + shift)^-1 b of all unknowns [features + parameters].

        The parameters from the Schur complement of the features' block. Their own shift keeps the
        features' block from cancelling a parameter that the features can replace altogether.
        """
        n = len(b) - len(self.corner)
        p = self.normal.solve(factor, b[:n])
        if not len(self.corner):
            return p
        if self._reach is None or self._complement is None:
            columns = [self.normal.solve(factor, column) for column in self.cross.T]
            self._reach = np.stack(columns, axis=1)
            diagonal = np.diagonal(self.corner)
            own = self.normal.shift * np.where(diagonal > 0, diagonal, 1.0)
            self._complement = self.corner - self.cross.T @ self._reach + np.diag(own)
        q = np.linalg.solve(self._complement, b[n:] - self.cross.T @ p)
        return np.concatenate([p - self._reach @ q, q])

    def _curvature(self, p: Array) -> float:
        """p' N p."""
        n = len(p) - len(self.corner)
        features, q = p[:n], p[n:]
        mixed = float(2 * features @ (self.cross @ q) + q @ (self.corner @ q)) if len(q) else 0.0
        return self.normal.quadratic(features) + mixed

    def _kept(self, damping: float) -> Array:
        """What stays of the shift, relative to `_diagonal`: all of it for faint features.

        Those that only the tail of a Gaussian reaches would follow noise as far as rounding lets
        them.
        """
        kept = np.full(len(self._diagonal), damping)
        kept[: len(self.normal.faint)][self.normal.faint] = self.normal.shift
        return kept

    @property
    def _diagonal(self) -> Array:
        """What a damping of 1 adds to the diagonal, [features + parameters]."""
        scale = self.normal.scale
        own = np.divide(1.0, scale**2, out=np.zeros_like(scale), where=scale > 0)
        corner = np.diagonal(self.corner)
        return np.concatenate([own, np.where(corner > 0, corner, 1.0)])


def _square(part: TermOperator, normal: NormalOperator) -> Any:
    """A' A by the features, scipy CSR; of residuals that couple points what is sparse of it."""
    deadline.check()
    if isinstance(part, CoupledOperator) and part.explicit is not None:
        return (part.explicit.T @ part.explicit).tocsr()
    if part.axes is not None and normal.spec.levels == 1:
        return lattice_matrix(part, normal.spec, normal.channels)
    squares = (block.T @ block for block in rows(part, normal.spec, normal.channels))
    return sum(squares, next(squares))


def order_in_space(spec: GridSpec, channels: int) -> npt.NDArray[np.int64]:
    """Unknowns sorted by their node's place, along the axis with most cells first.

    A node then couples only with unknowns nearby in the order, whatever its level: a narrow band.
    A ring is folded flat, 0, n - 1, 1, n - 2, ..., which makes the band twice as wide.
    """
    ring = [boundary == "periodic" for boundary in spec.boundary]
    axes = sorted(range(spec.dim), key=lambda axis: -spec.cells[axis] / (1 + ring[axis]))
    places: list[list[npt.NDArray[np.int64]]] = [[] for _ in axes]
    for level in range(spec.levels):
        index = np.indices(spec.level_nodes(level)).reshape(spec.dim, -1)
        for k, axis in enumerate(axes):
            ghost = spec.boundary[axis] == "ghost"
            place = (index[axis] - (spec.basis.rho - 1 if ghost else 0)) << level
            if ring[axis]:
                place = np.minimum(2 * place, 2 * (spec.cells[axis] - place) - 1)
            places[k].append(place)
    keys = [np.repeat(np.concatenate(place), channels) for place in places]
    order: npt.NDArray[np.int64] = np.lexsort(keys[::-1])
    return order
