"""The matrix A' A by the truncated basis of a grid with local levels.

Where a level is the finest, u is a combination of its own B-splines alone: the points there give a
matrix as of a grid of one level, which the coefficients of the truncated functions turn into
theirs.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline

from .cell_assembly import cell_matrix, suits_cells
from .rows import rows
from .term_operator import TermOperator
from .truncation import Truncation


def truncated_matrix(
    operator: TermOperator, spec: GridSpec, channels: int, basis: Truncation
) -> Any:
    """Assembles A' A of an operator by the unknowns c of a truncated basis, scipy CSR.

    Args:
        basis: of the grid.
    """
    x = operator.x
    finest = torch.zeros(len(x), dtype=torch.long, device=x.device)
    for level in basis.levels[1:]:
        inside = tables.within(x, spec, level)
        finest[slice(None) if inside is None else inside] = level
    total: Any = 0
    for level, coefficients in zip(basis.levels, basis.on_level, strict=True):
        points = (finest == level).nonzero()[:, 0]
        if not len(points):
            continue
        deadline.check()
        own = copy.copy(operator)
        own.x = x[points]
        own.slopes = operator.slopes if operator.constant else operator.slopes[points]
        own.columns = operator.columns[: len(points) * operator.slopes.shape[1], :0]
        own.spec = one = _alone(spec, level)
        if suits_cells(own, one):
            square = cell_matrix(own, one, channels)
        else:
            square = sum(block.T @ block for block in rows(own, one, channels))
        by_channel = spread(coefficients, channels)
        total = total + by_channel.T @ (square @ by_channel)
    return total.tocsr()


def spread(matrix: Any, channels: int) -> Any:
    """Returns a matrix by nodes as one by features, which are ``channels`` for each node."""
    from scipy.sparse import identity, kron

    return matrix if channels == 1 else kron(matrix, identity(channels), format="csr")


def _alone(spec: GridSpec, level: int) -> GridSpec:
    """Returns the grid of one level of a grid."""
    lower, upper = spec.level_box(level)
    cells, boundary = spec.level_cells(level), spec.level_boundary(level)
    return GridSpec(spec.dim, cells, 1, spec.basis, boundary, lower, upper)
