"""Gaussian against linear interpolation: which derivatives a basis has, and what each loss does.

The same design of several levels with B-splines of degree 1, 3, 5 and 7, the paper's Gaussian and
the one with a smooth window. Inside a cell all pure second derivatives of degree 1 are zero: a loss
of the Laplacian sees the features nowhere. Trained by Adam and solved by least squares: a function
from its values, its gradient, its Laplacian, and its bilaplacian.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.suite.tools.evaluation import lattice, values

from .interpolation_plots import draw
from .manufactured import Curve
from .record import Record, Row

SEEDS = (0, 1, 2)
BASES: dict[str, Basis] = {
    "B-spline 1 (linear)": dg.BSpline(1),
    "B-spline 3": dg.BSpline(3),
    "B-spline 5": dg.BSpline(5),
    "B-spline 7": dg.BSpline(7),
    "Gaussian": dg.Gaussian(),
    "Gaussian, smooth window": dg.Gaussian(window="smooth"),
}
BOX = dg.Box((-1.0, -1.0), (1.0, 1.0))
CELLS, LEVELS, CHANNELS, POINTS = 32, 4, 2, 1024
SECONDS, QUICK_SECONDS = 8.0, 0.3
RATE = 1e-2
REFINED = (8, 16, 32, 64)
DERIVATIVES = {"u": (0, 0), "u_x": (1, 0), "u_xx": (2, 0), "u_xy": (1, 1), "u_xxx": (3, 0)}
DERIVATIVES |= {"u_xxxx": (4, 0)}
A, B = math.pi, 2.0


def exact(x: Tensor) -> Tensor:
    """The exact u = sin(pi x) cos(2 y), [N, 1]; its Laplacian is -(pi^2 + 4) u."""
    return torch.sin(A * x[:, :1]) * torch.cos(B * x[:, 1:])


def slopes(x: Tensor) -> Tensor:
    """The gradient of the exact u, [N, 2]."""
    s, t = A * x[:, 0], B * x[:, 1]
    return torch.stack([A * torch.cos(s) * torch.cos(t), -B * torch.sin(s) * torch.sin(t)], dim=1)


@dataclass(frozen=True)
class Loss:
    """The data of u: a term inside, and whether u itself, and its Laplacian, at the rim.

    Attributes:
        residual: of points and jet, of order 1 in size.
        order: of its derivatives.
        rim: conditions at the boundary, 0, 1 or 2.
    """

    residual: Callable[[Tensor, dg.Jet], Tensor]
    order: int
    rim: int


FACTOR = A * A + B * B
LOSSES = {
    "values": Loss(lambda x, u: u.value - exact(x), 0, 0),
    "gradient": Loss(lambda x, u: (u.gradient[:, 0] - slopes(x)) / A, 1, 1),
    "Laplacian": Loss(lambda x, u: u.laplacian / FACTOR + exact(x), 2, 1),
    "bilaplacian": Loss(lambda x, u: u.bilaplacian / FACTOR**2 - exact(x), 4, 2),
}


def problem(loss: Loss, points: int | None) -> dg.Problem:
    """The problem of a loss inside the square, with what it needs at the rim."""
    terms = [dg.Term("inside", dg.Interior(), loss.residual, loss.order, points=points)]
    rim = dg.Boundary()
    if loss.rim > 0:
        terms.append(dg.Term("rim", rim, lambda x, u: u.value - exact(x), points=points))
    if loss.rim > 1:
        bend = LOSSES["Laplacian"].residual
        terms.append(dg.Term("bend", rim, bend, order=2, points=points))
    return dg.Problem(BOX, terms)


def study(record: Record) -> Any:
    """Records derivatives, gradients, Adam's errors and those of least squares."""
    record.part("derivatives", derivatives)
    record.part("gradients", gradients)
    limit = QUICK_SECONDS if record.quick else SECONDS
    for name in LOSSES:
        for basis in BASES:
            for seed in SEEDS[:1] if record.quick else SEEDS:
                label = f"Adam, {name}, {basis}, seed {seed}"
                record.part(label, partial(trained, name, basis, seed, limit))
        cells = REFINED[:2] if record.quick else REFINED
        record.part(f"least squares, {name}", partial(solved, name, cells))
    record.summary = summary(record.rows)
    return draw(record.rows, list(BASES), list(LOSSES))


def grid(
    basis: Basis, cells: int, levels: int, channels: int, dtype: torch.dtype, seed: int
) -> Any:
    """A grid on the square."""
    return dg.FeatureGrid(2, cells, levels, channels, basis, dtype=dtype, seed=seed)


def rough(basis: Basis) -> Any:
    """A grid of several levels with random features of size 1."""
    rough_grid = grid(basis, CELLS, LEVELS, 1, torch.float64, 0)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        rough_grid.features.copy_(
            torch.randn(rough_grid.features.shape, generator=random, dtype=torch.float64)
        )
    return rough_grid


def inside() -> Tensor:
    """Random points [4096, 2], none on a face of a cell."""
    random = torch.Generator().manual_seed(1)
    return 2 * torch.rand(4096, 2, generator=random, dtype=torch.float64) - 1


def derivatives() -> list[Row]:
    """The root mean squares of derivatives of u with random features, times spacing^order."""
    h, rows = 2 / CELLS, []
    for name, basis in BASES.items():
        jet = dg.Jet(rough(basis).gather(inside(), 4, "sum").detach(), dim=2, order=4)
        for label, alpha in DERIVATIVES.items():
            size = float(jet.derivative(alpha).square().mean().sqrt()) * h ** sum(alpha)
            rows.append({"basis": name, "derivative": label, "rms": size})
    return rows


def gradients() -> list[Row]:
    """The root mean squares of the gradients of the losses by such features."""
    rows: list[Row] = []
    for name, basis in BASES.items():
        for kind, loss in LOSSES.items():
            rough_grid = rough(basis)
            decoder = dg.LinearDecoder(1, bias=False, seed=0)
            field = dg.Field(rough_grid, decoder)
            torch.nn.init.ones_(decoder.layer.weight)
            x = inside()
            loss.residual(x, field.jet(x, loss.order)).square().mean().backward()
            gradient = rough_grid.features.grad
            size = 0.0 if gradient is None else float(gradient.square().mean().sqrt())
            rows.append({"basis": name, "loss": kind, "gradient": size})
    return rows


def relative_error(field: torch.nn.Module) -> float:
    """The relative L2 error on a lattice; a gradient's fit too has one, as the rim fixes it."""
    x = lattice(BOX, 101, ends=False)
    return float((values(field, x) - exact(x)).norm() / exact(x).norm())


def trained(loss: str, basis: str, seed: int, limit: float) -> list[Row]:
    """Trains by Adam with the paper's levels and a linear decoder; errors on the way."""
    feature_grid = grid(BASES[basis], CELLS, LEVELS, CHANNELS, torch.float32, seed)
    field = dg.Field(feature_grid, dg.LinearDecoder(1, seed=seed))
    labels = {"method": "Adam", "loss": loss, "basis": basis, "seed": seed}
    curve = Curve(lambda: relative_error(field), labels)
    dg.solve(
        problem(LOSSES[loss], POINTS),
        field,
        dg.Adam(lr=RATE),
        steps=1_000_000,
        stop=dg.Stop(seconds=limit, when=curve),
        seed=seed,
        progress=False,
    )
    return curve.rows


def solved(loss: str, cells: tuple[int, ...]) -> list[Row]:
    """Solves by least squares on one level; the rows hold its errors and warnings."""
    rows: list[Row] = []
    for name, basis in BASES.items():
        for count in cells:
            labels = {"method": "least squares", "loss": loss, "basis": name, "cells": count}
            field = dg.Field(
                grid(basis, count, 1, 1, torch.float64, 0), dg.LinearDecoder(1, seed=0)
            )
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    solution = dg.solve(
                        problem(LOSSES[loss], None), field, "least-squares", progress=False
                    )
                except dg.SolveError as error:
                    rows.append({**labels, "said": str(error).split("\n")[0]})
                    continue
            said = next((str(w.message) for w in caught if w.category is RuntimeWarning), "")
            figures = {"error": relative_error(field), "seconds": solution.seconds, "said": said}
            rows.append({**labels, **figures})
    return rows


def summary(rows: list[Row]) -> dict[str, Any]:
    """The gradients, Adam's last errors (median, least, most), those of least squares by cells."""
    figures: dict[str, Any] = {}
    for row in rows:
        if "gradient" in row:
            figures[f"gradient of {row['loss']}, {row['basis']}"] = row["gradient"]
        if row.get("method") == "least squares":
            key = f"least squares, {row['loss']}, {row['basis']}"
            entry = figures.setdefault(key, {})
            entry[str(row["cells"])] = row.get("error")
            if row["said"]:
                entry["said"] = row["said"]
    last: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.get("method") == "Adam":
            last.setdefault(f"Adam, {row['loss']}, {row['basis']}", {})[row["seed"]] = row["error"]
    for key, errors in last.items():
        figures[key] = [median(errors.values()), min(errors.values()), max(errors.values())]
    return figures
