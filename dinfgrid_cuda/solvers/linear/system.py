"""A linearised problem that can be solved, by whichever route."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from .unknowns import Array


class System(Protocol):
    """A linearised problem that can be solved.

    Attributes:
        row_count, seen_count: numbers of residuals, and of features that they depend on.
        enough: part of the loss; a step of refinement that promises less is the last.
    """

    row_count: int
    seen_count: int
    enough: float

    @property
    def condition(self) -> float:
        """The condition of the matrix that is solved with, an estimate."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the last step was solved as well as it can be."""
        ...

    @property
    def clean(self) -> bool:
        """Whether a step that promises little of the loss leaves u nearly unmoved."""
        ...

    def step(
        self, gradient: Array, damping: float, loss: float, exact: bool = True
    ) -> tuple[Array, float]:
        """Returns a step [unknowns] and the decrease of the loss that the quadratic model predicts.

        Args:
            gradient: of the loss, [unknowns].
            damping: relative to the diagonal; 0 for the undamped step.
            loss: at the present unknowns.
            exact: False where an error of the step does not matter, if that saves work.
        """
        ...


def new_seconds() -> dict[str, float]:
    """Returns the entries to which a system adds the seconds of each part of its work."""
    return dict.fromkeys(("assembly", "factor", "solve"), 0.0)


class Timed:
    """Adds the seconds of a block to an entry."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds[self.name] += time.monotonic() - self.started
