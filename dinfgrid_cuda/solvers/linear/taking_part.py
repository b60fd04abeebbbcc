"""The nodes of a grid that a problem's residuals depend on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec

from .normal_operator import NormalOperator


def nodes_taking_part(normal: NormalOperator) -> npt.NDArray[np.bool_]:
    """Returns whether points see a node, or the extension holds it, [total nodes]."""
    spec = normal.spec
    found = np.zeros(spec.total_nodes, dtype=np.bool_)
    for operators in normal.operators_of_terms:
        for operator in operators:
            if not operator.alphas:
                continue
            for level in range(spec.levels):
                x = _one_per_cell(operator.x, spec, level)
                found[tables.neighbours(x, spec, level).cpu().numpy().reshape(-1)] = True
    if normal.extension is not None:
        found |= (normal.extension.diagonal() > 0).any(dim=1).cpu().numpy()
    return found


def _one_per_cell(x: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Returns one of the points x [N, dim] in each cell that holds any."""
    number = x.new_zeros(len(x)).long()
    for axis, count in enumerate(spec.level_cells(level)):
        _, cell = tables.axis_position(x, spec, level, axis)
        number = number * count + cell
    _, places = np.unique(number.cpu().numpy(), return_index=True)
    return x[places]
