"""How well a linear problem determines its solution: the function that its residuals see least."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..domain import Boundary
from ..jet import Jet
from .direct import DirectSystem
from .normal import NormalOperator
from .objective import Objective
from .operator import TermOperator, term_operators
from .problem import Problem
from .routes import System

# Of inverse iteration. The factor is that of a matrix with a small shift: each iteration only
# halves what is seen as much as the shift, against what is not seen at all. Fewer are enough where
# nothing is seen that little.
ITERATIONS, ENOUGH = 16, 1e-9
# Residuals that see a function this little, against the mean over all functions of the grid, do not
# see it. 4000 cells and second derivatives are at 1e-13.
SINGULAR = 1e-16
# Deviation from the mean that is left to a constant.
FLAT = 1e-3


@dataclass(frozen=True)
class Stability:
    """What inverse iteration has found.

    Attributes:
        average: c in loss = c * (mean square of u) for an average function of the grid, without
            data.
        least: the same for the function found.
        flat: whether that is a constant.
        searched: whether it was searched for among all functions.
    """

    average: float
    least: float
    flat: bool
    searched: bool

    @property
    def singular(self) -> bool:
        """Whether u is not determined."""
        return self.least < SINGULAR * self.average


class Values:
    """u, as linear in the features, on the points of a problem's equations.

    Args:
        objective: of whose points all but those on the boundary count.
    """

    def __init__(self, objective: Objective) -> None:
        terms = [
            replace(term, residual=_value, order=0, weight=1.0, data=None, loss="square")
            for term in objective.problem.terms
            if not isinstance(term.region, Boundary)
        ]
        self.parts: list[TermOperator] = []
        if terms:
            problem = Problem(objective.problem.domain, terms)
            own = Objective(problem, objective.field, objective.seed, resample=False)
            self.parts = [part for i in range(len(terms)) for part in term_operators(own, i)]

    def at_points(self, v: Tensor) -> Tensor:
        """u [points, out] of a change v [features]."""
        found = []
        for part in self.parts:
            # A term's rows are scaled by sqrt(2 / (N k)).
            scale = (part.rows / 2) ** 0.5
            found.append(scale * part.forward(*self._split(part, v)))
        return torch.cat(found)

    def product(self, v: Tensor) -> Tensor:
        """The Gram matrix times v [features]: the slope of the mean square."""
        result = torch.zeros_like(v)
        for part in self.parts:
            by_features, _ = part.transpose(part.forward(*self._split(part, v)))
            if by_features is not None:
                result += by_features.reshape(-1)
        return result

    def trace(self) -> float:
        """Of the Gram matrix of mean squares."""
        return sum(part.trace()[0] for part in self.parts) / 2

    @staticmethod
    def _split(part: TermOperator, v: Tensor) -> tuple[Tensor, Tensor]:
        channels = part.slopes.shape[3] // part.spec.levels
        return v.reshape(-1, channels), v.new_zeros(part.columns.shape[1])


def _value(x: Tensor, u: Jet) -> Tensor:
    return u.value


def stability(objective: Objective, normal: NormalOperator, system: System) -> Stability | None:
    """The least-seen function; None without points inside.

    By inverse iteration with the factor of a direct route; of a matrix-free one only the constant
    function is tried.
    """
    values = Values(objective)
    if not values.parts:
        return None
    average = 0.5 * float(normal.diagonal()[: normal.features].sum()) / max(values.trace(), 1e-300)
    v = torch.ones_like(normal.diagonal()[: normal.features])
    least, flat = _seen(v, values, normal)
    if isinstance(system, DirectSystem):
        found = _searched(values, normal, system, ENOUGH * average)
        if found[0] < SINGULAR * average or least >= SINGULAR * average:
            least, flat = found
    return Stability(average, least, flat, isinstance(system, DirectSystem))


def _searched(
    values: Values, normal: NormalOperator, system: DirectSystem, enough: float
) -> tuple[float, bool]:
    """`_seen` of what inverse iteration ends at."""
    random = torch.Generator().manual_seed(0)
    v = torch.randn(normal.features, generator=random, dtype=torch.float64)
    v = v.to(normal.parts[0].slopes)
    last = math.inf
    for step in range(ITERATIONS):
        w = system.solve_features(values.product(v).cpu().numpy(), 0.0)
        v = torch.from_numpy(w).to(normal.terms[0][0].slopes)
        v /= v.abs().max().clamp(min=1e-300)
        found = _seen(v, values, normal)
        if step >= 2 and found[0] > max(enough, 0.9 * last):
            break
        last = found[0]
    return found


def _seen(v: Tensor, values: Values, normal: NormalOperator) -> tuple[float, bool]:
    """Loss by the mean square of u for features v, and whether u is a constant."""
    u = values.at_points(v)
    square = float(u.square().sum(dim=1).mean())
    if not square > 0:
        return math.inf, False
    padded = torch.cat([v, v.new_zeros(normal.parameters)])
    flat = float(u.std(dim=0).max()) < FLAT * square**0.5
    return 0.5 * normal.residuals(padded) / square, flat
