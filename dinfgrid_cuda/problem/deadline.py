"""The time that is left to a solve, looked at inside long steps."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
# Multiplications of a factorisation that one core does in a second.
RATE = 2e10
# A solve may take this much longer than asked for: a part of it, or seconds if they are more.
PART, SECONDS = 0.2, 5.0


class OutOfTime(RuntimeError):  # noqa: N818
    """The time given to a solve has passed; its message says why more than that, or is empty."""


def clock() -> float:
    """Seconds from some start."""
    return time.monotonic()


def allowance(asked: float) -> float:
    """Seconds by which a solve may miss what was asked for."""
    return max(PART * asked, SECONDS)


@contextlib.contextmanager
def until(seconds_left: float) -> Iterator[None]:
    """Within the block `check` raises once this time has passed, or that of a block around it."""
    token = _deadline.set(min(_deadline.get(), clock() + seconds_left))
    try:
        yield
    finally:
        _deadline.reset(token)


def left() -> float:
    """Seconds that are left; infinite outside `until`."""
    deadline = _deadline.get()
    return deadline - clock() if deadline < math.inf else math.inf


def check() -> None:
    """Raises OutOfTime if the time has passed."""
    if left() < 0:
        raise OutOfTime("")


def check_work(multiplications: float) -> None:
    """Raises OutOfTime if a factorisation would end too long after the deadline."""
    check()
    needed, rest = multiplications / RATE, left()
    if needed > rest + SECONDS:
        raise OutOfTime(f"a factorisation of about {needed:.0f} s was not begun")
