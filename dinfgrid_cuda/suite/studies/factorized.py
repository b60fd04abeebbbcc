"""Products of planes and lines against the full grid: what they save, and what they cannot hold.

Four dimensions: Poisson's equation with solutions that are one product, several, and infinitely
many; error against parameters. Five dimensions, where there is no full grid: Adam, alternating
least squares and joint steps. And how many parameters each needs in how many dimensions.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.run.models import RATES
from dinfgrid_cuda.suite.tools.own_process import in_own_process

from . import manufactured
from .factorized_plots import draw
from .record import Record, Row

SEEDS = (0, 1, 2)
TARGETS = ("sines", "oblique", "hump")
CELLS = 6
# Cells of full grids, and channels of products of lines and of planes.
FULL, LINES, PLANES, PAIRS = (1, 3, 5, 8, 11), (1, 2, 4, 8, 16, 32), (1, 2, 3), (1, 2, 4)
STEPS, LIMIT = 30, 60.0
RACE_SECONDS, QUICK_SECONDS = 30.0, 3.0
ADAM_RATE, ADAM_POINTS = 1e-2, 2048
DIMENSIONS = tuple(range(2, 9))
DEGREE = 5


@dataclass(frozen=True)
class Model:
    """The model that is solved for: a full grid, or products of a kind.

    Attributes:
        kind: "full", "axes", "planes", "pairs", or "siren".
        cells, channels: of the grid.
    """

    kind: str
    cells: int
    channels: int = 1

    def build(self, dim: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
        """Builds the field."""
        basis = dg.BSpline(DEGREE)
        if self.kind == "siren":
            box = dg.Box((0.0,) * dim, (1.0,) * dim)
            return dg.CoordinateNetwork(box, 1, 64, 3, "sine", dtype=dtype, seed=seed)
        common: dict[str, Any] = {"basis": basis, "lower": 0.0, "dtype": dtype, "seed": seed}
        decoder = dg.LinearDecoder(1, seed=seed)
        if self.kind == "full":
            return dg.Field(dg.FeatureGrid(dim, self.cells, channels=1, **common), decoder)
        grid = dg.FactorizedGrid(
            dim, self.cells, channels=self.channels, products=self.kind, **common
        )
        return dg.FactorizedField(grid, decoder)


def study(record: Record) -> Any:
    """Records rows of all solves; draws errors against parameters and seconds."""
    models = [
        *(Model("full", cells) for cells in FULL),
        *(Model("axes", CELLS, channels) for channels in LINES),
        *(Model("planes", CELLS, channels) for channels in PLANES),
        *(Model("pairs", CELLS, channels) for channels in PAIRS),
    ]
    if record.quick:
        models = [Model("full", 3), Model("axes", 4, 2)]
    for target in TARGETS:
        for model in models:
            label = f"{target}, {model.kind}, {model.cells} cells, {model.channels} channels"
            record.part(label, partial(four, model, target, record.quick))
    limit = QUICK_SECONDS if record.quick else RACE_SECONDS
    seeds = SEEDS[:1] if record.quick else SEEDS
    five, oblique = Model("planes", 4), Model("planes", 4, 2)
    for method in ("alternating", "joint"):
        record.part(f"5-D, {method}", partial(race, five, 5, "halves", method, 0, limit))
        record.part(f"4-D, {method}", partial(race, oblique, 4, "oblique", method, 0, limit))
    for seed in seeds:
        for dim, model, target in ((5, five, "halves"), (4, oblique, "oblique")):
            for other in (model, Model("siren", 0)):
                label = f"{dim}-D, Adam, {other.kind}, seed {seed}"
                record.part(label, partial(race, other, dim, target, "Adam", seed, limit))
    record.part("parameters", parameters)
    record.summary = summary(record.rows)
    return draw(record.rows, TARGETS)


def four(model: Model, target: str, quick: bool) -> list[Row]:
    """The row of a solve in four dimensions, in a process of its own, which shows its memory."""
    figures = in_own_process(solved, model, 4, target, 3 if quick else STEPS)
    return [{"target": target, "kind": model.kind, "channels": model.channels, **figures}]


def solved(model: Model, dim: int, target: str, steps: int) -> Row:
    """Solves by least squares: at once, or by joint steps of the products."""
    torch.set_num_threads(1)
    before = manufactured.peak()
    field = model.build(dim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = dg.solve(
            manufactured.poisson(dim, target),
            field,
            "least-squares",
            steps=steps,
            stop=dg.Stop(seconds=LIMIT),
            progress=False,
        )
    memory = manufactured.peak() - before
    return {
        "parameters": sum(p.numel() for p in field.parameters()),
        "error": manufactured.relative_error(field, dim, target),
        "seconds": solution.seconds,
        "steps": solution.steps,
        "memory": memory,
        "route": solution.report.findings.route,
    }


def race(model: Model, dim: int, target: str, method: str, seed: int, limit: float) -> list[Row]:
    """Errors on the way, by Adam or by alternating or joint least squares."""
    adam = method == "Adam"
    field = model.build(dim, seed, torch.float32 if adam else torch.float64)
    count = sum(p.numel() for p in field.parameters())
    labels = {"race": dim, "method": method, "kind": model.kind, "seed": seed, "parameters": count}
    problem = manufactured.poisson(dim, target)
    error = partial(manufactured.relative_error, field, dim, target)
    curve = manufactured.Curve(error, labels, every=not adam)
    stop = dg.Stop(seconds=limit, when=curve)
    if adam:
        problem = dg.Problem(
            problem.domain,
            [
                dg.Term(t.name, t.region, t.residual, t.order, 100.0 if i else 1.0, ADAM_POINTS)
                for i, t in enumerate(problem.terms)
            ],
        )
        lr = RATES.get(model.kind, ADAM_RATE)
        dg.solve(
            problem,
            field,
            dg.Adam(lr=lr),
            steps=1_000_000,
            stop=stop,
            seed=seed,
            progress=False,
        )
    else:
        dg.solve(
            problem,
            field,
            dg.Alternating(joint=method == "joint"),
            steps=200,
            stop=stop,
            progress=False,
        )
    return curve.rows


def parameters() -> list[Row]:
    """The numbers of features of one channel, by dimensions; no full grid is built."""
    nodes = CELLS + DEGREE
    rows: list[Row] = []
    for dim in DIMENSIONS:
        rows.append({"dim": dim, "kind": "full", "parameters": nodes**dim})
        for kind in ("axes", "planes", "pairs"):
            grid = dg.FactorizedGrid(dim, CELLS, basis=dg.BSpline(DEGREE), terms=kind)
            count = sum(p.numel() for p in grid.parameters())
            rows.append({"dim": dim, "kind": kind, "parameters": count})
    return rows


def summary(rows: list[Row]) -> dict[str, Any]:
    """The best error of each kind in four dimensions, and the ends of the races."""
    figures: dict[str, Any] = {}
    for row in rows:
        if "target" in row and "error" in row:
            key = f"{row['target']}, {row['kind']}"
            if row["error"] < figures.get(key, {}).get("error", math.inf):
                names = ("error", "parameters", "seconds", "memory")
                figures[key] = {name: row[name] for name in names}
        if "race" in row:
            key = f"{row['race']}-D, {row['method']}, {row['kind']}, seed {row['seed']}"
            figures[key] = {name: row[name] for name in ("error", "seconds", "step", "parameters")}
    return figures
