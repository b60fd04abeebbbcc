"""Which method suits a problem: found out by trying whether the features enter linearly."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import FactorizedField, Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem.objective import LocalSum, PointSum, check_fit
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.diagnosis.report import Choice
from dinfgrid_cuda.solvers.linear.linearity import is_no_sum, is_quadratic
from dinfgrid_cuda.solvers.methods.time_slabs import slab_problem

from .errors import SolveError


def choose(problem: Problem, field: nn.Module, point_sum: PointSum | None = None) -> Choice:
    """The method that `solve` takes for ``method="auto"``."""
    check_fit(problem, field)
    if isinstance(field, SlabField):
        first, _ = slab_problem(problem, field, 0)
        return replace(choose(first, field.part(0), point_sum), method="least-squares")
    if isinstance(field, FactorizedField):
        return _choose_factorized(problem, field, point_sum)
    if not isinstance(field, Field):
        return Choice("adam", f"a {type(field).__name__} is trained as a whole")
    if point_sum is not None and not isinstance(point_sum, LocalSum):
        return Choice("lbfgs", "the points are spread over processes")
    if not isinstance(field.decoder, LinearDecoder):
        name = type(field.decoder).__name__
        return Choice("lbfgs", f"the weights of the {name} are trained along with the features")
    if any(is_no_sum(problem, field, i) for i in range(len(problem.terms))):
        return Choice("lbfgs", "an energy is no sum over points of what u is there")
    squares = all(term.loss == "square" for term in problem.terms)
    kind = "residuals are" if squares else "energy is"
    try:
        linear = is_quadratic(problem, field)
    except SolveError as error:
        return Choice("lbfgs", str(error))
    except (RuntimeError, TypeError, ValueError, IndexError):
        # The residual may hold a number for each of its points; the solve itself will tell.
        return Choice("least-squares", "the residuals cannot be tried on some points only")
    if linear:
        shape = "linear" if squares else "quadratic"
        return Choice("least-squares", f"the {kind} {shape} in the features", True)
    if squares:
        return Choice("least-squares", "the residuals are nonlinear in the features: Gauss-Newton")
    return Choice("lbfgs", "the loss is neither a square nor quadratic in the features")


def _choose_factorized(
    problem: Problem, field: FactorizedField, point_sum: PointSum | None
) -> Choice:
    if point_sum is not None and not isinstance(point_sum, LocalSum):
        return Choice("adam", "the points are spread over processes")
    if not isinstance(field.decoder, LinearDecoder):
        return Choice("adam", f"a {type(field.decoder).__name__} is trained along with the factors")
    if problem.parameters or any(term.loss != "square" for term in problem.terms):
        return Choice("adam", "products are trained as a whole for energies or unknown parameters")
    try:
        linear = is_quadratic(problem, field)
    except (SolveError, RuntimeError, TypeError, ValueError, IndexError):
        return Choice("adam", "the residuals cannot be tried on some points only")
    if not linear:
        return Choice("adam", "the residuals are nonlinear in u")
    return Choice("least-squares", "the residuals are linear in each factor of the products")
