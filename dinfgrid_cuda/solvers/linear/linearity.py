"""Whether a loss is quadratic in features and parameters, found out by trying."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.field import FactorizedField, Field, FieldBase
from dinfgrid_cuda.problem.objective import LocalSum, Objective
from dinfgrid_cuda.problem.problem import Problem

from .coupling import couples_points, own_slopes, reads_elsewhere

# Points of a term that are looked at.
SAMPLE = 2000
# Points on which a residual is tried that may take means over them.
FEW = 50
# Of the gradient's change, in float64: rounding leaves 1e-13, a nonlinear term much more than this.
LINEAR = 1e-9


class Thinned(LocalSum):
    """At most `SAMPLE` of the points, evenly."""

    def share(self, points: Tensor) -> Tensor:
        """Some rows."""
        return points[:: max(1, len(points) // SAMPLE)]


def is_quadratic(problem: Problem, field: FieldBase) -> bool:
    """Whether the loss is quadratic in features and parameters, tried along a random line.

    Of products the first factors are moved. For squares: whether the residuals are affine. The
    gradient at three equidistant points of a line then lies on a line itself; compared in float64.
    """
    # The residuals hold the parameters themselves: those are moved, and put back. So are the
    # features where a residual reads the field of its own accord.
    parameters = list(problem.parameters.values())
    if any(_reads_elsewhere(problem, field, index) for index in range(len(problem.terms))):
        return _on_a_line(problem, field, parameters)
    return _on_a_line(problem, copy.deepcopy(field).double(), parameters)


def is_no_sum(problem: Problem, field: FieldBase, index: int) -> bool:
    """Whether a term is an energy that reads the field elsewhere, or couples its points."""
    if problem.terms[index].loss != "mean":
        return False
    try:
        residual, y = _tried(problem, field, index)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False  # the solve itself will tell
    columns = residual.reshape(len(residual), -1).unbind(dim=1)
    slopes = _column_slopes(columns, y)
    return reads_elsewhere(residual, field) or couples_points(columns, y, slopes)


def is_a_mean(problem: Problem, field: FieldBase, index: int) -> bool:
    """Whether a term's residuals are means or sums over its points, and nothing of each point.

    Tried on a few points: whatever they are, a mean couples them.
    """
    few = replace(problem.terms[index], points=FEW)
    try:
        residual, y = _tried(Problem(problem.domain, [few], problem.parameters), field, 0)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    if residual.is_complex():
        residual = torch.view_as_real(residual)
    columns = residual.reshape(len(residual), -1).unbind(dim=1)
    slopes = _column_slopes(columns, y)
    return couples_points(columns, y, slopes) and not bool(own_slopes(columns, y, slopes).any())


def _column_slopes(columns: Sequence[Tensor], y: Tensor) -> list[Tensor]:
    return [
        torch.autograd.grad(column.sum(), y, retain_graph=True, materialize_grads=True)[0]
        if column.requires_grad
        else torch.zeros_like(y)
        for column in columns
    ]


def _reads_elsewhere(problem: Problem, field: FieldBase, index: int) -> bool:
    """Whether a term depends on the field in another way than through the jet it is given."""
    return reads_elsewhere(_tried(problem, field, index)[0], field)


def _tried(problem: Problem, field: FieldBase, index: int) -> tuple[Tensor, Tensor]:
    """A term's residual [N, ...], and the detached jets y of features that it was given."""
    term = problem.terms[index]
    sample = next(field.parameters())
    x, data = problem.draw(index, 0, 0, sample.dtype, sample.device)
    with torch.no_grad():
        y = field.gather(x, term.order)
    y = y.requires_grad_()
    return term.evaluate(x, field.decode(x, y, term.order), data), y


def _on_a_line(problem: Problem, field: FieldBase, parameters: list[nn.Parameter]) -> bool:
    objective = Objective(problem, field, resample=False, point_sum=Thinned())
    moved = [*_linear_features(field), *parameters]
    starts = [p.detach().clone() for p in moved]
    random = torch.Generator().manual_seed(0)
    steps = [torch.randn(p.shape, generator=random, dtype=torch.float64).to(p) for p in moved]
    gradients = []
    try:
        for factor in (0.0, 1.0, 2.0):
            with torch.no_grad():
                for p, start, step in zip(moved, starts, steps, strict=True):
                    p.copy_(start + factor * step)
            objective.evaluate(0)
            parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in moved]
            gradients.append(torch.cat([part.double().flatten().cpu() for part in parts]))
    finally:
        with torch.no_grad():
            for p, start in zip(moved, starts, strict=True):
                p.copy_(start)
                p.grad = None
    first, second, third = gradients
    bend = (third - 2 * second + first).norm()
    rounding = LINEAR * float(torch.finfo(moved[0].dtype).eps / torch.finfo(torch.float64).eps)
    return bool(bend <= rounding * ((third - second).norm() + (second - first).norm()))


def _linear_features(field: FieldBase) -> list[nn.Parameter]:
    """Features that u is linear in, under a linear decoder."""
    if isinstance(field, FactorizedField):
        return [field.grid.factor(k, 0).features for k in range(len(field.grid.products))]
    assert isinstance(field, Field)
    return [field.grid.features]
