"""The coarse part of a preconditioner: the same problem for the B-splines of a coarser grid.

A B-spline of cells twice as long is a sum of p + 2 of the finer grid, so that functions of the
coarse grid belong to the fine one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.solvers.lattice.sum_factorisation import along

from .direct import DirectSystem
from .extension import ExtensionOperator
from .normal_operator import NormalOperator

# Largest number of nodes of a coarse grid, which are factorised.
COARSEST = 10_000


class NestedGrid:
    """A coarse grid whose B-splines belong to a fine one.

    Args:
        fine: of one level, of B-splines, ending in ghost nodes.

    Attributes:
        spec: of the coarse grid, which may end beyond the fine one.
        refined: by axis, the features [fine nodes, coarse nodes] of the coarse B-splines.
    """

    def __init__(self, fine: GridSpec) -> None:
        ratio = 2
        while _coarsened(fine, ratio).total_nodes > COARSEST:
            ratio *= 2
        self.fine, self.spec = fine, _coarsened(fine, ratio)
        self.refined = [
            _refined(count, ratio, fine.basis.nodes)[:nodes]
            for count, nodes in zip(self.spec.level_nodes(0), fine.level_nodes(0), strict=True)
        ]

    def prolonged(self, v: Tensor) -> Tensor:
        """Returns the fine features [n] of coarse ones [m]."""
        return self._along(v, self.spec, [matrix.to(v) for matrix in self.refined])

    def restricted(self, r: Tensor) -> Tensor:
        """Applies the transpose of `prolonged` to r [n]; returns [m]."""
        return self._along(r, self.fine, [matrix.to(r).t() for matrix in self.refined])

    def _along(self, v: Tensor, spec: GridSpec, matrices: list[Tensor]) -> Tensor:
        values = v.reshape(*spec.level_nodes(0), -1)
        for axis, matrix in enumerate(matrices):
            values = along(matrix, values, axis)
        return values.reshape(-1)

    @property
    def matrix(self) -> Any:
        """The features of the coarse B-splines, scipy CSR [fine nodes, coarse nodes]."""
        from scipy.sparse import csr_array, kron

        whole = csr_array(np.ones((1, 1)))
        for matrix in self.refined:
            whole = kron(whole, csr_array(matrix.numpy()), format="csr")
        return whole


class NestedExtension(ExtensionOperator):
    """The rows of the extension of a fine grid, for the features of a coarse one."""

    def __init__(self, fine: ExtensionOperator, grid: NestedGrid) -> None:
        self.__dict__.update(fine.__dict__)
        self.spec = grid.spec
        self._rows = fine.explicit_of(grid.matrix)
        self.columns = fine.columns[:, :0]

    @property
    def explicit(self) -> Any:
        """The rows by the features, scipy CSR [rows * channels, nodes * channels]."""
        return self._rows

    def forward(self, features: Tensor, parameters: Tensor) -> Tensor:
        """Returns the rows times features [nodes, channels], [rows, channels]."""
        r = self._rows @ features.reshape(-1).cpu().numpy()
        return torch.from_numpy(r).to(features).reshape(-1, self.channels)

    def transpose(self, r: Tensor) -> tuple[Tensor | None, Tensor]:
        """Returns the transposed rows times r [rows, channels], and zeros."""
        by_features = self._rows.T @ r.reshape(-1).cpu().numpy()
        found = torch.from_numpy(by_features).to(r).reshape(-1, self.channels)
        return found, self.columns.t() @ r.reshape(-1)

    def diagonal(self) -> Tensor:
        """Returns the diagonal of A' A, [nodes, channels]."""
        squares = self._rows.multiply(self._rows).sum(axis=0)
        return torch.from_numpy(np.asarray(squares)).to(self.slopes).reshape(-1, self.channels)


def coarse_system(normal: NormalOperator, grid: NestedGrid) -> DirectSystem:
    """Returns the same rows for the features of a coarse grid, ready to be factorised."""
    coarse = normal.on(grid.spec)
    if normal.extension is not None:
        coarse.extension = NestedExtension(normal.extension, grid)
    return DirectSystem(coarse)


def _coarsened(spec: GridSpec, ratio: int) -> GridSpec:
    """Returns a grid of cells ``ratio`` times as long from the same lower corner."""
    cells = tuple(math.ceil(count / ratio) for count in spec.cells)
    upper = tuple(
        low + (high - low) * (coarse * ratio) / count
        for low, high, coarse, count in zip(spec.lower, spec.upper, cells, spec.cells, strict=True)
    )
    return replace(spec, cells=cells, upper=upper)


def _refined(nodes: int, ratio: int, width: int) -> Tensor:
    """Returns the features [fine nodes, nodes] of B-splines on cells ``ratio`` times as long.

    Args:
        nodes: of the coarse grid along an axis.
        ratio: a power of two.
        width: cells of a B-spline's support, its degree + 1.
    """
    degree = width - 1
    whole = torch.eye(nodes, dtype=torch.float64)
    for _ in range(ratio.bit_length() - 1):
        count = len(whole)
        step = torch.zeros(2 * (count - degree) + degree, count, dtype=torch.float64)
        for coarse in range(count):
            for k in range(width + 1):
                fine = 2 * coarse - degree + k
                if 0 <= fine < len(step):
                    step[fine, coarse] = math.comb(width, k) / 2**degree
        whole = step @ whole
    return whole
