"""Which of a problem's parameters its residuals determine, when u may adapt to any change of them.

The Schur complement of the features' block tells: S = R' R with R = B - A X and X the least-squares
solutions of A X = B. R is the part of the residuals' slopes by the parameters for which no change
of u compensates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda.problem.deadline import OutOfTime
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.conjugate_gradients import conjugate_gradients
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.factor_estimate import estimate
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import QUICK, factor_at_hand
from dinfgrid_cuda.solvers.linear.system import System

# Largest number of parameters that are examined.
MOST = 64
# Part of a slope's square that rounding and the grid leave where u compensates for it.
NOTHING = 1e-10
# Relative uncertainty, by the loss that is left, above which a parameter is not determined.
UNCERTAIN = 0.1
# Part of the largest share in a direction above which a parameter is named.
SHARE = 0.3
# Refinements of each least-squares solution, and conjugate gradient iterations of each.
ROUNDS, ITERATIONS = 3, 200


def undetermined_names(
    objective: Objective, normal: NormalOperator, system: System, loss: float
) -> list[list[str]]:
    """Returns names of parameters that are not determined, in groups that compensate each other.

    Args:
        objective, normal, system: the problem, linearised at its solution, and its factor.
        loss: that is left, best taken between the points of the solve.

    Returns:
        Lists of names such as "nu", or "b (some entries)" of a tensor; none if all are determined.
    """
    if not 0 < normal.parameter_count <= MOST:
        return []
    columns = torch.cat([operator.columns for operator in normal.operators])
    by_features = normal.on(normal.spec)
    factor = _factor(by_features, system)
    if factor is None:
        return []
    left = torch.stack([_left(by_features, factor, b) for b in columns.t()], dim=1)
    values = torch.cat([p.detach().flatten() for p in objective.problem.parameters.values()])
    sizes = values.double().abs().to(left)
    sizes = torch.where(sizes > 0, sizes, torch.ones_like(sizes))
    curvatures, directions = torch.linalg.eigh(sizes[:, None] * (left.t() @ left) * sizes)
    names = _names(objective)
    groups: list[list[str]] = []
    for curvature, direction in zip(curvatures.tolist(), directions.t(), strict=True):
        whole = float((columns @ (sizes * direction)).square().sum())
        one_by_one = float((columns * (sizes * direction)).square().sum())
        seen = max(whole, one_by_one)
        uncertain = 2 * loss > UNCERTAIN**2 * curvature
        if uncertain or curvature <= NOTHING * seen:
            share = direction.abs() >= SHARE * direction.abs().max()
            group = list(dict.fromkeys(names[place] for place in share.nonzero()[:, 0].tolist()))
            if group not in groups:
                groups.append(group)
    return groups


def _factor(normal: NormalOperator, system: System) -> DirectSystem | None:
    """Returns the factor at hand, or a new one where that takes little, else None."""
    factor = factor_at_hand(normal, system)
    if factor is not None or estimate(normal.spec, normal.channels).work > QUICK:
        return factor
    try:
        return DirectSystem(normal)
    except (SolveError, OutOfTime):
        return None


@torch.no_grad()
def _left(normal: NormalOperator, factor: DirectSystem, b: Tensor) -> Tensor:
    """Returns b - A x [row_count] of the x that makes it least."""
    for _ in range(ROUNDS):
        g = normal.transpose(b)
        x = conjugate_gradients(normal.by_rows, g, factor.precondition, 1e-8, ITERATIONS).x
        b = b - normal.forward(x)
    return b


def _names(objective: Objective) -> list[str]:
    """Returns the name of each parameter; the entries of a tensor share one."""
    names = []
    for name, parameter in objective.problem.parameters.items():
        count = parameter.numel()
        names += [f"{name!r}" if count == 1 else f"{name!r} (some entries)"] * count
    return names
