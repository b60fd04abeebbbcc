"""Whether a loss is quadratic in features and parameters, tried on some of its points."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.factorized_grid import FactorizedGrid
from dinfgrid_cuda.fields.field import FieldBase
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.point_sum import LocalSum
from dinfgrid_cuda.problem.problem import Problem

from .coupling import couples_points, own_slopes, reads_elsewhere

# Largest number of points of a term that are tried.
SAMPLE = 2000
# Number of points on which a residual is tried that may take means over them.
FEW = 50
# Part of the gradient's change by which it may deviate from a line, in float64: rounding leaves
# 1e-13, a nonlinear term much more than this.
LINEAR = 1e-9


class Thinned(LocalSum):
    """Sums over at most `SAMPLE` of the points, evenly spread."""

    def share(self, points: Tensor) -> Tensor:
        """Returns every n-th of the points [N, ...]."""
        return points[:: max(1, len(points) // SAMPLE)]


def is_quadratic(problem: Problem, field: FieldBase) -> bool:
    """Whether the loss is quadratic in features and parameters, tried along a random line.

    For squares this means that the residuals are affine. The gradient at three equidistant points
    of a line then lies on a line itself, which is tested in float64. Of a `FactorizedField` the
    first factor of each product is moved.
    """
    # The residuals hold the parameters themselves, so these are moved and put back. The same goes
    # for the features where a residual evaluates the field by itself.
    parameters = list(problem.parameters.values())
    if any(_reads_elsewhere(problem, field, index) for index in range(len(problem.terms))):
        return _on_a_line(problem, field, parameters)
    return _on_a_line(problem, copy.deepcopy(field).double(), parameters)


def is_surely_quadratic(problem: Problem, field: FieldBase) -> bool:
    """Whether a loss that fell exactly as a quadratic one falls is quadratic.

    Products of features and parameters look linear as long as the parameters hardly move; without
    parameters there is no doubt.
    """
    if not problem.parameters:
        return True
    try:
        return is_quadratic(problem, field)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False


def is_no_sum(problem: Problem, field: FieldBase, index: int) -> bool:
    """Whether a term is an energy that reads the field elsewhere, or couples its points."""
    if not problem.terms[index].is_energy:
        return False
    try:
        residual, y = _tried(problem, field, index)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False  # the solve itself will report the error
    columns = residual.reshape(len(residual), -1).unbind(dim=1)
    slopes = _column_slopes(columns, y)
    return reads_elsewhere(residual, field) or couples_points(columns, y, slopes)


def is_a_mean(problem: Problem, field: FieldBase, index: int) -> bool:
    """Whether a term's residuals are means or sums over its points and depend on no single one.

    It is tried on a few points, since a mean couples any points.
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
    """Returns d (sum of a column) / dy, [N, J, channels], for each column."""
    return [
        torch.autograd.grad(column.sum(), y, retain_graph=True, materialize_grads=True)[0]
        if column.requires_grad
        else torch.zeros_like(y)
        for column in columns
    ]


def _reads_elsewhere(problem: Problem, field: FieldBase, index: int) -> bool:
    """Whether a term depends on the field in other ways than through its jet argument."""
    return reads_elsewhere(_tried(problem, field, index)[0], field)


def _tried(problem: Problem, field: FieldBase, index: int) -> tuple[Tensor, Tensor]:
    """Returns a term's residual [N, ...] and the detached jets y of features it depends on."""
    term = problem.terms[index]
    sample = next(field.parameters())
    x, data = problem.draw(index, 0, 0, sample.dtype, sample.device)
    with torch.no_grad():
        y = field.gather(x, term.order)
    y = y.requires_grad_()
    return term.evaluate(x, field.decode(x, y, term.order), data), y


def _on_a_line(problem: Problem, field: FieldBase, parameters: list[nn.Parameter]) -> bool:
    """Whether the gradients at three equidistant points of a random line lie on a line."""
    objective = Objective(problem, field, resample=False, point_sum=Thinned())
    moved = [*_linear_features(field), *parameters]
    starts = [p.detach().clone() for p in moved]
    random = torch.Generator().manual_seed(0)
    steps = [torch.randn(p.shape, generator=random, dtype=torch.float64).to(p) for p in moved]
    gradients = []
    try:
        for distance in (0.0, 1.0, 2.0):
            with torch.no_grad():
                for p, start, step in zip(moved, starts, steps, strict=True):
                    p.copy_(start + distance * step)
            objective.evaluate(0)
            slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in moved]
            gradients.append(torch.cat([slope.double().flatten().cpu() for slope in slopes]))
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
    """Returns the features that u is linear in, under a linear decoder."""
    grid = field.grid
    if isinstance(grid, FactorizedGrid):
        return [grid.factor(product, 0).features for product in range(len(grid.products))]
    return [grid.get_parameter("features")]
