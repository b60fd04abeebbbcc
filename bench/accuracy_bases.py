"""What each basis reaches on the same cells: a table of basis x problem.

    python -m bench.accuracy_bases [--only NAME ...] [--cells N] [--out runs/accuracy]

All else is as in the default setup of the problem, solved directly; in brackets the seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dinfgrid_cuda import BSpline, Gaussian, solve
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.solvers.record.checkpoint import write_atomically
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.results import make_case
from dinfgrid_cuda.suite.run.run import Request, finite
from dinfgrid_cuda.suite.tools.own_process import in_own_process

from .accuracy import earlier, machine
from .accuracy_table import duration, power


@dataclass(frozen=True)
class Column:
    """A basis, and the boundary of grids that are not periodic."""

    label: str
    basis: Basis
    boundary: str = "ghost"


@dataclass(frozen=True)
class Line:
    """A problem with options.

    Attributes:
        cells: per axis, in place of the default setup's.
    """

    problem: str
    options: dict[str, Any] = field(default_factory=dict)
    cells: tuple[int, ...] | None = None
    metric: str = "relative_l2"


COLUMNS = (
    Column("Gaussian ε=1 ρ=3, clamped (the paper)", Gaussian(), "clamp"),
    Column("Gaussian ε=1 ρ=3", Gaussian()),
    Column("Gaussian ε=0.7 ρ=6", Gaussian(epsilon=0.7, rho=6)),
    Column("Gaussian ε=0.5 ρ=12", Gaussian(epsilon=0.5, rho=12)),
    Column("smooth window ε=0.7 ρ=6", Gaussian(epsilon=0.7, rho=6, window="smooth")),
    Column("B-spline 3", BSpline(3)),
    Column("B-spline 5", BSpline(5)),
    Column("B-spline 7", BSpline(7)),
)
LINES = (
    Line("helmholtz-box"),
    Line("wave"),
    # half the default's, on which the wide Gaussian, 24 x 24 nodes per point, takes minutes
    Line("heat", cells=(48, 32)),
    Line("plate", {"form": "strong"}),
    Line("convection"),
)


def cell(line: Line, column: Column, cells: int | None = None) -> dict[str, Any]:
    """Solves a problem with a basis and returns value, seconds, cells."""
    request = Request(make_case(line.problem, line.options), cells=cells)
    setup = request.setup()
    if line.cells is not None and cells is None:
        dim = len(line.cells)
        ratio = math.prod(line.cells) / math.prod(setup.cells_per_axis(dim))
        setup = replace(setup, cells=line.cells, points=round(ratio * setup.points))
    kinds = setup.boundary if isinstance(setup.boundary, tuple) else (setup.boundary,)
    changed = tuple(kind if kind == "periodic" else column.boundary for kind in kinds)
    boundary = changed if len(changed) > 1 else changed[0]
    setup = replace(setup, basis=column.basis, boundary=boundary)
    problem, model = request.case.problem(setup), make_model(request.case, setup, "grid")
    started = time.perf_counter()
    with warnings.catch_warnings():
        # The solver warns of what a basis cannot represent, which the table shows.
        warnings.simplefilter("ignore", RuntimeWarning)
        solve(problem, model, setup.method, steps=setup.steps * setup.slabs, progress=False)
    seconds = time.perf_counter() - started
    value = request.case.measure(model)[line.metric].value
    return {"value": finite(value), "seconds": seconds, "cells": setup.cells}


def table(results: dict[str, dict[str, Any]], headline: str) -> str:
    """The table as markdown, problems down and bases across; only what has been run."""
    names = [column.label for column in COLUMNS]
    lines = [
        headline,
        "",
        f"| problem, cells | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for line in LINES:
        cells = results.get(line.problem, {})
        sizes = {_sizes(cell["cells"]) for cell in cells.values() if "cells" in cell}
        shown = [_shown(cells[name]) if name in cells else "" for name in names]
        if cells:
            lines.append(f"| {line.problem}, {', '.join(sorted(sizes))} | {' | '.join(shown)} |")
    refused = [
        f"* {line.problem}, {name}: {cell['failed']}"
        for line in LINES
        for name, cell in results.get(line.problem, {}).items()
        if "failed" in cell
    ]
    return "\n".join([*lines, "", *refused]).rstrip() + "\n"


def _sizes(cells: int | Sequence[int]) -> str:
    return str(cells) if isinstance(cells, int) else " x ".join(map(str, cells))


def _shown(cell: dict[str, Any]) -> str:
    if "failed" in cell:
        return "failed, see below"
    value = "infinite" if cell["value"] is None else power(cell["value"], 1)
    return f"{value} ({duration(cell['seconds'])} s)"


def main() -> None:
    """Runs the problems asked for and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [line.problem for line in LINES]
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=names, help="run only these problems"
    )
    parser.add_argument("--cells", type=int, help="cells per axis, in place of the problem's own")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"), help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = earlier(options.out / "bases.json").get("rows", {})
    headline = machine()
    for line in LINES:
        if options.only and line.problem not in options.only:
            continue
        for column in COLUMNS:
            result = in_own_process(cell, line, column, options.cells)
            results.setdefault(line.problem, {})[column.label] = result
            print(f"{line.problem}, {column.label}: {_shown(result)}", flush=True)
            content = json.dumps({"about": headline, "rows": results}, indent=2)
            write_atomically(options.out / "bases.json", content.encode() + b"\n")
            write_atomically(options.out / "bases.md", table(results, headline).encode())
    print(f"\n{table(results, headline)}")


if __name__ == "__main__":
    main()
