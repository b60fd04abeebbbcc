"""Adam with a step-wise decay of the learning rate, as in the paper."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import check_decay, check_real
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.point_sum import PointSum
from dinfgrid_cuda.solvers.errors import DivergedError

from .method import FREE, Method, State


@dataclass(frozen=True)
class AdamState(State):
    """A `State` with the moments of each parameter, by its place, as torch's optimizer has them.

    Attributes:
        moments: of the parameters.
        residuals: at the candidates of terms with an `Adaptive` sampler, by the term's place.
    """

    moments: dict[int, Any] = field(default_factory=dict)
    residuals: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Adam(Method):
    """Trains any field by Adam, as the paper does; random points are drawn anew for each step.

        dg.solve(problem, field, dg.Adam(lr=5e-3, decay=(0.1, 5000)), steps=10_000)

    Args:
        lr: learning rate of the first step.
        decay: (ratio, interval): the rate is multiplied by ``ratio`` every ``interval`` steps.
        point_sum: where the points are summed; None for this process.

    Raises:
        TypeError, ValueError: for values that are no such numbers.
    """

    lr: float = 5e-3
    decay: tuple[float, int] | None = None
    point_sum: PointSum | None = field(default=None, metadata=FREE)

    name: ClassVar[str] = "adam"
    resamples: ClassVar[bool] = True
    moves_last: ClassVar[bool] = True
    reuses: ClassVar[bool] = True

    def __post_init__(self) -> None:
        lr = check_real("Adam", "lr", self.lr, positive=True)
        object.__setattr__(self, "lr", float(lr))
        if self.decay is not None:
            check_decay("Adam", self.decay)
            object.__setattr__(self, "decay", (float(self.decay[0]), int(self.decay[1])))

    def keeps_finite(self, objective: Objective) -> bool:
        """Returns True on the CPU; on a GPU the host would have to wait for every step."""
        return objective.device.type == "cpu"

    def default_steps(self, field: nn.Module) -> int:
        """Returns 10,000, as in the paper."""
        return 10_000

    def rate(self, step: int) -> float:
        """The learning rate at a step: a function of the step alone."""
        if self.decay is None:
            return self.lr
        ratio, interval = self.decay
        return float(self.lr * ratio ** (step // interval))

    def init(self, objective: Objective) -> AdamState:
        """A state without moments."""
        return AdamState(work=_Work(self, objective))

    def step(self, state: State) -> AdamState:
        """One update of all parameters; the losses are those before it.

        A step whose loss is not finite leaves parameters and moments as they are, on the CPU.

        Raises:
            DivergedError: on the CPU, if the loss is finite and its gradient is not.
        """
        assert isinstance(state, AdamState)
        work: _Work = state.work
        adaptive = work.objective.adaptive
        if adaptive.residuals is not state.residuals:  # after a resume
            adaptive.restore(state.residuals, state.step)
        losses = work.objective.evaluate(state.step)
        if self.keeps_finite(work.objective):
            if not bool(losses[0].isfinite()):
                return replace(state, losses=losses)
            work.check_gradient(state.step)
        moments = work.update(state.moments, self.rate(state.step))
        return replace(
            state,
            losses=losses,
            step=state.step + 1,
            moments=moments,
            residuals=adaptive.residuals,
        )


class _Work:
    """Torch's optimizer: the fused update reads and writes each parameter once."""

    def __init__(self, method: Adam, objective: Objective) -> None:
        self.objective = objective
        self.optimizer = torch.optim.Adam(objective.parameters, lr=method.lr, fused=True)
        self.moments: dict[int, Any] = {}

    def check_gradient(self, step: int) -> None:
        for parameter in self.objective.parameters:
            # A sum is finite if all entries are, short of an overflow, and reads them only once.
            if parameter.grad is not None and not bool(parameter.grad.sum().isfinite()):
                raise DivergedError(
                    f"solve: the loss is finite at step {step}, but its gradient is not. Check "
                    "that the residual is differentiable everywhere (sqrt and abs at 0 are not)."
                )

    def update(self, moments: dict[int, Any], rate: float) -> dict[int, Any]:
        """Moves the parameters along their gradients; returns the moments after it."""
        if moments is not self.moments:  # after a resume
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            self.moments = {}
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.moments = self.moments or self.optimizer.state_dict()["state"]
        return self.moments
