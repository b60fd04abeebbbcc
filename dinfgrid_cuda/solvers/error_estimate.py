"""estimate_error(): the error of a solution, by solving its problem again on other grids.

The error of u is |u - v| within a factor of ten where v is better than u, however little. Whether
it is, a coarser grid tells: u differs from its solution by much more, or both agree and u is far
from them. Where that is not so, a third grid is tried, and otherwise the error is unknown.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem.problem import Problem

from .comparison import FAILURES, Comparison, put_back
from .diagnosis.error_sequence import (
    Estimate,
    unknown,
)
from .solution import Solution


def estimate_error(
    solution: Solution | Problem, field: nn.Module | None = None, *, seconds: float | None = None
) -> Estimate:
    """Estimates the error of u within a factor of ten, or says that it is unknown.

        solution = dg.solve(problem, field)
        estimate = dg.estimate_error(solution)
        print(estimate)                                 # error about 3e-07 of u (rms, within ten)

    The problem is solved again by B-splines: of two degrees more on the same cells (of degree 7
    with twice the cells), with fewer cells, and where these leave it open, with more cells. That
    takes one to three times as long as the solve; the field and the problem's parameters stay what
    they are. The error is that of the discretisation, of the points, and of a solve that was cut
    short; noise in data is not in it. What all grids miss, such as a source narrower than the
    distance of all points, no estimate sees.

    Args:
        solution: of `solve`; or the problem, then with ``field``.
        field: a `Field` or `SlabField` that solves the problem, by whatever method.
        seconds: limit for each of the solves; one that is cut short leaves the error unknown.

    Raises:
        TypeError: for other arguments.
        Interrupted: on Ctrl-C or SIGTERM.
    """
    started = time.monotonic()
    problem, field = _asked(solution, field)
    if not isinstance(field, (Field, SlabField)):
        return unknown(f"a {type(field).__name__} cannot be compared with a finer one")
    part = field.part(0) if isinstance(field, SlabField) else field
    if getattr(part.grid.spec, "local", ()):
        return unknown("a grid with local levels is not compared with others")
    comparison = Comparison(problem, field, seconds)
    with _untouched(problem, field):
        try:
            result = comparison.estimate()
        except FAILURES as error:
            first = (str(error).splitlines() or [""])[0] or type(error).__name__
            result = unknown(f"the problem cannot be solved on another grid ({first})")
    return replace(result, seconds=time.monotonic() - started)


def _asked(solution: Solution | Problem, field: nn.Module | None) -> tuple[Problem, nn.Module]:
    """The problem and the field that are meant."""
    if isinstance(solution, Solution) and field is None:
        if solution.problem is None:
            raise TypeError(
                "estimate_error: this solution does not know its problem; call "
                "estimate_error(problem, solution.field)."
            )
        return solution.problem, solution.field
    if isinstance(solution, Problem) and isinstance(field, nn.Module):
        return solution, field
    raise TypeError(
        "estimate_error: pass the Solution of a solve alone, or a Problem and its field."
    )


@contextmanager
def _untouched(problem: Problem, field: nn.Module) -> Iterator[None]:
    """Restores the problem's parameters and torch's random numbers; keeps warnings quiet."""
    before = {name: p.detach().clone() for name, p in problem.parameters.items()}
    slopes = {name: p.grad for name, p in problem.parameters.items()}
    device = next(field.parameters()).device
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        put_back(problem, before)
        for name, p in problem.parameters.items():
            p.grad = slopes[name]
