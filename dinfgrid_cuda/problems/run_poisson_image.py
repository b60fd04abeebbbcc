"""Runs the Poisson image from file to picture, metrics, loss curve and checkpoint."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .._version import __version__
from ..field import Field
from ..solvers import CheckpointError, Problem, Solution, load, solve
from ..solvers.checkpoint import FILE_NAME, prepare_folder, write_atomically
from ..spec import GridSpec
from . import metrics, plots
from .images import Array, Image, ImageError, load_image
from .poisson_image import CONFIGS, SUPERVISION, Settings, make_field, make_problem, reconstruct

MAX_SEED = 2**32 - 1
# Imported before the solve: a package that is missing is not found after it.
OUTPUT_PACKAGES = ("matplotlib.figure", "skimage.metrics")
PICTURE, CURVE, METRICS = "poisson-image.png", "loss.png", "metrics.json"


class RequestError(ValueError):
    """A request cannot be met; the message is one line that says why."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        image: file, or None for the camera image.
        supervise: "gradient" or "laplacian".
        config: "default" or "paper".
        size: longer side in pixels to scale the image to.
        steps, neumann: in place of the configuration's.
        seed: of the initial features, 0..2^32-1.
        device: "cpu", "cuda", ...
        out: folder for the results.
        resume: continue from the checkpoint in ``out``.
        progress: show it.
    """

    image: Path | None = None
    supervise: str = "gradient"
    config: str = "default"
    size: int | None = None
    steps: int | None = None
    neumann: bool | None = None
    seed: int = 0
    device: str = "cpu"
    out: Path = Path("runs/poisson-image")
    resume: bool = False
    progress: bool = True


def run(request: Request) -> dict[str, Any]:
    """Solves, writes the files and returns the content of metrics.json.

    Raises:
        RequestError, ImageError: for options or images that cannot be used.
        ImportError: if matplotlib or scikit-image is not installed.
        SolveError: for folders, checkpoints and diverging solves.
        Interrupted: on Ctrl-C, after a checkpoint.
    """
    started = time.monotonic()
    settings = _settings(request)
    folder = prepare_folder(request.out)
    for package in OUTPUT_PACKAGES:
        importlib.import_module(package)
    image = load_image(request.image, request.size)
    identity = _identity(request, settings, image)
    if request.resume:
        _check_resume(folder / FILE_NAME, identity)
    problem = make_problem(image, request.supervise, settings.neumann)
    field = make_field(image.shape, settings, request.seed).to(request.device)
    setup = time.monotonic() - started
    solution = _solve(request, settings, problem, field, identity)
    solved = time.monotonic()
    height, width, _ = image.shape
    found = metrics.align_mean(reconstruct(field, height, width), image.pixels)
    report = _report(request, settings, field.grid.spec, image, solution, found)
    _write_pictures(folder, image, found, solution, report)
    output = time.monotonic() - solved
    report["seconds"] = {
        "setup": setup,
        "solve": solution.seconds,
        "output": output,
        "total": setup + solution.seconds + output,
    }
    write_atomically(folder / METRICS, json.dumps(report, indent=2).encode() + b"\n")
    return report


def _solve(
    request: Request, settings: Settings, problem: Problem, field: Field, identity: dict[str, Any]
) -> Solution:
    return solve(
        problem,
        field,
        settings.method,
        steps=settings.steps,
        lr=settings.lr,
        decay=settings.decay,
        patience=settings.patience,
        min_decrease=1e-2,
        seed=request.seed,
        out=request.out,
        resume=request.resume,
        progress=request.progress,
        extra=identity,
    )


def _settings(request: Request) -> Settings:
    if request.config not in CONFIGS:
        raise RequestError(f"config is {request.config!r}, but it must be one of {list(CONFIGS)}.")
    if request.supervise not in SUPERVISION:
        raise RequestError(f"supervise is {request.supervise!r}; it must be one of {SUPERVISION}.")
    if request.steps is not None and request.steps < 1:
        raise RequestError(f"steps is {request.steps}, but it must be at least 1.")
    if not 0 <= request.seed <= MAX_SEED:
        raise RequestError(f"seed is {request.seed}, but it must lie in 0..{MAX_SEED}.")
    settings = CONFIGS[request.config][request.supervise]
    if request.steps is not None:  # asked for: then all of them
        settings = replace(settings, steps=request.steps, patience=None)
    if request.neumann is not None:
        settings = replace(settings, neumann=request.neumann)
    return settings


def _identity(request: Request, settings: Settings, image: Image) -> dict[str, Any]:
    """What must be the same for a checkpoint to be resumed."""
    return {
        "problem": "poisson-image",
        "supervise": request.supervise,
        "config": request.config,
        "neumann": settings.neumann,
        "image": hashlib.sha256(image.pixels.tobytes()).hexdigest()[:16],
        "shape": list(image.shape),
    }


def _check_resume(path: Path, identity: dict[str, Any]) -> None:
    saved = load(path).extra
    for name, own in identity.items():
        if saved.get(name) != own:
            raise CheckpointError(
                f"{path} was made with {name} {saved.get(name)!r}, this run has {own!r}; use the "
                "same options, or another --out."
            )


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def _report(
    request: Request,
    settings: Settings,
    spec: GridSpec,
    image: Image,
    solution: Solution,
    found: Array,
) -> dict[str, Any]:
    history = solution.history
    return {
        "problem": "poisson-image",
        "supervise": request.supervise,
        **_closeness(image, found),
        "steps": solution.steps,
        "reason": solution.reason,
        "loss": {"first": history.totals[0], "last": solution.loss},
        "terms": {name: history.term(name)[-1] for name in history.names},
        "parameters": sum(p.numel() for p in solution.field.parameters() if p.requires_grad),
        "config": {
            "name": request.config,
            **asdict(settings),
            "basis": repr(settings.basis),
            "levels": spec.levels,
            "cells": list(spec.cells),
        },
        "image": _description(image),
        "seed": request.seed,
        "device": request.device,
        "threads": torch.get_num_threads(),
        "versions": _versions(),
    }


def _closeness(image: Image, found: Array) -> dict[str, Any]:
    """How close the reconstruction is, and by which measures."""
    return {
        "psnr_raw_db": _finite(metrics.psnr(found, image.pixels)),
        "psnr_rescaled_db": _finite(metrics.rescaled_psnr(found, image.pixels)),
        "ssim": metrics.ssim(found, image.pixels),
        "definitions": {
            "psnr_raw_db": "mean of each channel aligned, range 1",
            "psnr_rescaled_db": "the paper's: both rescaled to [0, 1] by their extremes",
            "ssim": "7 x 7 windows, range 1, mean aligned",
        },
    }


def _description(image: Image) -> dict[str, Any]:
    height, width, channels = image.shape
    return {
        "source": image.source,
        "height": height,
        "width": width,
        "channels": channels,
        "original": list(image.original),
    }


def _versions() -> dict[str, str]:
    return {
        "dinfgrid_cuda": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _write_pictures(
    folder: Path, image: Image, found: Array, solution: Solution, report: dict[str, Any]
) -> None:
    what = "Sobel gradient" if report["supervise"] == "gradient" else "Laplacian"
    if report["config"]["neumann"]:
        what += " and mirrored rim"
    raw, rescaled = report["psnr_raw_db"], report["psnr_rescaled_db"]
    title = (
        f"{image.source} from its {what} alone: {solution.steps} steps, {solution.seconds:.0f} s"
    )
    caption = f"reconstruction, PSNR {raw:.2f} dB (rescaled {rescaled:.2f} dB)"
    write_atomically(folder / PICTURE, plots.comparison(image.pixels, found, title, caption))
    name = report["config"]["name"]
    curve = plots.loss_curve(solution.history, f"{image.source} from its {what}, {name} settings")
    write_atomically(folder / CURVE, curve)


__all__ = ["ImageError", "Request", "RequestError", "run"]
