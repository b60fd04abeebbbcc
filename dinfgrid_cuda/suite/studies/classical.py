"""Our solvers and classical ones on smooth elliptic problems: error, seconds, operations.

Poisson, a coefficient that varies by a factor of 1000, and Helmholtz with k = 25, on a square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.fast_diagonal import FastDiagonal
from dinfgrid_cuda.solvers.lattice.kronecker import Kronecker
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.factors import BandFactor
from dinfgrid_cuda.suite.tools.evaluation import lattice, values

from . import classical_solvers as classical
from .classical_plots import draw
from .classical_solvers import SolverResult
from .elliptic import PROBLEMS, Elliptic
from .record import Record, Row

REPEATS, LONG = 3, 2.0
# Intervals per axis at which multigrid is tried on the indefinite matrix itself.
DIVERGING = (32, 64, 128)
# Points per axis at which our errors are taken; most lie between collocation points and nodes.
MEASURED = 203
GOALS = (1e-2, 1e-4, 1e-6, 1e-8)
# The functions that do the work of a solve, and their names in `grid_work`.
COUNTED: tuple[tuple[type, str, str], ...] = (
    (Objective, "evaluate", "residual"),
    (DirectSystem, "__init__", "assembly"),
    (BandFactor, "__init__", "factor"),
    (BandFactor, "solve", "solve"),
    (Kronecker, "_along", "band"),
    (FastDiagonal, "__call__", "preconditioner"),
    (FastDiagonal, "__init__", "eigenvectors"),
)


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
    solve: Callable[[Elliptic, int], SolverResult | None]
    sizes: tuple[int, ...]
    ours: bool = False


def grid(problem: Elliptic, cells: int, degree: int) -> SolverResult:
    """Solves by `dg.solve` with a B-spline, as it chooses by itself."""
    field = dg.Field(
        dg.FeatureGrid(2, cells, basis=dg.BSpline(degree), lower=0.0, dtype=torch.float64, seed=0),
        dg.LinearDecoder(1, bias=False, seed=0),
    )
    with counting() as calls:
        solution = dg.solve(problem.problem(), field, progress=False)
    x = lattice(problem.box, MEASURED)
    exact = problem.exact(x)
    error = float((values(field, x)[:, 0] - exact).norm() / exact.norm())
    findings = solution.report.findings
    work = grid_work(problem, cells, degree, calls)
    more = {
        "route": findings.route,
        "steps": solution.steps,
        "iterations": findings.iterations,
        "factorisations": calls["factor"],
    }
    return SolverResult(error, solution.seconds, field.grid.features.numel(), work, more)


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Counts what a solve does, by name; its report does not say how often it factorises."""
    calls: Counter[str] = Counter()

    def counted(owner: type, method: str, name: str) -> Any:
        original = getattr(owner, method)

        def call(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            return original(*args, **options)

        return patch.object(owner, method, call)

    with ExitStack() as stack:
        for owner, method, name in COUNTED:
            stack.enter_context(counted(owner, method, name))
        yield calls


def grid_work(problem: Elliptic, cells: int, degree: int, calls: Counter[str]) -> float:
    """The floating-point operations of our solve, for N = m^2 features; within a factor 2.

    * residual and gradient: the J derivatives in the equation at p^2 points, summed over one axis,
      then the other, forth and back: 4 J (degree + 1) (p m + p^2);
    * assembly: for each pair of these derivatives the matrix summed over one axis, then the other;
      where a is constant only the product of two sums, 2 per entry;
    * Cholesky's factor of a band, w = degree (m + 1): N w^2, a solve 4 N w;
    * without a matrix: along an axis a band of 2 degree + 1 entries per row, 2 N (2 degree + 1);
      the preconditioner, four dense matrices, 8 N m, and its eigenvectors, about 50 m^3.
    """
    m, points = cells + degree, 2 * cells + 1
    n, near, band = m * m, degree + 1, (2 * degree + 1) * m
    width = degree * (m + 1)
    varies = problem.contrast != 1.0
    derivatives = 4 if varies else 2 + bool(problem.wavenumber)
    summed = points**2 * near**2 + band * points * near**2 if varies else band**2
    operations = {
        "residual": 4 * derivatives * near * (points * m + points**2),
        "assembly": derivatives * (derivatives + 1) * summed,
        "factor": n * width**2,
        "solve": 4 * n * width,
        "band": 2 * n * (2 * degree + 1),
        "preconditioner": 8 * n * m,
        "eigenvectors": 50 * m**3,
    }
    return float(sum(count * operations[name] for name, count in calls.items()))


GRIDS = ((3, (8, 16, 32, 64, 128, 256)), (5, (8, 16, 32, 64, 128)), (7, (8, 16, 32, 64, 128)))
METHODS = (
    *(
        Method(f"B-spline {degree}, dg.solve", partial(grid, degree=degree), sizes, ours=True)
        for degree, sizes in GRIDS
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
    """Records a row per solve, and draws error against seconds and operations."""
    for problem in PROBLEMS:
        for method in METHODS:
            sizes = method.sizes[:2] if record.quick else method.sizes
            label = f"{problem.name}, {method.label}"
            record.part(label, partial(solved, problem, method, sizes, record.quick))
        if problem.wavenumber:
            sizes = DIVERGING[:1] if record.quick else DIVERGING
            label = f"{problem.name}, cycles of the matrix itself"
            record.part(label, partial(diverging, problem, sizes))
    record.summary = summary(record.rows)
    return draw(record.rows, [p.name for p in PROBLEMS], [m.label for m in METHODS])


def diverging(problem: Elliptic, sizes: tuple[int, ...]) -> list[Row]:
    """The rows of multigrid with an indefinite matrix, one for each kind and size."""
    return [
        {"problem": problem.name, "size": size, **classical.indefinite(problem, size, geometric)}
        for geometric in (True, False)
        for size in sizes
    ]


def solved(problem: Elliptic, method: Method, sizes: tuple[int, ...], quick: bool) -> list[Row]:
    """The rows of a solver, one for each size; times are medians where runs are short."""
    rows: list[Row] = []
    for size in sizes:
        result = method.solve(problem, size)
        if result is None:
            return rows
        runs = [result.seconds]
        while not quick and result.seconds < LONG and len(runs) < REPEATS:
            again = method.solve(problem, size)
            assert again is not None
            runs.append(again.seconds)
        rows.append(
            {
                "problem": problem.name,
                "method": method.label,
                "ours": method.ours,
                "size": size,
                "error": result.error,
                "seconds": median(runs),
                "unknowns": result.unknowns,
                "work": result.work,
                **result.more,
            }
        )
    return rows


def summary(rows: list[Row]) -> dict[str, Any]:
    """The least seconds and work for each problem and error to reach, and our share of them.

    Chebyshev's polynomials are the only classical method here whose order grows, so the low orders
    stand apart as well. A ratio above 1 is a win of theirs.
    """
    figures: dict[str, Any] = {}
    solved = [row for row in rows if "seconds" in row]
    for problem in PROBLEMS:
        for goal in GOALS:
            good = [r for r in solved if r["problem"] == problem.name and r["error"] <= goal]
            ours = [r for r in good if r["ours"]]
            others = [r for r in good if not r["ours"]]
            low = [r for r in others if "Chebyshev" not in r["method"]]
            entry: dict[str, Any] = {}
            for key in ("seconds", "work"):
                series, best, plain = (_least(side, key) for side in (ours, others, low))
                entry |= {f"{key}, ours": series, f"{key}, classical": best}
                entry |= {f"{key}, classical of low order": plain}
                entry[f"{key}, ours over classical"] = series and best and series[0] / best[0]
                entry[f"{key}, ours over low order"] = series and plain and series[0] / plain[0]
            figures[f"{problem.name}, {goal:g}"] = entry
    cycles = [row for row in rows if "growth" in row]
    figures["cycles of the indefinite matrix"] = {
        f"{row['method']}, {row['size']}": {k: row[k] for k in ("growth", "claimed", "error")}
        for row in cycles
    }
    return figures


def _least(rows: list[Row], key: str) -> list[Any] | None:
    best = min(rows, key=lambda row: row[key], default=None)
    return None if best is None else [best[key], f"{best['method']}, {best['size']}"]
