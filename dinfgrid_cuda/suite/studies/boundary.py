"""Boundary behaviour: where the error sits, for clamp, ghost nodes and each basis, and what helps.

All by least squares on one level. Laplace's equation on a square with boundary values that jump,
and on an L-shape: what is the error near and far from the boundary and from the singular corners?
And a smooth solution with the paper's clamped Gaussian: what can such a grid hold near the
boundary (its Runge error), and how far do ghost nodes, points crowded near the boundary, a heavier
boundary term and a wider, flatter Gaussian remove the error of the solution?
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.tools.evaluation import jet, lattice, values

from .boundary_cases import (
    BASES,
    FITS,
    L_WAYS,
    REMEDIES,
    WAVE_FACTOR,
    Array,
    LBoundary,
    Way,
    crowded,
    inside_l,
    jump_solution,
    l_solution,
    wave,
)
from .boundary_plots import draw
from .record import Record, Row

Function = Callable[[Tensor], Tensor]

CELLS, QUICK_CELLS = (16, 32, 64, 128), (8, 16)
# Errors are taken at the middles of this many parts of a cell per axis.
PARTS = 8
# Distances to the boundary count only as far from the jumps as this, sides being 1 long.
AWAY = 0.25
# In cells. Points nearer to a corner are one ring: a ring would have one or two of them else.
NEAREST = 0.25
# The fits are drawn along y = 0, so many cells from the side x = -1, at so many points in each.
SECTION, FINE = 8, 16
SQUARE = dg.Box((-1.0, -1.0), (1.0, 1.0))
# Cells of the line on which weights are examined: some are far from both ends for each basis.
SPACINGS = 32
Problems = dict[str, tuple[dict[str, Way], Callable[[int, Way], list[Row]]]]


def study(record: Record) -> Any:
    """Records rows of each problem, grid and way: the whole error, and it against distances."""
    cells = QUICK_CELLS if record.quick else CELLS
    problems: Problems = {
        "jumps": (BASES, jumps),
        "L-shape": (L_WAYS, l_shape),
        "fits": (FITS, smooth),
        "smooth": (REMEDIES, smooth),
    }
    for problem, (ways, make) in problems.items():
        for count in cells:
            record.part(f"{problem}, {count} cells", partial(table, problem, count, ways, make))
    for problem, (ways, _) in problems.items():
        record.summary[problem] = {name: totals(record.rows, problem, name) for name in ways}
    record.summary["jumps at cell faces"] = {
        f"{row['way']}, derivative {row['order']}": row["jump"]
        for row in record.part("cell faces", cell_faces)
    }
    record.summary["B-spline, clamp"] = refusal()
    return draw(record.rows, cells[-2], AWAY)


def refusal() -> str:
    """The error message for a B-spline with clamped nodes: the reason why none is here."""
    try:
        dg.FeatureGrid(2, 8, basis=dg.BSpline(5), boundary="clamp")
    except ValueError as error:
        return str(error)
    return "accepted, but not measured here"


def table(
    problem: str, cells: int, ways: dict[str, Way], make: Callable[[int, Way], list[Row]]
) -> list[Row]:
    """The rows of every way, for one problem and grid."""
    labels = {"problem": problem, "cells": cells}
    return [
        {**labels, "way": name, **row} for name, way in ways.items() for row in make(cells, way)
    ]


def cell_faces() -> list[Row]:
    """The largest jumps of a node's weight and of its second derivative at a cell face.

    In units of the spacing. A clamped node next to a side is read once for each neighbour that is
    missing; a cell further there is one fewer, so that its weight jumps.
    """
    rows: list[Row] = []
    for name, way in FITS.items():
        nodes = dg.FeatureGrid(
            1,
            SPACINGS,
            basis=way.basis,
            boundary=way.boundary,
            lower=0.0,
            upper=SPACINGS,
            dtype=torch.float64,
        )
        one_by_one = torch.eye(nodes.features.shape[0], dtype=torch.float64)
        after = torch.arange(1.0, SPACINGS, dtype=torch.float64)[:, None]
        before = torch.nextafter(after, torch.zeros_like(after))
        low, high = (dg.functional.gather(x, one_by_one, nodes.spec, 2) for x in (before, after))
        gap = (high - low).abs().amax(dim=(0, 2))
        labels = {"problem": "cell faces", "cells": SPACINGS, "way": name}
        rows += [{**labels, "order": m, "jump": float(gap[m])} for m in (0, 2)]
    return rows


def totals(rows: list[Row], problem: str, way: str) -> dict[str, Any]:
    """The errors over the whole domain, signs of trouble, and time, by the number of cells."""
    series = [r for r in rows if r["problem"] == problem and r["way"] == way and "total" in r]
    keys = ("total", "largest_feature", "condition", "seconds")
    return {str(row["cells"]): {key: row[key] for key in keys} for row in series}


def jumps(cells: int, way: Way) -> list[Row]:
    """Solves Laplace's equation on the unit square, u = 1 on its upper side and 0 elsewhere."""
    box = dg.Box((0.0, 0.0), (1.0, 1.0))
    top = ((1, "upper"),)
    rest = ((0, "lower"), (0, "upper"), (1, "lower"))
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian, order=2),
        # Two terms, so that both values are asked for at the corners, and their mean results.
        dg.Term("one", dg.Boundary(top), lambda x, u: u.value - 1.0),
        dg.Term("zero", dg.Boundary(rest), lambda x, u: u.value),
    ]
    points = lattice(box, PARTS * cells, ends=False)
    exact = jump_solution(PARTS * cells)
    if way.fitted:
        data = torch.from_numpy(exact)[:, None]
        terms = [dg.Term("fit", dg.Points(points), lambda x, u, d: u.value - d, data=data)]
    solution = solved(dg.Problem(box, terms), cells, way)
    error = (values_at(solution, points) - exact) / rms(exact)
    x, y = points.numpy().T
    rim = np.minimum.reduce([x, 1 - x, y, 1 - y])
    corner = np.hypot(np.minimum(x, 1 - x), 1 - y)
    far = corner > AWAY
    return [
        total(solution, error),
        *profile("boundary", rim[far] * cells, {"error": error[far]}),
        *profile("corner", corner * cells, {"error": error}),
    ]


def l_shape(cells: int, way: Way) -> list[Row]:
    """Solves for u = r^(2/3) sin(2 theta / 3) on [-1, 1]^2 without x > 0 > y.

    Its second derivatives are not square-integrable. Without a taper, least squares then converges
    to another function: those that have square-integrable ones and vanish on the boundary do not
    come near to u in the norm of the Laplacian (Grisvard 1985).
    """
    count = 2 * cells + 1
    inner = lattice(SQUARE, count)
    rim = LBoundary(sampler=dg.Lattice((count,), ends=True))
    region = dg.Points(inner[inside_l(inner)])
    solution = solved(dirichlet(region, rim, l_solution, 0.0, way), cells, way)
    points = lattice(SQUARE, PARTS * cells, ends=False)
    points = points[inside_l(points)]
    exact = l_solution(points).numpy()[:, 0]
    error = (values_at(solution, points) - exact) / rms(exact)
    corner = np.hypot(*points.numpy().T) * cells / 2
    return [total(solution, error), *profile("corner", corner, {"error": error})]


def smooth(cells: int, way: Way) -> list[Row]:
    """Solves for u = sin 3x cos 2y on [-1, 1]^2 from its Laplacian, or fits it."""
    inner = dg.Points(crowded(cells)) if way.crowded else dg.Interior()
    problem = dirichlet(inner, dg.Boundary(), wave, WAVE_FACTOR, way)
    solution = solved(problem, cells, way)
    points = lattice(SQUARE, PARTS * cells, ends=False)
    exact = wave(points).numpy()[:, 0]
    field = jet(solution.field, points, 2)
    size = rms(exact)
    error = (field.value.numpy()[:, 0] - exact) / size
    residual = field.laplacian.numpy()[:, 0] / (WAVE_FACTOR * size) - exact / size
    rim = (1 - points.abs().amax(dim=1).numpy()) * cells / 2
    return [
        total(solution, error),
        *profile("boundary", rim, {"error": error, "residual": residual}),
        *section(solution, cells, size),
    ]


def section(solution: dg.Solution, cells: int, size: float) -> list[Row]:
    """The error with its sign along y = 0, from the side x = -1 inwards."""
    # No point is on a cell face, where the fits jump.
    away = (torch.arange(SECTION * FINE, dtype=torch.float64) + 0.5) / FINE
    x = torch.stack([away * 2 / cells - 1, torch.zeros_like(away)], dim=1)
    error = (values_at(solution, x) - wave(x).numpy()[:, 0]) / size
    return [
        {"distance_to": "side", "distance_in_cells": float(t), "error": float(e)}
        for t, e in zip(away, error, strict=True)
    ]


def dirichlet(
    inner: dg.Interior | dg.Points, rim: dg.Boundary, exact: Function, factor: float, way: Way
) -> dg.Problem:
    """The problem Laplacian u = ratio * exact, u = exact on the rim; or a fit to u = exact."""
    if way.fitted:
        return dg.Problem(SQUARE, [dg.Term("fit", inner, lambda x, u: u.value - exact(x))])

    def equation(x: Tensor, u: dg.Jet) -> Tensor:
        left = u.laplacian - factor * exact(x)
        if way.taper:
            left = left * torch.linalg.vector_norm(x, dim=1, keepdim=True) ** way.taper
        return left

    terms = [
        dg.Term("equation", inner, equation, order=2),
        dg.Term("rim", rim, lambda x, u: u.value - exact(x), weight=way.weight),
    ]
    return dg.Problem(SQUARE, terms)


def solved(problem: dg.Problem, cells: int, way: Way) -> dg.Solution:
    """Solves for the features of one level by least squares; their sum is the field."""
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
        warnings.simplefilter(
            "ignore"
        )  # it warns that a Gaussian saturates, which is what is shown here
        return dg.solve(problem, field, progress=False)


def values_at(solution: dg.Solution, x: Tensor) -> Array:
    """The values [N] of the solved field at points."""
    result: Array = np.asarray(values(solution.field, x))[:, 0]
    return result


def total(solution: dg.Solution, error: Array) -> Row:
    """The row of a solve: its relative L2 error, and how the solve went."""
    features = solution.field.get_parameter("grid.features").detach()
    findings = solution.report.findings
    return {
        "total": rms(error),
        "largest_feature": float(features.abs().max()),
        "condition": findings.condition,
        "seconds": solution.seconds,
        "route": findings.route,
        "iterations": findings.iterations,
        "notes": " ".join(findings.notes),
    }


def profile(of: str, distance: Array, errors: dict[str, Array]) -> list[Row]:
    """The root mean squares in rings of half an octave of distance, which is in cells."""
    step = np.floor(2 * np.log2(distance)).astype(int)
    if of == "corner":
        step = np.maximum(step, round(2 * np.log2(NEAREST)) - 1)
    rows: list[Row] = []
    for k in np.unique(step):
        here = step == k
        away = float(np.exp(np.log(distance[here]).mean()))
        means = {name: rms(error[here]) for name, error in errors.items()}
        rows.append({"distance_to": of, "distance_in_cells": away, **means})
    return rows


def rms(values: Array) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(values**2)))
