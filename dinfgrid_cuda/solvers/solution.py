"""Solution: what a solve returns, and what an interrupted one leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.diagnosis.report import Report
from dinfgrid_cuda.solvers.record.history import History


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the step under way was finished and, with a folder, saved.

    Args:
        message: one line that says where the solve stands and how to resume it.
        solution: what was reached.
        trouble: what went wrong with the checkpoint, or "".
    """

    def __init__(self, message: str, solution: Solution, trouble: str = "") -> None:
        super().__init__(message)
        self.solution, self.trouble = solution, trouble


@dataclass(frozen=True)
class Solution:
    """What a solve reached.

    Attributes:
        field: the field given to `solve`, trained in place.
        history: losses per step.
        steps: completed, those before a resume included.
        seconds: spent, those before a resume included.
        reason: why the solve ended.
        checkpoint: the file written, or None without ``out``.
        report: method and route with their reasons, residuals, error estimate, notes; print it.
        rounds: of a solve that refined its grid (``adapt``): unknowns, residual and error of each.
        problem: the one that was given to `solve`; None in a solution that an error carries.
    """

    field: nn.Module
    history: History
    steps: int
    seconds: float
    reason: str
    checkpoint: Path | None
    report: Report
    rounds: tuple[Any, ...] = ()
    problem: Problem | None = None

    @property
    def loss(self) -> float:
        """The last recorded loss; NaN if no step was taken."""
        return self.history.totals[-1] if self.history.totals else float("nan")
