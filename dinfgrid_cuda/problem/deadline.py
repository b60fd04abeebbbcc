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
# A solve may take this much longer than asked for: a share of it, or seconds if they are more.
SHARE, SECONDS = 0.2, 5.0


class OutOfTime(RuntimeError):  # noqa: N818
    """Raised when the time of a solve has passed; its message names what was not begun, if any."""


def clock() -> float:
    """The time in seconds, from an arbitrary start."""
    return time.monotonic()


def allowance(asked: float) -> float:
    """The seconds by which a solve may exceed the time asked for."""
    return max(SHARE * asked, SECONDS)


@contextlib.contextmanager
def until(seconds_left: float) -> Iterator[None]:
    """Makes `check` raise in the block once this time, or that of an outer block, has passed."""
    token = _deadline.set(min(_deadline.get(), clock() + seconds_left))
    try:
        yield
    finally:
        _deadline.reset(token)


def left() -> float:
    """The seconds that are left; infinite outside `until`."""
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
