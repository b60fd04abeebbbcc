"""Seconds and errors of solvers that work with numpy arrays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Watch:
    """Adds up the seconds that pass inside its `timed` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Adds the time of the block to ``seconds``."""
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started


def relative_l2(solution: npt.ArrayLike, exact: npt.ArrayLike) -> float:
    """The error ||solution - exact|| / ||exact||, both of one shape, real or complex."""
    difference = np.asarray(solution) - np.asarray(exact)
    return float(np.linalg.norm(difference.ravel()) / np.linalg.norm(np.asarray(exact).ravel()))
