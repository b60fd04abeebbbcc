"""Gauss-Newton: linear problems in one solve, nonlinear ones in a few, damped as needed."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from ..field import Field
from .balance import balance_factors, noticeable
from .errors import SolveError
from .first_guess import start_from_linear_terms
from .normal import NormalOperator
from .notes import beforehand, examined
from .objective import LocalSum, Objective
from .report import Findings
from .routes import Route, System, after_trial, check_route, choose_route, make_system
from .stopping import CONVERGED
from .unknowns import Array, Unknowns

# Relative to the diagonal. 0 means the undamped step.
FIRST_DAMPING, LARGEST_DAMPING = 1e-6, 1e8
# For a quadratic loss, whose step fails only where the factor is inaccurate.
FIRST_SHIFT, LARGEST_SHIFT = 1e-11, 1e-9
STALLED = (
    "stalled: no Newton step, however damped, lowers the loss; the field keeps the best found. Try "
    "`continuation` from an easier equation, a SlabField in time, other initial features, or more "
    "cells"
)
UNFINISHED = (
    "stopped: conjugate gradients did not reach their tolerance, so that u is not the minimiser; "
    "take points on lattices, several levels, or route='direct'"
)
# Part of the largest loss that is left to rounding alone.
NIL = 1e-28
# A step is accepted if the loss falls by this fraction of the prediction.
SUFFICIENT = 1e-3
# A linear problem is known by a first step that changes the loss much and exactly as predicted.
MUCH, EXACT, ROUNDING = 1e-3, 1e-7, 1e-12
# Weights are balanced anew this often at most, and looked at until as many steps find them right.
REBALANCED, CALM = 5, 2


class LeastSquaresRunner:
    """One Gauss-Newton (for energies: projected Newton) step a step.

    The unknowns are the grid's features and the problem's parameters; a decoder that could be
    trained keeps its weights. Where the loss turns out to be quadratic the system is kept, and
    further steps are iterative refinement: the gradient comes from the kernels.

    Args:
        objective: loss and gradient on fixed points; its field is a `Field`.
        route: "direct", "matrix-free" or "auto".
        balanced: whether boundary terms and data are scaled to the equation's (`balance`).
        fit: whether a nonlinear problem may start from a fit of its linear terms.

    Raises:
        SolveError: if the field is no `Field`, or the points are spread over processes.
    """

    keeps_finite = True

    def __init__(
        self,
        objective: Objective,
        route: str = "auto",
        balanced: bool = True,
        fit: bool = True,
    ) -> None:
        field = objective.field
        if not isinstance(field, Field):
            raise SolveError(
                f"solve: least-squares needs a Field, whose features enter linearly, not a "
                f"{type(field).__name__}; use method='adam' or 'lbfgs'."
            )
        if not field.grid.features.requires_grad:
            raise SolveError("solve: least-squares solves for the grid's features; unfreeze them.")
        if not isinstance(objective.point_sum, LocalSum):
            raise SolveError("solve: least-squares runs in one process; use 'lbfgs' or 'adam'.")
        self.objective, self.balanced, self._fit = objective, balanced, fit
        check_route(field, route)
        self.wanted, self.route = route, Route(route, "as asked")
        self.unknowns = Unknowns(objective)
        self._largest = 0.0
        self._eps = float(torch.finfo(objective.dtype).eps)
        self.seconds = dict.fromkeys(("assembly", "factor", "solve", "residuals"), 0.0)
        self.damping = 0.0
        self.converged = False
        self.quadratic = False
        self.system: System | None = None
        self.normal: NormalOperator | None = None
        self._notes: list[str] = []
        self.verdict = CONVERGED
        self._last: tuple[Tensor, Array] | None = None
        self._length = math.inf
        self._assembled_at: list[Tensor] | None = None
        self._first, self._prepared, self._started = True, False, False
        self._rebalanced = self._calm = 0

    def _evaluate(self) -> tuple[Tensor, Array]:
        """Losses [1 + terms] and the gradient by the unknowns."""
        with _Timed(self.seconds, "residuals"):
            losses = self.objective.evaluate(0)
            return losses, self.unknowns.gradient()

    def step(self, step: int) -> Tensor:
        """One step that lowers the loss, or none and ``converged``; returns the losses [1 + terms].

        Raises:
            SolveError: if the system cannot be formed or is singular.
        """
        normal = self._next_system() if self.system is None or not self.quadratic else None
        losses, gradient = self._last or self._evaluate()
        if not bool(losses[0].isfinite()):
            return losses
        if normal is not None:
            self._assemble(normal)
        assert self.system is not None
        before, loss = self.unknowns.values(), float(losses[0])
        self._largest = max(self._largest, abs(loss))
        held = normal is not None and self._hold(normal, gradient, loss)
        slope = self.unknowns.features_only(gradient) if held else gradient
        while True:
            self.unknowns.set(before)
            change, predicted = self._solve(slope, loss)
            self.unknowns.set(before, change)
            trial = self._evaluate()
            gain = loss - float(trial[0][0])
            if math.isfinite(gain) and gain >= SUFFICIENT * predicted and gain > 0:
                break
            if not self._damp(gain, predicted, loss):
                self.unknowns.set(before)
                self._last = (losses, gradient)
                if not held:
                    self.converged = True
                    self._conclude()
                    self.converged = self.converged and not self._unbalanced()
                else:
                    self.damping, self.verdict = 0.0, CONVERGED
                return losses
        if held:  # the parameters have yet to move
            self.damping = 0.0
        else:
            self._judge(gain, predicted, loss, change)
            self.converged = self.converged and not self._unbalanced()
        self._last = trial
        return trial[0]

    def _linearise(self) -> NormalOperator:
        """The problem at the present features, its weights balanced the first time."""
        with _Timed(self.seconds, "assembly"):
            normal = NormalOperator(self.objective)
            if self.balanced and not self._prepared:
                normal.balance(self.objective)
        self._prepared = True
        return normal

    def _next_system(self) -> NormalOperator:
        """The problem at the present features; a nonlinear one starts and is balanced anew there.

        At the first features, near zero, an equation may be much smaller than at the solution, and
        boundary terms balanced by it would count for nothing. Weights that are far off are changed
        a few times; the loss before the step is then that of the new weights.
        """
        if not self._prepared and self._fit:
            normal = start_from_linear_terms(self.objective, self.balanced)
            if normal is not None:
                self._prepared = self._started = True
                return normal
        again = self.balanced and self._prepared and self._calm < CALM
        normal = self._linearise()
        if again and self._rebalanced < REBALANCED:
            factors = balance_factors(normal, self.objective)
            if noticeable(factors):
                normal.apply_factors(self.objective, factors)
                self._rebalanced, self._calm = self._rebalanced + 1, 0
                self._last, self._largest = None, 0.0
            else:
                self._calm += 1
        return normal

    def _unbalanced(self) -> bool:
        """Whether a nonlinear problem has converged with weights that are far from balanced."""
        if self.quadratic or not self.balanced or self._rebalanced >= REBALANCED:
            return False
        assert self.normal is not None
        found = noticeable(balance_factors(self.normal, self.objective))
        if found:
            self._calm, self.damping, self.verdict = 0, 0.0, CONVERGED
        return found

    def _hold(self, normal: NormalOperator, gradient: Array, loss: float) -> bool:
        """Keeps the problem's parameters in the first step if it would throw one far away.

        As long as the features are near zero the residuals hardly depend on a factor of theirs. Far
        is more than the parameter itself: held without need, as the viscosity of Burgers' equation,
        it leads the features astray.
        """
        if self._started or not self.unknowns.parameters:
            return False
        self._started = True
        change, _ = self._solve(gradient, loss)
        if not self.unknowns.leaps(change):
            return False
        for part in normal.parts:
            part.columns.zero_()
        self._assemble(normal)
        return True

    def _assemble(self, normal: NormalOperator) -> None:
        field = self.objective.field
        assert isinstance(field, Field)
        self._assembled_at = self.unknowns.values()
        first = self.system is None and not self._notes
        self.system, self.normal = None, normal  # two systems would not fit
        if self.route.name == "auto":
            self.route = choose_route(normal, self.objective.squares)
        self.system = make_system(self.route, normal, field, self.seconds)
        if first:
            self._notes = beforehand(self.system, normal, field, self.route)

    def findings(self) -> Findings:
        """For the report; a few solves more with the last factor."""
        weights = dict(zip(self.objective.problem.names, self.objective.weights, strict=True))
        notes = list(self._notes)
        if not self.converged and self._length < math.inf:
            notes.append(
                f"not converged: the last step changed the features by {self._length:.0e} of their "
                "size; pass more steps."
            )
        known = Findings(
            route=self.route.name,
            route_reason=self.route.reason,
            weights=weights,
            seconds=dict(self.seconds),
            notes=tuple(notes),
        )
        if self.system is None or self.normal is None:
            return known
        return examined(known, self.system, self.normal, self.objective)

    def _solve(self, gradient: Array, loss: float) -> tuple[Array, float]:
        """The step and the fall of the loss it promises; by a factor where iterations fail."""
        assert self.system is not None
        found = self.system.step(gradient, self.damping, loss)
        direct = after_trial(self.system, self.route)
        if direct is None:
            return found
        self.route = direct
        self._assemble(self._linearise())
        return self.system.step(gradient, self.damping, loss)

    def _damp(self, gain: float, predicted: float, loss: float) -> bool:
        """More damping after a step that failed; False if no step can help any more."""
        assert self.system is not None
        undamped = self.quadratic or not self.damping
        rounding = max(self.system.enough if undamped else 1e-14, 10 * self._eps) * abs(loss)
        rounding = max(rounding, NIL * self._largest)
        if math.isfinite(gain) and predicted <= rounding:
            return False
        if self.quadratic and self.damping > LARGEST_SHIFT:
            return False
        least = FIRST_SHIFT if self.quadratic else FIRST_DAMPING
        self.damping = max(least, 10 * self.damping)
        if self.damping > LARGEST_DAMPING:
            self.verdict = STALLED
        return self.damping <= LARGEST_DAMPING

    def _judge(self, gain: float, predicted: float, loss: float, change: Array) -> None:
        """After a step: whether the loss is quadratic, the next damping, and whether to stop."""
        # Heavy boundary terms hide a nonlinear equation in the fall, not in what is left.
        miss, left = abs(gain - predicted), abs(loss - gain)
        error = max(EXACT, 100 * self._eps)
        rounding = max(ROUNDING, 10 * self._eps) * abs(loss)
        exact = miss <= min(error * predicted, error * left + rounding)
        if self._first and not self.damping and exact and gain >= MUCH * abs(loss):
            self.quadratic = True
        self._first = False
        if self.damping and gain > 0.5 * predicted:
            self.damping = self.damping / 10 if self.damping > FIRST_DAMPING else 0.0
        length = float((change @ change) ** 0.5) / max(self.unknowns.norm(), 1e-300)
        # Refinement that no longer shortens its steps has reached rounding.
        stalled = self.quadratic and length > 0.9 * self._length
        assert self.system is not None
        # Newton's method near a loss that is not zero ends in steps that change nothing.
        done = (self.quadratic or not self.damping) and gain <= self.system.enough * abs(loss)
        self._length = length
        self.converged = length <= 1e-13 or stalled or done
        self._conclude()

    def _conclude(self) -> None:
        """What convergence is worth: nothing if the last linear solve was cut short."""
        assert self.system is not None
        if self.converged and not self.system.finished:
            self.verdict = UNFINISHED

    def take_system(self, other: LeastSquaresRunner) -> None:
        """Goes on with the system of another runner, which must be that of a linear problem."""
        self.system, self.quadratic, self._first = other.system, True, False
        self.normal, self._notes = other.normal, other._notes
        self.route = other.route
        self.damping, self._prepared = other.damping, True
        self.objective.weights = list(other.objective.weights)
        self._assembled_at = self.unknowns.values()

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return {"route": self.wanted, "balance": repr(self.balanced)}

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return {
            "damping": self.damping,
            "length": self._length if math.isfinite(self._length) else -1.0,
            "quadratic": self.quadratic,
            "weights": [float(weight) for weight in self.objective.weights],
            "prepared": self._prepared,
            "rebalanced": [self._rebalanced, self._calm],
            "route": [self.route.name, self.route.reason, self.route.limit],
            "assembled_at": self._assembled_at,
        }

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.damping = float(state["damping"])
        self._length = math.inf if state["length"] < 0 else float(state["length"])
        self.quadratic, self._first = bool(state["quadratic"]), False
        self._started = True
        self.objective.weights = [float(weight) for weight in state["weights"]]
        self._prepared = bool(state["prepared"])
        self._rebalanced, self._calm = (int(count) for count in state["rebalanced"])
        name, reason, limit = state["route"]
        self.route = Route(str(name), str(reason), int(limit))
        at = state["assembled_at"]
        if self.quadratic and at is not None:
            # Forms the system at other features than the present ones: as before the break.
            now = self.unknowns.values()
            self.unknowns.set([a.to(b) for a, b in zip(at, now, strict=True)])
            self._assemble(self._linearise())
            self.unknowns.set(now)


class _Timed:
    """Adds the seconds of a block to an entry."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] += time.monotonic() - self.started
