"""The definition of the package's operations in plain, differentiable torch: slow and obvious.

Every kernel is tested against this file, and it stands in for kernels on devices that have none. A
point x has grid coordinate t = (x - lower) * cells / (upper - lower) and belongs to cell floor(t);
points outside belong to the edge cell and keep its analytic functions. The 2 rho nodes around the
cell take part on each axis. `value` writes the weights of all (2 rho)^dim nodes down as the paper
does; `gather` and `scatter` use that they are products of one-dimensional weights, and take the
derivatives of those by automatic differentiation.
"""

from __future__ import annotations

from functools import reduce as fold

import torch
from torch import Tensor

from .basis import BSpline, Gaussian
from .multi_index import jet_size
from .spec import GridSpec
from .tables import (
    axis_nodes,
    axis_position,
    bspline_weights,
    neighbours,
    outer,
    weights,
    window,
    within,
)


def gather(
    x: Tensor, features: Tensor, spec: GridSpec, order: int = 0, reduce: str = "concat"
) -> Tensor:
    """Returns all partial derivatives of total order 0..order of the interpolated features.

    Args:
        x: points [N, dim], in units of the box.
        features: [total_nodes, C], same dtype and device.
        order: 0..spec.max_order.
        reduce: "concat" puts the global levels side by side, "sum" adds them up. A local level
            refines level 0, and adds to its columns.

    Returns:
        [N, J, global_levels * C] (levels outermost) or [N, J, C], differentiable in x and features.
    """
    _check(x, features, spec, order, reduce)
    levels = []
    for level in range(spec.levels):
        near = features[neighbours(x, spec, level)]
        levels.append(torch.einsum("pjk,pkc->pjc", weights(x, spec, level, order), near))
    return _side_by_side(levels, spec) if reduce == "concat" else sum(levels[1:], levels[0])


def scatter(x: Tensor, y: Tensor, spec: GridSpec, order: int = 0, reduce: str = "concat") -> Tensor:
    """Returns the transpose of `gather` in the features: points add to nodes.

    Args:
        x: points [N, dim], in units of the box.
        y: [N, J, global_levels * C] for "concat", [N, J, C] for "sum".
        order, reduce: as in `gather`.

    Returns:
        [total_nodes, C], differentiable in x and y.
    """
    _check(x, y, spec, order, reduce)
    share = y.shape[2] // spec.global_levels if reduce == "concat" else y.shape[2]
    total = y.new_zeros(spec.total_nodes, share)
    for level in range(spec.levels):
        column = level * share if reduce == "concat" and level < spec.global_levels else 0
        own = y[:, :, column : column + share]
        added = torch.einsum("pjk,pjc->pkc", weights(x, spec, level, order), own)
        index = neighbours(x, spec, level)
        total = total.index_add(0, index.flatten(), added.flatten(0, 1))
    return total


def value(x: Tensor, features: Tensor, spec: GridSpec) -> Tensor:
    """Returns interpolated features [N, global_levels * C] as the paper computes them.

    The weight of each of the (2 rho)^dim nodes is written down, phi_i / sum_j phi_j with phi_i =
    exp(-epsilon^2 |t - t_i|^2) for Gaussians, a product of B-splines otherwise. Derivatives come
    from torch.autograd, once per order. Inside the box (far outside, a Gaussian here is 0/0).
    """
    levels = []
    for level in range(spec.levels):
        phi = _phi(x, spec, level)
        if spec.basis.normalize:
            phi = phi / phi.sum(dim=1, keepdim=True)
        inside = within(x, spec, level)
        if inside is not None:
            phi = torch.where(inside[:, None], phi, 0.0)
        levels.append((phi[:, :, None] * features[neighbours(x, spec, level)]).sum(dim=1))
    return _side_by_side(levels, spec)


def _side_by_side(levels: list[Tensor], spec: GridSpec) -> Tensor:
    """The global levels [N, ..., C] side by side; the local ones are added to the first."""
    finest = sum(levels[spec.global_levels :], levels[0])
    return torch.cat([finest, *levels[1 : spec.global_levels]], dim=-1)


def _phi(x: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Weights [N, (2 rho)^dim] before normalisation."""
    basis, distances = spec.basis, []
    for axis in range(spec.dim):
        f, cell = axis_position(x, spec, level, axis)
        _, place = axis_nodes(cell, spec, level, axis)
        if isinstance(basis, BSpline):
            distances.append(bspline_weights(f, basis.degree))
        else:
            distances.append(f[:, None] - place)
    if not isinstance(basis, Gaussian):
        return outer(distances)
    squares = fold(
        lambda a, b: (a[:, :, None] + b[:, None, :]).flatten(1), [d**2 for d in distances]
    )
    phi = torch.exp(-(basis.epsilon**2) * squares)
    if basis.window == "smooth":
        phi = phi * outer([window(d, basis.rho) for d in distances])
    return phi


def _check(x: Tensor, second: Tensor, spec: GridSpec, order: int, reduce: str) -> None:
    if reduce not in ("concat", "sum"):
        raise ValueError(f"reference: reduce is {reduce!r}; pass 'concat' or 'sum'.")
    if not 0 <= order <= spec.max_order:
        raise ValueError(
            f"reference: derivatives of order {order} were requested, but orders 0 to "
            f"{spec.max_order} exist in {spec.dim}-D."
        )
    if x.dim() != 2 or x.shape[1] != spec.dim:
        raise ValueError(
            f"reference: x has shape {tuple(x.shape)}, but the grid needs [N, {spec.dim}]."
        )
    if second.dim() == 2 and second.shape[0] != spec.total_nodes:
        raise ValueError(
            f"reference: features has {second.shape[0]} rows, but the grid has "
            f"{spec.total_nodes} nodes."
        )
    if second.dim() == 3 and second.shape[1] != jet_size(spec.dim, order):
        raise ValueError(
            f"reference: y has {second.shape[1]} derivatives, but a jet of order {order} has "
            f"{jet_size(spec.dim, order)}."
        )
