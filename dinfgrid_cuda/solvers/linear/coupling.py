"""Whether a residual depends on more than the field's jet at its own point, and on what of that."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import FieldBase
from dinfgrid_cuda.problem.reach import leaves

# Random signs by which a point's own part of a derivative is estimated (M. F. Hutchinson 1990).
PROBES = 8
# A derivative by the jets whose own part is less than this, against its sums over all residuals, is
# one of means and sums.
OWN = 0.3
# Differences between pointwise derivatives and others, relative, in units of the type's rounding.
DIGITS = 1e4


def reads_elsewhere(residual: Tensor, field: FieldBase) -> bool:
    """Whether a residual of a detached jet depends on the field's features all the same."""
    own = {id(p) for p in field.grid.parameters()}
    return any(id(leaf) in own for leaf in leaves(residual))


def couples_points(columns: Sequence[Tensor], y: Tensor, slopes: Sequence[Tensor]) -> bool:
    """Whether residuals depend on the jets of other points than their own.

    Args:
        columns: of the residual, [N] each, in a graph of y.
        y: jets [N, J, channels].
        slopes: d (sum of a column) / dy, [N, J, channels] each.
    """
    random = torch.Generator().manual_seed(0)
    parts, apart = [], torch.zeros_like(y)
    for column, slope in zip(columns, slopes, strict=True):
        if column.requires_grad:
            signs = _signs(column, random)
            parts.append((signs * column).sum())
            apart += signs[:, None, None] * slope
    if not parts:
        return False
    together = _slope(torch.stack(parts).sum(), y)
    size = float(together.abs().max()) + float(apart.abs().max())
    return float((together - apart).abs().max()) > DIGITS * torch.finfo(y.dtype).eps * size


def own_slopes(columns: Sequence[Tensor], y: Tensor, slopes: Sequence[Tensor]) -> Tensor:
    """About d r_i / d y_i of residuals that couple points, [N, k, J, channels].

    The mean of s (J' s) over random signs s, where it is more than what sums over points leave.
    """
    random = torch.Generator().manual_seed(1)
    found = []
    for column, slope in zip(columns, slopes, strict=True):
        if not column.requires_grad:
            found.append(torch.zeros_like(y))
            continue
        own, size = torch.zeros_like(y), slope.abs().mean(dim=0)
        for _ in range(PROBES):
            signs = _signs(column, random)
            own += signs[:, None, None] * _slope((signs * column).sum(), y) / PROBES
        found.append(torch.where(own.abs().mean(dim=0) > OWN * size, own, 0.0))
    return torch.stack(found, dim=1)


def _signs(column: Tensor, random: torch.Generator) -> Tensor:
    signs = torch.randint(0, 2, column.shape, generator=random)
    return (2 * signs - 1).to(column)


def _slope(scalar: Tensor, y: Tensor) -> Tensor:
    slope: Tensor = torch.autograd.grad(scalar, y, retain_graph=True, materialize_grads=True)[0]
    return slope
