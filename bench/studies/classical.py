"""Our solvers and classical ones on smooth elliptic problems: error, seconds, operations.

Poisson, a coefficient that varies by a factor of 1000, and Helmholtz with k = 25, on a square.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.problems.lattice import lattice, values

from . import classical_solvers as classical
from .classical_plots import draw
from .classical_solvers import Found
from .elliptic import PROBLEMS, Elliptic
from .record import Record, Row

REPEATS, LONG = 3, 2.0
# Points per axis at which our errors are taken, between ours and the grid's.
MEASURED = 203
GOALS = (1e-2, 1e-4, 1e-6, 1e-8)


@dataclass(frozen=True)
class Method:
    """A solver with the sizes it is run with.

    Attributes:
        label: for tables.
        solve: of a problem and a size; None where it does not apply.
        sizes: cells, intervals or degrees.
        ours: whether it is this package.
    """

    label: str
    solve: Callable[[Elliptic, int], Found | None]
    sizes: tuple[int, ...]
    ours: bool = False


def grid(problem: Elliptic, cells: int, degree: int) -> Found:
    """`dg.solve` with a B-spline, as it chooses by itself."""
    field = dg.Field(
        dg.FeatureGrid(2, cells, basis=dg.BSpline(degree), lower=0.0, dtype=torch.float64, seed=0),
        dg.LinearDecoder(1, bias=False, seed=0),
    )
    solution = dg.solve(problem.problem(), field, progress=False)
    x = lattice(problem.box, MEASURED)
    exact = problem.exact(x)
    error = float((values(field, x)[:, 0] - exact).norm() / exact.norm())
    findings = solution.report.findings
    work = grid_work(problem, cells, degree, solution.steps, findings.iterations)
    return Found(error, solution.seconds, field.grid.features.numel(), work)


def grid_work(
    problem: Elliptic, cells: int, degree: int, steps: int, iterations: int | None
) -> float:
    """Floating-point operations of our solve, for a grid of N = m^2 features.

    Assembled: for each pair of the derivatives in the equation (3, 10 with varying a) the matrix
    summed over one axis, then the other; its band, w = degree m, factorised with N w^2 and
    solved with 4 N w. By iteration: each one applies the same pairs along both axes (2 degree + 1
    entries a row) and multiplies by four dense matrices, 8 N m.
    """
    m, points = cells + degree, 2 * cells + 1
    n, pairs = m * m, 10 if problem.contrast != 1.0 else 3 + 3 * bool(problem.wavenumber)
    if iterations is not None:
        return float(iterations * n * (pairs * 4 * (2 * degree + 1) + 8 * m))
    local, band = (degree + 1) ** 2, (2 * degree + 1) * m
    assembly = pairs * 2 * (points**2 * local + band * points * local)
    return float(assembly + n * (degree * m) ** 2 + steps * 4 * n * degree * m)


METHODS = (
    *(
        Method(f"B-spline {degree}, dg.solve", partial(grid, degree=degree), sizes, ours=True)
        for degree, sizes in ((3, (8, 16, 32, 64, 128)), (5, (8, 16, 32, 64)), (7, (8, 16, 32, 64)))
    ),
    Method("differences, sparse LU", classical.differences_lu, (16, 32, 64, 128, 256, 512)),
    Method(
        "differences, sine transform", classical.differences_sine, (32, 64, 128, 256, 512, 1024)
    ),
    Method(
        "differences, geometric multigrid",
        partial(classical.multigrid, geometric=True),
        (32, 64, 128, 256, 512),
    ),
    Method(
        "differences, algebraic multigrid",
        partial(classical.multigrid, geometric=False),
        (32, 64, 128, 256, 512),
    ),
    Method("P1 elements, sparse LU", partial(classical.elements, degree=1), (16, 32, 64, 128, 256)),
    Method("P2 elements, sparse LU", partial(classical.elements, degree=2), (8, 16, 32, 64, 128)),
    Method("Chebyshev, dense LU", classical.chebyshev, (8, 12, 16, 24, 32, 40, 48)),
)


def study(record: Record) -> Any:
    """A row per solve; error against seconds and operations."""
    for problem in PROBLEMS:
        for method in METHODS:
            sizes = method.sizes[:2] if record.quick else method.sizes
            label = f"{problem.name}, {method.label}"
            record.part(label, partial(solved, problem, method, sizes, record.quick))
    record.summary = summary(record.rows)
    return draw(record.rows, [p.name for p in PROBLEMS], [m.label for m in METHODS])


def solved(problem: Elliptic, method: Method, sizes: tuple[int, ...], quick: bool) -> list[Row]:
    """One row a size; the median of some runs where they are short."""
    rows: list[Row] = []
    for size in sizes:
        found = method.solve(problem, size)
        if found is None:
            return rows
        runs = [found.seconds]
        while not quick and found.seconds < LONG and len(runs) < REPEATS:
            again = method.solve(problem, size)
            assert again is not None
            runs.append(again.seconds)
        rows.append(
            {
                "problem": problem.name,
                "method": method.label,
                "ours": method.ours,
                "size": size,
                "error": found.error,
                "seconds": median(runs),
                "unknowns": found.unknowns,
                "work": found.work,
            }
        )
    return rows


def summary(rows: list[Row]) -> dict[str, Any]:
    """For each problem and error to reach: the least seconds and work, ours and classical."""
    found: dict[str, Any] = {}
    for problem in PROBLEMS:
        for goal in GOALS:
            entry: dict[str, Any] = {}
            for side in (True, False):
                good = [
                    row
                    for row in rows
                    if row["problem"] == problem.name
                    and row["ours"] == side
                    and row["error"] <= goal
                ]
                for key in ("seconds", "work"):
                    best = min(good, key=lambda row: row[key], default=None)
                    name = f"{'ours' if side else 'classical'}, {key}"
                    entry[name] = best and [best[key], f"{best['method']}, {best['size']}"]
            found[f"{problem.name}, {goal:g}"] = entry
    errors = (row["error"] for row in rows)
    found["worst error"] = max((e for e in errors if math.isfinite(e)), default=None)
    return found
