"""Boundary behaviour: where the error sits, for clamp, ghost nodes and each basis, and what helps.

Three questions, all by least squares on one level. Laplace's equation on a square with boundary
values that jump, and on an L-shape: what is the error near and far from the boundary and from the
singular corners? And a smooth solution with the paper's clamped Gaussian: how far do ghost nodes,
points crowded near the boundary, a heavier boundary term and a wider, flatter Gaussian remove the
error that it makes at the boundary?
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.basis import Basis
from dinfgrid_cuda.problems.lattice import lattice, values

from .boundary_plots import draw
from .record import Record, Row

Array = npt.NDArray[np.float64]
Function = Callable[[Tensor], Tensor]

CELLS, QUICK_CELLS = (16, 32, 64), (8, 16)
# Errors are taken at the middles of this many parts of a cell per axis.
PARTS = 8
# Distances to the boundary count only as far from the jumps as this, sides being 1 long.
AWAY = 0.25
HEAVIER = 100.0


@dataclass(frozen=True)
class Way:
    """A basis and how its equations are set up.

    Attributes:
        basis, boundary: of the grid.
        crowded: collocation points as dense near the boundary as Chebyshev's.
        weight: of the boundary term, on top of the balance that `solve` finds.
        fitted: to the exact solution itself, which shows what the grid can represent.
    """

    basis: Basis
    boundary: str = "ghost"
    crowded: bool = False
    weight: float = 1.0
    fitted: bool = False


FLAT, FLATTER = dg.Gaussian(0.7, 6), dg.Gaussian(0.5, 12)
BASES = {
    "Gaussian(1, 3), clamp": Way(dg.Gaussian(), "clamp"),
    "Gaussian(1, 3)": Way(dg.Gaussian()),
    "Gaussian(0.7, 6)": Way(FLAT),
    "B-spline 3": Way(dg.BSpline(3)),
    "B-spline 5": Way(dg.BSpline(5)),
    "B-spline 7": Way(dg.BSpline(7)),
    "B-spline 5, fitted to u": Way(dg.BSpline(5), fitted=True),
}
REMEDIES = {
    "clamp": Way(dg.Gaussian(), "clamp"),
    "clamp, fitted to u": Way(dg.Gaussian(), "clamp", fitted=True),
    "clamp, crowded points": Way(dg.Gaussian(), "clamp", crowded=True),
    f"clamp, boundary weight ×{HEAVIER:g}": Way(dg.Gaussian(), "clamp", weight=HEAVIER),
    "clamp, Gaussian(0.7, 6)": Way(FLAT, "clamp"),
    "clamp, Gaussian(0.5, 12)": Way(FLATTER, "clamp"),
    "ghost": Way(dg.Gaussian()),
    "ghost, Gaussian(0.7, 6)": Way(FLAT),
    "ghost, Gaussian(0.5, 12)": Way(FLATTER),
    "ghost, B-spline 5": Way(dg.BSpline(5)),
}


def study(record: Record) -> Any:
    """Rows of each problem, grid and way: the error in all, and against distances."""
    cells = QUICK_CELLS if record.quick else CELLS
    parts: tuple[tuple[str, dict[str, Way], Callable[[int, Way], list[Row]]], ...] = (
        ("jumps", BASES, jumps),
        ("L-shape", BASES, l_shape),
        ("smooth", REMEDIES, smooth),
    )
    for problem, ways, make in parts:
        for count in cells:
            record.part(f"{problem}, {count} cells", partial(table, problem, count, ways, make))
    for problem, ways, _ in parts:
        record.summary[problem] = {name: totals(record.rows, problem, name) for name in ways}
    return draw(record.rows, cells[-2], AWAY)


def table(
    problem: str, cells: int, ways: dict[str, Way], make: Callable[[int, Way], list[Row]]
) -> list[Row]:
    """The rows of every way."""
    about = {"problem": problem, "cells": cells}
    return [{**about, "way": name, **row} for name, way in ways.items() for row in make(cells, way)]


def totals(rows: list[Row], problem: str, way: str) -> dict[str, Any]:
    """Errors over the whole domain, and the features' size, by the number of cells."""
    mine = [r for r in rows if r["problem"] == problem and r["way"] == way and "total" in r]
    keys = ("total", "largest_feature", "seconds")
    return {str(row["cells"]): {key: row[key] for key in keys} for row in mine}


def jumps(cells: int, way: Way) -> list[Row]:
    """Laplace's equation on the unit square, u = 1 on its upper side and 0 on the others."""
    box = dg.Box((0.0, 0.0), (1.0, 1.0))
    top = ((1, "upper"),)
    rest = ((0, "lower"), (0, "upper"), (1, "lower"))
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian, order=2),
        # Two terms, so that at the corners both values hold, and the mean comes out.
        dg.Term("one", dg.Boundary(top), lambda x, u: u.value - 1.0),
        dg.Term("zero", dg.Boundary(rest), lambda x, u: u.value),
    ]
    spots = lattice(box, PARTS * cells, ends=False)
    exact = jump_solution(PARTS * cells)
    if way.fitted:
        data = torch.from_numpy(exact)[:, None]
        terms = [dg.Term("fit", dg.Points(spots), lambda x, u, d: u.value - d, data=data)]
    solution = solved(dg.Problem(box, terms), cells, way)
    error = found(solution, spots) - exact
    x, y = spots.numpy().T
    rim = np.minimum.reduce([x, 1 - x, y, 1 - y])
    corner = np.hypot(np.minimum(x, 1 - x), 1 - y)
    far, h, size = corner > AWAY, 1 / cells, rms(exact)
    return [
        total(solution, error, size),
        *profile("boundary", rim[far], error[far], size, h),
        *profile("corner", corner, error, size, h),
    ]


def jump_solution(count: int) -> Array:
    """The exact solution at the middles of count x count parts of the square, last axis fastest.

    Separation of variables: the sum over odd n of 4/(n pi) sin(n pi x) sinh(n pi y) / sinh(n pi),
    with the quotient as decaying exponentials, until these are below double precision.
    """
    t = (np.arange(count) + 0.5) / count
    # The point nearest to the upper side is 1 / (2 count) away; exp(-40) is 4e-18.
    n = np.arange(1, 40 / (math.pi * 0.5 / count) + 2, 2)[None] * math.pi
    y = t[:, None]
    rise = np.exp(-n * (1 - y)) * np.expm1(-2 * n * y) / np.expm1(-2 * n)
    result: Array = np.sin(n * y) @ (4 / n * rise).T
    return result.reshape(-1)


def inside_l(x: Tensor) -> Tensor:
    """Whether points are in the closed L."""
    return (x[:, 0] <= 0) | (x[:, 1] >= 0)


class LBoundary(dg.Boundary):
    """The six edges of the L; a `Boundary`, so that `solve` balances its weight."""

    def sample(self, *given: Any, **named: Any) -> Tensor:
        """The square's points that are in the L, and those of the two edges at its corner."""
        x = super().sample(*given, **named)
        t = x[(x[:, 1] == 1) & (x[:, 0] >= 0), 0]
        zero = torch.zeros_like(t)
        edges = [torch.stack([t, zero], dim=1), torch.stack([zero, -t], dim=1)]
        return torch.cat([x[inside_l(x)], *edges])


def l_shape(cells: int, way: Way) -> list[Row]:
    """u = r^(2/3) sin(2 theta / 3) on [-1, 1]^2 without x > 0 > y, from its boundary values."""
    box, count = dg.Box((-1.0, -1.0), (1.0, 1.0)), 2 * cells + 1
    inner = lattice(box, count)
    rim = LBoundary(sampler=dg.Lattice((count,), ends=True))
    solution = solved(
        dirichlet(box, dg.Points(inner[inside_l(inner)]), rim, l_solution, 0.0, way), cells, way
    )
    spots = lattice(box, PARTS * cells, ends=False)
    spots = spots[inside_l(spots)]
    exact = l_solution(spots).numpy()[:, 0]
    error, size, h = found(solution, spots) - exact, rms(exact), 2 / cells
    corner = np.hypot(*spots.numpy().T)
    return [total(solution, error, size), *profile("corner", corner, error, size, h)]


def l_solution(x: Tensor) -> Tensor:
    """The harmonic function of a re-entrant corner of 3/2 pi, [N, 1] (Grisvard 1985)."""
    angle = torch.remainder(torch.atan2(x[:, 1:], x[:, :1]), 2 * math.pi)
    radius = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    result: Tensor = radius ** (2 / 3) * torch.sin(2 / 3 * angle)
    return result


def crowded(cells: int) -> Tensor:
    """Points cos(j pi / n) on each axis of [-1, 1]^2, in the middle as many as `solve` takes: two
    per cell, so n = pi cells; at the boundary they are h / 6 and less apart from it.
    """
    count = round(math.pi * cells)
    t = torch.cos(torch.arange(count + 1, dtype=torch.float64) * (math.pi / count))
    x, y = torch.meshgrid(t, t, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)], dim=1)


def smooth(cells: int, way: Way) -> list[Row]:
    """u = sin 3x cos 2y on [-1, 1]^2 from its Laplacian -13 u and its boundary values."""
    box = dg.Box((-1.0, -1.0), (1.0, 1.0))
    inner = dg.Points(crowded(cells)) if way.crowded else dg.Interior()
    problem = dirichlet(box, inner, dg.Boundary(), wave, -13.0, way)
    solution = solved(problem, cells, way)
    spots = lattice(box, PARTS * cells, ends=False)
    exact = wave(spots).numpy()[:, 0]
    error, size = found(solution, spots) - exact, rms(exact)
    rim = 1 - spots.abs().amax(dim=1).numpy()
    return [total(solution, error, size), *profile("boundary", rim, error, size, 2 / cells)]


def wave(x: Tensor) -> Tensor:
    """The smooth solution [N, 1]."""
    return torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:])


def dirichlet(
    box: dg.Box,
    inner: dg.Interior | dg.Points,
    rim: dg.Boundary,
    exact: Function,
    factor: float,
    way: Way,
) -> dg.Problem:
    """Laplacian u = factor * exact with exact on the rim; or u = exact at the inner points."""
    if way.fitted:
        return dg.Problem(box, [dg.Term("fit", inner, lambda x, u: u.value - exact(x))])
    terms = [
        dg.Term("equation", inner, lambda x, u: u.laplacian - factor * exact(x), order=2),
        dg.Term("rim", rim, lambda x, u: u.value - exact(x), weight=way.weight),
    ]
    return dg.Problem(box, terms)


def solved(problem: dg.Problem, cells: int, way: Way) -> dg.Solution:
    """Least squares for the features of one level, whose sum is the field."""
    box = problem.domain
    grid = dg.FeatureGrid(
        box.dim,
        cells,
        basis=way.basis,
        boundary=way.boundary,
        lower=box.lower,
        upper=box.upper,
        dtype=torch.float64,
        seed=0,
    )
    field = dg.Field(grid, dg.LinearDecoder(1, bias=False, seed=0))
    weight = field.get_parameter("decoder.layer.weight")
    torch.nn.init.ones_(weight)
    weight.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a Gaussian saturates is what is shown here
        return dg.solve(problem, field, progress=False)


def found(solution: dg.Solution, x: Tensor) -> Array:
    """The field [N] at points."""
    result: Array = np.asarray(values(solution.field, x))[:, 0]
    return result


def total(solution: dg.Solution, error: Array, size: float) -> Row:
    """The row of a solve: relative L2 error, seconds, and the features' size."""
    features = solution.field.get_parameter("grid.features").detach()
    return {
        "total": rms(error) / size,
        "largest_feature": float(features.abs().max()),
        "seconds": solution.seconds,
        "method": solution.report.method,
    }


def profile(of: str, distance: Array, error: Array, size: float, h: float) -> list[Row]:
    """The error, as a fraction of u's size, in rings of half an octave of distance."""
    step = np.floor(2 * np.log2(distance / h)).astype(int)
    rows: list[Row] = []
    for k in np.unique(step):
        here = step == k
        away = float(np.exp(np.log(distance[here]).mean()))
        about = {"distance_to": of, "distance": away, "distance_in_cells": away / h}
        rows.append({**about, "error": rms(error[here]) / size})
    return rows


def rms(values: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))
