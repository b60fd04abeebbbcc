"""Timing in one process: medians, both sides of a comparison in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def seconds(call: Callable[[], object], device: str) -> float:
    """Time of one call: wall clock on the CPU, CUDA events on a GPU."""
    if device == "cpu":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def median(call: Callable[[], object], device: str, repeats: int) -> float:
    """Median of `repeats` calls after one that is not counted."""
    call()
    return statistics.median(seconds(call, device) for _ in range(repeats))


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int, per_turn: int
) -> tuple[list[float], list[float]]:
    """CPU times of two calls in turn, A B A B ..., so that a drift of the machine meets both.

    A turn of the faster side is the median of `per_turn` calls.
    """
    ours()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        times[0].append(statistics.median(seconds(ours, "cpu") for _ in range(per_turn)))
        times[1].append(seconds(theirs, "cpu"))
    return times


def bandwidth(device: str, dtype: torch.dtype = torch.float32) -> float:
    """Measured memory bandwidth, bytes/s read and written by a copy of 256 MiB."""
    source = torch.ones(1 << 26, dtype=dtype, device=device)
    target = torch.empty_like(source)
    best = min(seconds(lambda: target.copy_(source), device) for _ in range(5))
    return 2 * source.numel() * source.element_size() / best
