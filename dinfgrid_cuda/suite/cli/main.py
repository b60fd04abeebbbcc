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
    """The commands, in the order in which a newcomer needs them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in their order."""
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
    metavar="FOLDER", help="Folder for what is written; by default that of the checkpoint."
)
PROBLEM = typer.Option(help="Name of a problem; a checkpoint of another one is refused.")


@app.command("list")
def list_problems() -> None:
    """List the problems that `dinfgrid solve` knows."""
    for name, (_, _, text) in PROBLEMS.items():
        typer.echo(f"{name:<16} {text}")
    typer.echo("\ndinfgrid solve NAME --help lists the options of a problem.")


@app.command()
def info() -> None:
    """Show the versions, back ends and processor features of this installation."""
    from dinfgrid_cuda import build_info

    typer.echo(str(build_info()))


@app.command()
def evaluate(
    checkpoint: Annotated[Path, CHECKPOINT],
    resolution: Annotated[
        int | None,
        typer.Option(
            min=8, help="Points per axis to measure at; by default as many as after solving."
        ),
    ] = None,
    problem: Annotated[str | None, PROBLEM] = None,
) -> None:
    """Measure the errors of a result again, at more or fewer points if you like."""
    options = "" if resolution is None else f"--resolution {resolution}"
    with one_line_errors(options=options):
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
            metavar="FOLDER", help="Folder for the pictures; by default that of the checkpoint."
        ),
    ] = None,
    problem: Annotated[str | None, PROBLEM] = None,
) -> None:
    """Draw the pictures of a result again."""
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
            metavar="FOLDER", help="Folder for the files; by default that of the checkpoint."
        ),
    ] = None,
    problem: Annotated[str | None, PROBLEM] = None,
) -> None:
    """Write a result as files for other programs: VTK, meshes, tables."""
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
    """The folder that files go to: ``out``, or that of the checkpoint."""
    from dinfgrid_cuda.solvers.record.checkpoint import prepare_folder

    default = checkpoint if checkpoint.is_dir() else checkpoint.parent
    return prepare_folder(folder(out) or default)


def main() -> None:
    """Runs the command; its entry point."""
    app()
