"""The operators that a term of a problem is linearised to."""

from __future__ import annotations

import math

from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.axes import as_lattice, lattices

from .coupled import CoupledOperator
from .linearize import Block, linearize
from .term_operator import TermOperator
from .unknowns import linear_field


def term_operators(objective: Objective, index: int) -> list[TermOperator]:
    """Linearises a term: returns one operator, or one for each lattice that its points form."""
    deadline.check()
    spec = linear_field(objective).grid.spec
    term, block = objective.problem.terms[index], linearize(objective, index)
    if block.coupled:
        axes = as_lattice(block.x) if not isinstance(term.region, Boundary) else None
        return [CoupledOperator(block, spec, axes, objective, index)]
    all_axes = lattices(term, objective.problem.domain, block.x)
    if all_axes is None or spec.local:
        return [TermOperator(block, spec, None)]
    operators, start = [], 0
    k = block.slopes.shape[1]
    for axes in all_axes:
        end = start + math.prod(len(t) for t in axes)
        piece = Block(
            block.x[start:end],
            block.order,
            block.slopes[start:end],
            block.columns[start * k : end * k],
        )
        operators.append(TermOperator(piece, spec, axes))
        start = end
    return operators
