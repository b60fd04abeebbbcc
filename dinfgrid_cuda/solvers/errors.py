"""Errors of the solvers: each message is one line that says what happened and what to do."""

from __future__ import annotations

from typing import Any


class SolveError(RuntimeError):
    """A solve cannot start or go on."""


class DivergedError(SolveError):
    """The loss became NaN or infinite."""


class CheckpointError(SolveError):
    """A checkpoint or an output folder cannot be written, read or used.

    Args:
        message: one line.
        solution: the `Solution`, where only the last checkpoint of a solve could not be written.
    """

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution
