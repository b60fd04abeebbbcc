"""Errors of the solvers: each message is one line that says what happened and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .loop import Solution


class SolveError(RuntimeError):
    """A solve cannot start or go on."""


class DivergedError(SolveError):
    """The loss became NaN or infinite."""


class CheckpointError(SolveError):
    """A checkpoint or an output folder cannot be written, read or used.

    Args:
        message: one line.
        solution: what was reached, where only the last checkpoint of a solve could not be written.
    """

    def __init__(self, message: str, solution: Solution | None = None) -> None:
        super().__init__(message)
        self.solution = solution


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the step under way was finished and, with a folder, saved.

    Args:
        message: one line that says where the solve stands and how to resume it.
        solution: what was reached.
    """

    def __init__(self, message: str, solution: Solution) -> None:
        super().__init__(message)
        self.solution = solution
