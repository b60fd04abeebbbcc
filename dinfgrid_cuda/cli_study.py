"""`dinfgrid study NAME`: the studies in the repository's folder bench/studies."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from .cli_errors import fail, folder, one_line_errors

QUICK = typer.Option("--quick", help="Few cells and steps, in about a minute; to see that it runs.")
OUT = typer.Option(
    metavar="FOLDER", help="Folder for figure, table and JSON; by default runs/studies/NAME."
)
RESUME = typer.Option("--resume", help="Keep the parts that an earlier run in --out finished.")


def study(
    name: Annotated[
        str | None, typer.Argument(help="A study; without a name the studies are listed.")
    ] = None,
    quick: Annotated[bool, QUICK] = False,
    out: Annotated[str | None, OUT] = None,
    resume: Annotated[bool, RESUME] = False,
) -> None:
    """Answers a question about the method with a picture and a table.

    The picture (PNG), the table (CSV) and all numbers with their circumstances (JSON) go to --out.
    A study takes up to 30 minutes on two cores. docs/studies.md tells what came out.
    """
    with one_line_errors(f"dinfgrid study {name} ... --resume"):
        studies = _studies()
        if name is None:
            for known, (_, question) in studies.STUDIES.items():
                typer.echo(f"{known:<14} {question}")
            return
        if name not in studies.STUDIES:
            fail(f"there is no study {name!r}; there are {', '.join(studies.STUDIES)}.")
        usual = Path("runs/studies") / (f"{name}-quick" if quick else name)
        for path in studies.run_study(name, folder(out) or usual, quick, resume):
            typer.echo(path)


def _studies() -> ModuleType:
    """The package bench.studies: beside this one in a checkout, or in the current folder."""
    for root in (Path(__file__).resolve().parents[1], Path.cwd()):
        if (root / "bench" / "studies" / "__init__.py").exists():
            sys.path.insert(0, str(root))
            from bench import studies

            return studies
    fail("the studies are files of the repository; run this in a checkout, where bench/studies is.")
