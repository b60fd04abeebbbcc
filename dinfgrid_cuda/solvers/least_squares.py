"""Gauss-Newton: linear problems in one direct solve, nonlinear ones in a few, damped as needed."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..field import Field
from ..spec import GridSpec
from .errors import SolveError
from .factor import Factor, Normal, check_size
from .linearize import rows
from .objective import LocalSum, Objective

# Relative to the diagonal. 0 means the undamped step.
FIRST_DAMPING, LARGEST_DAMPING = 1e-6, 1e8
# For a quadratic loss, whose step fails only where the factor is inaccurate.
FIRST_SHIFT, LARGEST_SHIFT = 1e-11, 1e-9
# A refinement that fails and promised less than this of the loss was the last.
FINAL = 1e-9
# A step is accepted if the loss falls by this fraction of the prediction.
SUFFICIENT = 1e-3
# A linear problem is known by a first step that changes the loss much and exactly as predicted.
MUCH, EXACT = 1e-3, 1e-7


class LeastSquaresRunner:
    """One Gauss-Newton (for energies: projected Newton) step a step, by a direct sparse solver.

    The unknowns are the grid's features; a decoder that could be trained keeps its weights. Where
    the loss turns out to be quadratic the factor is kept, and further steps are iterative
    refinement: the gradient comes from the kernels, not from the factorised matrix.

    Args:
        objective: loss and gradient on fixed points; its field is a `Field`.

    Raises:
        SolveError: if the field is no `Field`, or the points are spread over processes.
    """

    keeps_finite = True

    def __init__(self, objective: Objective) -> None:
        field = objective.field
        if not isinstance(field, Field):
            raise SolveError(
                f"solve: least-squares needs a Field, whose features enter linearly, not a "
                f"{type(field).__name__}; use method='adam' or 'lbfgs'."
            )
        if not isinstance(objective.point_sum, LocalSum):
            raise SolveError("solve: least-squares runs in one process; use 'lbfgs' or 'adam'.")
        check_size(field.grid.spec, field.grid.channels)
        self.objective, self.features = objective, field.grid.features
        self.order = _order_in_space(field.grid.spec, field.grid.channels)
        self.damping = 0.0
        self.converged = False
        self._normal: Normal | None = None
        self._factor: Factor | None = None
        self._quadratic = False
        self._last: tuple[Tensor, Tensor] | None = None
        self._length = math.inf
        self._assembled_at: Tensor | None = None
        self._first, self._warned = True, False

    def _evaluate(self) -> tuple[Tensor, Tensor]:
        """Losses [1 + terms] and the gradient by the features."""
        losses = self.objective.evaluate(0)
        gradient = self.features.grad
        if gradient is None:
            gradient = torch.zeros_like(self.features)
        return losses, gradient.detach().clone()

    def step(self, step: int) -> Tensor:
        """One step that lowers the loss, or none and ``converged``; returns the losses [1 + terms].

        Raises:
            SolveError: if the system cannot be formed or is singular.
        """
        losses, gradient = self._last or self._evaluate()
        if not bool(losses[0].isfinite()):
            return losses
        if self._normal is None or not self._quadratic:
            self._normal, self._factor = self._assemble(), None
            self._assembled_at = self.features.detach().clone()
        before = self.features.detach().clone()
        while True:
            change, predicted = self._change(gradient)
            with torch.no_grad():
                self.features.copy_(before + change)
            trial = self._evaluate()
            gain = float(losses[0]) - float(trial[0][0])
            if math.isfinite(gain) and gain >= SUFFICIENT * predicted and gain > 0:
                break
            if not self._damp(gain, predicted, float(losses[0])):
                with torch.no_grad():
                    self.features.copy_(before)
                self._last, self.converged = (losses, gradient), True
                return losses
        self._judge(gain, predicted, float(losses[0]), change)
        self._last = trial
        return trial[0]

    def _assemble(self) -> Normal:
        """N = sum of A' A over all terms."""
        total: Any = None
        count = 0
        for index in range(len(self.objective.problem.terms)):
            for part in rows(self.objective, index):
                square = part.T @ part
                total = square if total is None else total + square
                count += part.shape[0]
        self._warn_of_few_rows(count, int((total.diagonal() > 0).sum()))
        return Normal(total.tocsr(), self.order)

    def _warn_of_few_rows(self, count: int, unknowns: int) -> None:
        if count >= unknowns or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"solve: {count:,} residuals do not determine the {unknowns:,} features they see; take "
            "more points, or fewer cells.",
            RuntimeWarning,
            stacklevel=2,
        )

    def _change(self, gradient: Tensor) -> tuple[Tensor, float]:
        """The step and the fall of the loss that the quadratic model predicts."""
        assert self._normal is not None
        if self._factor is None:
            self._factor = self._normal.factorize(self.damping)
        g = gradient.double().cpu().numpy().reshape(-1)
        p = -self._normal.solve(self._factor, g)
        predicted = -float(g @ p) - 0.5 * self._normal.quadratic(p)
        change = torch.from_numpy(p).reshape(self.features.shape)
        return change.to(self.features), max(predicted, 0.0)

    def _damp(self, gain: float, predicted: float, loss: float) -> bool:
        """More damping after a step that failed; False if no step can help any more."""
        rounding = (FINAL if self._quadratic else 1e-14) * abs(loss)
        if math.isfinite(gain) and predicted <= rounding:
            return False
        if self._quadratic and self.damping > LARGEST_SHIFT:
            return False
        least = FIRST_SHIFT if self._quadratic else FIRST_DAMPING
        self.damping = max(least, 10 * self.damping)
        self._factor = None
        return self.damping <= LARGEST_DAMPING

    def _judge(self, gain: float, predicted: float, loss: float, change: Tensor) -> None:
        """After a step: whether the loss is quadratic, the next damping, and whether to stop."""
        exact = abs(gain - predicted) <= EXACT * predicted
        if self._first and not self.damping and exact and gain >= MUCH * abs(loss):
            self._quadratic = True
        self._first = False
        if self.damping and gain > 0.5 * predicted:
            self.damping = self.damping / 10 if self.damping > FIRST_DAMPING else 0.0
            self._factor = None
        reach = max(float(self.features.detach().norm()), 1e-300)
        length = float(change.norm()) / reach
        # Refinement that no longer shortens its steps has reached rounding.
        stalled = self._quadratic and length > 0.9 * self._length
        self._length = length
        self.converged = length <= 1e-13 or stalled

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return {}

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return {
            "damping": self.damping,
            "length": self._length if math.isfinite(self._length) else -1.0,
            "quadratic": self._quadratic,
            "assembled_at": self._assembled_at,
        }

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.damping = float(state["damping"])
        self._length = math.inf if state["length"] < 0 else float(state["length"])
        self._quadratic, self._first = bool(state["quadratic"]), False
        at = state["assembled_at"]
        if self._quadratic and at is not None:
            self._assemble_at(at)

    @torch.no_grad()
    def _assemble_at(self, features: Tensor) -> None:
        """Forms the matrix at other features than the present ones: as before the break."""
        now = self.features.detach().clone()
        self._assembled_at = features.to(self.features)
        self.features.copy_(self._assembled_at)
        with torch.enable_grad():
            self._normal = self._assemble()
        self.features.copy_(now)


def _order_in_space(spec: GridSpec, channels: int) -> npt.NDArray[np.int64]:
    """Unknowns sorted by their node's place, along the axis with most cells first.

    A node then couples only with unknowns nearby in the order, whatever its level: a narrow band.
    """
    axes = sorted(range(spec.dim), key=lambda axis: -spec.cells[axis])
    places: list[list[npt.NDArray[np.int64]]] = [[] for _ in axes]
    for level in range(spec.levels):
        index = np.indices(spec.level_nodes(level)).reshape(spec.dim, -1)
        for k, axis in enumerate(axes):
            ghost = spec.boundary[axis] == "ghost"
            first = index[axis] - (spec.basis.rho - 1 if ghost else 0)
            places[k].append(first << level)
    keys = [np.repeat(np.concatenate(place), channels) for place in places]
    order: npt.NDArray[np.int64] = np.lexsort(keys[::-1])
    return order
