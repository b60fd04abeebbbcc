"""Progress of a solve: a bar on a terminal, occasional lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

LINE_SECONDS = 10.0


class Progress(Protocol):
    """Receives the losses of the steps."""

    def update(self, done: int, losses: list[float]) -> None:
        """``done`` steps are complete; ``losses`` [1 + terms] are the latest."""
        ...

    def close(self) -> None:
        """Ends the display."""
        ...


class Silent:
    """Progress that is not shown."""

    def update(self, done: int, losses: list[float]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def describe(names: tuple[str, ...], losses: list[float]) -> str:
    """The losses as one short text; terms only where there are several."""
    text = f"loss {losses[0]:.3e}"
    if len(names) > 1:
        terms = (f"{name} {loss:.2e}" for name, loss in zip(names, losses[1:], strict=True))
        text += " (" + ", ".join(terms) + ")"
    return text


class Lines:
    """A line at the first step, then at most every ten seconds, and at the end."""

    def __init__(self, names: tuple[str, ...], done: int, steps: int) -> None:
        self.names, self.first, self.steps = names, done, steps
        self.started = time.monotonic()
        self.printed: float | None = None
        self.waiting = ""

    def update(self, done: int, losses: list[float]) -> None:
        """Prints when it is time to."""
        now = time.monotonic()
        spent = now - self.started
        left = spent / max(1, done - self.first) * (self.steps - done)
        self.waiting = f"step {done}/{self.steps}  {describe(self.names, losses)}  {spent:.1f} s"
        if self.printed is None or now - self.printed >= LINE_SECONDS:
            self.waiting += f", at most {left:.0f} s left"
            self._print(now)

    def _print(self, now: float) -> None:
        print(self.waiting, file=sys.stderr, flush=True)
        self.printed, self.waiting = now, ""

    def close(self) -> None:
        """Prints the last step if it has not been."""
        if self.waiting:
            self._print(time.monotonic())


class Bar:
    """A tqdm bar with losses and time left."""

    def __init__(self, bar: Any, names: tuple[str, ...]) -> None:
        self.bar, self.names = bar, names

    def update(self, done: int, losses: list[float]) -> None:
        """Moves the bar."""
        self.bar.set_postfix_str(describe(self.names, losses), refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        """Leaves the finished bar on the screen."""
        self.bar.close()


def make_progress(show: bool, names: tuple[str, ...], done: int, steps: int) -> Progress:
    """A bar on a terminal with tqdm, lines without either, nothing unless ``show``."""
    if not show:
        return Silent()
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            return Lines(names, done, steps)
        bar = tqdm(total=steps, initial=done, unit="step", dynamic_ncols=True, leave=True)
        return Bar(bar, names)
    return Lines(names, done, steps)
