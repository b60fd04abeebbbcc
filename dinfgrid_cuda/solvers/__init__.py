"""Solvers: a problem's residuals made small by training a field."""

from dinfgrid_cuda.solvers.diagnosis.error_sequence import Estimate, from_sequence
from dinfgrid_cuda.solvers.diagnosis.report import Report
from dinfgrid_cuda.solvers.record.checkpoint import Checkpoint, load, save
from dinfgrid_cuda.solvers.record.history import History

from .choose import METHODS
from .continuation import continuation
from .error_estimate import estimate_error
from .errors import CheckpointError, DivergedError, SolveError
from .linear.solver_choice import Direct, MatrixFree
from .methods.adam import Adam
from .methods.alternating import Alternating
from .methods.lbfgs import LBFGS
from .methods.least_squares import LeastSquares
from .methods.method import Method, State
from .methods.time_slabs import TimeSlabs
from .record.output import Output
from .record.stopping import Stop
from .solution import Interrupted, Solution
from .solve import solve

__all__ = [
    "LBFGS",
    "METHODS",
    "Adam",
    "Alternating",
    "Checkpoint",
    "CheckpointError",
    "Direct",
    "DivergedError",
    "Estimate",
    "History",
    "Interrupted",
    "LeastSquares",
    "MatrixFree",
    "Method",
    "Output",
    "Report",
    "Solution",
    "SolveError",
    "State",
    "Stop",
    "TimeSlabs",
    "continuation",
    "estimate_error",
    "from_sequence",
    "load",
    "save",
    "solve",
]
