"""L-BFGS with a strong-Wolfe line search on a fixed set of points."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import check_real, check_whole
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.point_sum import PointSum
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.linear.points import fitted_energies

from .method import FREE, Method, Place, State

# torch's L-BFGS drops curvature pairs with y.s below an absolute 1e-10. Scaling the loss to this
# value at the start keeps them until it has fallen by 16 orders.
SCALED_LOSS = 1e6
# Evaluations of one line search.
EVALUATIONS = 20


class _Evaluation(NamedTuple):
    """Losses and gradients at one parameter vector."""

    at: list[Tensor]
    gradients: list[Tensor | None]
    losses: Tensor


@dataclass(frozen=True)
class LBFGSState(State):
    """A `State` with the curvature that has been seen.

    Attributes:
        scale: by which the loss is multiplied, None until it is known.
        stalled: whether the last line search found nothing lower.
        curvature: pairs of vectors and more, as torch's optimizer has them.
    """

    scale: float | None = None
    stalled: bool = False
    curvature: dict[int, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LBFGS(Method):
    """Trains any field by L-BFGS with a strong-Wolfe line search, on points that stay as they are.

    A step is one iteration, usually one evaluation of the loss.

        dg.solve(problem, field, dg.LBFGS(memory=20), steps=500)

    Args:
        lr: first trial step of each line search, 1 being the quasi-Newton step.
        memory: number of pairs of vectors kept, each pair twice as large as the parameters.
        point_sum: where the points are summed; None for this process.

    Raises:
        TypeError, ValueError: for values that are no such numbers.
    """

    lr: float = 1.0
    memory: int = 10
    point_sum: PointSum | None = field(default=None, metadata=FREE)

    name: ClassVar[str] = "lbfgs"
    undoes: ClassVar[bool] = True
    reuses: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", float(check_real("LBFGS", "lr", self.lr, positive=True)))
        object.__setattr__(self, "memory", check_whole("LBFGS", "memory", self.memory, 1))

    def default_steps(self, field: nn.Module) -> int:
        """Returns 200."""
        return 200

    def prepare(self, problem: Problem, field: nn.Module) -> Problem:
        """The problem with Gauss points for the energies of a `Field`."""
        return fitted_energies(problem, field.grid.spec) if isinstance(field, Field) else problem

    def init(self, objective: Objective) -> LBFGSState:
        """A state without curvature."""
        return LBFGSState(work=_Work(self, objective))

    def step(self, state: State) -> LBFGSState:
        """One iteration; the losses are those after it.

        Where the line search finds nothing lower, the next step forgets the curvature and follows
        the gradient; if that fails too, the solve has converged.
        """
        assert isinstance(state, LBFGSState)
        work: _Work = state.work
        if not work.place.is_at(state):
            work.take_up(state)
        losses, moved = work.iterate()
        after = replace(
            state,
            losses=losses,
            step=state.step + 1,
            converged=state.stalled and not moved,
            scale=work.scale,
            stalled=not moved,
            curvature=work.optimizer.state_dict()["state"],
        )
        work.place.move_to(after)
        return after


class _Work:
    """Torch's optimizer, and the last evaluation of the loss."""

    def __init__(self, method: LBFGS, objective: Objective) -> None:
        self.objective, self.lr = objective, method.lr
        self.place = Place()
        self.scale: float | None = None
        self._last: _Evaluation | None = None
        self.optimizer = torch.optim.LBFGS(
            objective.parameters,
            lr=method.lr,
            max_iter=1,
            max_eval=EVALUATIONS + 1,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=method.memory,
            line_search_fn="strong_wolfe",
        )

    def take_up(self, state: LBFGSState) -> None:
        """Goes on from a state that was not the last one here."""
        self.scale, self._last = state.scale, None
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state.curvature, "param_groups": groups})

    def iterate(self) -> tuple[Tensor, bool]:
        """One iteration; the losses [1 + terms] after it, and whether the parameters have moved."""
        group = self.optimizer.param_groups[0]
        group["lr"] = self.lr if self.optimizer.state else self._first_trial()
        before = [p.detach().clone() for p in self.objective.parameters]
        self.optimizer.step(self._evaluate)  # type: ignore[no-untyped-call]
        moved = not all(map(torch.equal, before, self.objective.parameters))
        if not moved:
            self.optimizer.state.clear()
        self._evaluate()
        assert self._last is not None
        losses = self._last.losses
        if not bool(losses[0].isfinite()):
            self._go_back(before)
        return losses, moved

    @torch.no_grad()
    def _go_back(self, parameters: list[Tensor]) -> None:
        """Returns to parameters of a finite loss, without the curvature that led away from them."""
        for own, before in zip(self.objective.parameters, parameters, strict=True):
            own.copy_(before)
        self.optimizer.state.clear()
        self.scale, self._last = None, None

    def _evaluate(self) -> Tensor:
        """Returns the scaled loss here, and leaves scaled gradients in ``.grad``.

        The optimizer asks again at the point where a line search has ended; that answer is kept.
        """
        deadline.check()
        parameters = self.objective.parameters
        last = self._last
        if last is None or not all(map(torch.equal, last.at, parameters)):
            losses = self.objective.evaluate(0)
            at = [p.detach().clone() for p in parameters]
            last = _Evaluation(at, [p.grad for p in parameters], losses)
            self._last = last
        if self.scale is None:
            self.scale = SCALED_LOSS / max(self._size(last), 1e-300)
        for parameter, gradient in zip(parameters, last.gradients, strict=True):
            parameter.grad = None if gradient is None else gradient * self.scale
        return last.losses[0] * self.scale

    def _size(self, at: _Evaluation) -> float:
        """What the loss is to be measured by: itself where it is a sum of squares.

        An energy may be zero or negative where it starts. Along its gradient it falls by half of
        |g|^4 / g'Hg, which takes one evaluation more.
        """
        if self.objective.squares:
            return float(at.losses[0])
        square, curvature = self._curvature(at)
        return max(abs(float(at.losses[0])), square**2 / curvature / 2)

    def _curvature(self, at: _Evaluation) -> tuple[float, float]:
        """|g|^2 and |g' H g|, the latter by a difference of gradients along g."""
        pairs = [
            (p, g)
            for p, g in zip(self.objective.parameters, at.gradients, strict=True)
            if g is not None
        ]
        square = sum(float(g.square().sum()) for _, g in pairs)
        largest = max((float(g.abs().max()) for _, g in pairs), default=0.0)
        if not 0 < square < math.inf:
            return 0.0, 1.0
        length = 1e-3 / largest
        with torch.no_grad():
            for p, g in pairs:
                p.add_(g, alpha=length)
        self.objective.evaluate(0)
        ahead = sum(float((p.grad * g).sum()) for p, g in pairs if p.grad is not None)
        with torch.no_grad():
            for p, old in zip(self.objective.parameters, at.at, strict=True):
                p.copy_(old)
        return square, max(abs(ahead - square) / length, 1e-300)

    def _first_trial(self) -> float:
        """Learning rate that makes the first trial step 2 L / |g|^2, for an energy |g|^2 / g'Hg.

        For L = x'Hx/2 this lies between the inverses of H's extreme eigenvalues; torch's own first
        step, 1 / |g|_1, is shorter by the number of parameters and costs several evaluations.
        """
        loss = float(self._evaluate())
        gradients = [p.grad for p in self.objective.parameters if p.grad is not None]
        norm1 = sum(float(g.abs().sum()) for g in gradients)
        square = sum(float(g.square().sum()) for g in gradients)
        if not square > 0:
            return self.lr
        length = 2 * loss / square
        if not self.objective.squares:
            assert self._last is not None
            assert self.scale is not None
            unscaled, curvature = self._curvature(self._last)
            length = unscaled / curvature / self.scale
        return length * max(1.0, norm1)
