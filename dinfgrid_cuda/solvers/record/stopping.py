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


@dataclass(frozen=True)
class Stop:
    """What ends a solve before its last step; the first of these that comes true.

        dg.solve(problem, field, stop=dg.Stop(seconds=60, loss=1e-12))

    Args:
        loss: end at a loss this low.
        patience: end after this many steps in which the loss fell by less than ``min_decrease``.
        min_decrease: as a fraction of the loss.
        seconds: end after this time, steps before a resume included; it is looked at inside steps
            too, and a step that is cut short is undone.
        when: ``when(steps, seconds)`` is called after each step with the number of steps done and
            the time spent; True ends the solve. Its own time is not counted, so that it may measure
            an error.

    Raises:
        TypeError, ValueError: one line that names the argument.
    """

    loss: float | None = None
    patience: int | None = None
    min_decrease: float = 1e-3
    seconds: float | None = None
    when: Callable[[int, float], bool | None] | None = None

    def __post_init__(self) -> None:
        if self.patience is not None:
            object.__setattr__(self, "patience", check_whole("Stop", "patience", self.patience, 1))
        check_real("Stop", "min_decrease", self.min_decrease)
        for name in ("loss", "seconds"):
            if getattr(self, name) not in (None, math.inf):
                check_real("Stop", name, getattr(self, name))
        if self.when is not None and not callable(self.when):
            raise TypeError(f"Stop: when is {self.when!r}; pass a function when(steps, seconds).")


class Stopping:
    """Follows the losses of a solve, and says when it is to stop.

    Args:
        stop: the rules.
        explain: gives what to say of a loss that is not finite, from the step.
    """

    def __init__(self, stop: Stop, explain: Callable[[int], str] | None = None) -> None:
        self.stop, self.explain = stop, explain
        self.best, self.best_step = math.inf, 0

    def replay(self, history: History) -> None:
        """Takes up where a resumed run stood."""
        for step, total in zip(history.steps, history.totals, strict=True):
            self._note(step, total)

    def _note(self, step: int, loss: float) -> None:
        enough = self.best - self.stop.min_decrease * abs(self.best)
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
            reason = "" if self.explain is None else self.explain(step)
            if math.isinf(self.best) and reason:
                advice = reason
            elif math.isinf(self.best):
                advice = "Check that the residual is finite at all points."
            else:
                where += f"; the lowest loss was {self.best:.3g} at step {self.best_step}"
                advice = "Use a smaller learning rate, or check that the residual is finite "
                advice += f"everywhere. {reason}".strip()
            raise DivergedError(f"solve: the loss is {loss} at step {step}{where}. {advice}")
        self._note(step, loss)
        stop = self.stop
        if stop.loss is not None and loss <= stop.loss:
            return f"reached the target loss {stop.loss:g}"
        if stop.patience is not None and step - self.best_step >= stop.patience:
            return f"no lower loss in {stop.patience} steps"
        if stop.seconds is not None and seconds >= stop.seconds:
            return used(seconds, stop.seconds)
        return ""
