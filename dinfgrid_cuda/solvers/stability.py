"""How well a linear problem determines its solution: the function that its residuals see least."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..decoders import LinearDecoder
from ..domain import Boundary
from ..field import Field
from .direct import DirectSystem
from .lattices import as_lattice
from .normal import NormalOperator
from .objective import Objective
from .operator import ScatteredTable
from .problem import Problem
from .routes import System
from .tensor import TensorTable

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
    """The mean square of u, without its constraint, on the points of a problem's equations.

    Args:
        problem: of which all points but those on the boundary count.
        normal: its linearisation.
        decoder: [out, levels * channels], from features to u.
    """

    def __init__(self, problem: Problem, normal: NormalOperator, decoder: Tensor) -> None:
        self.decoder = decoder.detach().double()
        self.shape = (normal.features // normal.channels, normal.channels)
        spec, zero = normal.spec, (0,) * normal.spec.dim
        self.tables: list[TensorTable | ScatteredTable] = []
        self.points = 0
        for term, parts in zip(problem.terms, normal.terms, strict=True):
            if isinstance(term.region, Boundary):
                continue
            for part in parts:
                axes = as_lattice(part.x)
                self.points += len(part.x)
                self.tables.append(
                    ScatteredTable(part.x, spec, 0, torch.zeros(1, dtype=torch.long))
                    if axes is None
                    else TensorTable(axes, spec, [zero])
                )

    def at_points(self, v: Tensor) -> Tensor:
        """u [points, out] of features v [features]."""
        parts = [table.gather(v.reshape(self.shape))[:, 0] for table in self.tables]
        return torch.cat(parts) @ self.decoder.t()

    def product(self, v: Tensor) -> Tensor:
        """The Gram matrix times v [features]."""
        result = torch.zeros(self.shape, dtype=v.dtype, device=v.device)
        square = self.decoder.t() @ self.decoder
        for table in self.tables:
            result += table.scatter(table.gather(v.reshape(self.shape)) @ square)
        return result.reshape(-1) / self.points

    def trace(self) -> float:
        """Of the Gram matrix."""
        total = 0.0
        for table in self.tables:
            total += float(table.diagonal(self.decoder[None, :, None]).sum())
        return total / self.points


@torch.no_grad()
def stability(objective: Objective, normal: NormalOperator, system: System) -> Stability | None:
    """The least-seen function; None without points inside, or for a decoder that is not linear.

    By inverse iteration with the factor of a direct route; of a matrix-free one only the constant
    function is tried.
    """
    field = objective.field
    assert isinstance(field, Field)
    if not isinstance(field.decoder, LinearDecoder):
        return None
    values = Values(objective.problem, normal, field.decoder.layer.weight)
    if not values.points:
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
    v = v.to(normal.terms[0][0].slopes)
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
