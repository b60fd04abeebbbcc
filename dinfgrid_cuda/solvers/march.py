"""Time slabs: least squares slab after slab, each from the end of the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import reference
from ..domain import Boundary, Face, Points
from ..field import Field
from ..jet import Jet
from ..slabs import SlabField
from .collocation import fitted
from .least_squares import LeastSquaresRunner
from .linearize import linearize
from .objective import Objective
from .problem import Problem, Term
from .report import Findings
from .stopping import CONVERGED

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

    Raises:
        ValueError: if no term holds at the beginning alone.
    """

    keeps_finite = True

    def __init__(
        self, problem: Problem, field: SlabField, seed: int, route: str, balanced: bool
    ) -> None:
        self.problem, self.field, self.seed = problem, field, seed
        self.options = (route, balanced)
        _check_terms(problem)
        self.slab, self.taken = 0, 0
        self.converged = False
        self.inner, self._index = self._begin(0)
        self.seconds = self.inner.seconds

    def _begin(self, slab: int) -> tuple[LeastSquaresRunner, list[int]]:
        """The solver of a slab, and the places of its terms among all."""
        field = self.field.part(slab)
        problem, index = slab_problem(self.problem, self.field, slab)
        objective = Objective(fitted(problem, field.grid.spec), field, self.seed, resample=False)
        return LeastSquaresRunner(objective, *self.options), index

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
        before = self.inner
        self.slab, self.taken = self.slab + 1, 0
        extend(self.field.part(self.slab - 1), self.field.part(self.slab))
        self.inner, self._index = self._begin(self.slab)
        self.inner.seconds = self.seconds
        if before.quadratic and _alike(before.objective, self.inner.objective):
            self.inner.take_system(before)

    @property
    def verdict(self) -> str:
        """Of the last slab."""
        return self.inner.verdict

    def findings(self) -> Findings:
        """Those of the last slab."""
        found = self.inner.findings()
        note = (
            f"route, unknowns and condition are those of the last of {len(self.field.parts)} slabs."
        )
        return replace(found, least=None, notes=(*found.notes, note))

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return self.inner.settings()

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return {"slab": self.slab, "taken": self.taken, "inner": self.inner.state()}

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.slab, self.taken = int(state["slab"]), int(state["taken"])
        self.inner, self._index = self._begin(self.slab)
        self.inner.load_state(state["inner"])
        self.inner.seconds = self.seconds


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
        f, cell = reference.axis_position(end, spec, level, 0)
        nodes, place = reference.axis_nodes(cell, spec, level, 0)
        weights = reference.axis_weights(f, place, spec.basis)[0]
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
        if a.slopes.shape != b.slopes.shape or a.columns.numel():
            return False
        if float((a.slopes - b.slopes).abs().max()) > ALIKE * float(a.slopes.abs().max()):
            return False
    return True
