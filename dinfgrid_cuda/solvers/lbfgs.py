"""L-BFGS with a strong-Wolfe line search on a fixed set of points."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .objective import Objective

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
        parameters = self.objective.parameters
        last = self._last
        if last is None or not all(map(torch.equal, last.at, parameters)):
            losses = self.objective.evaluate(0)
            at = [p.detach().clone() for p in parameters]
            last = _Evaluation(at, [p.grad for p in parameters], losses)
            self._last = last
        if self.scale is None:
            self.scale = SCALED_LOSS / max(float(last.losses[0]), 1e-300)
        for parameter, gradient in zip(parameters, last.gradients, strict=True):
            parameter.grad = None if gradient is None else gradient * self.scale
        return last.losses[0] * self.scale

    def _first_trial(self) -> float:
        """Learning rate that makes the first trial step 2 L / |g|^2.

        For L = x'Hx/2 this lies between the inverses of H's extreme eigenvalues; torch's own first
        step, 1 / |g|_1, is shorter by the number of parameters and costs several evaluations.
        """
        loss = float(self._evaluate())
        gradients = [p.grad for p in self.objective.parameters if p.grad is not None]
        norm1 = sum(float(g.abs().sum()) for g in gradients)
        square = sum(float(g.square().sum()) for g in gradients)
        return 2 * loss / square * max(1.0, norm1) if square > 0 else self.lr

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
            "state": self.optimizer.state_dict()["state"],
        }

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.scale, self._stalled = state["scale"], state["stalled"]
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
