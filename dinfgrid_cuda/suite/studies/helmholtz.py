"""Waves of a point source: true errors for k = 20, 30, 40, far from the source and near it.

Each is solved by least squares on grids of several sizes, and by Adam with the paper's settings for
as long as a CPU allows; the exact solution is Hankel's function (see `point_sources`).
"""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.cases.helmholtz.helmholtz import Helmholtz, wave_of
from dinfgrid_cuda.suite.cases.helmholtz.point_sources import INNER, NEAR, distances
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request
from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.case import Setup
from dinfgrid_cuda.suite.tools.evaluation import lattice

from .record import Record, Row

WAVENUMBERS = (20.0, 30.0, 40.0)
CELLS = (64, 96, 128)
ADAM_SECONDS, ADAM_QUICK_SECONDS = 100.0, 10.0
SEEDS = (0, 1, 2)
# Edges of the rings around the source on which errors are taken.
RINGS = np.array([0.0, 0.0125, 0.025, 0.05, NEAR, 0.2, 0.3, 0.4, 0.5])
POINTS = 385


def study(record: Record) -> Any:
    """Records rows per solve and ring; draws error against time and distance to the source."""
    waves = WAVENUMBERS[:1] if record.quick else WAVENUMBERS
    for k in waves:
        case = Helmholtz(wavenumber=k)
        for cells in CELLS[:1] if record.quick else CELLS:
            setup = Request(case, cells=cells).setup()
            label = f"k = {k:g}, least squares, {cells} cells"
            record.part(label, partial(solved, case, setup, "least squares", 0, None))
        for seed in SEEDS[:1] if record.quick else SEEDS:
            setup = Request(case, config="paper").setup()
            limit = ADAM_QUICK_SECONDS if record.quick else ADAM_SECONDS
            label = f"k = {k:g}, Adam, seed {seed}"
            record.part(label, partial(solved, case, setup, "Adam", seed, limit))
    record.summary = {
        row["part"]: {key: row[key] for key in ("seconds", "steps", "far", "near", "all")}
        for row in record.rows
        if "far" in row
    }
    return draw(record.rows, waves)


def solved(
    case: Helmholtz, setup: Setup, method: str, seed: int, max_seconds: float | None
) -> list[Row]:
    """The errors of a solve in one row, and a row for each ring around the source."""
    field = make_model(case, setup, "grid", seed)
    solution = dg.solve(
        case.problem(setup),
        field,
        setup.method,
        steps=setup.steps,
        stop=dg.Stop(seconds=max_seconds),
        seed=seed,
        progress=False,
    )
    labels = {"k": case.wavenumber, "method": method, "cells": setup.cells, "seed": seed}
    began = time.monotonic()
    x = lattice(dg.Box((-INNER, -INNER), (INNER, INNER)), POINTS)
    wave, exact = wave_of(field, x), case.wave(x.numpy())
    away = distances(x.numpy(), case.wave.at)
    total: Row = {
        **labels,
        "seconds": solution.seconds,
        "steps": solution.steps,
        "parameters": field.parameter_count(),
        "far": _error(wave, exact, away > NEAR),
        "near": _error(wave, exact, away <= NEAR),
        "all": _error(wave, exact, away >= 0),
        "measuring_seconds": time.monotonic() - began,
    }
    rings = pairwise(RINGS)
    return [total, *({**labels, **_ring(wave, exact, away, float(a), float(b))} for a, b in rings)]


def _ring(wave: Any, exact: Any, away: Any, start: float, end: float) -> Row:
    inside = (away >= start) & (away < end)
    return {"distance": (start + end) / 2, "ring": _error(wave, exact, inside)}


def _error(wave: Any, exact: Any, where: Any) -> float:
    """The error |wave - exact| / |exact| over the points chosen."""
    return float(np.linalg.norm((wave - exact)[where]) / np.linalg.norm(exact[where]))


def draw(rows: list[Row], waves: tuple[float, ...]) -> Any:
    """Draws the error far from the source against seconds, and that on rings around it."""
    fig = plots.figure(12.0, 4.8)
    left, right = fig.subplots(1, 2)
    colours = {k: f"C{index}" for index, k in enumerate(waves)}
    for method, marker, style in (("least squares", "o", "-"), ("Adam", "x", "--")):
        for k in waves:
            series = [row for row in rows if row["k"] == k and row["method"] == method]
            whole = [row for row in series if "far" in row]
            label = f"{method}, k = {k:g}"
            line = style if method == "least squares" else ""
            left.plot(*_columns(whole, "seconds", "far"), marker + line, c=colours[k], label=label)
            best = whole[-1]["part"]
            rings = [row for row in series if "ring" in row and row["part"] == best]
            right.plot(
                *_columns(rings, "distance", "ring"), marker + style, c=colours[k], label=label
            )
    left.set(xscale="log", xlabel="seconds", title=f"farther than {NEAR:g} from the source")
    right.set(xlabel="distance to the source", title="on rings around the source, finest grid")
    right.axvline(NEAR, color="0.6", linewidth=0.8)
    for axes in (left, right):
        axes.set(yscale="log", ylabel="relative L2 error (true)")
        axes.grid(visible=True, alpha=0.25)
    left.legend(fontsize="small")
    fig.suptitle("A point source's waves against Hankel's function, absorbing layers")
    return fig


def _columns(rows: list[Row], *names: str) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in names]
