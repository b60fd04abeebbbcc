"""Gauss-Newton: linear problems in one solve, nonlinear ones in a few, damped as needed."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import LocalSum, Objective
from dinfgrid_cuda.solvers.diagnosis.convergence import (
    LOOSE,
    MOVING,
    NOTED,
    SHRINKING,
    STILL,
    Movement,
    loss_left,
    verdict,
    wild_features,
)
from dinfgrid_cuda.solvers.diagnosis.notes import beforehand, examined, warn
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.accurate_jets import AccurateJets
from dinfgrid_cuda.solvers.linear.balance import balance, balance_scales, noticeable
from dinfgrid_cuda.solvers.linear.linearity import is_quadratic
from dinfgrid_cuda.solvers.linear.matrix_free import MatrixFreeSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import (
    Route,
    after_trial,
    check_route,
    choose_route,
    make_system,
)
from dinfgrid_cuda.solvers.linear.system import System
from dinfgrid_cuda.solvers.linear.unknowns import Array, Unknowns
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .first_guess import start_from_linear_terms

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
# Part of the loss that refinement may add, where the loss is hardly more than its own rounding.
REFINED = 0.1
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
    moves_last = False

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
        objective.jet = self.jets = AccurateJets(field)
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
        self.movement = Movement(objective)
        self._flat = self._taken = False
        self._assembled_at: list[Tensor] | None = None
        self._first, self._prepared, self._started = True, False, False
        self._rebalanced = self._calm = 0
        self._clean = False
        self._resumed = self._solved = False

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
        if self.converged:  # before a break
            return self._evaluate()[0]
        normal = self._next_system() if self.system is None or not self.quadratic else None
        losses, gradient = self._last or self._evaluate()
        if not bool(losses[0].isfinite()):
            return losses
        if normal is not None:
            self._assemble(normal)
        assert self.system is not None
        before, loss, rest = self.unknowns.values(), float(losses[0]), self.jets.rest
        self._largest = max(self._largest, abs(loss))
        held = normal is not None and self._hold(normal, gradient, loss)
        slope = self.unknowns.features_only(gradient) if held else gradient
        self.movement.start()
        while True:
            deadline.check()
            self._go_back(before, rest)
            change, predicted = self._solve(slope, loss)
            self.unknowns.set(before, change)
            self.jets.carry(before[0], rest, change)
            trial = self._evaluate()
            gain = loss - float(trial[0][0])
            last, moved = self.movement.last, self.movement.measure()
            if self._accepts(gain, predicted, loss, moved < SHRINKING * last):
                break
            if not self._damp(gain, predicted, loss):
                self._go_back(before, rest)
                self._last = (losses, gradient)
                if not held:
                    self.converged = not self._unbalanced()
                    if self.converged:
                        self._conclude(loss)
                else:
                    self.damping, self.verdict = 0.0, CONVERGED
                return losses
        if held:  # the parameters have yet to move
            self.damping = 0.0
        else:
            self._judge(gain, predicted, loss, last)
            self.converged = self.converged and not self._unbalanced()
        self._last = trial
        if self.converged:
            self._conclude(loss - gain)
        return trial[0]

    def _go_back(self, values: list[Tensor], rest: Tensor | None) -> None:
        self.unknowns.set(values)
        self.jets.rest = rest

    def _accepts(self, gain: float, predicted: float, loss: float, shorter: bool) -> bool:
        """Whether a step is taken.

        Refinement of a linear problem goes on as long as its steps get shorter: functions that the
        residuals hardly see weigh less than the rounding of the loss.
        """
        if not math.isfinite(gain):
            return False
        if gain > 0 and gain >= SUFFICIENT * predicted:
            return True
        return self.quadratic and not self.damping and shorter and -gain <= REFINED * abs(loss)

    def _linearise(self) -> NormalOperator:
        """The problem at the present features, its weights balanced the first time."""
        with _Timed(self.seconds, "assembly"):
            normal = NormalOperator(self.objective)
            if self.balanced and not self._prepared:
                balance(normal, self.objective)
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
            scales = balance_scales(normal, self.objective)
            if noticeable(scales):
                normal.scale_weights(self.objective, scales)
                self._rebalanced, self._calm = self._rebalanced + 1, 0
                self._last, self._largest = None, 0.0
            else:
                self._calm += 1
        return normal

    def follow(self) -> None:
        """Starts near the solution, as a slab after another: balanced there, and at the end."""
        self._calm = CALM

    def _unbalanced(self) -> bool:
        """Whether a nonlinear problem has converged with weights that are far from balanced."""
        if self.quadratic or not self.balanced or self._rebalanced >= REBALANCED:
            return False
        assert self.normal is not None
        found = noticeable(balance_scales(self.normal, self.objective))
        if found:
            self._calm, self.damping, self.verdict = 0, 0.0, CONVERGED
        return found

    def _hold(self, normal: NormalOperator, gradient: Array, loss: float) -> bool:
        """Keeps the problem's parameters in the first step if it would throw one far away.

        As long as the features are near zero the residuals hardly depend on a factor of theirs. Far
        is more than the parameter itself: held without need, as the viscosity of Burgers' equation,
        it leads the features astray.
        """
        if self._started or not self.unknowns.parameter_count:
            return False
        self._started = True
        change, _ = self._solve(gradient, loss)
        if not self.unknowns.leaps(change):
            return False
        for operator in normal.operators:
            operator.columns.zero_()
        self._assemble(normal)
        return True

    def _assemble(self, normal: NormalOperator) -> None:
        field = self.objective.field
        assert isinstance(field, Field)
        self._assembled_at, self._taken = self.unknowns.values(), False
        first = self.system is None and not self._notes
        self.system, self.normal = None, normal  # two systems would not fit
        if self.route.name == "auto":
            self.route = choose_route(normal, self.objective.squares)
        self.system = make_system(self.route, normal, self.seconds)
        if first:
            self._notes = beforehand(self.system, normal, field, self.route)

    def findings(self) -> Findings:
        """For the report; a few solves more with the last factor."""
        if self._resumed and not self._solved:
            self._look_again()
        weights = dict(zip(self.objective.problem.names, self.objective.weights, strict=True))
        notes = list(self._notes)
        moved = self.movement.last
        if not self.converged and moved < math.inf:
            notes.append(
                f"not converged: the last step moved u by {moved:.0e} of its size; pass more steps."
            )
        doubtful = NOTED if self.quadratic else LOOSE
        if self.converged and self.verdict == CONVERGED and moved > doubtful:
            notes.append(
                f"the last step still moved u by {moved:.0e} of its size, and can gain no more: "
                "do not trust more digits than that."
            )
        wild = wild_features(self.objective, self.movement.x)
        if wild is not None:
            notes.append(wild)
            warn(wild)
        known = Findings(
            route=self.route.name,
            route_reason=self.route.reason,
            weights=weights,
            seconds=dict(self.seconds),
            notes=tuple(notes),
        )
        if self.system is None or self.normal is None:
            return known
        # Slopes by the parameters depend on u; a system of another slab has points of its own.
        stale = self.unknowns.parameter_count or self._taken
        normal = NormalOperator(self.objective) if stale else self.normal
        settled = self.quadratic or self.converged
        return examined(known, self.system, normal, self.objective, settled)

    def _look_again(self) -> None:
        """Solves for a step that is not taken: after a resume with nothing left to do."""
        losses, gradient = self._evaluate()
        if self.system is None:
            self._assemble(self._linearise())
        self._solve(gradient, float(losses[0]))

    def _solve(self, gradient: Array, loss: float) -> tuple[Array, float]:
        """The step and the fall of the loss it promises; by a factor where iterations fail."""
        assert self.system is not None
        self._solved = True
        # A nonlinear problem is linearised anew after each step: the shift may stay where it is
        # known to do no harm.
        exact = self.quadratic or not self._clean
        found = self.system.step(gradient, self.damping, loss, exact)
        if exact and not self.damping:
            self._clean = self.system.clean
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

    def _judge(self, gain: float, predicted: float, loss: float, moved_before: float) -> None:
        """After a step: whether the loss is quadratic, the next damping, and whether to stop.

        Args:
            moved_before: how far the step before moved u.
        """
        # Heavy boundary terms hide a nonlinear equation in the fall, not in what is left.
        miss, left = abs(gain - predicted), abs(loss - gain)
        error = max(EXACT, 100 * self._eps)
        rounding = max(ROUNDING, 10 * self._eps) * abs(loss)
        exact = miss <= min(error * predicted, error * left + rounding)
        if self._first and not self.damping and exact and gain >= MUCH * abs(loss):
            self.quadratic = self._is_quadratic()
        self._first = False
        if self.damping and gain > 0.5 * predicted:
            self.damping = self.damping / 10 if self.damping > FIRST_DAMPING else 0.0
        assert self.system is not None
        moved = self.movement.last
        little = gain <= self.system.enough * abs(loss)
        if self.quadratic:
            # Refinement that no longer shortens its steps has reached rounding.
            stalled = moved > SHRINKING * moved_before and gain <= REFINED * abs(loss)
            settled = little and self.system.clean and moved <= NOTED
            self.converged = moved <= STILL or stalled or settled
        else:
            # Newton's method near a loss that is not zero ends in steps that change nothing.
            flat = little and not self.damping
            self.converged = moved <= STILL or (flat and (moved <= MOVING or self._flat))
            self._flat = flat

    def _is_quadratic(self) -> bool:
        """Whether a loss that fell exactly as predicted is quadratic.

        Products of features and parameters look linear as long as the parameters hardly move.
        """
        if not self.unknowns.parameter_count:
            return True
        field = self.objective.field
        assert isinstance(field, Field)
        try:
            return is_quadratic(self.objective.problem, field)
        except (RuntimeError, TypeError, ValueError, IndexError):
            return False

    def _conclude(self, loss: float) -> None:
        """What convergence is worth: nothing if the last linear solve was cut short."""
        assert self.system is not None
        if self.verdict != CONVERGED:
            return
        if not self.system.finished and self.route.name != "direct":
            self.verdict = UNFINISHED
            return
        system, left = self.system, loss_left(self.objective, loss)
        self.verdict = verdict(self.movement.last, left, lambda: system.condition)

    def take_system(self, other: LeastSquaresRunner) -> None:
        """Goes on with the system of another runner, which must be that of a linear problem."""
        self.system, self.quadratic, self._first = other.system, True, False
        self.normal, self._notes, self._taken = other.normal, other._notes, True
        self.route = other.route
        self.damping, self._prepared = other.damping, True
        self.objective.weights = list(other.objective.weights)
        self._assembled_at = other._assembled_at

    @property
    def taken(self) -> bool:
        """Whether the system is that of another runner."""
        return self._taken

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return {"route": self.wanted, "balance": repr(self.balanced)}

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return {
            "damping": self.damping,
            "moved": self.movement.last if math.isfinite(self.movement.last) else -1.0,
            "size": self.movement.size,
            "rest": self.jets.rest,
            "flat": self._flat,
            "converged": self.converged,
            "verdict": self.verdict,
            "quadratic": self.quadratic,
            "weights": [float(weight) for weight in self.objective.weights],
            "prepared": self._prepared,
            "begun": [self._first, self._started, self._fit],
            "largest": self._largest,
            "clean": self._clean,
            "rebalanced": [self._rebalanced, self._calm],
            "route": [self.route.name, self.route.reason, self.route.limit],
            "assembled_at": self._assembled_at,
            "iterated": self._iterated(),
        }

    def _iterated(self) -> list[float] | None:
        """Iterations so far and the condition that they have shown, of a route that iterates."""
        system = self.system
        if not isinstance(system, MatrixFreeSystem):
            return None
        return [system.iteration_count, system.condition]

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.load_progress(state)
        at = state["assembled_at"]
        if self.quadratic and at is not None:
            # Forms the system at other features than the present ones: as before the break.
            now = self.unknowns.values()
            self.unknowns.set([a.to(b) for a, b in zip(at, now, strict=True)])
            self._assemble(self._linearise())
            self.unknowns.set(now)
            if isinstance(self.system, MatrixFreeSystem) and state["iterated"] is not None:
                iterations, condition = state["iterated"]
                self.system.iteration_count = int(iterations)
                self.system.condition = float(condition)

    def load_progress(self, state: Any) -> None:
        """Takes up all of a state but the system."""
        self._resumed = True
        self.damping = float(state["damping"])
        self.movement.last = math.inf if state["moved"] < 0 else float(state["moved"])
        self.movement.size, self.jets.rest = float(state["size"]), state["rest"]
        self._flat, self.converged = bool(state["flat"]), bool(state["converged"])
        self.verdict = str(state["verdict"])
        self.quadratic = bool(state["quadratic"])
        self._first, self._started, self._fit = (bool(flag) for flag in state["begun"])
        self._largest, self._clean = float(state["largest"]), bool(state["clean"])
        self.objective.weights = [float(weight) for weight in state["weights"]]
        self._prepared = bool(state["prepared"])
        self._rebalanced, self._calm = (int(count) for count in state["rebalanced"])
        name, reason, limit = state["route"]
        self.route = Route(str(name), str(reason), int(limit))


class _Timed:
    """Adds the seconds of a block to an entry."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] += time.monotonic() - self.started
