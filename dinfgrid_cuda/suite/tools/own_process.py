"""Functions in processes of their own, so that no run inherits memory or settings of another."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

Report = dict[str, Any]


def in_own_process(function: Callable[..., Report], *arguments: Any) -> Report:
    """Runs a function and returns its report with "peak_bytes", or {"failed": why} in one line.

    Args:
        function: at the top of a module; what it returns goes through pickle.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_measured, function, arguments).result()
        except BrokenProcessPool:
            return {"failed": "the process ended without a result; it may have run out of memory"}


def _measured(function: Callable[..., Report], arguments: tuple[Any, ...]) -> Report:
    try:
        report = function(*arguments)
    except Exception as error:  # a benchmark goes on with the next run
        text = str(error).strip().split("\n")[0]
        return {"failed": text if isinstance(error, ImportError) else f"{_name(error)}: {text}"}
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {**report, "peak_bytes": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def _name(error: Exception) -> str:
    return type(error).__name__
