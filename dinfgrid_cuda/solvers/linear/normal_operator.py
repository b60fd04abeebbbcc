"""The normal operator A' A of a linearised problem."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.kronecker import Kronecker

from .term_operator import TermOperator
from .term_operators import term_operators


class NormalOperator:
    """v -> A' A v of a problem linearised at its field's present features.

    Args:
        objective: the problem.

    Attributes:
        terms: for each term its operators.
        parts: all of them.
        rows: residuals.
        features, parameters: numbers of unknowns.
        eps: relative rounding of the objective's gradients.
    """

    def __init__(self, objective: Objective) -> None:
        field = objective.field
        assert isinstance(field, Field)
        self.spec, self.channels = field.grid.spec, field.grid.channels
        self.eps = float(torch.finfo(objective.dtype).eps)
        self.features = field.grid.features.numel()
        self.parameters = sum(p.numel() for p in objective.problem.parameters.values())
        places = range(len(objective.problem.terms))
        self.terms = [term_operators(objective, index) for index in places]
        self.parts = [part for parts in self.terms for part in parts]
        self.rows = sum(part.rows for part in self.parts)
        self._split: tuple[Kronecker, list[TermOperator]] | None = None

    def on(self, spec: GridSpec) -> NormalOperator:
        """The same rows for the features of another grid, the problem's parameters held."""
        other = copy.copy(self)
        other.spec, other._split = spec, None
        other.features, other.parameters = spec.total_nodes * self.channels, 0
        other.terms = [[part.on(spec) for part in parts] for parts in self.terms]
        other.parts = [part for parts in other.terms for part in parts]
        return other

    @property
    def kronecker(self) -> Kronecker:
        """The sum of the terms with constant coefficients on lattices."""
        return self._sorted()[0]

    @property
    def others(self) -> list[TermOperator]:
        """All other terms."""
        return self._sorted()[1]

    def averaged(self) -> Kronecker | None:
        """All terms, varying coefficients by their averages; None unless all are on lattices."""
        if not self.others:
            return self.kronecker
        total = Kronecker(self.spec, self.channels)
        for part in self.parts:
            if not Kronecker.fits(part, self.spec):
                return None
            total.add(part)
        return total

    def _sorted(self) -> tuple[Kronecker, list[TermOperator]]:
        if self._split is None:
            kronecker, others = Kronecker(self.spec, self.channels), []
            for part in self.parts:
                if part.local and part.constant and Kronecker.fits(part, self.spec):
                    kronecker.add(part)
                else:
                    others.append(part)
            self._split = kronecker, others
        return self._split

    def apply_factors(self, objective: Objective, factors: dict[int, float]) -> None:
        """Multiplies weights of terms, here and in the objective.

        Args:
            objective: the problem that has been linearised.
            factors: by the terms' places.
        """
        for index, factor in factors.items():
            objective.weights[index] *= factor
            # Formed again, so that weights enter in one way only, before and after a resume.
            self.terms[index] = term_operators(objective, index)
        self.parts = [part for parts in self.terms for part in parts]
        self._split = None

    @torch.no_grad()
    def __call__(self, v: Tensor) -> Tensor:
        """A' A v of a vector v [features + parameters]."""
        result = self._products(v, self.others)
        if self.kronecker.coefficients:
            features = v[: self.features].reshape(-1, self.channels)
            result[: self.features] += self.kronecker(features).reshape(-1)
        return result

    @torch.no_grad()
    def by_rows(self, v: Tensor) -> Tensor:
        """A' (A v) of a vector v [features + parameters], from the rows of all terms.

        Rounding is relative to A v, which is small for smooth u, where that of a matrix A' A is
        relative to its largest entries.
        """
        return self._products(v, self.parts)

    def _products(self, v: Tensor, parts: Sequence[TermOperator]) -> Tensor:
        features = v[: self.features].reshape(-1, self.channels)
        parameters = v[self.features :]
        result = torch.zeros_like(v)
        for part in parts:
            by_features, by_parameters = part.transpose(part.forward(features, parameters))
            if by_features is not None:
                result[: self.features] += by_features.reshape(-1)
            result[self.features :] += by_parameters
        return result

    @torch.no_grad()
    def pull(self, rows: Tensor) -> Tensor:
        """A' r by the features [features] of rows r [rows], in the order of `rows_of`."""
        result = rows.new_zeros(self.features)
        shares = rows.split([part.rows for part in self.parts])
        for part, share in zip(self.parts, shares, strict=True):
            by_features, _ = part.transpose(share.reshape(len(part.x), -1))
            if by_features is not None:
                result += by_features.reshape(-1)
        return result

    @torch.no_grad()
    def rows_of(self, v: Tensor, parts: Sequence[TermOperator] | None = None) -> Tensor:
        """A v [rows] of a vector v [features + parameters]: half its square is the loss.

        Args:
            parts: some of the operators; None for all.
        """
        features = v[: self.features].reshape(-1, self.channels)
        parameters = v[self.features :]
        chosen = self.parts if parts is None else parts
        rows = [part.forward(features, parameters).reshape(-1) for part in chosen]
        return torch.cat(rows)

    @torch.no_grad()
    def diagonal(self) -> Tensor:
        """Diagonal of A' A, [features + parameters]."""
        result = self.parts[0].slopes.new_zeros(self.features + self.parameters)
        if self.kronecker.coefficients:
            result[: self.features] += self.kronecker.diagonal().reshape(-1).to(result)
        for part in self.others:
            if part.table is not None:
                result[: self.features] += part.table.diagonal(part.slopes).reshape(-1)
            result[self.features :] += part.columns.square().sum(dim=0)
        return result
