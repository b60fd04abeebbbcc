"""Time slabs: least squares slab after slab, each from the end of the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.fields.constraints import BoxConstraint
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.geometry.box import Face, check_faces
from dinfgrid_cuda.geometry.regions import Boundary, Points
from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.linear.linearize import linearize
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.points import fitted
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .gauss_newton import LeastSquaresRunner

START: Face = (0, "lower")
END: Face = (0, "upper")
# Of one slab; Newton's steps beyond do not help, and the next slab may as well begin.
STEPS_PER_SLAB = 20
# Slabs share their matrix if no coefficient of the linearised terms differs by more than this.
ALIKE = 1e-10


class MarchRunner:
    """A step is a (Gauss-)Newton step in the present slab; a slab that has converged is left.

    Terms on the face ``(0, "lower")`` hold at the beginning; in later slabs their residual is the
    difference to that of the slab before, so that whatever they determine is continuous. Slabs of a
    linear problem whose coefficients do not depend on time share one factor.

    Args:
        problem: over all of time.
        field: its slabs.
        seed: of the points.
        route, balanced: as in `LeastSquaresRunner`.
        fit: as there, of the first slab.

    Raises:
        ValueError: if no term holds at the beginning alone.
    """

    keeps_finite = True
    moves_last = False

    def __init__(
        self,
        problem: Problem,
        field: SlabField,
        seed: int,
        route: str,
        balanced: bool,
        fit: bool = True,
    ) -> None:
        self.problem, self.field, self.seed = problem, field, seed
        self.options, self.fit = (route, balanced), fit
        _check_terms(problem)
        _check_field(problem, field)
        self.slab, self.taken = 0, 0
        self.origin = 0  # the slab whose system the present one has taken, if it has
        self.unfinished: list[int] = []
        self.converged = False
        self.inner, self._index = self._begin(0)
        self.seconds = self.inner.seconds

    def _begin(self, slab: int) -> tuple[LeastSquaresRunner, list[int]]:
        """The solver of a slab, and the places of its terms among all."""
        field = self.field.part(slab)
        self.field.present = slab  # of residuals that read the field of their own accord
        problem, index = slab_problem(self.problem, self.field, slab)
        objective = Objective(fitted(problem, field.grid.spec), field, self.seed, resample=False)
        runner = LeastSquaresRunner(objective, *self.options, self.fit and not slab)
        if slab:
            runner.follow()
        return runner, index

    def step(self, step: int) -> Tensor:
        """A step in the present slab, the first that has not converged; its losses [1 + terms]."""
        more = self.slab < len(self.field.parts) - 1
        if more and (self.inner.converged or self.taken >= STEPS_PER_SLAB):
            self._go_on()
        losses = self.inner.step(step)
        self.taken += 1
        last = self.slab == len(self.field.parts) - 1
        stalled = self.inner.converged and self.inner.verdict != CONVERGED
        self.converged = (last and self.inner.converged) or stalled
        result = losses.new_zeros(1 + len(self.problem.terms))
        result[0] = losses[0]
        result[[1 + place for place in self._index]] = losses[1:]
        return result

    def _go_on(self) -> None:
        deadline.check()
        before = self.inner
        if not before.converged or before.verdict != CONVERGED:
            self.unfinished.append(self.slab)
        if not self.slab:
            self._check_continuity(before)
        self.slab, self.taken = self.slab + 1, 0
        extend(self.field.part(self.slab - 1), self.field.part(self.slab))
        self.inner, self._index = self._begin(self.slab)
        self.inner.seconds = self.seconds
        if before.quadratic and _alike(before.objective, self.inner.objective):
            self.origin = self.origin if before.taken else self.slab - 1
            self.inner.take_system(before)

    def _check_continuity(self, first: LeastSquaresRunner) -> None:
        """Whether the initial terms carry on all that the equation needs."""
        normal = first.normal or NormalOperator(first.objective)  # none just after a break
        highest = {True: 0, False: 0}
        terms = first.objective.problem.terms
        for term, operators in zip(terms, normal.operators_of_terms, strict=True):
            start = isinstance(term.region, Boundary) and term.region.faces == (START,)
            for alpha in (alpha for operator in operators for alpha in operator.alphas):
                highest[start] = max(highest[start], alpha[0])
        if highest[False] > highest[True] + 1:
            raise ValueError(
                f"solve: the equations hold time derivatives of order {highest[False]}, but the "
                f"terms on ((0, 'lower'),) only of order {highest[True]}; with a SlabField they "
                f"must give those up to {highest[False] - 1}, such as u_t for a wave."
            )

    @property
    def verdict(self) -> str:
        """Of the slabs."""
        if self.unfinished and self.inner.verdict == CONVERGED:
            return f"slabs {self._named()} have not converged, counted from 0"
        return self.inner.verdict

    def _named(self) -> str:
        return ", ".join(map(str, self.unfinished))

    def findings(self) -> Findings:
        """Those of the last slab."""
        found = self.inner.findings()
        slabs = len(self.field.parts)
        note = f"route, unknowns, condition and rms are those of the last of {slabs} slabs."
        notes = [*found.notes, note]
        if self.unfinished:
            notes.append(
                f"slabs {self._named()}, counted from 0, have not converged in {STEPS_PER_SLAB} "
                "steps; take more slabs, or more cells."
            )
        if self.slab < slabs - 1:
            notes.append(f"the solve ended in slab {self.slab} of {slabs}, counted from 0.")
        unknown = "" if slabs == 1 else "errors of the slabs add up"
        return replace(
            found, least=None if unknown else found.least, unknown=unknown, notes=tuple(notes)
        )

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return self.inner.settings()

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return {
            "slab": self.slab,
            "taken": self.taken,
            "unfinished": self.unfinished,
            "converged": self.converged,
            "origin": self.origin if self.inner.taken else self.slab,
            "inner": self.inner.state(),
        }

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.slab, self.taken = int(state["slab"]), int(state["taken"])
        self.unfinished = [int(slab) for slab in state["unfinished"]]
        self.converged, self.origin = bool(state["converged"]), int(state["origin"])
        self.inner, self._index = self._begin(self.slab)
        self.inner.seconds = self.seconds
        if self.origin == self.slab:
            self.inner.load_state(state["inner"])
            return
        # Forms the system of the slab that it was taken from: matrices that are alike are not the
        # same to the last bit.
        source, _ = self._begin(self.origin)
        source.load_state(state["inner"])
        self.inner.take_system(source)
        self.inner.load_progress(state["inner"])


def _check_field(problem: Problem, field: SlabField) -> None:
    if problem.parameters:
        raise ValueError(
            f"solve: the parameters {list(problem.parameters)} belong to all of time, but a "
            "SlabField is solved slab by slab; use a Field."
        )
    constraint = field.part(0).constraint
    if isinstance(constraint, BoxConstraint) and START in check_faces(constraint.faces, field.dim):
        raise ValueError(
            "solve: the constraint holds the face (0, 'lower') of every slab; give the initial "
            "values as a term instead."
        )


def _check_terms(problem: Problem) -> None:
    starts = 0
    for term in problem.terms:
        if not isinstance(term.region, Boundary):
            continue
        faces = term.region.faces
        mixed = faces is None or (len(faces) > 1 and (START in faces or END in faces))
        if mixed:
            raise ValueError(
                f"term {term.name!r}: its faces hold those of time and of space; with a SlabField "
                "give the beginning, ((0, 'lower'),), a term of its own, and name the others."
            )
        starts += faces == (START,)
    if not starts:
        raise ValueError(
            "solve: a SlabField needs a term on Boundary(((0, 'lower'),)), the initial condition: "
            "it carries the solution from slab to slab."
        )


def slab_problem(problem: Problem, field: SlabField, slab: int) -> tuple[Problem, list[int]]:
    """The problem of one slab, and the places of its terms among those of the whole."""
    box, last = field.boxes[slab], slab == len(field.boxes) - 1
    terms, places = [], []
    for place, term in enumerate(problem.terms):
        own: Term | None = term
        if isinstance(term.region, Boundary) and term.region.faces == (END,) and not last:
            own = None
        elif isinstance(term.region, Boundary) and term.region.faces == (START,) and slab:
            own = _continued(term, field.part(slab - 1))
        elif isinstance(term.region, Points):
            own = _within(term, term.region, box.lower[0], box.upper[0], last)
        if own is not None:
            terms.append(own)
            places.append(place)
    return Problem(box, terms, problem.parameters), places


def _continued(term: Term, before: Field) -> Term:
    """The initial condition of a later slab: residual(u) = residual(u before)."""

    def residual(x: Tensor, u: Jet) -> Tensor:
        with torch.no_grad():
            known = before.jet(x, term.order)
        return term.residual(x, u) - term.residual(x, known)

    return replace(term, residual=residual)


def _within(term: Term, points: Points, start: float, end: float, last: bool) -> Term | None:
    """A term on points of one's own, those of a slab."""
    t = points.x[:, 0]
    rows = ((t >= start) & ((t < end) | (last & (t <= end)))).nonzero()[:, 0]
    if not len(rows):
        return None
    data = None if term.data is None else term.data[rows.to(term.data.device)]
    return replace(term, region=Points(points.x[rows]), data=data)


@torch.no_grad()
def extend(before: Field, after: Field) -> None:
    """Starts a slab from the end of the one before, constant in time.

    The weights of time sum to 1, so that equal features in all planes of time give what they give
    in one: the planes before, added up with their weights at the end.
    """
    spec = before.grid.spec
    end = torch.tensor([spec.upper], dtype=torch.float64)
    for level in range(spec.levels):
        f, cell = tables.axis_position(end, spec, level, 0)
        nodes, place = tables.axis_nodes(cell, spec, level, 0)
        weights = tables.axis_weights(f, place, spec.basis)[0]
        features = before.grid.level(level)
        plane = torch.tensordot(weights.to(features), features[nodes[0].to(features.device)], 1)
        after.grid.level(level).copy_(plane.expand_as(features))


def _alike(one: Objective, other: Objective) -> bool:
    """Whether two slabs have the same matrix: the same coefficients at all points."""
    specs = []
    for objective in (one, other):
        assert isinstance(objective.field, Field)
        specs.append(objective.field.grid.spec)
    if specs[0].cells != specs[1].cells or len(one.problem.terms) != len(other.problem.terms):
        return False
    other.weights = list(one.weights)
    for index in range(len(one.problem.terms)):
        a, b = linearize(one, index), linearize(other, index)
        if a.coupled or b.coupled or a.slopes.shape != b.slopes.shape or a.columns.numel():
            return False
        apart = (a.x - a.x.new_tensor(specs[0].lower)) - (b.x - b.x.new_tensor(specs[1].lower))
        if float(apart.abs().max()) > ALIKE * max(one.problem.domain.lengths):
            return False
        if float((a.slopes - b.slopes).abs().max()) > ALIKE * float(a.slopes.abs().max()):
            return False
    return True
