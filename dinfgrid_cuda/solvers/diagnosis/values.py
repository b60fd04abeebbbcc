"""The values u at the points of a problem's equations, as a linear operator on the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.linear.term_operator import TermOperator
from dinfgrid_cuda.solvers.linear.term_operators import term_operators


class Values:
    """The values u by the features, at the points of some terms.

    Args:
        objective: the problem.
        terms: by default all that are not on the boundary.

    Attributes:
        operators: those of u at the points; none if all terms are on the boundary.
    """

    def __init__(self, objective: Objective, terms: Sequence[Term] | None = None) -> None:
        if terms is None:
            every = objective.problem.terms
            terms = [term for term in every if not isinstance(term.region, Boundary)]
        self.operators = value_operators(objective, terms)

    def on(self, spec: GridSpec) -> Values:
        """Returns the values by the features of another grid of as many levels."""
        moved = object.__new__(Values)
        moved.operators = [operator.on(spec) for operator in self.operators]
        return moved

    def unit(self, v: Tensor) -> Tensor:
        """Returns u at the points, flat, scaled so that its square is the mean square of u."""
        values = []
        for operator in self.operators:
            # A term's rows are scaled by sqrt(2 / (N k)).
            scale = (operator.slopes.shape[1] / 2) ** 0.5
            values.append(scale * operator.forward(*operator.split(v)).reshape(-1))
        return torch.cat(values)

    def product(self, v: Tensor) -> Tensor:
        """Multiplies the Gram matrix of `unit` with v [features]."""
        result = torch.zeros_like(v)
        for operator in self.operators:
            u = operator.forward(*operator.split(v))
            by_features, _ = operator.transpose(operator.slopes.shape[1] / 2 * u)
            if by_features is not None:
                result += by_features.reshape(-1)
        return result

    def trace(self) -> float:
        """Returns the trace of the Gram matrix."""
        return sum(
            operator.trace()[0] * operator.slopes.shape[1] / 2 for operator in self.operators
        )


def value_operators(objective: Objective, terms: Sequence[Term]) -> list[TermOperator]:
    """Returns operators for u at the points of some terms, whatever their residuals."""
    if not terms:
        return []
    plain = [
        replace(term, residual=_value, order=0, weight=1.0, data=None, loss="square")
        for term in terms
    ]
    problem = Problem(objective.problem.domain, plain)
    of_values = Objective(problem, objective.field, objective.seed, resample=False)
    places = range(len(plain))
    return [operator for index in places for operator in term_operators(of_values, index)]


def _value(x: Tensor, u: Jet) -> Tensor:
    """Returns u as a residual."""
    return u.value
