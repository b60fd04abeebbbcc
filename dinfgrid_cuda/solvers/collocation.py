"""Collocation points for least squares where the user leaves them to the solver."""

from __future__ import annotations

import math
from dataclasses import replace

from ..domain import Boundary, Box, Interior
from ..sampling import Lattice
from ..spec import GridSpec
from .problem import Problem, Term

# Per cell and axis. One leaves features undetermined near the ends, three cost time for nothing.
PER_CELL = 2.0


def fitted(problem: Problem, spec: GridSpec) -> Problem:
    """The problem with regular points, as dense as the grid's cells, wherever no sampler is given.

    Terms whose ``points`` are given get about as many, spread in proportion to the cells.
    """
    terms = [_fitted(term, problem.domain, spec) for term in problem.terms]
    return Problem(problem.domain, terms, problem.parameters)


def _fitted(term: Term, box: Box, spec: GridSpec) -> Term:
    region = term.region
    if isinstance(region, Interior) and region.sampler is None:
        shape = _shape(box, spec, term.points, range(box.dim))
        return replace(term, region=Interior(Lattice(shape, ends=True)), points=None)
    if isinstance(region, Boundary) and region.sampler is None and region.shape is None:
        faces = len(region.faces or ()) or 2 * box.dim
        points = None if term.points is None else max(1, term.points // faces)
        shape = _shape(box, spec, points, range(1, box.dim))
        return replace(term, region=Boundary(region.faces, shape=shape), points=None)
    return term


def _shape(box: Box, spec: GridSpec, points: int | None, axes: range) -> tuple[int, ...]:
    """Points per axis of the box; about ``points`` on as many axes as ``axes`` has.

    Lattices go from face to face: next to a face a factor that holds values there hides features.
    """
    cells = [
        count * length / (high - low)
        for count, length, low, high in zip(
            spec.cells, box.lengths, spec.lower, spec.upper, strict=True
        )
    ]
    scale = PER_CELL
    if points is not None and len(axes):
        mean = math.prod(cells) ** (1 / len(cells))
        scale = points ** (1 / len(axes)) / mean
    if points is not None:
        return tuple(max(2, round(scale * count)) for count in cells)
    # A whole number and one, so that points lie on the nodes and as regularly in between; but where
    # cells are few, as in a slab of time, more than the features along the axis.
    nodes = spec.level_nodes(0)
    return tuple(
        max(round(scale * count) + 1, own + 1) for count, own in zip(cells, nodes, strict=True)
    )
