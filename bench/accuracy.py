"""Accuracy and time of the suite against classical solvers, in one table.

    python -m bench.accuracy [--only NAME ...] [--quick] [--no-classical] [--missing]
                             [--out runs/accuracy]

Each run has a process of its own; its figures are written at once to accuracy.json and table.md in
--out, so that an interrupted table keeps what it has. --missing runs only what is not there yet.
Classical solvers need: pip install "dinfgrid_cuda[bench]".
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dinfgrid_cuda.solvers.record.checkpoint import write_atomically
from dinfgrid_cuda.suite.studies.record import machine
from dinfgrid_cuda.suite.tools.own_process import in_own_process

from . import accuracy_runs as runs
from .accuracy_row import Row
from .accuracy_rows import ROWS
from .accuracy_table import Cell, Cells, duration, figure, table

# A race is lost after this many times Adam's seconds.
PATIENCE = 2.0
Run = Callable[[], Cell]


def cells_of(row: Row, options: argparse.Namespace, cells: Cells) -> Iterator[tuple[str, Run]]:
    """The names and runs of the cells of a row; a race's later ones depend on earlier ``cells``."""
    if row.adam is not None:
        yield "Adam", partial(in_own_process, runs.adam, row, options.quick, options.out)
        rival = cells.get("Adam", {})
        limit = PATIENCE * rival.get("seconds", 60.0)
        target = rival.get("value")
        race = partial(runs.race, row, options.quick, options.out, target, limit)
        yield "ours", partial(in_own_process, race)
        return
    yield "ours", partial(in_own_process, runs.ours, row, options.quick, options.out)
    if not options.no_classical:
        for rival_solver in row.rivals:
            yield (
                rival_solver.label,
                partial(in_own_process, runs.rival, rival_solver, options.quick),
            )


def earlier(path: Path) -> dict[str, Any]:
    """The content of accuracy.json, or nothing where there is none that can be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content.get("rows"), dict) else {}


def write(
    rows: list[Row], out: Path, results: dict[str, Cells], headline: str, judged: bool
) -> str:
    """Writes both files and returns the table."""
    text = table(rows, results, headline, judged)
    content = {"about": headline, "rows": results}
    write_atomically(out / "accuracy.json", json.dumps(content, indent=2).encode() + b"\n")
    write_atomically(out / "table.md", text.encode())
    return text


def chosen(names: list[str] | None) -> list[Row]:
    """The rows with these names, or of these problems; all without any."""
    return [row for row in ROWS if not names or row.name in names or row.problem in names]


def parse() -> argparse.Namespace:
    """The options of the command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run only these rows or problems")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few cells, to check that all runs; the figures mean nothing",
    )
    parser.add_argument("--no-classical", action="store_true", help="run this package only")
    parser.add_argument("--missing", action="store_true", help="run only what is not in --out yet")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"), help="folder")
    options = parser.parse_args()
    names = {row.name for row in ROWS} | {row.problem for row in ROWS}
    wrong = [name for name in options.only or [] if name not in names]
    if wrong:
        parser.error(f"--only {' '.join(wrong)}: there are {', '.join(sorted(names))}.")
    if options.quick:
        options.out = options.out / "quick"
    return options


def main() -> None:
    """Runs the rows and prints the table."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Cells] = earlier(options.out / "accuracy.json").get("rows", {})
    kind = "; a quick run: its figures mean nothing" if options.quick else ""
    headline = f"{machine()}; {datetime.date.today()}{kind}"
    for row in chosen(options.only):
        cells = results.setdefault(row.name, {})
        for name, start in cells_of(row, options, cells):
            if options.missing and name in cells and "failed" not in cells[name]:
                continue
            cell = cells[name] = start()
            write(ROWS, options.out, results, headline, not options.quick)
            print(f"{row.name}, {name}: {shown(row, cell)}", flush=True)
    print(f"\n{write(ROWS, options.out, results, headline, not options.quick)}")


def shown(row: Row, cell: Cell) -> str:
    """A cell as one line of progress."""
    if "failed" in cell:
        return str(cell["failed"])
    return f"{figure(cell['value'], row.goal, row.metric)} in {duration(cell['seconds'])} s"


if __name__ == "__main__":
    main()
