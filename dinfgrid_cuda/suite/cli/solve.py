"""`dinfgrid solve NAME`: a command for each problem, its options those of the `Case`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import shlex
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from dinfgrid_cuda.suite.cases import PROBLEMS, case_class

from .errors import fail, folder, one_line_errors

if TYPE_CHECKING:
    from dinfgrid_cuda.suite.tools.case import Case, Measure

# Options that every problem has: (name, type, default, help); their choices are in `_choices`.
COMMON: list[tuple[str, Any, Any, str]] = [
    (
        "config",
        str,
        "default",
        "Settings: 'default', or 'paper' for those of the paper, slow on a CPU.",
    ),
    (
        "model",
        str,
        "grid",
        "What represents the solution: 'grid' is this package's feature grid; siren, mlp and "
        "linear-grid are what the paper compares it with.",
    ),
    (
        "method",
        str | None,
        None,
        "Solver; by default the one that suits the problem and the model. least-squares needs a "
        "grid.",
    ),
    (
        "steps",
        int | None,
        None,
        "Total number of steps, those before a resume included; by default that of --config, fewer "
        "where the solve converges.",
    ),
    (
        "max_seconds",
        float | None,
        None,
        "Stop after this many seconds, those before a resume included; by default 240 for siren "
        "and mlp, otherwise no limit.",
    ),
    ("cells", int | None, None, "Cells per axis of the finest grid; --points grows along."),
    ("points", int | None, None, "Collocation points per step, where the equation is evaluated."),
    ("seed", int, 0, "Seed of initial parameters and random points."),
    ("out", str | None, None, "Folder for the results; by default runs/NAME."),
    ("resume", bool, False, "Continue from the checkpoint in --out."),
    ("device", str, "auto", "Device to compute on: auto (a GPU, if there is one), cpu, cuda, ..."),
    (
        "estimate_error",
        bool,
        False,
        "Solve the problem again on other grids to estimate the error of u; takes one to three "
        "times as long as the solve.",
    ),
    ("progress", bool, True, "Show losses and the remaining time on stderr."),
]


class Problems(TyperGroup):
    """The commands of `dinfgrid solve`, each built when it is used, as they import torch."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the problems."""
        return list(PROBLEMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a problem; any other name ends the program."""
        with one_line_errors():
            return _command(cmd_name)


solve_app = typer.Typer(
    cls=Problems, help="Solve a problem: `dinfgrid solve NAME`.", no_args_is_help=True
)


@solve_app.callback()
def _solve() -> None:
    """Solve a problem; each has its own --help."""


def _command(name: str) -> Any:
    kind = case_class(name)
    types = typing.get_type_hints(kind)
    parameters = [
        _parameter(field.name, types[field.name], field.default, field.metadata)
        for field in dataclasses.fields(kind)
    ]
    case_options = {field.name for field in dataclasses.fields(kind)}
    choices = _choices()
    for key, form, default, text in COMMON:
        if key in case_options:
            raise TypeError(f"{kind.__name__}: {key} is an option that every problem has.")
        metadata = {"help": text, "choices": choices.get(key), "panel": "Options of every problem"}
        parameters.append(_parameter(key, form, default, metadata))

    def command(**options: Any) -> None:
        _solve_case(
            kind,
            {key: _plain(value) for key, value in options.items()},
            {p.name: _plain(p.default) for p in parameters},
        )

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = inspect.getdoc(kind)
    app = typer.Typer(add_completion=False)
    app.command(name)(command)
    return typer.main.get_command(app)


def _choices() -> dict[str, tuple[str, ...]]:
    """The values that options of every problem may take; imported here, as it imports torch."""
    from dinfgrid_cuda.suite.run.models import METHODS, MODELS
    from dinfgrid_cuda.suite.tools.case import CONFIGS

    return {"config": CONFIGS, "model": MODELS, "method": METHODS}


def _parameter(name: str, form: Any, default: Any, metadata: Any) -> inspect.Parameter:
    """A keyword parameter as typer reads it."""
    choices = metadata.get("choices")
    if choices:
        listed = enum.Enum(name, {choice: choice for choice in choices}, type=str)  # type: ignore[misc]
        form = listed if default is not None else (listed | None)  # type: ignore[operator]
        default = None if default is None else listed(default)
    flags = [f"--{name.replace('_', '-')}"]
    if form is bool or bool in typing.get_args(form):
        flags = ["--resume"] if name == "resume" else [f"{flags[0]}/--no-{flags[0][2:]}"]
    shown = typer.Option(
        *flags,
        help=metadata["help"],
        metavar="FOLDER" if name == "out" else None,
        rich_help_panel=metadata.get("panel"),
    )
    annotation = Annotated[form, shown]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _solve_case(kind: type[Case], options: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Runs a problem and prints its result.

    Args:
        kind: of the problem.
        options: the values of all options.
        defaults: their defaults.
    """
    words = [_word(name, value) for name, value in options.items() if value != defaults[name]]
    with one_line_errors(_resume_command(), " ".join(words)):
        from dinfgrid_cuda.suite.run.run import Request, run

        case_options = {field.name for field in dataclasses.fields(kind)}
        case = kind(**{key: value for key, value in options.items() if key in case_options})
        common = {key: value for key, value in options.items() if key not in case_options}
        out = folder(common.pop("out")) or Path("runs") / kind.name
        device = _device(common.pop("device"))
        print_report(run(Request(case, out=out, device=device, **common)), out)


def _word(name: str, value: Any) -> str:
    """An option as it is written on the command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {value}"


def _device(name: str) -> str:
    """The device to run on. "auto" takes a GPU where the build and torch have one."""
    import torch

    from dinfgrid_cuda import build_info

    if name == "auto":
        usable = "cuda" in build_info().backends and torch.cuda.is_available()
        return "cuda" if usable else "cpu"
    try:
        if torch.empty(0, device=name).is_meta:
            raise RuntimeError("it holds no numbers")
    except (RuntimeError, AssertionError) as error:
        fail(f"--device {name} cannot be used: {str(error).splitlines()[0]}")
    return name


def _resume_command() -> str:
    """The command line of this process, with --resume."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join(["dinfgrid", *words, "--resume"])


def print_measures(measures: dict[str, Measure]) -> None:
    """Prints a line for each figure: name, value, unit, meaning."""
    width = max(len(name) for name in measures)
    for name, m in measures.items():
        unit = "" if m.unit == "1" else f" {m.unit}"
        typer.echo(f"{name:<{width}}  {f'{m.value:.4g}{unit}':<12}  {m.meaning}")


def print_report(report: dict[str, Any], out: Path) -> None:
    """Prints the result of a run in a few lines."""
    from dinfgrid_cuda.suite.tools.case import Measure

    metrics = {
        name: Measure(float("inf") if m["value"] is None else m["value"], m["unit"], m["meaning"])
        for name, m in report["metrics"].items()
    }
    print_measures(metrics)
    seconds = report["seconds"]
    typer.echo(
        f"{report['steps']} steps, {seconds['solve']:.1f} s solving, {seconds['total']:.1f} s in "
        f"all, {report['parameters']:,} parameters; {report['reason']}"
    )
    if "error_estimate" in report:
        typer.echo(report["error_estimate"]["text"])
    for name, why in report["not_written"].items():
        typer.echo(f"{name} was not written: it {why}")
    typer.echo(f"results in {out}: {', '.join(report['files'])}")
