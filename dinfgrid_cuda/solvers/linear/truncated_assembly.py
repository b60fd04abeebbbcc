"""The matrix A' A by the truncated basis of a grid with local levels.

Where a level is the finest, u is a combination of its own B-splines alone: the points there give a
matrix as of a grid of one level, which the coefficients of the truncated functions turn into
theirs.
"""

from __future__ import annotations

import copy
from typing import Any

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline

from .cell_assembly import cell_matrix, suits_cells
from .finest_level import by_finest_level
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
    coefficients = dict(zip(basis.levels, basis.on_level, strict=True))
    total: Any = 0
    for points in by_finest_level(operator.x, spec, basis.levels):
        deadline.check()
        places, one = points.places, points.spec
        own = copy.copy(operator)
        own.x = points.x
        own.slopes = operator.slopes if operator.constant else operator.slopes[places]
        own.columns = operator.columns[: len(places) * operator.slopes.shape[1], :0]
        own.spec = one
        if suits_cells(own, one):
            square = cell_matrix(own, one, channels)
        else:
            square = sum(block.T @ block for block in rows(own, one, channels))
        by_channel = spread(coefficients[points.level], channels)
        total = total + by_channel.T @ (square @ by_channel)
    return total.tocsr()


def spread(matrix: Any, channels: int) -> Any:
    """Returns a matrix by nodes as one by features, which are ``channels`` for each node."""
    from scipy.sparse import identity, kron

    return matrix if channels == 1 else kron(matrix, identity(channels), format="csr")
