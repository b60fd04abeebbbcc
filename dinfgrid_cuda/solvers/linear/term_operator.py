"""The operator of a linearised term: products with vectors, without its matrix.

A product is one gather or one scatter: by the kernels for scattered points, axis by axis
(`TensorTable`) where the points form a lattice.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.multi_index import MultiIndex, multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.solvers.lattice.axes import Axes
from dinfgrid_cuda.solvers.lattice.sum_factorisation import TensorTable

from .leaf_table import LeafTable
from .linearize import Block
from .scattered_table import ScatteredTable
from .truncation import truncation

# Number of scattered points whose rows stand for all where a mean is enough.
SAMPLE = 2048


class TermOperator:
    """The matrix (A, B) of one term, or of one face of it, by features and by parameters.

    Args:
        block: the linearised term.
        spec: the grid.
        axes: of the lattice that its points form, or None.

    Attributes:
        x: points [N, dim].
        alphas: the derivatives that occur.
        slopes: A by these, [N, k, A, levels * C], or [1, k, ...] where all points share them.
        columns: B, [N * k, parameter_count].
        axes: of the lattice, or None.
        local: whether slopes and table make up all of A.
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
        """The derivatives of the basis that occur; None if there are none."""
        if not self.alphas:
            return None
        basis = truncation(self.spec) if self.x.device.type == "cpu" else None
        if basis is not None:
            return LeafTable(self.x, self.spec, self._order, self._used, basis)
        if self.axes is None or self.spec.dim == 1 or self.spec.local:
            return ScatteredTable(self.x, self.spec, self._order, self._used)
        return TensorTable(self.axes, self.spec, self.alphas)

    def on(self, spec: GridSpec) -> TermOperator:
        """Returns the same rows for another grid of as many levels, the parameters held."""
        moved = copy.copy(self)
        moved.spec, moved.columns = spec, self.columns[:, :0]
        for of_grid in ("table", "_trace"):
            moved.__dict__.pop(of_grid, None)
        return moved

    def split(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features [nodes, channels] and parameters, all zero, of features v [n]."""
        channels = self.slopes.shape[3] // self.spec.global_levels
        return v.reshape(-1, channels), v.new_zeros(self.columns.shape[1])

    @property
    def explicit(self) -> Any:
        """A by the features as CSR, where that is known as a whole; else None."""
        return None

    @property
    def row_count(self) -> int:
        """The number of residuals, N * k."""
        return len(self.columns)

    @property
    def constant(self) -> bool:
        """Whether all points share their slopes."""
        return len(self.slopes) == 1

    def forward(self, features: Tensor, parameters: Tensor) -> Tensor:
        """Returns A F + B p, [N, k], of features F [nodes, channels] and parameters p."""
        result = (self.columns @ parameters).reshape(len(self.x), self.slopes.shape[1])
        if self.table is None:
            return result
        y = self.table.gather(features)
        return result + torch.einsum("nkac,nac->nk", self.slopes.expand(len(y), -1, -1, -1), y)

    def transpose(self, r: Tensor) -> tuple[Tensor | None, Tensor]:
        """Returns A' r [nodes, channels], None for zero, and B' r of a vector r [N, k]."""
        by_parameters = self.columns.t() @ r.reshape(-1)
        if self.table is None:
            return None, by_parameters
        y = torch.einsum("nkac,nk->nac", self.slopes.expand(len(r), -1, -1, -1), r)
        return self.table.scatter(y), by_parameters

    def diagonal(self) -> Tensor | None:
        """Returns the diagonal of A' A by the features, [total nodes, channels]; None for zero."""
        return None if self.table is None else self.table.diagonal(self.slopes)

    def trace(self) -> tuple[float, int]:
        """Returns the trace of A' A by the features, and how many nodes the points see."""
        return self._trace

    @cached_property
    def _trace(self) -> tuple[float, int]:
        if not isinstance(self.table, ScatteredTable):
            diagonal = self.diagonal()
            if diagonal is None:
                return 0.0, 0
            return float(diagonal.sum()), int((diagonal > 0).any(dim=1).sum())
        random = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(self.x), generator=random)[:SAMPLE].to(self.x.device)
        sample = ScatteredTable(self.x[chosen], self.spec, self.table.order, self.table.used)
        slopes = self.slopes if len(self.slopes) == 1 else self.slopes[chosen]
        trace = float(sample.diagonal(slopes).sum()) * len(self.x) / len(chosen)
        return trace, int(self.table.seen().sum())
