"""The sparse direct route: the normal matrix of a linearised problem, assembled and factorised."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ..basis import Gaussian
from ..field import Field
from ..spec import GridSpec
from .assemble import rows
from .errors import SolveError
from .factor import FAINT, Factor, Normal
from .lattice_matrix import lattice_matrix
from .normal import NormalOperator
from .operator import TermOperator

Array = npt.NDArray[np.float64]
# Part of a parameter's own sum of squares: what is left of it once the features have adapted.
UNDETERMINED = 1e-9


class DirectSystem:
    """N p = -g, with N = A' A by the features and dense rows and columns by the parameters.

    Args:
        normal: the problem, linearised.
        order: of the features, for a narrow band (`order_in_space`).
        seconds: "assembly", "factor" and "solve" are added up here.

    Attributes:
        rows, seen: residuals, and features that they depend on.
        free: parameters, by their places, that the features can replace altogether.
    """

    # A refinement that promises less than this of the loss is the last: it costs little.
    enough = 1e-9
    finished = True

    def __init__(
        self, normal: NormalOperator, order: npt.NDArray[np.int64], seconds: dict[str, float]
    ) -> None:
        started = time.monotonic()
        self.seconds, self.rows = seconds, normal.rows
        squares = (_square(part, normal) for part in normal.parts if part.alphas)
        total = next(squares, None)
        if total is None:
            raise SolveError("solve: the residuals do not depend on any feature.")
        total = sum(squares, total)
        self.cross = np.zeros((normal.features, normal.parameters))
        self.corner = np.zeros((normal.parameters, normal.parameters))
        for part in normal.parts if normal.parameters else ():
            columns = part.columns
            self.corner += (columns.t() @ columns).cpu().numpy()
            for place, column in enumerate(columns.t()):
                by_features, _ = part.transpose(column.reshape(len(part.x), -1))
                if by_features is not None:
                    self.cross[:, place] += by_features.reshape(-1).cpu().numpy()
        self.seen = int((total.diagonal() > 0).sum())
        faint = FAINT if isinstance(normal.spec.basis, Gaussian) else 0.0
        self.normal = Normal(total.tocsr(), order, faint)
        self.free: list[int] = []
        self._factor: tuple[float, Factor] | None = None
        seconds["assembly"] += time.monotonic() - started

    def step(self, gradient: Array, damping: float, loss: float) -> tuple[Array, float]:
        """The step p and the fall of the loss that the quadratic model predicts.

        Raises:
            SolveError: if the matrix is singular or its factor does not fit into memory.
        """
        factor = self._factorize(damping)
        started = time.monotonic()
        n = len(gradient) - len(self.corner)
        p = -self.normal.solve(factor, gradient[:n])
        curvature = 0.0
        if len(self.corner):
            p, curvature = self._bordered(factor, p, gradient[n:], damping)
        curvature += self.normal.quadratic(p[:n])
        self.seconds["solve"] += time.monotonic() - started
        return p, max(0.0, -float(gradient @ p) - 0.5 * curvature)

    def solve_features(self, b: Array, damping: float) -> Array:
        """N^-1 b [features], the parameters held; for what the last step has factorised."""
        return self.normal.solve(self._factorize(damping), b)

    @property
    def condition(self) -> float:
        """Of the matrix scaled to a unit diagonal: a row sum times a few inverse iterations."""
        if self._factor is None:
            return 1.0
        return self.normal.condition(self._factor[1])

    def _factorize(self, damping: float) -> Factor:
        if self._factor is None or self._factor[0] != damping:
            started = time.monotonic()
            self._factor = None  # two would not fit
            self._factor = (damping, self.normal.factorize(damping))
            self.seconds["factor"] += time.monotonic() - started
        return self._factor[1]

    def _bordered(
        self, factor: Factor, p: Array, gradient: Array, damping: float
    ) -> tuple[Array, float]:
        """All unknowns from the Schur complement of the features' block.

        Args:
            p: -N^-1 g of the features alone.
            gradient: by the parameters.

        Returns:
            the whole step, and what the parameters add to p' N p.
        """
        reach = np.stack([self.normal.solve(factor, column) for column in self.cross.T], axis=1)
        complement = self.corner - self.cross.T @ reach
        if not damping:
            ratios = np.diagonal(complement) / np.maximum(np.diagonal(self.corner), 1e-300)
            self.free = [int(place) for place in np.flatnonzero(ratios <= UNDETERMINED)]
        # The features' shift, relative to the diagonal, keeps the features' block from cancelling
        # a parameter that they can replace altogether.
        diagonal = np.diagonal(self.corner)
        complement += np.diag(max(damping, 1e-12) * np.where(diagonal > 0, diagonal, 1.0))
        q = np.linalg.solve(complement, -gradient - self.cross.T @ p)
        p = p - reach @ q
        return np.concatenate([p, q]), float(2 * p @ (self.cross @ q) + q @ (self.corner @ q))


def _square(part: TermOperator, normal: NormalOperator) -> Any:
    """A' A by the features, scipy CSR."""
    if part.axes is not None and normal.spec.levels == 1:
        return lattice_matrix(part, normal.spec, normal.channels)
    squares = (block.T @ block for block in rows(part, normal.spec, normal.channels))
    return sum(squares, next(squares))


def order_in_space(field: Field) -> npt.NDArray[np.int64]:
    """Unknowns sorted by their node's place, along the axis with most cells first.

    A node then couples only with unknowns nearby in the order, whatever its level: a narrow band.
    A ring is folded flat, 0, n - 1, 1, n - 2, ..., which makes the band twice as wide.
    """
    spec: GridSpec = field.grid.spec
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
    keys = [np.repeat(np.concatenate(place), field.grid.channels) for place in places]
    order: npt.NDArray[np.int64] = np.lexsort(keys[::-1])
    return order
