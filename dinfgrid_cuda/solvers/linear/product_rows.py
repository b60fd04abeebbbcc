"""The rows of least squares for a factorized field, by the features of some of its factors."""

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

from .balance import equalising_scales
from .linearize import residual_slopes
from .rows import sparse_rows

# Factors that are solved for together, as (product, position).
Group = list[tuple[int, int]]

# Number of residuals per unknown of the largest group where the user leaves the points to the
# solver.
PER_UNKNOWN = 4
# Number of points whose rows are formed at a time.
POINTS = 4096


def groups(field: FactorizedField) -> list[Group]:
    """Groups the first factors of all products, the second ones, and so on: u is linear in each."""
    products = field.grid.products
    longest = max(len(product) for product in products)
    return [
        [(index, k) for index, product in enumerate(products) if k < len(product)]
        for k in range(longest)
    ]


def unknown_count(field: FactorizedField, group: Group) -> int:
    """Returns the number of unknowns of a group."""
    return sum(field.grid.factor(*spot).features.numel() for spot in group)


def scattered(problem: Problem, field: FactorizedField) -> Problem:
    """Returns the problem with Sobol points wherever no sampler is given, some for each unknown.

    Lattices, which suit a full grid, would have few points per axis in many dimensions.
    """
    most = max(unknown_count(field, group) for group in groups(field))
    count = max(DEFAULT_POINTS, PER_UNKNOWN * most)

    def placed(term: Term) -> Term:
        region = term.region
        if isinstance(region, Interior) and region.sampler is None:
            return replace(term, region=Interior(Sobol()), points=term.points or count)
        if isinstance(region, Boundary) and region.sampler is None and region.shape is None:
            faces = Boundary(region.faces, Sobol())
            return replace(term, region=faces, points=term.points or count)
        return term

    return Problem(problem.domain, [placed(term) for term in problem.terms], problem.parameters)


class ProductRows:
    """The derivative A of a problem's residuals by the features of a factorized field.

    It is scaled so that A' r is the gradient of the loss.

    Args:
        objective: squares on fixed points; its field is a `FactorizedField`.
    """

    def __init__(self, objective: Objective) -> None:
        field = objective.field
        if not isinstance(field, FactorizedField):
            raise SolveError(
                "solve: alternating least squares needs a FactorizedField, not a "
                f"{type(field).__name__}."
            )
        self.objective, self.field = objective, field

    def blocks(self, group: Group) -> Iterator[Any]:
        """Yields the rows of all terms by a group's features, scipy CSR, some points at a time."""
        for index in range(len(self.objective.problem.terms)):
            yield from self._of_term(index, group)

    def _of_term(self, index: int, group: Group) -> Iterator[Any]:
        """Yields the rows of a term by a group's features, scipy CSR, some points at a time."""
        from scipy.sparse import hstack

        term = self.objective.problem.terms[index]
        x, data, total = self.objective.points(index, 0)
        scale = math.sqrt(self.objective.weights[index] / total)
        weights = self.objective.point_weights(index)
        for start in range(0, len(x), POINTS):
            deadline.check()
            chunk = slice(start, start + POINTS)
            data_chunk = None if data is None else data[chunk]
            block = residual_slopes(self.field, term, x[chunk], data_chunk, [])
            if block.coupled:
                raise SolveError(
                    f"solve: term {term.name!r} reads the field at other points than its own; use "
                    "a Field, or method='adam'."
                )
            slopes = block.slopes
            if weights is not None:
                slopes = weights[chunk].sqrt()[:, None, None, None] * slopes
            sides = [self._of_factor(x[chunk], scale * slopes, term, spot) for spot in group]
            yield hstack(sides, format="csr")

    @torch.no_grad()
    def _of_factor(self, x: Tensor, slopes: Tensor, term: Term, spot: tuple[int, int]) -> Any:
        """Returns rows by one factor: the chain rule through the product, other factors held."""
        grid, (product, position) = self.field.grid, spot
        axes = grid.products[product][position]
        jets = grid.factor_jets(product, x, term.order)
        other_jets = [jet for k, jet in enumerate(jets) if k != position]
        held = math.prod(other_jets, start=grid.covered(product, x, term.order))
        width = grid.levels * grid.channels
        of_product = slopes[..., product * width : (product + 1) * width] * held[..., None, :, :]
        alphas = multi_indices(len(axes), term.order)
        places = torch.tensor(grid.places(axes, term.order), device=x.device)
        of_factor = of_product.new_zeros(*of_product.shape[:2], len(alphas), width)
        of_factor.index_add_(2, places, of_product)
        spec = grid.factor(*spot).spec
        return sparse_rows(alphas, x[:, list(axes)], of_factor, spec, grid.channels)

    def balance(self, group: Group) -> None:
        """Balances boundary terms and data with the equations, as `balance_scales` does.

        Noise sets no limit here: data with noise count as exact.
        """
        terms = self.objective.problem.terms
        scales = equalising_scales(terms, lambda index: self._mean_diagonal(index, group))
        for index, scale in scales.items():
            self.objective.weights[index] *= scale

    def _mean_diagonal(self, index: int, group: Group) -> float:
        """Returns the mean diagonal entry of a term's A' A over the features of a group it sees."""
        squares = [block.multiply(block).sum(axis=0) for block in self._of_term(index, group)]
        diagonal = np.asarray(sum(squares))
        return float(diagonal.sum() / max(1, np.count_nonzero(diagonal)))
