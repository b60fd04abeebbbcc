"""The loss of a problem as a sum over points, with gradients left in the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from dinfgrid_cuda.fields.model import check_model, jet_of
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.inside import share

from . import deadline
from .adaptive_points import AdaptivePoints, check_adaptive, sampler_of
from .explain import nonfinite
from .fit import check_box
from .given import Numbers, each
from .point_sum import LocalSum, PointSum
from .problem import Problem

# The kind of field. mypy knows no intersections; `check_fit` looks for ``jet``.
M = TypeVar("M", bound=nn.Module, default=Any, covariant=True)


def check_fit(problem: Problem, field: nn.Module) -> None:
    """Raises what `Objective` does unless these are a problem and a field of its dimension."""
    if not isinstance(problem, Problem):
        raise TypeError(f"solve: problem is a {type(problem).__name__}; pass a Problem.")
    check_model("solve", field)
    dim = getattr(field, "dim", problem.domain.dim)
    if dim != problem.domain.dim:
        raise ValueError(
            f"solve: the problem's box is {problem.domain.dim}-D, but the field is {dim}-D; build "
            "the field's grid with the dimension of the box."
        )
    check_box(problem.domain, field)


class Objective(Generic[M]):
    """The loss of a field on a problem, and its gradient; ``Objective[Field]`` of a `Field`.

    Args:
        problem: the terms.
        field: a `Model`, or another nn.Module with ``jet(x, order)``.
        seed: of the collocation points.
        resample: False keeps the points of step 0 for all steps, as L-BFGS needs.
        point_sum: where the points are summed.

    Attributes:
        parameters: all that is trained: the field's, then the problem's.
        weights: of the terms in the loss; a solver may balance them.
        local: places of terms that are known to depend on u at each point alone.
        jet: of the field, (x, order) -> Jet; a solver may have a more accurate one.
        penalty: gives a loss of the parameters alone, which a solver adds to the sum; None for
            none.
        adaptive: draws the points of terms with an `Adaptive` sampler.

    Raises:
        TypeError: for what is not a problem, or a field without ``jet``.
        ValueError: if the field has no parameter to train, another dimension than the problem, a
            grid that does not cover the problem's domain, or an `Adaptive` sampler where points
            are kept.
    """

    def __init__(
        self,
        problem: Problem,
        field: M,
        seed: int = 0,
        resample: bool = True,
        point_sum: PointSum | None = None,
    ) -> None:
        check_fit(problem, field)
        check_adaptive(problem, resample)
        self.problem = problem
        self.field: M = field
        self.seed = seed
        self.resample = resample
        self.point_sum = point_sum or LocalSum()
        self.parameters = [p for p in field.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError("solve: no parameter of the field has requires_grad=True.")
        self.parameters += problem.parameters.values()
        self.weights = [term.weight for term in problem.terms]
        self.dtype, self.device = self.parameters[0].dtype, self.parameters[0].device
        self.squares = not any(term.is_energy for term in problem.terms)
        self.jet: Callable[[Tensor, int], Any] = jet_of(field)
        self.local: set[int] = set()
        self.penalty: Callable[[], Tensor] | None = None
        self._kept: dict[int, tuple[Tensor, Numbers | None, int]] = {}
        self._point_weights: dict[int, Tensor | None] = {}
        self._measures: dict[int, float] = {}
        self.adaptive = AdaptivePoints(problem, seed, self.point_sum)

    def points(self, index: int, step: int) -> tuple[Tensor, Numbers | None, int]:
        """A term's points and data of this process, and the number of points of all processes."""
        if index in self._kept:
            return self._kept[index]
        if sampler_of(self.problem.terms[index]) is not None:
            return self._adapted(index, step)
        keep = not self.resample or self.problem.terms[index].fixed
        x, data = self.problem.draw(index, self.seed, 0 if keep else step, self.dtype, self.device)
        if not x.shape[0]:
            if not isinstance(self.problem.domain, Box):
                share(self.problem.domain)  # says so where the shape is empty
            name = self.problem.terms[index].name
            raise ValueError(f"term {name!r}: its region gave no points; ask for more points.")
        mine = self.point_sum.share(x)
        batch = (mine, each(data, self.point_sum.share), x.shape[0])
        if keep:
            self._kept[index] = batch
        return batch

    def _adapted(self, index: int, step: int) -> tuple[Tensor, Numbers | None, int]:
        """As `points`, of a term with an `Adaptive` sampler; weights are those of the last draw."""
        x, numbers, weights = self.adaptive.draw(index, step, self.jet, self.parameters[0])
        self._point_weights[index] = None if weights is None else self.point_sum.share(weights)
        return self.point_sum.share(x), each(numbers, self.point_sum.share), x.shape[0]

    def nonfinite(self, step: int) -> str:
        """Where and why residuals are not finite at the present parameters, in words, or ""."""
        for index, term in enumerate(self.problem.terms):
            x, data, _ = self.points(index, step)
            message = nonfinite(self.problem, term, self.field, x, data)
            if message:
                return message
        return ""

    def point_weights(self, index: int) -> Tensor | None:
        """Weights [N] of this process's points in the term's mean; None: all count the same."""
        if index not in self._point_weights:
            term = self.problem.terms[index]
            weights = term.point_weights(self.problem.domain, self.dtype, self.device)
            self._point_weights[index] = None if weights is None else self.point_sum.share(weights)
        return self._point_weights[index]

    def measure(self, index: int) -> float:
        """The factor of a term's mean in its loss, see `Term.measure`."""
        if index not in self._measures:
            self._measures[index] = self.problem.terms[index].measure(self.problem.domain)
        return self._measures[index]

    def evaluate(self, step: int) -> Tensor:
        """Returns losses [1 + terms], detached: the weighted sum, then each mean square or mean.

        The gradient of the weighted sum replaces ``parameter.grad``.
        """
        for parameter in self.parameters:
            parameter.grad = None
        losses = []
        for index, term in enumerate(self.problem.terms):
            deadline.check()
            x, data, total = self.points(index, step)
            jet: Any = self.jet(x, term.order)
            residual = term.evaluate(x, jet, data)
            if term.is_energy:
                summands = residual
            else:
                summands = residual.abs().square() if residual.is_complex() else residual.square()
            weights = self.point_weights(index)
            if weights is not None:
                summands = weights.reshape(-1, *[1] * (summands.dim() - 1)) * summands
            loss = summands.sum() * (self.measure(index) / (total * math.prod(residual.shape[1:])))
            torch.autograd.backward(self.weights[index] * loss)
            losses.append(loss.detach())
        weighted = [weight * loss for weight, loss in zip(self.weights, losses, strict=True)]
        if self.penalty is not None:
            penalty = self.penalty()
            torch.autograd.backward(penalty)
            weighted.append(penalty.detach())
        result = torch.stack([torch.stack(weighted).sum(), *losses])
        self.point_sum.add_up([result, *(p.grad for p in self.parameters if p.grad is not None)])
        return result
