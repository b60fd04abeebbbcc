"""The operators of a linearised term."""

from __future__ import annotations

import math

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.axes import as_lattice, lattices

from .coupled import CoupledOperator
from .linearize import Block, linearize
from .term_operator import TermOperator


def term_operators(objective: Objective, index: int) -> list[TermOperator]:
    """A term as operators: one, or one for each lattice that its points are."""
    deadline.check()
    field = objective.field
    assert isinstance(field, Field)
    spec = field.grid.spec
    term, block = objective.problem.terms[index], linearize(objective, index)
    if block.coupled:
        axes = as_lattice(block.x) if not isinstance(term.region, Boundary) else None
        return [CoupledOperator(block, spec, axes, objective, index)]
    found = lattices(term, objective.problem.domain, block.x)
    if found is None:
        return [TermOperator(block, spec, None)]
    parts, start = [], 0
    k = block.slopes.shape[1]
    for axes in found:
        end = start + math.prod(len(t) for t in axes)
        piece = Block(
            block.x[start:end],
            block.order,
            block.slopes[start:end],
            block.columns[start * k : end * k],
        )
        parts.append(TermOperator(piece, spec, axes))
        start = end
    return parts
