"""Rows of the least-squares matrix of a factorized field, by the features of some factors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import FactorizedField
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Sobol
from dinfgrid_cuda.kernels.multi_index import multi_indices
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import DEFAULT_POINTS, Term
from dinfgrid_cuda.solvers.errors import SolveError

from .balance import sides_and_equations
from .linearize import residual_slopes
from .rows import sparse_rows

# Factors that are solved for together, as (product, position).
Group = list[tuple[int, int]]

# Residuals for each unknown of the largest group where the user leaves the points to the solver.
PER_UNKNOWN = 4
# Points whose rows are formed at a time.
POINTS = 4096


def groups(field: FactorizedField) -> list[Group]:
    """The first factors of all products, the second ones, and so on: u is linear in each group."""
    products = field.grid.products
    longest = max(len(product) for product in products)
    return [
        [(index, k) for index, product in enumerate(products) if k < len(product)]
        for k in range(longest)
    ]


def size(field: FactorizedField, group: Group) -> int:
    """Unknowns of a group."""
    return sum(field.grid.factor(*spot).features.numel() for spot in group)


def scattered(problem: Problem, field: FactorizedField) -> Problem:
    """The problem with Sobol points wherever no sampler is given, some for each unknown.

    Lattices, which suit a full grid, would have few points per axis in many dimensions.
    """
    most = max(size(field, group) for group in groups(field))
    count = max(DEFAULT_POINTS, PER_UNKNOWN * most)

    def placed(term: Term) -> Term:
        region = term.region
        if isinstance(region, Interior) and region.sampler is None:
            return replace(term, region=Interior(Sobol()), points=term.points or count)
        if isinstance(region, Boundary) and region.sampler is None and region.shape is None:
            rim = Boundary(region.faces, Sobol())
            return replace(term, region=rim, points=term.points or count)
        return term

    return Problem(problem.domain, [placed(term) for term in problem.terms], problem.parameters)


class ProductRows:
    """The derivative A of a problem's residuals by the features, scaled to A' r = loss gradient.

    Args:
        objective: squares on fixed points; its field is a `FactorizedField`.
    """

    def __init__(self, objective: Objective) -> None:
        field = objective.field
        assert isinstance(field, FactorizedField)
        self.objective, self.field = objective, field

    def blocks(self, group: Group) -> Iterator[Any]:
        """Rows of all terms by a group's features, scipy CSR, some points at a time."""
        for index in range(len(self.objective.problem.terms)):
            yield from self._of_term(index, group)

    def _of_term(self, index: int, group: Group) -> Iterator[Any]:
        from scipy.sparse import hstack

        term = self.objective.problem.terms[index]
        x, data, total = self.objective.points(index, 0)
        scale = math.sqrt(self.objective.weights[index] / total)
        weights = self.objective.point_weights(index)
        for start in range(0, len(x), POINTS):
            deadline.check()
            part = slice(start, start + POINTS)
            given = None if data is None else data[part]
            block = residual_slopes(self.field, term, x[part], given, [])
            if block.coupled:
                raise SolveError(
                    f"solve: term {term.name!r} reads the field at other points than its own; use "
                    "a Field, or method='adam'."
                )
            slopes = block.slopes
            if weights is not None:
                slopes = weights[part].sqrt()[:, None, None, None] * slopes
            sides = [self._of_factor(x[part], scale * slopes, term, spot) for spot in group]
            yield hstack(sides, format="csr")

    @torch.no_grad()
    def _of_factor(self, x: Tensor, slopes: Tensor, term: Term, spot: tuple[int, int]) -> Any:
        """By one factor: the chain rule through the product, whose other factors are held."""
        grid, (product, position) = self.field.grid, spot
        axes = grid.products[product][position]
        parts = grid.factor_jets(product, x, term.order)
        others = [part for k, part in enumerate(parts) if k != position]
        held = math.prod(others, start=grid.covered(product, x, term.order))
        width = grid.levels * grid.channels
        mine = slopes[..., product * width : (product + 1) * width] * held[..., None, :, :]
        alphas = multi_indices(len(axes), term.order)
        places = torch.tensor(grid.places(axes, term.order), device=x.device)
        own = mine.new_zeros(*mine.shape[:2], len(alphas), width).index_add_(2, places, mine)
        spec = grid.factor(*spot).spec
        return sparse_rows(alphas, x[:, list(axes)], own, spec, grid.channels)

    def balance(self, group: Group) -> None:
        """Gives boundary terms and data the equations' mean diagonal entry, as `balance_factors`.

        Limits by noise are not known here; data with noise count as exact.
        """
        terms = self.objective.problem.terms
        sides, inside = sides_and_equations(terms)
        if not sides or not inside:
            return
        weighted = [i for i in inside if terms[i].weight]
        density = sum(self._density(i, group) / terms[i].weight for i in weighted)
        for index in sides:
            own = self._density(index, group)
            if own > 0 and density > 0:
                self.objective.weights[index] *= terms[index].weight * density / own

    def _density(self, index: int, group: Group) -> float:
        """Mean diagonal entry of a term's A' A over the features of a group that it sees."""
        squares = [part.multiply(part).sum(axis=0) for part in self._of_term(index, group)]
        diagonal = np.asarray(sum(squares))
        return float(diagonal.sum() / max(1, np.count_nonzero(diagonal)))
