"""Solvers: a problem's residuals made small by training a field."""

from dinfgrid_cuda.solvers.diagnosis.report import Report
from dinfgrid_cuda.solvers.record.checkpoint import Checkpoint, load, save
from dinfgrid_cuda.solvers.record.history import History

from .continuation import continuation
from .errors import CheckpointError, DivergedError, SolveError
from .solution import Interrupted, Solution
from .solve import METHODS, solve

__all__ = [
    "METHODS",
    "Checkpoint",
    "CheckpointError",
    "DivergedError",
    "History",
    "Interrupted",
    "Report",
    "Solution",
    "SolveError",
    "continuation",
    "load",
    "save",
    "solve",
]
