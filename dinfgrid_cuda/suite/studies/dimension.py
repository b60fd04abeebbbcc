"""Dimension: 2^16 parameters for a heat equation in d = 2, 3, 4, time included.

Grids by least squares (B-spline of degree 5, the paper's Gaussian) and by Adam (three levels), and
a SIREN as large by Adam: error, seconds, memory, each solve in a process of its own. And errors of
least squares against parameters: an error of h^p takes h^-d of them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.suite.run.models import RATES
from dinfgrid_cuda.suite.tools.own_process import in_own_process

from .dimension_plots import draw
from .manufactured import POINTS, SEED, Curve, peak
from .record import Record, Row

PARAMETERS = 2**16
DIMENSIONS = (2, 3, 4)
SEEDS = (0, 1, 2)
SECONDS, QUICK_SECONDS = 30.0, 1.5
LEVELS, LAYERS = 3, 3
RATE, INSIDE, RIM, WEIGHT = 5e-3, 4096, 1024, 10.0
# Nodes per axis of grids that are refined.
REFINED = {2: (8, 16, 32, 64, 128, 256), 3: (7, 10, 16, 25, 40), 4: (6, 8, 11, 16)}
BASES: dict[str, Basis] = {"B-spline 5": dg.BSpline(5), "Gaussian": dg.Gaussian()}
TRAINED = ("Gaussian, Adam", "SIREN, Adam")


def exact(x: Tensor) -> Tensor:
    """The exact u = exp(-t) times the product of sin(pi x_i), [N, 1]; time is axis 0."""
    return torch.exp(-x[:, :1]) * torch.sin(math.pi * x[:, 1:]).prod(dim=1, keepdim=True)


def heat(dim: int, trained: bool) -> dg.Problem:
    """The problem u_t = kappa Laplacian u on the unit cube, kappa = 1 / ((d - 1) pi^2).

    Args:
        dim: with time.
        trained: points and weights for Adam; least squares finds its own.
    """
    kappa = 1 / ((dim - 1) * math.pi**2)
    units = [tuple(int(k == axis) for k in range(dim)) for axis in range(dim)]

    def equation(x: Tensor, u: dg.Jet) -> Tensor:
        bend = sum(u.derivative(tuple(2 * e for e in unit)) for unit in units[1:])
        return u.derivative(units[0]) - kappa * bend

    sides = tuple((axis, side) for axis in range(1, dim) for side in ("lower", "upper"))
    weight = WEIGHT if trained else 1.0
    inside, rim = (INSIDE, RIM) if trained else (None, None)
    start = dg.Boundary(((0, "lower"),))
    return dg.Problem(
        dg.Box((0.0,) * dim, (1.0,) * dim),
        [
            dg.Term("equation", dg.Interior(), equation, order=2, points=inside),
            dg.Term("start", start, lambda x, u: u.value - exact(x), weight=weight, points=rim),
            dg.Term("sides", dg.Boundary(sides), lambda x, u: u.value, weight=weight, points=rim),
        ],
    )


@dataclass(frozen=True)
class Model:
    """The model that is solved for.

    Attributes:
        kind: a key of `BASES` for least squares, or one of `TRAINED`.
        dim: with time.
        nodes: per axis, for least squares.
    """

    kind: str
    dim: int
    nodes: int = 0

    @property
    def trained(self) -> bool:
        """Whether the model is trained by Adam."""
        return self.kind in TRAINED

    def build(self, seed: int) -> nn.Module:
        """Builds the field, of at most `PARAMETERS` numbers where it is trained."""
        if self.kind.startswith("SIREN"):
            box = dg.Box((0.0,) * self.dim, (1.0,) * self.dim)
            dtype = torch.float32
            return dg.CoordinateNetwork(box, 1, self._width(), LAYERS, dtype=dtype, seed=seed)
        basis = dg.Gaussian() if self.trained else BASES[self.kind]
        ghosts = 2 * basis.rho - 1
        grid = dg.FeatureGrid(
            self.dim,
            self._cells(ghosts) if self.trained else self.nodes - ghosts,
            LEVELS if self.trained else 1,
            basis=basis,
            lower=0.0,
            dtype=torch.float32 if self.trained else torch.float64,
            seed=seed,
        )
        return dg.Field(grid, dg.LinearDecoder(1, seed=seed))

    def _cells(self, ghosts: int) -> int:
        """The largest number of cells of the finest level that `PARAMETERS` allow."""
        unit = 1 << (LEVELS - 1)
        cells = unit
        while True:
            more = cells + unit
            nodes = [(more >> level) + ghosts for level in range(LEVELS)]
            total = sum(count**self.dim for count in nodes)
            if total + LEVELS + 1 > PARAMETERS:
                return cells
            cells = more

    def _width(self) -> int:
        """The largest number of neurons per layer that `PARAMETERS` allow."""
        width = 1
        while True:
            w = width + 1
            total = (self.dim + 1) * w + (LAYERS - 1) * (w + 1) * w + w + 1
            if total > PARAMETERS:
                return width
            width = w


@torch.no_grad()
def relative_error(field: nn.Module, dim: int) -> float:
    """The relative L2 error at random points of space and time."""
    sample = next(field.parameters())
    random = torch.Generator().manual_seed(SEED)
    x = torch.rand(POINTS, dim, generator=random, dtype=torch.float64).to(sample)
    return float((field(x) - exact(x)).norm() / exact(x).norm())


def study(record: Record) -> Any:
    """Records a row per solve, and the errors on the way of those that are trained."""
    limit = QUICK_SECONDS if record.quick else SECONDS
    for dim in DIMENSIONS:
        sizes = REFINED[dim][:2] if record.quick else REFINED[dim]
        for basis in BASES:
            for nodes in sizes:
                label = f"{dim}-D, {basis}, {nodes} nodes per axis"
                record.part(label, partial(one, Model(basis, dim, nodes), 0, limit))
        for kind in TRAINED:
            for seed in SEEDS[:1] if record.quick else SEEDS:
                label = f"{dim}-D, {kind}, seed {seed}"
                record.part(label, partial(one, Model(kind, dim), seed, limit))
    record.summary = summary(record.rows)
    return draw(record.rows, DIMENSIONS)


def one(model: Model, seed: int, limit: float) -> list[Row]:
    """The rows of a solve in a process of its own, which shows its memory."""
    figures = in_own_process(solved, model, seed, limit)
    labels = {"dim": model.dim, "model": model.kind, "seed": seed, "nodes": model.nodes}
    way = figures.pop("way", [])
    return [{**labels, **figures}, *({**labels, **row} for row in way)]


def solved(model: Model, seed: int, limit: float) -> dict[str, Any]:
    """The figures of a solve, and errors on the way of one that is trained."""
    torch.set_num_threads(1)
    before = peak()
    field = model.build(seed)
    curve = Curve(lambda: relative_error(field, model.dim), {})
    options: dict[str, Any] = {"method": dg.LeastSquares()}
    if model.trained:
        lr = RATES["siren"] if model.kind.startswith("SIREN") else RATE
        stop = dg.Stop(seconds=limit, when=curve)
        options = {"method": dg.Adam(lr=lr), "steps": 1_000_000, "stop": stop}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that a Gaussian saturates, which is known
        problem = heat(model.dim, model.trained)
        solution = dg.solve(problem, field, seed=seed, progress=False, **options)
    memory = peak() - before
    return {
        "parameters": sum(p.numel() for p in field.parameters()),
        "error": relative_error(field, model.dim),
        "seconds": solution.seconds,
        "steps": solution.steps,
        "memory": memory,
        "route": solution.report.findings.route,
        "way": [{"after": row["seconds"], "error_then": row["error"]} for row in curve.rows],
    }


def summary(rows: list[Row]) -> dict[str, Any]:
    """The largest grids and the trained models; the order of the error in parameters."""
    figures: dict[str, Any] = {}
    names = ("error", "seconds", "memory", "parameters", "failed")
    for row in rows:
        if "error" in row or "failed" in row:
            figures[row["part"]] = {name: row[name] for name in names if name in row}
    for dim in DIMENSIONS:
        fits = [
            row
            for row in rows
            if row["dim"] == dim and row["model"] == "B-spline 5" and "error" in row
        ]
        if len(fits) > 2:  # the last three, before rounding
            last = [row for row in fits if row["error"] > 1e-10][-3:]
            x, y = ([math.log(row[key]) for row in last] for key in ("parameters", "error"))
            figures[f"{dim}-D, B-spline 5: error falls with parameters^-"] = -np.polyfit(x, y, 1)[0]
    return figures
