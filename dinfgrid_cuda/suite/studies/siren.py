"""Grids against coordinate networks: PSNR over time of an image from its gradient or Laplacian.

The grid by least squares and by Adam (the paper's setup), the same with linear interpolation,
SIREN with 3 and 5 hidden layers of 256, and a tanh network of 256 x 3 (see `run.models`), all
in the same run. Time in which the PSNR is measured is not counted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda import CoordinateNetwork
from dinfgrid_cuda.suite.cases.image.poisson_image import PoissonImage
from dinfgrid_cuda.suite.run.models import HIDDEN, RATES, make_model
from dinfgrid_cuda.suite.run.run import Request
from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.case import Setup

from .record import Record, Row

SEEDS = (0, 1, 2)
TITLES = {"gradient": "gradient", "laplacian": "Laplacian"}
GOALS = (25.0, 30.0, 32.0)
SIZE, QUICK_SIZE = 256, 64
SECONDS, QUICK_SECONDS = 25.0, 3.0
# Time between two measurements, as a ratio of times and at least in seconds.
PACE, SHORTEST = 1.25, 0.25


@dataclass(frozen=True)
class Rival:
    """A model, the configuration that trains it, and for networks their hidden layers."""

    label: str
    model: str
    config: str
    layers: int = 0


RIVALS = (
    Rival("grid, least squares", "grid", "default"),
    Rival("grid, Adam", "grid", "paper"),
    Rival("linear grid, Adam", "linear-grid", "paper"),
    Rival("SIREN 256 x 3", "siren", "paper", 3),
    Rival("SIREN 256 x 5", "siren", "paper", 5),
    Rival("tanh 256 x 3", "mlp", "paper", 3),
)


def study(record: Record) -> Any:
    """Records a row per measurement; draws PSNR over time for both kinds of data."""
    limit = QUICK_SECONDS if record.quick else SECONDS
    for supervise in TITLES:
        case = PoissonImage(size=QUICK_SIZE if record.quick else SIZE, supervise=supervise)
        for rival in RIVALS:
            random = rival.config == "paper" and not record.quick
            for seed in SEEDS if random else SEEDS[:1]:
                label = f"{supervise}, {rival.label}, seed {seed}"
                record.part(label, partial(curve, case, rival, seed, limit))
    record.summary = summary(record.rows)
    return draw(record.rows)


def curve(case: PoissonImage, rival: Rival, seed: int, limit: float) -> list[Row]:
    """The rows of PSNR (the paper's, both images rescaled) over the seconds of a solve."""
    setup = Request(case, config=rival.config, model=rival.model).setup()
    field = model(case, setup, rival, seed)
    labels = {"data": case.supervise, "model": rival.label, "seed": seed}
    rows: list[Row] = []
    few_steps = isinstance(setup.method, dg.LeastSquares)

    def measure(step: int, seconds: float) -> None:
        last = rows[-1]["seconds"] if rows else 0.0
        if seconds >= max(PACE * last, last + SHORTEST) or few_steps:
            psnr = case.measure(field)["psnr_rescaled"].value
            rows.append({**labels, "seconds": seconds, "step": step, "psnr": psnr})

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it warns that a gradient leaves the mean of u undetermined
        dg.solve(
            case.problem(setup),
            field,
            setup.method,
            steps=setup.steps,
            stop=dg.Stop(seconds=limit, when=measure),
            seed=seed,
            progress=False,
        )
    return rows


def model(case: PoissonImage, setup: Setup, rival: Rival, seed: int) -> nn.Module:
    """The suite's model, but a network with the rival's number of layers."""
    if rival.model not in RATES:
        return make_model(case, setup, rival.model, seed)
    kind = "sine" if rival.model == "siren" else "tanh"
    channels = case.out_channels
    dtype = torch.float32
    return CoordinateNetwork(
        case.box(), channels, HIDDEN, rival.layers, kind, dtype=dtype, seed=seed
    )


def summary(rows: list[Row]) -> dict[str, Any]:
    """The last PSNR and the seconds to each goal, per seed; None where it was not reached."""
    figures: dict[str, Any] = {}
    for row in rows:
        entry = figures.setdefault(row["part"], {f"s to {goal:g} dB": None for goal in GOALS})
        entry["last dB"] = row["psnr"]
        for goal in GOALS:
            name = f"s to {goal:g} dB"
            if row["psnr"] >= goal and entry[name] is None:
                entry[name] = row["seconds"]
    for name in dict.fromkeys(f"{row['data']}, {row['model']}" for row in rows):
        last = [v["last dB"] for k, v in figures.items() if k.startswith(f"{name}, seed")]
        figures[f"{name}: median, least, most dB"] = [median(last), min(last), max(last)]
    return figures


def draw(rows: list[Row]) -> Any:
    """Draws PSNR over seconds, one curve per seed."""
    fig = plots.figure(13.0, 5.2)
    for axes, data in zip(fig.subplots(1, 2), TITLES, strict=True):
        for index, rival in enumerate(RIVALS):
            for seed in SEEDS:
                key = (data, rival.label, seed)
                mine = [r for r in rows if (r["data"], r["model"], r["seed"]) == key]
                if not mine:
                    continue
                x, y = [r["seconds"] for r in mine], [r["psnr"] for r in mine]
                label = {"label": rival.label} if seed == 0 else {}
                marker = "o-" if rival.config == "default" else ".-"
                axes.plot(x, y, marker, color=f"C{index}", linewidth=1, **label)
        for goal in GOALS:
            axes.axhline(goal, color="0.6", linestyle=":", linewidth=1)
        axes.set(
            xscale="log", xlabel="seconds", ylabel="PSNR, dB", title=f"from its {TITLES[data]}"
        )
        axes.grid(visible=True, alpha=0.2)
        axes.legend(fontsize="small")
    fig.suptitle("An image from its derivatives alone: grids and coordinate networks")
    return fig
