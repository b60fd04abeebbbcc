"""When a solve ends before its last step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dinfgrid_cuda.checks import check_real, check_whole
from dinfgrid_cuda.solvers.errors import DivergedError

from .history import History

CONVERGED = "converged: no step lowers the loss at this precision"


def used(seconds: float, asked: float) -> str:
    """The reason of a solve that ran out of time."""
    return f"used {seconds:.3g} s (asked for {asked:g} s)"


@dataclass
class Stopping:
    """Early stop by loss, by lack of progress, or by time.

    Args:
        target_loss: stop at a loss this low.
        patience: stop after this many steps without a new lowest loss.
        min_decrease: relative decrease that counts as a new lowest loss.
        max_seconds: stop once the solve has taken this long.
        explain: what to say of a loss that is not finite, from the step.

    Raises:
        TypeError, ValueError: one line that names the argument.
    """

    target_loss: float | None = None
    patience: int | None = None
    min_decrease: float = 1e-3
    max_seconds: float | None = None
    explain: Callable[[int], str] | None = None
    best: float = math.inf
    best_step: int = 0

    def __post_init__(self) -> None:
        if self.patience is not None:
            check_whole("solve", "patience", self.patience, 1)
        check_real("solve", "min_decrease", self.min_decrease)
        for name in ("target_loss", "max_seconds"):
            if getattr(self, name) not in (None, math.inf):
                check_real("solve", name, getattr(self, name))

    def replay(self, history: History) -> None:
        """Takes up where a resumed run stood."""
        for step, total in zip(history.steps, history.totals, strict=True):
            self._note(step, total)

    def _note(self, step: int, loss: float) -> None:
        enough = self.best - self.min_decrease * abs(self.best)
        if loss < enough or math.isinf(self.best):
            self.best, self.best_step = loss, step

    def reason(self, step: int, losses: list[float], names: tuple[str, ...], seconds: float) -> str:
        """Why to stop now, or an empty string. ``losses`` is [1 + terms].

        Raises:
            DivergedError: if the loss is NaN or infinite.
        """
        loss = losses[0]
        if not math.isfinite(loss):
            bad = [n for n, one in zip(names, losses[1:], strict=True) if not math.isfinite(one)]
            where = f" (term {bad[0]!r})" if bad else ""
            told = "" if self.explain is None else self.explain(step)
            if math.isinf(self.best) and told:
                advice = told
            elif math.isinf(self.best):
                advice = "Check that the residual is finite at all points."
            else:
                where += f"; the lowest loss was {self.best:.3g} at step {self.best_step}"
                advice = "Use a smaller learning rate, or check that the residual is finite "
                advice += f"everywhere. {told}".strip()
            raise DivergedError(f"solve: the loss is {loss} at step {step}{where}. {advice}")
        self._note(step, loss)
        if self.target_loss is not None and loss <= self.target_loss:
            return f"reached the target loss {self.target_loss:g}"
        if self.patience is not None and step - self.best_step >= self.patience:
            return f"no lower loss in {self.patience} steps"
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return used(seconds, self.max_seconds)
        return ""
