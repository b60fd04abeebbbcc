"""Ctrl-C during a solve: finish the step, then stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptGuard:
    """Notes the first Ctrl-C instead of raising; the second one raises KeyboardInterrupt at once.

    An exception in the middle of a step would leave parameters and optimizer state of different
    steps. Outside the main thread Python delivers no signals, and a handler that was not set from
    Python could not be put back: there the guard does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> InterruptGuard:
        self._previous = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread():
            self._previous = None
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
