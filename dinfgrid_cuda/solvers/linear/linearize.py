"""The loss as a quadratic function of the features, term by term.

At a point, u's jet and with it a residual r depend on the features F only through the jet y of the
interpolated features, which is linear in F. So dr/dF is dr/dy, a small dense matrix at each point,
times the table of the basis' derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import FieldBase
from dinfgrid_cuda.problem.given import Numbers
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.errors import SolveError

from .coupling import couples_points, own_slopes, reads_elsewhere
from .unknowns import linear_field


@dataclass(frozen=True)
class Block:
    """A term linearised at its points: half the square of A dF + B dp is its second-order loss.

    Attributes:
        x: points [N, dim].
        order: of the jet of the interpolated features, y [N, J, levels * channels].
        slopes: A by y, [N, k, J, levels * channels], or [1, k, ...] where all points share them.
        columns: B, by the problem's own parameters, [N * k, parameter_count].
        coupled: whether residuals depend on more than the jet at their own point; the slopes then
            hold only what belongs to that point.
        mixed: whether they depend on the jets at the term's other points.
    """

    x: Tensor
    order: int
    slopes: Tensor
    columns: Tensor
    coupled: bool = False
    mixed: bool = False


def linearize(objective: Objective, index: int) -> Block:
    """Linearises a term at the present features.

    For a residual, A holds sqrt(2 weight / (N k)) dr/dy (Gauss-Newton). For an energy density with
    Hessian Q L Q' by y, it holds sqrt(weight L / N) Q' for the eigenvalues L > 0 (projected
    Newton).
    """
    field, term = linear_field(objective), objective.problem.terms[index]
    x, data, total = objective.points(index, 0)
    scale = math.sqrt(objective.weights[index] * objective.measure(index) / total)
    parameters = list(objective.problem.parameters.values())
    known = index in objective.local
    block = residual_slopes(field, term, x, data, parameters, known)
    if not block.coupled:
        objective.local.add(index)
    slopes, columns = block.slopes, block.columns
    weights = objective.point_weights(index)
    if weights is not None:
        # Points of a quadrature have weights, whose mean is 1.
        roots = weights.sqrt()
        slopes = roots[:, None, None, None] * slopes
        columns = roots.repeat_interleave(len(columns) // len(x))[:, None] * columns
    return replace(block, slopes=scale * slopes, columns=scale * columns)


def residual_slopes(
    field: FieldBase,
    term: Term,
    x: Tensor,
    data: Numbers | None,
    parameters: Sequence[Tensor],
    local: bool = False,
) -> Block:
    """Linearises a term by the jet y of the grid and by parameters, neither weighted nor averaged.

    Half the squares of its rows is the loss times N.

    Args:
        local: whether residuals are known to depend on nothing but the jet at their own point.

    Raises:
        SolveError: for energies that depend on more, or that hold parameters.
    """
    with torch.no_grad():
        y = field.gather(x, term.order)
    y = y.detach().requires_grad_()
    residual = term.evaluate(x, field.decode(x, y, term.order), data)
    scale = math.sqrt(2 / max(1, math.prod(residual.shape[1:])))
    if residual.is_complex():
        residual = torch.view_as_real(residual)
    if term.is_energy:
        if parameters:
            raise SolveError(
                f"solve: term {term.name!r} is an energy; unknown parameters need residuals."
            )
        return _energy_slopes(field, term, x, y, residual)
    residuals = residual.reshape(len(x), -1).unbind(dim=1)
    gradients = [_gradient(column, y) for column in residuals]
    mixed = not local and couples_points(residuals, y, gradients)
    coupled = mixed or (not local and reads_elsewhere(residual, field))
    slopes = own_slopes(residuals, y, gradients) if mixed else torch.stack(gradients, dim=1)
    by_parameters = scale * _by_parameters(residuals, parameters)
    return Block(x, term.order, scale * slopes, by_parameters, coupled, mixed)


def _energy_slopes(field: FieldBase, term: Term, x: Tensor, y: Tensor, residual: Tensor) -> Block:
    """Linearises the gradient of an energy density [N, ...] by the jet y of the grid."""
    density = residual.reshape(len(x), -1).mean(dim=1)
    if reads_elsewhere(density, field) or couples_points([density], y, [_gradient(density, y)]):
        raise SolveError(
            f"solve: the density of the energy {term.name!r} at a point depends on u at other "
            "points; use method='lbfgs'."
        )
    slopes = _curved(density, y)
    columns = slopes.new_zeros(slopes.shape[0] * slopes.shape[1], 0)
    return Block(x, term.order, slopes, columns)


def _by_parameters(columns: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Returns d residual / d parameters, [N * k, n], column by column.

    It is the slope of w -> d(w . r) / dp.
    """
    n, k = len(columns[0]), len(columns)
    if not parameters:
        return columns[0].new_zeros(n * k, 0)
    blocks = []
    for column in columns:
        w = torch.zeros_like(column, requires_grad=True)
        slopes = torch.autograd.grad(
            (w * column).sum(),
            parameters,
            retain_graph=True,
            create_graph=True,
            materialize_grads=True,
        )
        flat = torch.cat([slope.reshape(-1) for slope in slopes])
        rows = [_gradient(entry, w) for entry in flat.unbind()]
        blocks.append(torch.stack(rows, dim=-1))
    return torch.stack(blocks, dim=1).reshape(n * k, -1).detach()


def _gradient(column: Tensor, y: Tensor, create_graph: bool = False) -> Tensor:
    """Returns d (sum of column) / dy [N, J, channels], each point's slope if none are coupled."""
    if not column.requires_grad:
        return torch.zeros_like(y)
    slope: Tensor = torch.autograd.grad(
        column.sum(), y, retain_graph=True, create_graph=create_graph, materialize_grads=True
    )[0]
    return slope


def _curved(density: Tensor, y: Tensor) -> Tensor:
    """Returns sqrt(L) Q' of the densities' Hessians Q L Q' by y, [N, m, J, C]; 0 for L < 0."""
    gradient = _gradient(density, y, create_graph=True).flatten(1)
    if not gradient.requires_grad:
        return y.new_zeros(y.shape[0], 0, *y.shape[1:])
    hessian = torch.stack([_gradient(g, y).flatten(1) for g in gradient.unbind(dim=1)], dim=1)
    active = (hessian != 0).any(dim=0).any(dim=0).nonzero()[:, 0]
    eigenvalues, vectors = torch.linalg.eigh(hessian[:, active][:, :, active])
    roots = eigenvalues.clamp(min=0).sqrt()
    result = y.new_zeros(y.shape[0], len(active), y[0].numel())
    result[:, :, active] = (vectors * roots[:, None, :]).transpose(1, 2)
    return result.reshape(*result.shape[:2], *y.shape[1:])
