"""What a classical solver returns, and how it finds packages that may be missing."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """What a solver reached.

    Attributes:
        error: relative L2 at the solver's own nodes, in space and time where there is time; for
            images the PSNR in dB.
        seconds: assembly and solve; imports and the measurement of the error are not counted.
        unknowns: numbers solved for, or carried from one time to the next.
    """

    error: float
    seconds: float
    unknowns: int


class MissingPackageError(ImportError):
    """A package is not installed; the message says how to get it."""


def package(name: str, distribution: str | None = None) -> Any:
    """An imported module.

    Args:
        name: of the module, dots allowed.
        distribution: its name for pip, where that differs from the module's.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        wanted = distribution or name.split(".", maxsplit=1)[0]
        raise MissingPackageError(f"not installed: pip install {wanted}") from error


class Watch:
    """Seconds that passed inside `timed` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Counts the block."""
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started


def relative_l2(found: npt.ArrayLike, exact: npt.ArrayLike) -> float:
    """||found - exact|| / ||exact||, both of one shape, real or complex."""
    difference = np.asarray(found) - np.asarray(exact)
    return float(np.linalg.norm(difference.ravel()) / np.linalg.norm(np.asarray(exact).ravel()))
