"""Which method suits a problem: it is tried whether the features enter linearly."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import FactorizedField, Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem.objective import check_fit
from dinfgrid_cuda.problem.point_sum import LocalSum, PointSum
from dinfgrid_cuda.problem.problem import Problem

from .errors import SolveError
from .linear.linearity import is_no_sum, is_quadratic
from .methods.adam import Adam
from .methods.alternating import Alternating
from .methods.lbfgs import LBFGS
from .methods.least_squares import LeastSquares
from .methods.method import Method, check_method
from .methods.slab_problem import slab_problem
from .methods.time_slabs import TimeSlabs

AUTO = "auto"
# Short names of methods with their default options.
NAMED: dict[str, type[LeastSquares] | type[LBFGS] | type[Adam]] = {
    "least-squares": LeastSquares,
    "lbfgs": LBFGS,
    "adam": Adam,
}
METHODS = (AUTO, *NAMED)
# What is no short name of a method.
OBJECTS = {
    "alternating": "Alternating()",
    "time-slabs": "TimeSlabs()",
    "direct": "LeastSquares(linear=Direct())",
    "matrix-free": "LeastSquares(linear=MatrixFree())",
}
SPREAD = "the points are spread over processes"


@dataclass(frozen=True)
class Choice:
    """A method, and why it was chosen.

    Attributes:
        method: with its options.
        reason: one line, for the report.
        linear: whether u is known to enter linearly.
    """

    method: Method
    reason: str
    linear: bool = False


def as_method(where: str, value: Any) -> Method | None:
    """The method that an object or a short name stands for; None for "auto".

    Raises:
        ValueError: for another name, with the nearest.
        TypeError: for another kind of value, such as a class in place of an instance.
    """
    if isinstance(value, Method):
        check_method(value)
        return value
    if isinstance(value, str):
        if value == AUTO:
            return None
        if value in NAMED:
            return NAMED[value]()
        near = difflib.get_close_matches(value, METHODS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        if value in OBJECTS:
            hint = f"; did you mean {OBJECTS[value]}?"
        raise ValueError(
            f"{where}: method is {value!r}, but it must be one of {', '.join(METHODS)}, or an "
            f"object such as Adam(lr=1e-3){hint}"
        )
    given = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
    raise TypeError(
        f"{where}: method is {given}; pass one of {', '.join(METHODS)}, or an object such as "
        "LeastSquares() or Adam(lr=1e-3)."
    )


def for_field(method: Method, field: nn.Module) -> Method:
    """The method in the form that the kind of field needs.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(method, LeastSquares) and isinstance(field, SlabField):
        return TimeSlabs(method)
    if isinstance(method, LeastSquares) and isinstance(field, FactorizedField):
        if method.linear != AUTO:
            raise ValueError(
                f"solve: LeastSquares(linear={method.linear}) is for a Field; a FactorizedField is "
                "solved by Alternating(joint=...)."
            )
        return Alternating(balance=method.balance)
    if isinstance(field, SlabField) and not isinstance(method, TimeSlabs):
        kind = type(method).__name__
        raise ValueError(f"solve: a SlabField is solved by least-squares, not by {kind}.")
    return method


def choose(problem: Problem, field: nn.Module, point_sum: PointSum | None = None) -> Choice:
    """The method that `solve` takes for ``method="auto"``.

    Args:
        point_sum: where the points are summed; None for this process.
    """
    check_fit(problem, field)
    if isinstance(field, SlabField):
        first, _ = slab_problem(problem, field, 0)
        return replace(choose(first, field.part(0), point_sum), method=LeastSquares())
    spread = point_sum is not None and not isinstance(point_sum, LocalSum)
    if isinstance(field, FactorizedField):
        obstacle = SPREAD if spread else _not_in_turn(problem, field)
        if obstacle:
            return Choice(Adam(point_sum=point_sum), obstacle)
        return Choice(LeastSquares(), "the residuals are linear in each factor of the products")
    if not isinstance(field, Field):
        reason = f"a {type(field).__name__} is trained as a whole"
        return Choice(Adam(point_sum=point_sum), reason)
    if spread:
        return Choice(LBFGS(point_sum=point_sum), SPREAD)
    return _choose_for_grid(problem, field)


def _choose_for_grid(problem: Problem, field: Field) -> Choice:
    """Least squares where residuals are linear, or nonlinear squares; L-BFGS for other losses."""
    if not isinstance(field.decoder, LinearDecoder):
        name = type(field.decoder).__name__
        return Choice(LBFGS(), f"the weights of the {name} are trained along with the features")
    if any(is_no_sum(problem, field, i) for i in range(len(problem.terms))):
        return Choice(LBFGS(), "an energy is no sum over points of what u is there")
    squares = not any(term.is_energy for term in problem.terms)
    kind = "residuals are" if squares else "energy is"
    try:
        linear = is_quadratic(problem, field)
    except SolveError as error:
        return Choice(LBFGS(), str(error))
    except (RuntimeError, TypeError, ValueError, IndexError):
        # The residual may hold a number for each of its points; the solve itself will tell.
        return Choice(LeastSquares(), "the residuals cannot be tried on some points only")
    if linear:
        shape = "linear" if squares else "quadratic"
        return Choice(LeastSquares(), f"the {kind} {shape} in the features", True)
    if squares:
        return Choice(LeastSquares(), "the residuals are nonlinear in the features: Gauss-Newton")
    return Choice(LBFGS(), "the loss is neither a square nor quadratic in the features")


def _not_in_turn(problem: Problem, field: FactorizedField) -> str:
    """Why the factors of products cannot be solved for in turn; empty if they can."""
    if not isinstance(field.decoder, LinearDecoder):
        return f"a {type(field.decoder).__name__} is trained along with the factors"
    if problem.parameters or any(term.is_energy for term in problem.terms):
        return "products are trained as a whole for energies or unknown parameters"
    try:
        linear = is_quadratic(problem, field)
    except (SolveError, RuntimeError, TypeError, ValueError, IndexError):
        return "the residuals cannot be tried on some points only"
    return "" if linear else "the residuals are nonlinear in u"
