"""The normal matrix A' A of a linearised problem, as an operator."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.kronecker import Kronecker

from .extension import Extension, ExtensionOperator
from .term_operator import TermOperator
from .term_operators import term_operators
from .unknown_nodes import unknown_nodes
from .unknowns import VectorLayout, linear_field


class NormalOperator:
    """Applies A' A of a problem linearised at its field's present features.

    Args:
        objective: the problem.

    Attributes:
        operators_of_terms: the operators of each term.
        operators: all of them.
        row_count: number of residuals.
        layout: where features and parameters lie in a vector of unknowns.
        eps: relative rounding of the objective's gradients.
    """

    def __init__(self, objective: Objective) -> None:
        grid = linear_field(objective).grid
        self.spec, self.channels = grid.spec, grid.channels
        self.eps = float(torch.finfo(objective.dtype).eps)
        self.layout = VectorLayout.of(objective)
        places = range(len(objective.problem.terms))
        self.operators_of_terms = [term_operators(objective, index) for index in places]
        self.extension: ExtensionOperator | None = None
        if isinstance(objective.penalty, Extension):
            like = self.operators_of_terms[0][0]
            self.extension = ExtensionOperator(objective.penalty, like, self.channels)
        self.row_count = sum(operator.row_count for operator in self.operators)
        self._sorted: tuple[Kronecker, list[TermOperator]] | None = None

    @property
    def operators(self) -> list[TermOperator]:
        """The operators of all terms, in the order of the rows; then that of the extension."""
        of_terms = [operator for operators in self.operators_of_terms for operator in operators]
        return of_terms if self.extension is None else [*of_terms, self.extension]

    @property
    def feature_count(self) -> int:
        """The number of features."""
        return self.layout.feature_count

    @property
    def unknown_count(self) -> int:
        """The number of features that are solved for, and of parameters."""
        free = unknown_nodes(self.spec)
        nodes = self.spec.total_nodes if free is None else int(free.sum())
        return nodes * self.channels + self.parameter_count

    @property
    def parameter_count(self) -> int:
        """The number of the problem's parameters."""
        return self.layout.parameter_count

    def on(self, spec: GridSpec) -> NormalOperator:
        """Returns the same rows for the features of another grid, the parameters held."""
        moved = copy.copy(self)
        moved.spec, moved._sorted = spec, None
        moved.layout = self.layout.on(spec)
        moved.operators_of_terms = [
            [operator.on(spec) for operator in operators] for operators in self.operators_of_terms
        ]
        moved.extension = None if self.extension is None else self.extension.on(spec)
        moved.row_count = sum(operator.row_count for operator in moved.operators)
        return moved

    @property
    def kronecker(self) -> Kronecker:
        """The sum of A' A of all operators with constant coefficients on lattices."""
        return self._sort()[0]

    @property
    def general_operators(self) -> list[TermOperator]:
        """The operators that are not in `kronecker`."""
        return self._sort()[1]

    def averaged(self) -> Kronecker | None:
        """Returns A' A with varying coefficients averaged; None unless all are on lattices."""
        if not self.general_operators:
            return self.kronecker
        total = Kronecker(self.spec, self.channels)
        for operator in self.operators:
            if not Kronecker.fits(operator, self.spec):
                return None
            total.add(operator)
        return total

    def _sort(self) -> tuple[Kronecker, list[TermOperator]]:
        """Returns the sum of the operators that have Kronecker form, and the others."""
        if self._sorted is None:
            kronecker, general = Kronecker(self.spec, self.channels), []
            for operator in self.operators:
                plain = operator.local and operator.constant
                if plain and Kronecker.fits(operator, self.spec):
                    kronecker.add(operator)
                else:
                    general.append(operator)
            self._sorted = kronecker, general
        return self._sorted

    def scale_weights(self, objective: Objective, scales: dict[int, float]) -> None:
        """Multiplies weights of terms, here and in the objective.

        Args:
            objective: the problem that has been linearised.
            scales: of the weights, by the terms' places.
        """
        for index, scale in scales.items():
            objective.weights[index] *= scale
            # Formed again, so that weights enter in one way only, before and after a resume.
            self.operators_of_terms[index] = term_operators(objective, index)
        self._sorted = None

    @torch.no_grad()
    def __call__(self, v: Tensor) -> Tensor:
        """Returns A' A v of a vector v [unknowns]."""
        result = self._products(v, self.general_operators)
        if self.kronecker.coefficients:
            by_features, _ = self.layout.split(result)
            by_features += self.kronecker(self.layout.split(v)[0])
        return result

    @torch.no_grad()
    def by_rows(self, v: Tensor) -> Tensor:
        """Returns A' (A v) of a vector v [unknowns], from the rows of all terms.

        Rounding is relative to A v, which is small for smooth u, where that of a matrix A' A is
        relative to its largest entries.
        """
        return self._products(v, self.operators)

    def _products(self, v: Tensor, operators: Sequence[TermOperator]) -> Tensor:
        """Returns the sum of A' (A v) over some operators, [unknowns]."""
        features, parameters = self.layout.split(v)
        result = torch.zeros_like(v)
        feature_sums, parameter_sums = self.layout.split(result)
        for operator in operators:
            by_features, by_parameters = operator.transpose(operator.forward(features, parameters))
            if by_features is not None:
                feature_sums += by_features.reshape(feature_sums.shape)
            parameter_sums += by_parameters
        return result

    @torch.no_grad()
    def forward(self, v: Tensor, operators: Sequence[TermOperator] | None = None) -> Tensor:
        """Returns A v [row_count] of a vector v [unknowns]: half its square is the loss.

        Args:
            operators: some of the operators; None for all.
        """
        features, parameters = self.layout.split(v)
        chosen = self.operators if operators is None else operators
        rows = [operator.forward(features, parameters).reshape(-1) for operator in chosen]
        return torch.cat(rows)

    @torch.no_grad()
    def transpose(self, r: Tensor) -> Tensor:
        """Returns A' r by the features [features] of a vector r [row_count], as of `forward`."""
        result = r.new_zeros(self.feature_count)
        shares = r.split([operator.row_count for operator in self.operators])
        for operator, share in zip(self.operators, shares, strict=True):
            by_features, _ = operator.transpose(share.reshape(len(operator.x), -1))
            if by_features is not None:
                result += by_features.reshape(-1)
        return result

    def trace(self) -> float:
        """Returns the trace of A' A by the features; on local levels from some of the points."""
        if self.spec.local:
            return math.fsum(operator.trace()[0] for operator in self.operators)
        return float(self.layout.split(self.diagonal())[0].sum())

    @torch.no_grad()
    def diagonal(self) -> Tensor:
        """Returns the diagonal of A' A, [unknowns]."""
        result = self.operators[0].slopes.new_zeros(self.layout.size)
        feature_sums, parameter_sums = self.layout.split(result)
        if self.kronecker.coefficients:
            feature_sums += self.kronecker.diagonal().to(result)
        for operator in self.general_operators:
            of_operator = operator.diagonal()
            if of_operator is not None:
                feature_sums += of_operator
            parameter_sums += operator.columns.square().sum(dim=0)
        return result
