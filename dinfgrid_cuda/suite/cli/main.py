"""The command `dinfgrid`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
except ImportError:  # the package works without its command
    sys.exit("dinfgrid: the command needs extra packages: pip install 'dinfgrid_cuda[app]'")
from typer.core import TyperGroup

from dinfgrid_cuda.suite.cases import PROBLEMS

from .errors import folder, one_line_errors
from .solve import print_measures, solve_app
from .study import study

ORDER = ("list", "solve", "evaluate", "plot", "export", "study", "info")


class Commands(TyperGroup):
    """The commands in the order in which a newcomer meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names."""
        return list(ORDER)


app = typer.Typer(
    cls=Commands,
    help="Differential equations solved on differentiable feature grids.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(solve_app, name="solve")
app.command()(study)

CHECKPOINT = typer.Argument(
    help="A checkpoint file, or the folder of `dinfgrid solve` that holds it."
)
OUT = typer.Option(
    metavar="FOLDER", help="Folder for what is written; by default the checkpoint's own."
)
PROBLEM = typer.Option(help="Refuse a checkpoint of any other problem.")


@app.command("list")
def list_problems() -> None:
    """Names the problems."""
    for name, (_, _, text) in PROBLEMS.items():
        typer.echo(f"{name:<16} {text}")
    typer.echo("\ndinfgrid solve NAME --help tells the options of a problem.")


@app.command()
def info() -> None:
    """Versions, back ends and processor features of this installation."""
    from dinfgrid_cuda import build_info

    typer.echo(str(build_info()))


@app.command()
def evaluate(
    checkpoint: Annotated[Path, CHECKPOINT],
    resolution: Annotated[
        int | None,
        typer.Option(min=8, help="Points per axis to measure at; by default as after solving."),
    ] = None,
    problem: Annotated[str | None, PROBLEM] = None,
) -> None:
    """Measures the errors of a result again, on another grid if you like."""
    given = "" if resolution is None else f"--resolution {resolution}"
    with one_line_errors(given=given):
        from dinfgrid_cuda.suite.run.forecast import check_resolution
        from dinfgrid_cuda.suite.run.results import read

        result = read(checkpoint, problem)
        if resolution is not None:
            check_resolution(result.case, resolution)
        typer.echo(result.title)
        print_measures(result.case.measure(result.field, resolution))


@app.command()
def plot(
    checkpoint: Annotated[Path, CHECKPOINT],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Folder for the pictures; by default the checkpoint's own."
        ),
    ] = None,
    problem: Annotated[str | None, PROBLEM] = None,
) -> None:
    """Draws the pictures of a result again."""
    with one_line_errors():
        from dinfgrid_cuda.suite.run.files import write_pictures
        from dinfgrid_cuda.suite.run.results import read
        from dinfgrid_cuda.suite.run.run import draw

        result = read(checkpoint, problem)
        target = _folder(checkpoint, out)
        history = result.checkpoint.history
        for name in write_pictures(target, draw(result.case, result.field, history, result.title)):
            typer.echo(target / name)


@app.command()
def export(
    checkpoint: Annotated[Path, CHECKPOINT],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Folder for the files; by default the checkpoint's own."
        ),
    ] = None,
    problem: Annotated[str | None, PROBLEM] = None,
) -> None:
    """Writes a result as files for other programs: VTK, meshes, tables."""
    with one_line_errors():
        from dinfgrid_cuda.suite.run.files import write_exports
        from dinfgrid_cuda.suite.run.results import read

        from .errors import fail

        result = read(checkpoint, problem)
        target = _folder(checkpoint, out)
        exports = result.case.exports(result.field)
        if not exports:
            fail(f"{result.case.name} has no files to export; its pictures are made by plot.")
        written, missing = write_exports(target, exports)
        for name in written:
            typer.echo(target / name)
        if missing:
            fail("; ".join(f"{name} was not written: it {why}" for name, why in missing.items()))


def _folder(checkpoint: Path, out: str | None) -> Path:
    """Where files go: ``out``, or beside the checkpoint."""
    from dinfgrid_cuda.solvers.record.checkpoint import prepare_folder

    own = checkpoint if checkpoint.is_dir() else checkpoint.parent
    return prepare_folder(folder(out) or own)


def main() -> None:
    """Entry point of the command."""
    app()
