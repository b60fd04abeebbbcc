"""L-BFGS with a strong-Wolfe line search on a fixed set of points."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

# torch's L-BFGS drops curvature pairs with y.s below an absolute 1e-10. Scaling the loss to this
# value at the start keeps them until it has fallen by 16 orders.
SCALED_LOSS = 1e6


class _Evaluation(NamedTuple):
    """Losses and gradients at one parameter vector."""

    at: list[Tensor]
    gradients: list[Tensor | None]
    losses: Tensor


class LbfgsRunner:
    """One L-BFGS iteration a step, usually one evaluation of the loss.

    Args:
        objective: loss and gradient; its points must not change from step to step.
        lr: first trial step of each line search, 1 being the quasi-Newton step.
        memory: pairs of vectors kept, each as large as the parameters.
        evaluations: most evaluations of one line search.
    """

    name = "lbfgs"
    keeps_finite = True
    moves_last = False
    verdict = CONVERGED

    def __init__(
        self, objective: Objective, lr: float = 1.0, memory: int = 10, evaluations: int = 20
    ) -> None:
        self.objective = objective
        self.lr, self.memory = lr, memory
        self.scale: float | None = None
        self.converged = False
        self._stalled = False
        self._last: _Evaluation | None = None
        self.optimizer = torch.optim.LBFGS(
            objective.parameters,
            lr=lr,
            max_iter=1,
            max_eval=evaluations + 1,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=memory,
            line_search_fn="strong_wolfe",
        )

    def _evaluate(self) -> Tensor:
        """Scaled loss and gradients here. The optimizer asks again at the point where a line search
        has ended; that answer is kept."""
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

    def step(self, step: int) -> Tensor:
        """Updates the parameters; returns the losses [1 + terms] after the update.

        Where the line search finds nothing lower, the next step forgets the curvature and follows
        the gradient; if that fails too, the solve has converged.
        """
        group = self.optimizer.param_groups[0]
        group["lr"] = self.lr if self.optimizer.state else self._first_trial()
        before = [p.detach().clone() for p in self.objective.parameters]
        self.optimizer.step(self._evaluate)  # type: ignore[no-untyped-call]
        stalled = all(map(torch.equal, before, self.objective.parameters))
        self.converged = stalled and self._stalled
        self._stalled = stalled
        if stalled:
            self.optimizer.state.clear()
        self._evaluate()
        assert self._last is not None
        losses = self._last.losses
        if not bool(losses[0].isfinite()):
            self._go_back(before)
        return losses

    @torch.no_grad()
    def _go_back(self, parameters: list[Tensor]) -> None:
        """To parameters of a finite loss, without the curvature and scale that led away."""
        for own, before in zip(self.objective.parameters, parameters, strict=True):
            own.copy_(before)
        self.optimizer.state.clear()
        self.scale, self._last = None, None

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return {"lr": repr(float(self.lr)), "memory": repr(self.memory)}

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return {
            "scale": self.scale,
            "stalled": self._stalled,
            "converged": self.converged,
            "state": self.optimizer.state_dict()["state"],
        }

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.scale, self._stalled = state["scale"], bool(state["stalled"])
        self.converged = bool(state["converged"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
