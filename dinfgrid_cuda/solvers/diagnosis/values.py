"""u itself as a linear operator on the features, at the points of a problem's equations."""

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
    """u by the features, on the points of all terms but those on the boundary.

    Args:
        objective: of whose points all but those on the boundary count.

    Attributes:
        parts: an operator a term; none if all terms are on the boundary.
    """

    def __init__(self, objective: Objective) -> None:
        terms = [term for term in objective.problem.terms if not isinstance(term.region, Boundary)]
        self.parts = value_operators(objective, terms)

    def on(self, spec: GridSpec) -> Values:
        """The same for the features of another grid of as many levels."""
        other = object.__new__(Values)
        other.parts = [part.on(spec) for part in self.parts]
        return other

    def unit(self, v: Tensor) -> Tensor:
        """u at the points, flat, scaled so that its square is the mean square of u."""
        parts = []
        for part in self.parts:
            # A term's rows are scaled by sqrt(2 / (N k)).
            scale = (part.slopes.shape[1] / 2) ** 0.5
            parts.append(scale * part.forward(*self._split(part, v)).reshape(-1))
        return torch.cat(parts)

    def product(self, v: Tensor) -> Tensor:
        """The Gram matrix of `unit` times v [features]."""
        result = torch.zeros_like(v)
        for part in self.parts:
            rows = part.forward(*self._split(part, v))
            by_features, _ = part.transpose(part.slopes.shape[1] / 2 * rows)
            if by_features is not None:
                result += by_features.reshape(-1)
        return result

    def trace(self) -> float:
        """Of the Gram matrix."""
        return sum(part.trace()[0] * part.slopes.shape[1] / 2 for part in self.parts)

    @staticmethod
    def _split(part: TermOperator, v: Tensor) -> tuple[Tensor, Tensor]:
        channels = part.slopes.shape[3] // part.spec.levels
        return v.reshape(-1, channels), v.new_zeros(part.columns.shape[1])


def value_operators(objective: Objective, terms: Sequence[Term]) -> list[TermOperator]:
    """u at the points of some terms, whatever their residuals."""
    if not terms:
        return []
    plain = [
        replace(term, residual=_value, order=0, weight=1.0, data=None, loss="square")
        for term in terms
    ]
    problem = Problem(objective.problem.domain, plain)
    own = Objective(problem, objective.field, objective.seed, resample=False)
    return [part for index in range(len(plain)) for part in term_operators(own, index)]


def _value(x: Tensor, u: Jet) -> Tensor:
    return u.value
