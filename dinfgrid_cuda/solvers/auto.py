"""Which method suits a problem: found out by trying whether the features enter linearly."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..decoders import LinearDecoder
from ..field import FactorizedField, Field, FieldBase
from ..slabs import SlabField
from .errors import SolveError
from .march import slab_problem
from .objective import LocalSum, Objective, PointSum, check_fit
from .problem import Problem

# Points of a term that are looked at.
SAMPLE = 2000
# Of the gradient's change, in float64: rounding leaves 1e-13, a nonlinear term much more than this.
LINEAR = 1e-9


@dataclass(frozen=True)
class Choice:
    """A method and why it was chosen, one line; ``linear`` if u is known to enter linearly."""

    method: str
    reason: str
    linear: bool = False


class Thinned(LocalSum):
    """At most `SAMPLE` of the points, evenly."""

    def share(self, points: Tensor) -> Tensor:
        """Some rows."""
        return points[:: max(1, len(points) // SAMPLE)]


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


def is_quadratic(problem: Problem, field: FieldBase) -> bool:
    """Whether the loss is quadratic in features and parameters, tried along a random line.

    Of products the first factors are moved. For squares: whether the residuals are affine. The
    gradient at three equidistant points of a line then lies on a line itself; compared in float64.
    """
    # The residuals hold the parameters themselves: those are moved, and put back.
    return _on_a_line(problem, copy.deepcopy(field).double(), list(problem.parameters.values()))


def _on_a_line(problem: Problem, field: FieldBase, parameters: list[nn.Parameter]) -> bool:
    objective = Objective(problem, field, resample=False, point_sum=Thinned())
    moved = [*_linear_features(field), *parameters]
    starts = [p.detach().clone() for p in moved]
    random = torch.Generator().manual_seed(0)
    steps = [torch.randn(p.shape, generator=random, dtype=torch.float64).to(p) for p in moved]
    gradients = []
    try:
        for factor in (0.0, 1.0, 2.0):
            with torch.no_grad():
                for p, start, step in zip(moved, starts, steps, strict=True):
                    p.copy_(start + factor * step)
            objective.evaluate(0)
            parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in moved]
            gradients.append(torch.cat([part.double().flatten().cpu() for part in parts]))
    finally:
        with torch.no_grad():
            for p, start in zip(moved, starts, strict=True):
                p.copy_(start)
                p.grad = None
    first, second, third = gradients
    bend = (third - 2 * second + first).norm()
    return bool(bend <= LINEAR * ((third - second).norm() + (second - first).norm()))


def _linear_features(field: FieldBase) -> list[nn.Parameter]:
    """Features that u is linear in, under a linear decoder."""
    if isinstance(field, FactorizedField):
        return [field.grid.factor(term, 0).features for term in range(len(field.grid.terms))]
    assert isinstance(field, Field)
    return [field.grid.features]
