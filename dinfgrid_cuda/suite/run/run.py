"""Runs a case from options to pictures, metrics, loss curve and checkpoint."""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dinfgrid_cuda import (
    CheckpointError,
    History,
    Output,
    Problem,
    Solution,
    Stop,
    __version__,
    solve,
)
from dinfgrid_cuda.kernels.spec import MAX_CELLS
from dinfgrid_cuda.solvers import estimate_error, load
from dinfgrid_cuda.solvers.record.checkpoint import FILE_NAME, prepare_folder, write_atomically
from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.case import CONFIGS, Case, CaseError, Measure, Setup

from .files import write_exports, write_pictures
from .forecast import announce, check, forecast
from .models import RATES, adapt, make_model

MAX_SEED = 2**32 - 1
LARGEST = {"steps": 10**9, "cells": MAX_CELLS, "points": 10**12}
# Imported before the solve, so that a missing package is noticed before it and not after.
OUTPUT_PACKAGES = ("matplotlib.figure", "skimage", "scipy")
OLD_CHECKPOINT = "checkpoint.old.safetensors"
CURVE, METRICS = "loss.png", "metrics.json"


@dataclass(frozen=True)
class Request:
    """A run as the user requests it.

    Attributes:
        case: the problem with its options.
        config: "default" or "paper".
        model: "grid", "siren", "mlp" or "linear-grid".
        method, steps, cells, points, max_seconds: in place of the configuration's; ``cells`` per
            axis of the finest level.
        seed: of the initial parameters and the points, 0..2^32-1.
        device: "cpu", "cuda", ...
        out: folder for the results.
        resume: continue from the checkpoint in ``out``.
        progress: show it.
        estimate_error: whether to solve again on other grids for the error of u.
    """

    case: Case
    config: str = "default"
    model: str = "grid"
    method: str | None = None
    steps: int | None = None
    cells: int | None = None
    points: int | None = None
    max_seconds: float | None = None
    seed: int = 0
    device: str = "cpu"
    out: Path = Path("runs/result")
    resume: bool = False
    progress: bool = True
    estimate_error: bool = False

    def setup(self) -> Setup:
        """Returns the setup of this request. Raises CaseError for impossible values."""
        if self.config not in CONFIGS:
            raise CaseError(f"--config is {self.config!r}; it must be one of {CONFIGS}.")
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CaseError(f"--{name} is {value}, but it must be at least 1.")
            if value is not None and value > largest:
                raise CaseError(f"--{name} is {value}, but it can be at most {largest}.")
        if not 0 <= self.seed <= MAX_SEED:
            raise CaseError(f"--seed is {self.seed}, but it must lie in 0..{MAX_SEED}.")
        if self.max_seconds is not None and not 0 < self.max_seconds < math.inf:
            raise CaseError(f"--max-seconds is {self.max_seconds}, but it must be positive.")
        if self.cells is not None and self.model in RATES:
            raise CaseError(f"--cells belongs to a grid, but --model is {self.model}.")
        setup = adapt(self.case.setup(self.config), self.model, self.method)
        if self.cells is not None:
            setup = replace(setup, points=self._points(setup))
        if self.steps is not None:  # the user wants all of them
            setup = replace(setup, steps=self.steps, stop=Stop())
        if self.max_seconds is not None:
            setup = replace(setup, stop=replace(setup.stop, seconds=self.max_seconds))
        for name in ("cells", "points"):
            if getattr(self, name) is not None:
                setup = replace(setup, **{name: getattr(self, name)})
        return setup

    def _points(self, setup: Setup) -> int:
        """The number of points, as many per cell as before: fewer leave features undetermined."""
        dim = self.case.box().dim
        assert self.cells is not None
        ratio = float(self.cells) ** dim / math.prod(setup.cells_per_axis(dim))
        return max(1, round(setup.points * ratio))

    def identity(self) -> dict[str, Any]:
        """The values that a checkpoint to be resumed must share, and that rebuild the field."""
        return {
            "problem": self.case.name,
            "options": self.case.options(),
            "fingerprint": self.case.fingerprint(),
            "config": self.config,
            "model": self.model,
            "method": self.method,
            "cells": self.cells,
            "points": self.points,
        }


def run(request: Request) -> dict[str, Any]:
    """Solves, writes the files and returns the content of metrics.json.

    Raises:
        CaseError: for options or files that cannot be used.
        ImportError: if a package of the output is not installed.
        SolveError: for folders, checkpoints and diverging solves.
        Interrupted: on Ctrl-C, after a checkpoint.
    """
    started = time.monotonic()
    case, setup = request.case, request.setup()
    folder = prepare_folder(request.out)
    for package in (*OUTPUT_PACKAGES, *case.packages):
        importlib.import_module(package)
    identity = request.identity()
    if request.resume:
        _check_resume(folder / FILE_NAME, identity)
    if request.device == "cpu":
        check(forecast(case, setup, request.model))
    problem = case.problem(setup)
    if request.device == "cpu":
        order = max(term.order for term in problem.terms)
        announce(forecast(case, setup, request.model, order), request.progress)
    field = make_model(case, setup, request.model, request.seed).to(request.device)
    if not request.resume:
        _put_aside(folder)
    ready = time.monotonic()
    solution = _solve(request, setup, problem, field, identity)
    solved = time.monotonic()
    report = {
        **identity,
        **_result(solution, case.measure(field)),
        **(_error(solution) if request.estimate_error else {}),
        "parameters": field.parameter_count(),
        **_circumstances(request, setup),
        "files": [],
        "not_written": {},
    }
    _write(folder, report, ready - started, solution.seconds, solved)  # before pictures may fail
    title = title_of(case, request.model, solution.steps, solution.seconds)
    files = write_pictures(folder, draw(case, field, solution.history, title))
    written, report["not_written"] = write_exports(folder, case.exports(field))
    report["files"] = [*files, *written]
    _write(folder, report, ready - started, solution.seconds, solved)
    return report


def title_of(case: Case, model: str, steps: int, seconds: float) -> str:
    """The title of the pictures of a result, one line."""
    return f"{case.name}: {model}, {steps} steps, {seconds:.1f} s"


def draw(case: Case, field: nn.Module, history: History, title: str) -> dict[str, bytes]:
    """Draws the pictures of a case and its loss curve, by file name."""
    return {**case.pictures(field, title), CURVE: plots.loss_curve(history, title)}


def _solve(
    request: Request, setup: Setup, problem: Problem, field: nn.Module, identity: dict[str, Any]
) -> Solution:
    with warnings.catch_warnings():
        # Some problems leave a constant undetermined and measure u without it; the report says so.
        warnings.filterwarnings("ignore", "solve: u is not determined up to a constant")
        return solve(
            problem,
            field,
            setup.method,
            steps=setup.steps * (setup.slabs if request.steps is None else 1),
            stop=setup.stop,
            out=Output(request.out, extra=identity),
            resume=request.resume,
            seed=request.seed,
            progress=request.progress,
        )


def _write(folder: Path, report: dict[str, Any], ready: float, solve: float, since: float) -> None:
    """Writes metrics.json with the seconds so far."""
    output = time.monotonic() - since
    report["seconds"] = {
        "setup": ready,
        "solve": solve,
        "output": output,
        "total": ready + solve + output,
    }
    write_atomically(folder / METRICS, json.dumps(report, indent=2).encode() + b"\n")


def _put_aside(folder: Path) -> None:
    """Removes pictures and figures of an earlier run in this folder, and keeps its checkpoint."""
    try:
        files = json.loads((folder / METRICS).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        files = []  # no such file, or one that no run has written
    try:
        for name in [*files, METRICS]:
            if Path(name).name == name:
                (folder / name).unlink(missing_ok=True)
        if (folder / FILE_NAME).exists():
            os.replace(folder / FILE_NAME, folder / OLD_CHECKPOINT)
    except OSError as error:
        raise CheckpointError(f"cannot write to {folder}: {error.strerror or error}.") from error


def _check_resume(path: Path, identity: dict[str, Any]) -> None:
    saved = load(path).extra
    for name, value in identity.items():
        if saved.get(name) != value:
            raise CheckpointError(
                f"{path} was made with {name} {saved.get(name)!r}, this run has {value!r}; use the "
                "same options, or another --out."
            )


def finite(value: float) -> float | None:
    """The value, or None for infinity and NaN, which JSON lacks."""
    return value if math.isfinite(value) else None


def as_json(measures: dict[str, Measure]) -> dict[str, dict[str, Any]]:
    """The measures as JSON data."""
    return {
        name: {"value": finite(m.value), "unit": m.unit, "meaning": m.meaning}
        for name, m in measures.items()
    }


def _result(solution: Solution, measures: dict[str, Measure]) -> dict[str, Any]:
    history = solution.history
    return {
        "metrics": as_json(measures),
        "steps": solution.steps,
        "reason": solution.reason,
        "loss": {"first": history.totals[0], "last": solution.loss},
        "terms": {name: history.term(name)[-1] for name in history.names},
        "report": solution.report.as_json(),
    }


def _error(solution: Solution) -> dict[str, Any]:
    """The estimate of the error of u as JSON data."""
    estimate = estimate_error(solution)
    return {"error_estimate": {**asdict(estimate), "known": estimate.known, "text": str(estimate)}}


def _as_json(setup: Setup) -> dict[str, Any]:
    """A setup as JSON data: method and basis as a user would write them."""
    stop = {"seconds": setup.stop.seconds, "patience": setup.stop.patience}
    texts = {"basis": repr(setup.basis), "method": repr(setup.method)}
    return {**asdict(setup), **texts, "stop": stop}


def _circumstances(request: Request, setup: Setup) -> dict[str, Any]:
    return {
        "setup": _as_json(setup),
        "seed": request.seed,
        "device": request.device,
        "threads": torch.get_num_threads(),
        "versions": {
            "dinfgrid_cuda": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
