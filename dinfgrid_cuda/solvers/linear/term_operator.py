"""A linearised problem as an operator: its product with a vector, without its matrix.

Each product is one gather and one scatter of every term: by the kernels for scattered points, axis
by axis (`TensorTable`) where the points form lattices.
"""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor

from dinfgrid_cuda.kernels import functional, tables
from dinfgrid_cuda.kernels.multi_index import MultiIndex, jet_size, multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.solvers.lattice.axes import Axes
from dinfgrid_cuda.solvers.lattice.sum_factorisation import TensorTable

from .linearize import Block

# Entries of dense tables that are worked on at a time.
ENTRIES = 1 << 23
# Points of scattered terms whose rows stand for all, where a mean is enough.
SAMPLE = 2048


class ScatteredTable:
    """Some derivatives of all basis functions at any points, by the kernels.

    Args:
        x: points [N, dim].
        spec: the grid.
        order: of the derivatives.
        used: places of the wanted ones among all of them.
    """

    def __init__(self, x: Tensor, spec: GridSpec, order: int, used: Tensor) -> None:
        self.x, self.spec, self.order, self.used = x, spec, order, used

    def gather(self, features: Tensor) -> Tensor:
        """[N, A, levels * C] of features [total nodes, C]."""
        y: Tensor = functional.gather(self.x, features, self.spec, self.order)
        return y[:, self.used]

    def scatter(self, y: Tensor) -> Tensor:
        """The transpose: [total nodes, C] of y [N, A, levels * C]."""
        whole = y.new_zeros(y.shape[0], jet_size(self.spec.dim, self.order), y.shape[2])
        whole[:, self.used] = y
        z: Tensor = functional.scatter(self.x, whole, self.spec, self.order)
        return z

    def diagonal(self, slopes: Tensor) -> Tensor:
        """Diagonal of A' A, [total nodes, C], of the rows slopes [N or 1, k, A, levels * C]."""
        spec, n = self.spec, len(self.x)
        channels = slopes.shape[3] // spec.levels
        result = slopes.new_zeros(spec.total_nodes, channels)
        slopes = slopes.expand(n, -1, -1, -1)
        size = max(64, ENTRIES // (spec.basis.nodes**spec.dim * len(self.used)))
        for start in range(0, n, size):
            x, part = self.x[start : start + size], slopes[start : start + size]
            for level in range(spec.levels):
                table = tables.weights(x, spec, level, self.order)[:, self.used]
                mine = part[..., level * channels : (level + 1) * channels]
                squares = torch.einsum("nkac,nam->nkmc", mine, table).square().sum(dim=1)
                nodes = tables.neighbours(x, spec, level)
                result.index_add_(0, nodes.flatten(), squares.flatten(0, 1))
        return result


class TermOperator:
    """A of one term (or face of it): the product with features and parameters, and its transpose.

    Args:
        block: the linearised term.
        spec: the grid.
        axes: of the lattice that its points are, or None.

    Attributes:
        x: points [N, dim].
        alphas: the derivatives that occur.
        slopes: A by these, [N, k, A, levels * C], or [1, k, ...] where all points share them.
        axes: as given.
        local: whether slopes and table are all of A.
        mixed: whether a residual depends on u at other points of its own term.
    """

    local, mixed = True, False

    def __init__(self, block: Block, spec: GridSpec, axes: Axes | None) -> None:
        self.x, self.spec = block.x.double(), spec
        every = multi_indices(spec.dim, block.order)
        used = (block.slopes != 0).any(dim=3).any(dim=1).any(dim=0).nonzero()[:, 0]
        self.alphas: list[MultiIndex] = [every[place] for place in used.tolist()]
        slopes = block.slopes[:, :, used].detach().double()
        shared = len(slopes) > 1 and bool((slopes == slopes[:1]).all())
        self.slopes = slopes[:1].clone() if shared else slopes
        self.columns = block.columns.detach().double()
        self.axes = None if axes is None else tuple(t.double() for t in axes)
        self._order, self._used = block.order, used

    @cached_property
    def table(self) -> TensorTable | ScatteredTable | None:
        """The basis' derivatives that occur; None if there are none."""
        if not self.alphas:
            return None
        if self.axes is None or self.spec.dim == 1:
            return ScatteredTable(self.x, self.spec, self._order, self._used)
        return TensorTable(self.axes, self.spec, self.alphas)

    def on(self, spec: GridSpec) -> TermOperator:
        """The same rows for the features of another grid of as many levels, parameters held."""
        other = copy.copy(self)
        other.spec, other.columns = spec, self.columns[:, :0]
        other.__dict__.pop("table", None)
        return other

    @property
    def rows(self) -> int:
        """Residuals."""
        return len(self.columns)

    @property
    def constant(self) -> bool:
        """Whether all points share their slopes."""
        return len(self.slopes) == 1

    def forward(self, features: Tensor, parameters: Tensor) -> Tensor:
        """A F + B p, [N, k]."""
        result = (self.columns @ parameters).reshape(len(self.x), self.slopes.shape[1])
        if self.table is None:
            return result
        y = self.table.gather(features)
        return result + torch.einsum("nkac,nac->nk", self.slopes.expand(len(y), -1, -1, -1), y)

    def transpose(self, rows: Tensor) -> tuple[Tensor | None, Tensor]:
        """A' r and B' r of rows r [N, k]."""
        by_parameters = self.columns.t() @ rows.reshape(-1)
        if self.table is None:
            return None, by_parameters
        y = torch.einsum("nkac,nk->nac", self.slopes.expand(len(rows), -1, -1, -1), rows)
        return self.table.scatter(y), by_parameters

    def trace(self) -> tuple[float, int]:
        """Trace of A' A by the features, and the number of nodes that the points see."""
        if not isinstance(self.table, ScatteredTable):
            diagonal = None if self.table is None else self.table.diagonal(self.slopes)
            if diagonal is None:
                return 0.0, 0
            return float(diagonal.sum()), int((diagonal > 0).any(dim=1).sum())
        random = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(self.x), generator=random)[:SAMPLE].to(self.x.device)
        part = ScatteredTable(self.x[chosen], self.spec, self.table.order, self.table.used)
        slopes = self.slopes if len(self.slopes) == 1 else self.slopes[chosen]
        trace = float(part.diagonal(slopes).sum()) * len(self.x) / len(chosen)
        seen = torch.zeros(self.spec.total_nodes, dtype=torch.bool, device=self.x.device)
        for level in range(self.spec.levels):
            for some in self.x.split(1 << 16):
                seen[tables.neighbours(some, self.spec, level).reshape(-1)] = True
        return trace, int(seen.sum())
