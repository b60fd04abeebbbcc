"""Time slabs: least squares slab after slab, each from the end of the one before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import nn

from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.points import fitted
from dinfgrid_cuda.solvers.linear.solver_choice import route_name
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .gauss_newton import GaussNewton
from .least_squares import LeastSquares
from .method import Method, Place, State
from .newton_state import GaussNewtonState
from .slab_problem import alike, check_continuity, check_slabs, extend, slab_problem

# Of one slab; Newton's steps beyond do not help, and the next slab may as well begin.
STEPS_PER_SLAB = 20


@dataclass(frozen=True)
class TimeSlabsState(State):
    """A `State` of a march through time.

    Attributes:
        slab: the present one, counted from 0.
        taken: number of steps in it.
        unfinished: slabs that were left before they had converged.
        origin: the slab that the present system was formed in.
        inner: where the solve of the present slab stands.
    """

    slab: int = 0
    taken: int = 0
    unfinished: tuple[int, ...] = ()
    origin: int = 0
    inner: GaussNewtonState = field(default_factory=GaussNewtonState)


@dataclass(frozen=True)
class TimeSlabs(Method):
    """Least squares for a `SlabField`: slab after slab, each from the end of the one before.

    A step is a (Gauss-)Newton step in the present slab; a slab that has converged is left. Terms on
    the face ``(0, "lower")`` hold at the beginning; in later slabs their residual is the difference
    to that of the slab before, so that whatever they determine is continuous. Slabs of a linear
    problem whose coefficients do not depend on time share one factor.

    Args:
        inner: how each slab is solved.

    Raises:
        TypeError: for another method inside.
    """

    inner: LeastSquares = field(default_factory=LeastSquares)

    name: ClassVar[str] = "least-squares"
    undoes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.inner, LeastSquares):
            raise TypeError(f"TimeSlabs: inner is {self.inner!r}; pass LeastSquares(...).")

    def default_steps(self, field: nn.Module) -> int:
        """Returns 20 for each slab."""
        slabs = len(field.parts) if isinstance(field, SlabField) else 1
        return slabs * self.inner.default_steps(field)

    def init(self, objective: Objective) -> TimeSlabsState:
        """The state before the first step.

        Raises:
            SolveError: if the field is no `SlabField`.
            ValueError: if no term holds at the beginning alone, or a term or constraint fits no
                slab.
        """
        if not isinstance(objective.field, SlabField):
            raise SolveError(
                f"solve: time slabs need a SlabField, not a {type(objective.field).__name__}."
            )
        return _March(self.inner, objective).start()

    def step(self, state: State) -> TimeSlabsState:
        """A step in the present slab, the first that has not converged; its losses [1 + terms]."""
        assert isinstance(state, TimeSlabsState)
        march: _March = state.work
        return march.step(state)

    def findings(self, state: State) -> Findings:
        """Returns the findings of the last slab, with the slabs that have not converged."""
        assert isinstance(state, TimeSlabsState)
        march: _March = state.work
        return march.findings(state)


class _March:
    """The present slab, and the solver in it.

    Args:
        method: in each slab.
        objective: the problem over all of time, its field a `SlabField`.
    """

    def __init__(self, method: LeastSquares, objective: Objective) -> None:
        assert isinstance(objective.field, SlabField)
        self.method, self.seed = method, objective.seed
        self.problem, self.field = objective.problem, objective.field
        check_slabs(self.problem, self.field)
        present = self.field.present
        self.solver, self._places = self._begin(0)
        self.field.present = present  # until the first step: what is refused changes nothing
        self.seconds = self.solver.present.seconds
        self._place = Place()

    def _begin(self, slab: int) -> tuple[GaussNewton, list[int]]:
        """The solver of a slab, and the places of its terms among all."""
        field = self.field.part(slab)
        self.field.present = slab  # of residuals that read the field of their own accord
        problem, places = slab_problem(self.problem, self.field, slab)
        objective = Objective(fitted(problem, field.grid.spec), field, self.seed, resample=False)
        route = route_name(self.method.linear)
        return GaussNewton(objective, route, self.method.balance), places

    def start(self) -> TimeSlabsState:
        """The state before the first step."""
        state = TimeSlabsState(inner=self.solver.start(self.method.fit), work=self)
        self._place.move_to(state)
        return state

    def step(self, state: TimeSlabsState) -> TimeSlabsState:
        """A step in the present slab, or in the next where the present one is done."""
        if not self._place.is_at(state):
            state = self._taken_up(state)
        self.field.present = state.slab
        try:
            after = self._stepped(state)
        except deadline.OutOfTime:
            if self.solver is not state.inner.work:  # in the next slab already
                self._place.leave()
            raise
        self._place.move_to(after)
        return after

    def _stepped(self, state: TimeSlabsState) -> TimeSlabsState:
        """The state after a step."""
        more = state.slab < len(self.field.parts) - 1
        if more and (state.inner.converged or state.taken >= STEPS_PER_SLAB):
            state = self._next(state)
        inner = self.solver.step(state.inner)
        assert inner.losses is not None
        last = state.slab == len(self.field.parts) - 1
        stalled = inner.converged and inner.verdict != CONVERGED
        losses = inner.losses.new_zeros(1 + len(self.problem.terms))
        losses[0] = inner.losses[0]
        losses[[1 + place for place in self._places]] = inner.losses[1:]
        return replace(
            state,
            losses=losses,
            step=state.step + 1,
            converged=(last and inner.converged) or stalled,
            verdict=_verdict(inner, state.unfinished),
            taken=state.taken + 1,
            origin=state.origin if self.solver.present.taken else state.slab,
            inner=inner,
        )

    def _next(self, state: TimeSlabsState) -> TimeSlabsState:
        """The state at the beginning of the next slab."""
        deadline.check()
        before, inner, unfinished = self.solver, state.inner, state.unfinished
        if not inner.converged or inner.verdict != CONVERGED:
            unfinished = (*unfinished, state.slab)
        if not state.slab:
            # There is none just after a break.
            normal = before.present.normal or NormalOperator(before.objective)
            check_continuity(before.objective.problem, normal)
        slab = state.slab + 1
        extend(self.field.part(slab - 1), self.field.part(slab))
        self.solver, self._places = self._begin(slab)
        self.solver.present.seconds = self.seconds
        if inner.quadratic and alike(before.objective, self.solver.objective):
            start = self.solver.start_from(before, inner)
        else:
            start = self.solver.start(fit=False, near=True)
        return replace(state, slab=slab, taken=0, unfinished=unfinished, inner=start)

    def findings(self, state: TimeSlabsState) -> Findings:
        """Returns the findings of the present slab, which is the last one at the end."""
        if not self._place.is_at(state):
            state = self._taken_up(state)
        inner = self.solver.findings(state.inner)
        slabs = len(self.field.parts)
        note = f"route, unknowns, condition and rms are those of the last of {slabs} slabs."
        notes = [*inner.notes, note]
        if state.unfinished:
            notes.append(
                f"slabs {_named(state.unfinished)}, counted from 0, have not converged in "
                f"{STEPS_PER_SLAB} steps; take more slabs, or more cells."
            )
        if state.slab < slabs - 1:
            notes.append(f"the solve ended in slab {state.slab} of {slabs}, counted from 0.")
        unknown = "" if slabs == 1 else "errors of the slabs add up"
        least = None if unknown else inner.least
        return replace(inner, least=least, unknown=unknown, notes=tuple(notes))

    def _taken_up(self, state: TimeSlabsState) -> TimeSlabsState:
        """Goes on from a state that was not reached here."""
        self.solver, self._places = self._begin(state.slab)
        self.solver.present.seconds = self.seconds
        inner = replace(state.inner, work=self.solver)
        if state.origin == state.slab:
            self.solver.take_up(inner)
        else:
            # Forms the system of the slab that it was taken from: matrices that are alike are not
            # the same to the last bit.
            source, _ = self._begin(state.origin)
            source.take_up(state.inner)
            self.field.present = state.slab
            self.solver.start_from(source, state.inner)
            self.solver.take_up(inner, system=False)
        state = replace(state, inner=inner)
        self._place.move_to(state)
        return state


def _verdict(inner: GaussNewtonState, unfinished: tuple[int, ...]) -> str:
    """What the end of the last slab means for all of them."""
    if unfinished and inner.verdict == CONVERGED:
        return f"slabs {_named(unfinished)} have not converged, counted from 0"
    return inner.verdict


def _named(slabs: tuple[int, ...]) -> str:
    return ", ".join(map(str, slabs))
