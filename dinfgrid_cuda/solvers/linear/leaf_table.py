"""Derivatives of u at points on local levels, from the finest level around each point.

A point at a corner with 24 levels lies in all of them; but in the box of a level u is a combination
of that level's own B-splines, whose coefficients follow by inserting knots. So one level is
gathered instead of 25, and products with the rows take a tenth of the time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.kernels import functional
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec

from .finest_level import by_finest_level
from .scattered_table import ScatteredTable
from .truncation import Array, Truncation


class LeafTable(ScatteredTable):
    """Holds some derivatives of all basis functions at any points, level by level.

    Args:
        x: points [N, dim], on the CPU.
        spec: a grid with local levels.
        order: the highest derivative.
        used: places of the derivatives that occur among all up to this order.
        basis: the truncated basis of the grid.
    """

    def __init__(
        self, x: Tensor, spec: GridSpec, order: int, used: Tensor, basis: Truncation
    ) -> None:
        super().__init__(x, spec, order, used)
        self.basis = basis
        self.points = {one.level: one for one in by_finest_level(x, spec, basis.levels)}

    @torch.no_grad()
    def gather(self, features: Tensor) -> Tensor:
        """Returns the derivatives [N, A, C] of features [total nodes, C]."""
        y = features.new_empty(len(self.x), len(self.used), features.shape[1])
        of_levels = self.basis.collapsed(features.double().numpy())
        for level, coefficients in zip(self.basis.levels, of_levels, strict=True):
            own = self.points.get(level)
            if own is not None:
                table = torch.from_numpy(np.ascontiguousarray(coefficients)).to(features)
                values = functional.gather(own.x, table, own.spec, self.order)
                y[own.places] = values[:, self.used]
        return y

    @torch.no_grad()
    def scatter(self, y: Tensor) -> Tensor:
        """Applies the transpose of `gather` to y [N, A, C], giving [total nodes, C]."""
        sums: dict[int, Array] = {}
        for level, own in self.points.items():
            size = len(own.places), jet_size(self.spec.dim, self.order), y.shape[2]
            whole = y.new_zeros(size)
            whole[:, self.used] = y[own.places]
            z = functional.scatter(own.x, whole, own.spec, self.order)
            sums[level] = z.double().numpy()
        result = np.zeros((self.spec.total_nodes, y.shape[2]))
        self.basis.collected(sums, result)
        return torch.from_numpy(result).to(y)
