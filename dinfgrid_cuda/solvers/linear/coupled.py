"""Residuals that read the field elsewhere than at their own point, or that couple their points.

Examples are ``u.value - field(x + 1)``, means and integrals of u, and delays. Their derivative by
the features is not a product of small matrices at each point with the basis' table. Products with
it and with its transpose come from automatic differentiation; the contribution of each point's own
jet serves as preconditioner.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.kernels.torch_compat import change_count
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.lattice.axes import Axes

from .linearize import Block
from .term_operator import TermOperator
from .unknown_nodes import unknown_nodes
from .unknowns import linear_field

# Largest number of rows that are formed one by one, and of their entries compared with those of a
# residual at one point: one or two points elsewhere are worth a factor, means over the field are
# not.
MOST_ROWS, NEARBY = 4096, 4


class CoupledOperator(TermOperator):
    """The matrix of a term that couples points, applied by automatic differentiation.

    Args:
        block: the term with the part of its slopes that belongs to each point itself.
        spec: the grid.
        axes: of the lattice that its points form, or None.
        objective: at whose present features the term is differentiated.
        index: of the term.

    """

    local = False

    def __init__(
        self, block: Block, spec: GridSpec, axes: Axes | None, objective: Objective, index: int
    ) -> None:
        super().__init__(block, spec, axes)
        self.mixed = block.mixed
        self._objective, self._index = objective, index
        self._graph: tuple[int, Tensor, Tensor, Tensor] | None = None
        self._explicit = self._sparse_rows()

    @property
    def explicit(self) -> Any:
        """A by the features as CSR, for a factor; None where it has many rows or entries."""
        return self._explicit

    def _sparse_rows(self) -> Any:
        """Returns A by the features as CSR; None where it has many rows or entries."""
        if self.row_count > MOST_ROWS:
            return None
        matrix = self.matrix()
        entries = self.spec.levels * self.spec.basis.nodes**self.spec.dim * self.slopes.shape[3]
        return matrix if matrix.nnz <= NEARBY * entries * self.row_count else None

    def on(self, spec: GridSpec) -> CoupledOperator:
        """Returns the same operator with the parameters held.

        Raises:
            SolveError: for another grid than its own.
        """
        if spec != self.spec:
            raise SolveError("solve: residuals that couple points are known on their own grid only")
        held = CoupledOperator.__new__(CoupledOperator)
        held.__dict__.update(self.__dict__)
        held.columns = self.columns[:, :0]
        return held

    def forward(self, features: Tensor, parameters: Tensor) -> Tensor:
        """Returns A F + B p, [N, k], of features F [nodes, channels] and parameters p."""
        _, _, weights, slopes = self._differentiated()
        v = features.reshape(slopes.shape).to(slopes)
        with torch.enable_grad():
            pulled = (slopes * v).sum()
        rows = torch.autograd.grad(pulled, weights, retain_graph=True, materialize_grads=True)[0]
        extra = (self.columns @ parameters).reshape(len(self.x), -1)
        return rows.double().reshape(extra.shape) + extra

    def transpose(self, r: Tensor) -> tuple[Tensor | None, Tensor]:
        """Returns A' r [nodes, channels] and B' r of a vector r [N, k]."""
        _, residual, _, _ = self._differentiated()
        by_parameters = self.columns.t() @ r.reshape(-1)
        features = self._features
        slopes = torch.autograd.grad(
            residual, features, r.reshape(residual.shape).to(residual), retain_graph=True
        )[0]
        free = unknown_nodes(self.spec)
        slopes = slopes if free is None else slopes * free.to(slopes)[:, None]
        return slopes.double(), by_parameters

    def matrix(self) -> Any:
        """Forms A by the features row by row: scipy CSR [N * k, nodes * channels], float64."""
        from scipy.sparse import csr_array, vstack

        rows, free = [], unknown_nodes(self.spec)
        _, residual, _, _ = self._differentiated()
        for entry in residual.reshape(-1).unbind():
            slope = self._slope_of(entry)
            slope = slope if free is None else slope * free.to(slope)[:, None]
            rows.append(csr_array(slope.detach().double().reshape(1, -1).cpu().numpy()))
        return vstack(rows, format="csr")

    def _slope_of(self, entry: Tensor) -> Tensor:
        """Returns d entry / d features; zero where it does not depend on them."""
        if not entry.requires_grad:
            return torch.zeros_like(self._features)
        slope: Tensor = torch.autograd.grad(
            entry, self._features, retain_graph=True, materialize_grads=True
        )[0]
        return slope

    @property
    def _features(self) -> Tensor:
        """The features by which the residuals are differentiated."""
        return linear_field(self._objective).grid.features

    def _differentiated(self) -> tuple[int, Tensor, Tensor, Tensor]:
        """Returns the features' version, residuals r [N, k], weights w, and d (w . r) / d features.

        They are formed anew where the features have changed: the graph would refuse these.
        """
        features = self._features
        if self._graph is None or self._graph[0] != change_count(features):
            with torch.enable_grad():
                residual = _scaled_rows(self._objective, self._index)
                weights = torch.zeros_like(residual, requires_grad=True)
                slopes = torch.autograd.grad(
                    (weights * residual).sum(), features, create_graph=True, materialize_grads=True
                )[0]
            self._graph = (change_count(features), residual, weights, slopes)
        return self._graph


def _scaled_rows(objective: Objective, index: int) -> Tensor:
    """Returns a term's residuals [N, k], real; half the sum of their squares is its loss."""
    term, field = objective.problem.terms[index], linear_field(objective)
    x, data, total = objective.points(index, 0)
    residual = term.evaluate(x, field.decode(x, field.gather(x, term.order), term.order), data)
    scale = math.sqrt(2 / max(1, math.prod(residual.shape[1:])) * objective.weights[index] / total)
    if residual.is_complex():
        residual = torch.view_as_real(residual)
    rows: Tensor = scale * residual.reshape(len(x), -1)
    weights = objective.point_weights(index)
    return rows if weights is None else weights.sqrt()[:, None] * rows
