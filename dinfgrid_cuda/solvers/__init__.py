"""Solvers: a problem's residuals made small by training a field."""

from .api import METHODS, solve
from .checkpoint import Checkpoint, load, save
from .continuation import continuation
from .errors import CheckpointError, DivergedError, Interrupted, SolveError
from .history import History
from .loop import Solution
from .objective import LocalSum, Objective, PointSum
from .problem import Problem, Term
from .report import Report

__all__ = [
    "METHODS",
    "Checkpoint",
    "CheckpointError",
    "DivergedError",
    "History",
    "Interrupted",
    "LocalSum",
    "Objective",
    "PointSum",
    "Problem",
    "Report",
    "Solution",
    "SolveError",
    "Term",
    "continuation",
    "load",
    "save",
    "solve",
]
