"""Ctrl-C or SIGTERM during a solve: finish the step, then stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptGuard:
    """Notes the first Ctrl-C or SIGTERM; the second one raises KeyboardInterrupt at once.

    An exception in the middle of a step would leave parameters and optimizer state of different
    steps. Outside the main thread Python delivers no signals, and a handler that was not set from
    Python could not be put back: there the guard does nothing. A SIGTERM that the program ignores
    stays ignored.

    Attributes:
        requested: whether to stop.
        by: name of the signal other than Ctrl-C's that asked for it, or "".
    """

    def __init__(self) -> None:
        self.requested, self.by = False, ""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT, signal.SIGTERM):
            previous = signal.getsignal(number)
            ignored = number == signal.SIGTERM and previous is signal.SIG_IGN
            if previous is not None and not ignored:
                self._previous[number] = previous
                signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self.by = "" if number == signal.SIGINT else signal.Signals(number).name

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())
