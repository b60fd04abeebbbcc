"""Gauss-Newton steps: linear problems in one solve, nonlinear ones in a few, damped as needed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.point_sum import LocalSum
from dinfgrid_cuda.solvers.diagnosis.convergence import (
    Movement,
    loss_left,
    notes_on_features,
    notes_on_movement,
    verdict,
)
from dinfgrid_cuda.solvers.diagnosis.notes import examined
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.accurate_jets import AccurateJets
from dinfgrid_cuda.solvers.linear.linearity import is_surely_quadratic
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import Route, check_route
from dinfgrid_cuda.solvers.linear.system import Timed
from dinfgrid_cuda.solvers.linear.unknowns import Array, Unknowns, linear_field
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .balancing import CALM, Balancing
from .method import Place
from .newton_state import GaussNewtonState, Trial, accepts, damped, fell_exactly, judged
from .present_system import PresentSystem

UNFINISHED = (
    "stopped: conjugate gradients did not reach their tolerance, so that u is not the minimiser; "
    "take points on lattices, one level of B-splines, or LeastSquares(linear=Direct())"
)


class GaussNewton:
    """One Gauss-Newton (for energies: projected Newton) step after another.

    The unknowns are the grid's features and the problem's parameters; a decoder that could be
    trained keeps its weights. Where the loss turns out to be quadratic the system is kept, and
    further steps are iterative refinement: the gradient comes from the kernels.

    Args:
        objective: loss and gradient on fixed points; its field is a `Field`.
        route: "direct", "matrix-free" or "auto".
        balanced: whether boundary terms and data are scaled to the equation's (`balance`).

    Raises:
        SolveError: if the field is no `Field`, or the points are spread over processes.
    """

    def __init__(self, objective: Objective, route: str, balanced: bool) -> None:
        field = linear_field(objective)
        if not field.grid.features.requires_grad:
            raise SolveError("solve: least-squares solves for the grid's features; unfreeze them.")
        if not isinstance(objective.point_sum, LocalSum):
            raise SolveError("solve: least-squares runs in one process; use 'lbfgs' or 'adam'.")
        check_route(field, route, isinstance(objective.problem.domain, Box))
        self.objective = objective
        objective.jet = self.jets = AccurateJets(field)
        self.unknowns = Unknowns(objective)
        self.present = PresentSystem(objective, self.unknowns, route)
        self.weights = Balancing(objective, self.present, balanced)
        self.movement = Movement(objective)
        self._place = Place()
        self._eps = float(torch.finfo(objective.dtype).eps)
        self._last: tuple[Tensor, Array] | None = None
        self._resumed = self._solved = False

    def start(self, fit: bool = True, near: bool = False) -> GaussNewtonState:
        """The state before the first step.

        Args:
            fit: whether a nonlinear problem may start from a fit of its linear terms.
            near: whether the field is near the solution: balanced once there, and at the end.
        """
        calm = CALM if near else 0
        return self._collected(GaussNewtonState(fit=fit, calm=calm, work=self))

    def start_from(self, before: GaussNewton, state: GaussNewtonState) -> GaussNewtonState:
        """The state before the first step of a linear problem with the matrix of another solve.

        Args:
            before: that solve, whose system is taken.
            state: where it stands.
        """
        self.present.take(before.present)
        self.weights.take_up(state)
        start = self.start(fit=False, near=True)
        damping = state.damping
        return self._collected(
            replace(start, quadratic=True, first=False, prepared=True, damping=damping)
        )

    def step(self, state: GaussNewtonState) -> GaussNewtonState:
        """One step that lowers the loss, or none and ``converged``.

        Raises:
            SolveError: if the system cannot be formed or is singular.
        """
        if not self._place.is_at(state):
            self.take_up(state)
        if state.converged:  # before a break
            return self._collected(replace(state, losses=self._evaluate()[0]))
        try:
            return self._collected(self._stepped(state))
        except deadline.OutOfTime:
            self._put_back(state)
            raise

    def _stepped(self, state: GaussNewtonState) -> GaussNewtonState:
        """The state after a step."""
        normal = None
        if self.present.system is None or not state.quadratic:
            state, normal = self._next_normal(state)
        losses, gradient = self._last or self._evaluate()
        state = replace(state, losses=losses)
        if not bool(losses[0].isfinite()):
            return state
        if normal is not None:
            self.present.assemble(normal)
        state = replace(state, largest=max(state.largest, abs(float(losses[0]))))
        held = False
        if normal is not None:
            state, held = self._hold(state, normal, gradient)
        return replace(self._lower(state, gradient, held), step=state.step + 1)

    def _lower(self, state: GaussNewtonState, gradient: Array, held: bool) -> GaussNewtonState:
        """Steps that are damped more and more, until one is taken or none can help.

        Args:
            held: whether the problem's parameters stay where they are.
        """
        losses = state.losses
        assert losses is not None
        before, loss, rest = self.unknowns.values(), float(losses[0]), self.jets.rest
        slope = self.unknowns.features_only(gradient) if held else gradient
        self.movement.start()
        while True:
            deadline.check()
            self._go_back(before, rest)
            state, change, predicted = self._solve(state, slope, loss)
            self.unknowns.set(before, change)
            self.jets.carry(before[0], rest, change)
            after = self._evaluate()
            moved_before, moved = self.movement.last, self.movement.measure()
            gain = loss - float(after[0][0])
            trial = Trial(loss, gain, predicted, moved, moved_before)
            if accepts(state, trial):
                self._last = after
                state = replace(state, losses=after[0])
                return self._after(state, trial, held)
            assert self.present.system is not None
            state, goes_on = damped(state, trial, self.present.system, self._eps)
            if not goes_on:
                self._go_back(before, rest)
                self._last = (losses, gradient)
                if held:
                    return replace(state, damping=0.0, verdict=CONVERGED)
                return self._concluded(replace(state, converged=True), loss)

    def _after(self, state: GaussNewtonState, trial: Trial, held: bool) -> GaussNewtonState:
        """The state after a step that was taken."""
        if held:  # the parameters have yet to move
            return replace(state, damping=0.0)
        if fell_exactly(state, trial, self._eps):
            quadratic = is_surely_quadratic(self.objective.problem, self.jets.field)
            state = replace(state, quadratic=quadratic)
        assert self.present.system is not None
        state = judged(state, trial, self.present.system)
        return self._concluded(state, trial.loss - trial.gain)

    def _evaluate(self) -> tuple[Tensor, Array]:
        """Losses [1 + terms] and the gradient by the unknowns."""
        with Timed(self.present.seconds, "residuals"):
            losses = self.objective.evaluate(0)
            return losses, self.unknowns.gradient()

    def _go_back(self, values: list[Tensor], rest: Tensor | None) -> None:
        self.unknowns.set(values)
        self.jets.rest = rest

    def _solve(
        self, state: GaussNewtonState, gradient: Array, loss: float
    ) -> tuple[GaussNewtonState, Array, float]:
        """The step, and the fall of the loss that it promises."""
        assert self.present.system is not None
        self._solved, system = True, self.present.system
        # A nonlinear problem is linearised anew after each step: the shift may stay where it is
        # known to do no harm.
        exact = state.quadratic or not state.clean
        change, predicted = self.present.solve(gradient, state.damping, loss, exact)
        if exact and not state.damping:
            state = replace(state, clean=system.clean)
        return state, change, predicted

    def _next_normal(self, state: GaussNewtonState) -> tuple[GaussNewtonState, NormalOperator]:
        """The problem at the present features; the loss is another one if its weights change."""
        balanced, normal = self.weights.next_normal(state)
        if balanced.rebalanced != state.rebalanced:
            self._last = None
        return balanced, normal

    def _hold(
        self, state: GaussNewtonState, normal: NormalOperator, gradient: Array
    ) -> tuple[GaussNewtonState, bool]:
        """Keeps the problem's parameters in the first step if it would throw one far away.

        As long as the features are near zero the residuals hardly depend on a factor of theirs. Far
        is more than the parameter itself: held without need, as the viscosity of Burgers' equation,
        it leads the features astray.
        """
        if state.started or not self.unknowns.parameter_count:
            return state, False
        assert state.losses is not None
        loss = float(state.losses[0])
        state, change, _ = self._solve(replace(state, started=True), gradient, loss)
        if not self.unknowns.leaps(change):
            return state, False
        for operator in normal.operators:
            operator.columns.zero_()
        self.present.assemble(normal)
        return state, True

    def _concluded(self, state: GaussNewtonState, loss: float) -> GaussNewtonState:
        """The state with what convergence is worth: nothing if the last solve was cut short."""
        if state.converged and self.weights.are_off(state):
            return replace(state, converged=False, calm=0, damping=0.0, verdict=CONVERGED)
        system = self.present.system
        assert system is not None
        if not state.converged or state.verdict != CONVERGED:
            return state
        if not system.finished and self.present.route.name != "direct":
            return replace(state, verdict=UNFINISHED)
        left = loss_left(self.objective, loss)
        worth = verdict(self.movement.last, left, lambda: system.condition)
        return replace(state, verdict=worth)

    def findings(self, state: GaussNewtonState) -> Findings:
        """What is known at the end; it takes a few solves more with the last factor."""
        if not self._place.is_at(state):
            self.take_up(state)
        if self._resumed and not self._solved:
            self._look_again(state)
        present = self.present
        certain = state.converged and state.verdict == CONVERGED
        notes = [
            *present.notes,
            *notes_on_movement(self.movement, state.converged, certain, state.quadratic),
            *notes_on_features(self.objective, self.movement),
        ]
        known = Findings(
            route=present.route.name,
            route_reason=present.route.reason,
            weights=dict(zip(self.objective.problem.names, self.objective.weights, strict=True)),
            seconds=dict(present.seconds),
            notes=tuple(notes),
        )
        if present.system is None or present.normal is None:
            return known
        # Slopes by the parameters depend on u; a system of another slab has points of its own.
        stale = self.unknowns.parameter_count or present.taken
        normal = NormalOperator(self.objective) if stale else present.normal
        settled = state.quadratic or state.converged
        return examined(known, present.system, normal, self.objective, settled)

    def _look_again(self, state: GaussNewtonState) -> None:
        """Solves for a step that is not taken: after a resume with nothing left to do."""
        losses, gradient = self._evaluate()
        if self.present.system is None:
            state, normal = self.weights.linearised(state)
            self.present.assemble(normal)
        self._solve(state, gradient, float(losses[0]))

    def take_up(self, state: GaussNewtonState, system: bool = True) -> None:
        """Goes on from a state that was not reached here.

        Args:
            system: whether to form the system of a linear problem again.
        """
        self._resumed = True
        self._put_back(state)
        if system and state.quadratic and state.assembled_at is not None:
            self.present.form_again(state.assembled_at)
            self.present.count_from(state.iterations, state.condition)
        self._place.move_to(state)

    def _put_back(self, state: GaussNewtonState) -> None:
        """Sets the tools to where a state left them, but for the system."""
        self._last = None
        self.movement.last, self.movement.size = state.moved, state.size
        self.jets.rest = state.rest
        self.weights.take_up(state)
        self.present.route = Route(*state.route)

    def _collected(self, state: GaussNewtonState) -> GaussNewtonState:
        """The state with what the tools know of it; it is where this solve stands."""
        route = self.present.route
        iterations, condition = self.present.iterated
        state = replace(
            self.weights.kept_in(state),
            moved=self.movement.last,
            size=self.movement.size,
            rest=self.jets.rest,
            route=(route.name, route.reason, route.limit),
            assembled_at=self.present.assembled_at,
            iterations=iterations,
            condition=condition,
        )
        self._place.move_to(state)
        return state
