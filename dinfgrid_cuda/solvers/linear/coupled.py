"""Residuals that read the field elsewhere than at their own point, or that couple their points.

``u.value - field(x + 1)``, means and integrals of u, delays: their derivative by the features is no
product of small matrices at each point with the basis' table. Products with it and with its
transpose are those of automatic differentiation; what a point's own jet contributes serves as
preconditioner.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.field import FieldBase
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.kernels.torch_compat import change_count
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.lattice.axes import Axes

from .linearize import Block
from .term_operator import TermOperator

# Rows that are formed one by one, and their entries against those of a residual at one point, up to
# which they are worth a factor: a point or two elsewhere, but no means over the field.
MOST_ROWS, NEARBY = 4096, 4


class CoupledOperator(TermOperator):
    """A of a term that couples points, by automatic differentiation.

    Args:
        block: the term with the part of its slopes that belongs to each point itself.
        spec: the grid.
        axes: of the lattice that its points are, or None.
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
        self.explicit = self._sparse_rows()

    def _sparse_rows(self) -> Any:
        """A by the features as CSR, for a factor; None where it has many rows or entries."""
        if self.rows > MOST_ROWS:
            return None
        matrix = self.matrix()
        entries = self.spec.levels * self.spec.basis.nodes**self.spec.dim * self.slopes.shape[3]
        return matrix if matrix.nnz <= NEARBY * entries * self.rows else None

    def on(self, spec: GridSpec) -> CoupledOperator:
        """The same with the parameters held.

        Raises:
            SolveError: for another grid than its own.
        """
        if spec != self.spec:
            raise SolveError("solve: residuals that couple points are known on their own grid only")
        other = CoupledOperator.__new__(CoupledOperator)
        other.__dict__.update(self.__dict__)
        other.columns = self.columns[:, :0]
        return other

    def forward(self, features: Tensor, parameters: Tensor) -> Tensor:
        """A F + B p, [N, k]."""
        _, _, weights, slopes = self._differentiated()
        v = features.reshape(slopes.shape).to(slopes)
        with torch.enable_grad():
            pulled = (slopes * v).sum()
        rows = torch.autograd.grad(pulled, weights, retain_graph=True, materialize_grads=True)[0]
        extra = (self.columns @ parameters).reshape(len(self.x), -1)
        return rows.double().reshape(extra.shape) + extra

    def transpose(self, rows: Tensor) -> tuple[Tensor | None, Tensor]:
        """A' r and B' r of rows r [N, k]."""
        _, residual, _, _ = self._differentiated()
        by_parameters = self.columns.t() @ rows.reshape(-1)
        features = self._features
        slopes = torch.autograd.grad(
            residual, features, rows.reshape(residual.shape).to(residual), retain_graph=True
        )[0]
        return slopes.double(), by_parameters

    def matrix(self) -> Any:
        """A by the features, row by row: scipy CSR [N * k, nodes * channels], float64."""
        from scipy.sparse import csr_array, vstack

        rows = []
        _, residual, _, _ = self._differentiated()
        for entry in residual.reshape(-1).unbind():
            slope = self._slope_of(entry)
            rows.append(csr_array(slope.detach().double().reshape(1, -1).cpu().numpy()))
        return vstack(rows, format="csr")

    def _slope_of(self, entry: Tensor) -> Tensor:
        """d entry / d features; zero where it does not depend on them."""
        if not entry.requires_grad:
            return torch.zeros_like(self._features)
        slope: Tensor = torch.autograd.grad(
            entry, self._features, retain_graph=True, materialize_grads=True
        )[0]
        return slope

    @property
    def _features(self) -> nn.Parameter:
        features: nn.Parameter = self._objective.field.grid.features
        return features

    def _differentiated(self) -> tuple[int, Tensor, Tensor, Tensor]:
        """(version of the features, rows r [N, k], weights w, d (w . r) / d features).

        Formed anew where the features have changed: the graph would refuse them.
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
    """A term's residuals [N, k], real, scaled so that half the sum of squares is its loss."""
    term, field = objective.problem.terms[index], objective.field
    assert isinstance(field, FieldBase)
    x, data, total = objective.points(index, 0)
    residual = term.evaluate(x, field.decode(x, field.gather(x, term.order), term.order), data)
    scale = math.sqrt(2 / max(1, math.prod(residual.shape[1:])) * objective.weights[index] / total)
    if residual.is_complex():
        residual = torch.view_as_real(residual)
    rows: Tensor = scale * residual.reshape(len(x), -1)
    weights = objective.point_weights(index)
    return rows if weights is None else weights.sqrt()[:, None] * rows
