"""The runs of `bench.accuracy`: our solve, a classical one, and the race against Adam."""

from __future__ import annotations

import importlib
import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dinfgrid_cuda import solve
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.results import make_case
from dinfgrid_cuda.suite.run.run import Request, finite, run

from .accuracy_row import Rival, Row

# A race measures its figure after so many times as many steps as before.
GROWTH = 1.25


def request(row: Row, quick: bool, out: Path, **changes: Any) -> Request:
    """The request of a row; ``changes`` replace its fields."""
    options, cells = dict(row.options), None
    if quick:
        options |= {key: value for key, value in row.quick.items() if key != "cells"}
        cells = row.quick.get("cells")
    base = Request(make_case(row.problem, options), cells=cells, out=out, progress=False)
    return replace(base, **changes)


def ours(row: Row, quick: bool, out: Path) -> dict[str, Any]:
    """Solves a row by the package: value, seconds of the solve, unknowns and circumstances."""
    return _figures(row, run(request(row, quick, out / row.name)))


def _figures(row: Row, report: dict[str, Any]) -> dict[str, Any]:
    setup = report["setup"]
    return {
        "value": report["metrics"][row.metric]["value"],
        "seconds": report["seconds"]["solve"],
        "seconds_with_setup": report["seconds"]["setup"] + report["seconds"]["solve"],
        "unknowns": report["parameters"],
        "steps": report["steps"],
        "reason": report["reason"],
        "cells": setup["cells"],
        "slabs": setup.get("slabs", 1),
        "basis": setup["basis"],
        "threads": report["threads"],
    }


def rival(rival: Rival, quick: bool) -> dict[str, Any]:
    """Runs a classical solver and returns its figures."""
    module, function = rival.function.split(".")
    solver = getattr(importlib.import_module(f"bench.classical.{module}"), function)
    result = asdict(solver(**{**rival.arguments, **(rival.quick if quick else {})}))
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    return {"value": finite(result.pop("error")), **result, "threads": threads}


def adam(row: Row, quick: bool, out: Path) -> dict[str, Any]:
    """Runs Adam for a race and returns its figures."""
    changes = dict(row.adam or {})
    if quick:
        changes |= {"steps": 20, "max_seconds": None}
    return _figures(row, run(request(row, quick, out / f"{row.name}-adam", **changes)))


def race(row: Row, quick: bool, out: Path, target: float | None, limit: float) -> dict[str, Any]:
    """Solves until our figure is as good as Adam's, lower being better.

    The figure is measured between pieces of the solve, each continued from the one before; the
    time of measuring is not counted.

    Args:
        row: of a race.
        quick: few cells.
        out: folder.
        target: Adam's figure; None if it had none.
        limit: seconds after which the race is lost.
    """
    job = request(row, quick, out / row.name)
    case, setup = job.case, job.setup()
    field = make_model(case, setup, job.model, job.seed)
    problem, steps = case.problem(setup), 1
    while True:
        solution = solve(
            problem,
            field,
            setup.method,
            steps=steps,
            seed=job.seed,
            out=job.out,
            resume=steps > 1,
            progress=False,
        )
        value = case.measure(field)[row.metric].value
        beaten = target is not None and value <= target
        ended = solution.reason != "took all steps" or steps >= setup.steps
        if beaten or ended or solution.seconds > limit:
            break
        steps = min(setup.steps, math.ceil(steps * GROWTH))
    return {
        "value": finite(value),
        "seconds": solution.seconds,
        "unknowns": field.parameter_count(),
        "steps": solution.steps,
        "reason": "as good as Adam" if beaten else solution.reason,
        "cells": setup.cells,
        "basis": repr(setup.basis),
        "threads": torch.get_num_threads(),
    }
