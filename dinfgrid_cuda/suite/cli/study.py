"""`dinfgrid study NAME`: questions about the method, answered by a picture and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dinfgrid_cuda.suite import studies

from .errors import fail, folder, one_line_errors

QUICK = typer.Option(
    "--quick", help="Few cells and steps, about a minute: to check that the study runs."
)
OUT = typer.Option(
    metavar="FOLDER", help="Folder for figure, table and JSON; by default runs/studies/NAME."
)
RESUME = typer.Option("--resume", help="Keep the parts that an earlier run in --out has finished.")


def study(
    name: Annotated[
        str | None, typer.Argument(help="Name of a study; without it the studies are listed.")
    ] = None,
    quick: Annotated[bool, QUICK] = False,
    out: Annotated[str | None, OUT] = None,
    resume: Annotated[bool, RESUME] = False,
) -> None:
    """Answer a question about the method with a picture and a table.

    The picture (PNG), the table (CSV) and all numbers with their circumstances (JSON) go to --out.
    A study takes up to 30 minutes on two cores. docs/studies.md discusses the results.
    """
    with one_line_errors(f"dinfgrid study {name} ... --resume"):
        if name is None:
            for study_name, (_, question) in studies.STUDIES.items():
                typer.echo(f"{study_name:<14} {question}")
            return
        if name not in studies.STUDIES:
            fail(f"there is no study {name!r}; there are {', '.join(studies.STUDIES)}.")
        default = Path("runs/studies") / (f"{name}-quick" if quick else name)
        for path in studies.run_study(name, folder(out) or default, quick, resume):
            typer.echo(path)
