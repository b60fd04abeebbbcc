"""The problem of one slab of time: what of a problem over all of time belongs to it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from dinfgrid_cuda.fields.constraints import BoxConstraint
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.geometry.box import Box, Face, check_faces
from dinfgrid_cuda.geometry.regions import Boundary, Points
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.shapes.product import Product
from dinfgrid_cuda.kernels.tables import axis_tables
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.linear.linearize import linearize
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.unknowns import linear_field

START: Face = (0, "lower")
END: Face = (0, "upper")
# Slabs share their matrix if no coefficient of the linearised terms differs by more than this.
ALIKE = 1e-10


def check_slabs(problem: Problem, field: SlabField) -> None:
    """Whether a problem can be solved slab by slab.

    Raises:
        ValueError: for parameters, a constraint or a term that belong to all of time, or if no term
            holds at the beginning alone.
    """
    _check_field(problem, field)
    _check_terms(problem)


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
    return Problem(_during(problem.domain, box), terms, problem.parameters), places


def _during(domain: Shape, slab: Box) -> Shape:
    """The part of a domain that lies in a slab of time.

    Raises:
        ValueError: for a shape whose first axis is not one of time.
    """
    if isinstance(domain, Box):
        return slab
    if isinstance(domain, Product) and domain.axis == START[0]:
        return domain.during(slab.lower[0], slab.upper[0])
    raise ValueError(
        f"solve: a SlabField needs a shape in space for a while, Product(shape, start, end, "
        f"axis=0), or a Box; the problem has {domain!r}."
    )


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
        nodes, (weights,) = axis_tables(end[:, 0], spec, level, 0)
        features = before.grid.level(level)
        plane = torch.tensordot(weights[0].to(features), features[nodes[0].to(features.device)], 1)
        after.grid.level(level).copy_(plane.expand_as(features))


def alike(one: Objective, other: Objective) -> bool:
    """Whether two slabs have the same matrix: the same coefficients at all points."""
    specs = [linear_field(objective).grid.spec for objective in (one, other)]
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


def check_continuity(problem: Problem, normal: NormalOperator) -> None:
    """Whether the initial terms carry on all that the equation needs.

    Args:
        problem: of the first slab.
        normal: its terms, linearised.

    Raises:
        ValueError: if a time derivative is missing at the beginning.
    """
    highest = {True: 0, False: 0}
    for term, operators in zip(problem.terms, normal.operators_of_terms, strict=True):
        start = isinstance(term.region, Boundary) and term.region.faces == (START,)
        for alpha in (alpha for operator in operators for alpha in operator.alphas):
            highest[start] = max(highest[start], alpha[0])
    if highest[False] > highest[True] + 1:
        raise ValueError(
            f"solve: the equations hold time derivatives of order {highest[False]}, but the terms "
            f"on ((0, 'lower'),) only of order {highest[True]}; with a SlabField they must give "
            f"those up to {highest[False] - 1}, such as u_t for a wave."
        )
