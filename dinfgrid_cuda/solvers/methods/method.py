"""What the loop of a solve needs of a method."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from dinfgrid_cuda.solvers.diagnosis.report import Findings


class Runner(Protocol):
    """What the loop needs of an optimizer."""

    @property
    def keeps_finite(self) -> bool:
        """Whether a step with a loss that is not finite leaves the parameters before it."""
        ...

    @property
    def moves_last(self) -> bool:
        """Whether a step that runs out of time leaves parameters and state as they were."""
        ...

    @property
    def converged(self) -> bool:
        """Whether no further step can lower the loss."""
        ...

    @property
    def verdict(self) -> str:
        """What it means that it has ``converged``, for the user."""
        ...

    def step(self, step: int) -> Tensor:
        """One step; losses [1 + terms]."""
        ...

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common, each as its repr."""
        ...

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        ...

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        ...


@runtime_checkable
class Examined(Protocol):
    """An optimizer that knows more of the problem than its losses."""

    def findings(self) -> Findings:
        """For the report."""
        ...
