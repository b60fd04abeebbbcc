"""Adam with a step-wise decay of the learning rate, as in the paper."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import DivergedError
from dinfgrid_cuda.solvers.record.stopping import CONVERGED


class AdamRunner:
    """One Adam update a step; the points are drawn anew each step where the regions allow.

    Args:
        objective: loss and gradient.
        lr: learning rate at step 0.
        decay: (factor, interval): the rate is multiplied by ``factor`` every ``interval`` steps.

    On the CPU a step whose loss or gradient is not finite leaves the parameters as they are; on a
    GPU that would make the host wait for every step.
    """

    name = "adam"
    moves_last = True

    def __init__(
        self, objective: Objective, lr: float = 5e-3, decay: tuple[float, int] | None = None
    ) -> None:
        self.objective = objective
        self.lr, self.decay = lr, decay
        # The fused update reads and writes each parameter once, and does not synchronise.
        self.keeps_finite = objective.device.type == "cpu"
        self.optimizer = torch.optim.Adam(objective.parameters, lr=lr, fused=True)

    def rate(self, step: int) -> float:
        """Learning rate at a step: a function of the step alone, so that it needs no state."""
        if self.decay is None:
            return self.lr
        factor, interval = self.decay
        return float(self.lr * factor ** (step // interval))

    def step(self, step: int) -> Tensor:
        """Updates the parameters; returns the losses [1 + terms] before the update.

        Raises:
            DivergedError: on the CPU, if the loss is finite and its gradient is not.
        """
        losses = self.objective.evaluate(step)
        if self.keeps_finite:
            if not bool(losses[0].isfinite()):
                return losses
            self._check_gradient(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        self.optimizer.step()
        return losses

    def _check_gradient(self, step: int) -> None:
        for parameter in self.objective.parameters:
            # A sum is finite if all entries are, short of an overflow, and reads them only once.
            if parameter.grad is not None and not bool(parameter.grad.sum().isfinite()):
                raise DivergedError(
                    f"solve: the loss is finite at step {step}, but its gradient is not. Check "
                    "that the residual is differentiable everywhere (sqrt and abs at 0 are not)."
                )

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        decay = None if self.decay is None else (float(self.decay[0]), self.decay[1])
        return {"lr": repr(float(self.lr)), "decay": repr(decay)}

    verdict = CONVERGED

    @property
    def converged(self) -> bool:
        """Adam never knows."""
        return False

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        return self.optimizer.state_dict()["state"]

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
