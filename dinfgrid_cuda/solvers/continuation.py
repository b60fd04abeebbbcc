"""Continuation: a hard nonlinear problem reached from an easy one, step by step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from dinfgrid_cuda.checks import check_real
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .errors import SolveError
from .solution import Interrupted, Solution
from .solve import solve


def continuation(
    problem_at: Callable[[float], Problem],
    field: nn.Module,
    start: float,
    end: float,
    *,
    first_step: float = 0.25,
    smallest_step: float = 1e-3,
    **options: Any,
) -> Solution:
    """Solves ``problem_at(value)`` for values from ``start`` to ``end``, each from the one before.

    Between the values the distance is doubled where a solve converges, and halved where it does
    not: the field is then put back to the last value that did.

    Args:
        problem_at: the problem at a value of the continuation's parameter, such as a viscosity or
            the size of the nonlinear term.
        field: trained in place.
        start, end: values, of which the first gives an easy problem.
        first_step, smallest_step: of (value - start) / (end - start), in (0, 1].
        options: of `solve`, but ``resume``.

    Returns:
        The solution at ``end``.

    Raises:
        TypeError, ValueError: for values that are no finite numbers.
        SolveError: if no step of the smallest size converges; the field holds the last that did.
    """
    for name, value in (("start", start), ("end", end)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise ValueError(f"continuation: {name} is {value!r}; pass a finite number.")
    for name, value in (("first_step", first_step), ("smallest_step", smallest_step)):
        check_real("continuation", name, value, positive=True)
    if "resume" in options:
        raise TypeError("continuation: it starts from the field as it is; leave resume out.")
    solution = solve(problem_at(start), field, **options)
    if solution.reason != CONVERGED:
        raise SolveError(f"continuation: the problem at the start, {start:g}: {solution.reason}.")
    done, step = 0.0, min(1.0, first_step)
    while done < 1.0:
        before = copy.deepcopy(field.state_dict())
        trial = min(1.0, done + step)
        try:
            solution = solve(problem_at(start + trial * (end - start)), field, **options)
        except Interrupted:
            raise
        except SolveError:
            converged = False
        else:
            converged = solution.reason == CONVERGED
        if converged:
            done, step = trial, 2 * step
            continue
        field.load_state_dict(before)
        step /= 2
        if step < smallest_step:
            raise SolveError(
                f"continuation: no convergence beyond {start + done * (end - start):g}; the field "
                "holds the solution there. The solution may turn back or branch there, or need "
                "more cells."
            )
    return solution
