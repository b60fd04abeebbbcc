"""What NGSolve reaches with other degrees and mesh sizes: a table of convergence.

    python -m bench.shapes_ngsolve [--only NAME ...]

Names are those of `bench.shapes`. Sizes are halved once, degrees go by two.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from dinfgrid_cuda.suite.studies.record import machine
from dinfgrid_cuda.suite.tools.own_process import in_own_process

from . import accuracy_runs as runs
from .accuracy_row import Rival, Row
from .accuracy_table import duration, power
from .shapes_rows import ROWS

SPATIAL = ("ball", "torus", "mesh")


def tried(row: Row) -> list[Rival]:
    """The sizes and degrees around those of a row."""
    (base,) = row.rivals
    size, degree = base.arguments["size"], base.arguments["degree"]
    # in space half the size is eight times the elements, and a solve of minutes
    sizes = (size,) if row.name in SPATIAL else (2 * size, size)
    degrees = (degree - 1, degree) if row.name in SPATIAL else (degree - 4, degree - 2, degree)
    return [
        replace(base, arguments={**base.arguments, "size": h, "degree": p})
        for h in sizes
        for p in degrees
    ]


def main() -> None:
    """Runs the rows and prints the table, line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [row.name for row in ROWS if row.rivals]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help="only these rows")
    options = parser.parse_args()
    print(f"{machine()}\n\n| problem | h | degree | error | unknowns | seconds | of these, mesh |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for row in ROWS:
        if not row.rivals or (options.only and row.name not in options.only):
            continue
        for rival in tried(row):
            cell = in_own_process(runs.rival, rival, False)
            figures = cell.get("failed") or (
                f"{power(cell['value'], 1)} | {cell['unknowns']:,} | "
                f"{duration(cell['seconds'])} | {duration(cell['meshing'])}"
            )
            size, degree = rival.arguments["size"], rival.arguments["degree"]
            print(f"| {row.name} | {size:g} | {degree} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
