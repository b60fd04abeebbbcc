"""Whether residuals depend on more than the field's jet at their point, and their slopes there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import FieldBase
from dinfgrid_cuda.problem.reach import leaves

# Number of vectors of random signs that estimate a residual's derivative by the jet at its own
# point (M. F. Hutchinson 1990).
PROBES = 8
# Such a derivative that is less than this part of its sum over all residuals belongs to a mean or
# sum.
OWN = 0.3
# Relative difference between pointwise derivatives and others that is not rounding, in units of the
# type's rounding.
DIGITS = 1e4


def reads_elsewhere(residual: Tensor, field: FieldBase) -> bool:
    """Whether a residual of a detached jet still depends on the field's features."""
    features = {id(p) for p in field.grid.parameters()}
    return any(id(leaf) in features for leaf in leaves(residual))


def couples_points(columns: Sequence[Tensor], y: Tensor, slopes: Sequence[Tensor]) -> bool:
    """Whether residuals depend on the jets of other points than their own.

    Args:
        columns: of the residual, [N] each, in a graph of y.
        y: jets [N, J, channels].
        slopes: d (sum of a column) / dy, [N, J, channels] each.
    """
    random = torch.Generator().manual_seed(0)
    probes, apart = [], torch.zeros_like(y)
    for column, slope in zip(columns, slopes, strict=True):
        if column.requires_grad:
            signs = _signs(column, random)
            probes.append((signs * column).sum())
            apart += signs[:, None, None] * slope
    if not probes:
        return False
    together = _slope(torch.stack(probes).sum(), y)
    size = float(together.abs().max()) + float(apart.abs().max())
    return float((together - apart).abs().max()) > DIGITS * torch.finfo(y.dtype).eps * size


def own_slopes(columns: Sequence[Tensor], y: Tensor, slopes: Sequence[Tensor]) -> Tensor:
    """Estimates d r_i / d y_i of residuals that couple points, [N, k, J, channels].

    The estimate is the mean of s (J' s) over random signs s, or zero where that is no more than
    what sums over points leave.
    """
    random = torch.Generator().manual_seed(1)
    estimates = []
    for column, slope in zip(columns, slopes, strict=True):
        if not column.requires_grad:
            estimates.append(torch.zeros_like(y))
            continue
        estimate, size = torch.zeros_like(y), slope.abs().mean(dim=0)
        for _ in range(PROBES):
            signs = _signs(column, random)
            estimate += signs[:, None, None] * _slope((signs * column).sum(), y) / PROBES
        estimates.append(torch.where(estimate.abs().mean(dim=0) > OWN * size, estimate, 0.0))
    return torch.stack(estimates, dim=1)


def _signs(column: Tensor, random: torch.Generator) -> Tensor:
    """Returns random signs [N], one for each residual of a column."""
    signs = torch.randint(0, 2, column.shape, generator=random)
    return (2 * signs - 1).to(column)


def _slope(scalar: Tensor, y: Tensor) -> Tensor:
    """Returns d scalar / dy [N, J, channels]."""
    slope: Tensor = torch.autograd.grad(scalar, y, retain_graph=True, materialize_grads=True)[0]
    return slope
