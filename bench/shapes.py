"""Curved shapes: this package and NGSolve (finite elements on curved meshes), in one table.

    python -m bench.shapes [--only NAME ...] [--quick] [--no-ours] [--no-classical]
                           [--out runs/shapes]

Errors are relative L2 over the shape. Seconds hold all but imports and the measurement of the
error: on NGSolve's side the mesh, its curving, assembly and solve. Each run has a process of its
own. NGSolve needs: pip install ngsolve. Threads: OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import datetime
from functools import partial
from pathlib import Path

from dinfgrid_cuda.suite.studies.record import machine
from dinfgrid_cuda.suite.tools.own_process import in_own_process

from . import accuracy_runs as runs
from . import shapes_ours
from .accuracy import Run, earlier, shown, write
from .accuracy_row import Row
from .accuracy_table import Cells
from .shapes_rows import ROWS


def runs_of(row: Row, options: argparse.Namespace) -> dict[str, Run]:
    """The runs of a row, by the names of their cells."""
    found: dict[str, Run] = {}
    if not options.no_ours:
        found["ours"] = partial(in_own_process, shapes_ours.solved, row.name, options.quick)
    if not options.no_classical:
        for rival in row.rivals:
            found[rival.label] = partial(in_own_process, runs.rival, rival, options.quick)
    return found


def parse() -> argparse.Namespace:
    """The options of the command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help="only these rows")
    parser.add_argument("--quick", action="store_true", help="coarse; the figures mean nothing")
    parser.add_argument("--no-ours", action="store_true", help="run the classical solvers only")
    parser.add_argument("--no-classical", action="store_true", help="run this package only")
    parser.add_argument("--out", type=Path, default=Path("runs/shapes"), help="folder")
    options = parser.parse_args()
    if options.quick:
        options.out = options.out / "quick"
    return options


def main() -> None:
    """Runs the rows and prints the table."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Cells] = earlier(options.out / "accuracy.json").get("rows", {})
    headline = f"{machine()}; {datetime.date.today()}"
    judged = not options.quick and not options.no_ours
    for row in ROWS:
        if options.only and row.name not in options.only:
            continue
        cells = results.setdefault(row.name, {})
        # sizes may have changed since an earlier run
        labels = {"ours", *(rival.label for rival in row.rivals)}
        for stale in set(cells) - labels:
            del cells[stale]
        for name, start in runs_of(row, options).items():
            cells[name] = start()
            write(ROWS, options.out, results, headline, judged)
            print(f"{row.name}, {name}: {shown(row, cells[name])}", flush=True)
    print(f"\n{write(ROWS, options.out, results, headline, judged)}")


if __name__ == "__main__":
    main()
