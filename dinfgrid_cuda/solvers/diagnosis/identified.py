"""Which of a problem's unknown numbers its residuals determine, once u has adapted to any change.

By the Schur complement of the features' block, S = R' R with R = B - A X and X the least-squares
solutions of A X = B: what of the residuals' slopes by the parameters no change of u makes up for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda.problem.deadline import OutOfTime
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.cholesky import estimate
from dinfgrid_cuda.solvers.linear.conjugate_gradients import conjugate_gradients
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import QUICK, System

# Numbers up to which they are examined.
MOST = 64
# Part of a slope's own square that rounding and the grid leave of it.
NOTHING = 1e-10
# Relative uncertainty of a number, by the loss that is left, from which on it is not determined.
UNCERTAIN = 0.1
# Part of the largest share in a direction from which on a number is named.
SHARE = 0.3
ROUNDS, ITERATIONS = 3, 200


def undetermined_names(
    objective: Objective, normal: NormalOperator, system: System, loss: float
) -> list[list[str]]:
    """Names of numbers that are not determined, together those whose changes make up for another.

    Args:
        objective, normal, system: the problem, linearised at its solution, and its factor.
        loss: that is left, best between the points of the solve.

    Returns:
        Lists of names such as "nu", or "b (some entries)" of a tensor; none if all are determined.
    """
    if not 0 < normal.parameters <= MOST:
        return []
    columns = torch.cat([part.columns for part in normal.parts])
    own = normal.on(normal.spec)
    factor = _factor(own, system)
    if factor is None:
        return []
    left = torch.stack([_left(own, factor, b) for b in columns.t()], dim=1)
    values = torch.cat([p.detach().flatten() for p in objective.problem.parameters.values()])
    sizes = values.double().abs().to(left)
    sizes = torch.where(sizes > 0, sizes, torch.ones_like(sizes))
    curvatures, directions = torch.linalg.eigh(sizes[:, None] * (left.t() @ left) * sizes)
    names = _names(objective)
    found: list[list[str]] = []
    for curvature, direction in zip(curvatures.tolist(), directions.t(), strict=True):
        whole = float((columns @ (sizes * direction)).square().sum())
        terms = float((columns * (sizes * direction)).square().sum())
        seen = max(whole, terms)
        uncertain = 2 * loss > UNCERTAIN**2 * curvature
        if uncertain or curvature <= NOTHING * seen:
            share = direction.abs() >= SHARE * direction.abs().max()
            group = list(dict.fromkeys(names[place] for place in share.nonzero()[:, 0].tolist()))
            if group not in found:
                found.append(group)
    return found


def _factor(normal: NormalOperator, system: System) -> DirectSystem | None:
    """The factor at hand, or one of its own where that takes little."""
    if isinstance(system, DirectSystem):
        return system
    if estimate(normal.spec, normal.channels).work > QUICK:
        return None
    try:
        return DirectSystem(normal, dict.fromkeys(("assembly", "factor", "solve"), 0.0))
    except (SolveError, OutOfTime):
        return None


@torch.no_grad()
def _left(normal: NormalOperator, factor: DirectSystem, b: Tensor) -> Tensor:
    """b - A x [rows] of the x that makes it least."""
    for _ in range(ROUNDS):
        g = normal.pull(b)
        x = conjugate_gradients(normal.by_rows, g, factor.precondition, 1e-8, ITERATIONS).x
        b = b - normal.rows_of(x)
    return b


def _names(objective: Objective) -> list[str]:
    """The name of each number; those of a tensor share it."""
    names = []
    for name, parameter in objective.problem.parameters.items():
        count = parameter.numel()
        names += [f"{name!r}" if count == 1 else f"{name!r} (some entries)"] * count
    return names
