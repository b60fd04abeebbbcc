"""The command `dinfgrid`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

try:
    import typer
except ImportError:  # the package works without its command
    sys.exit("dinfgrid: the command needs extra packages: pip install 'dinfgrid_cuda[app]'")

from .problems import PROBLEMS

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

app = typer.Typer(
    help="Differential equations solved on differentiable feature grids.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
solve_app = typer.Typer(help="Solve a problem; `dinfgrid list` names them.", no_args_is_help=True)
app.add_typer(solve_app, name="solve")


class Supervision(str, Enum):
    """What is given of the image."""

    gradient = "gradient"
    laplacian = "laplacian"


class Configuration(str, Enum):
    """How to solve: what suits this package, or what the paper did."""

    default = "default"
    paper = "paper"


def fail(message: str, code: int = EXIT_ERROR) -> NoReturn:
    """Ends the program with one line on stderr."""
    typer.echo(f"dinfgrid: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)


def fail_import(error: ImportError) -> NoReturn:
    """Ends the program where another package is missing; an import that fails here is a bug."""
    foreign = (error.name or "dinfgrid_cuda").split(".")[0] != "dinfgrid_cuda"
    if not isinstance(error, ModuleNotFoundError) or not foreign:
        raise error
    fail(f"{error}; install the packages of the command: pip install 'dinfgrid_cuda[app]'")


@contextmanager
def one_line_errors(resume: str = "") -> Iterator[None]:
    """Turns what the user can mend into one line each; anything else is a bug and is shown whole.

    Args:
        resume: how to resume from the command line.
    """
    try:
        from .problems.run_poisson_image import ImageError, RequestError
        from .solvers import Interrupted, SolveError
    except ImportError as error:
        fail_import(error)
    try:
        yield
    except Interrupted as error:
        done = error.solution.steps
        fail(f"interrupted at step {done}; resume with {resume}", EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)
    except (SolveError, ImageError, RequestError) as error:
        fail(str(error))
    except ImportError as error:
        fail_import(error)


@app.command("list")
def list_problems() -> None:
    """Names the problems."""
    for name, text in PROBLEMS.items():
        typer.echo(f"{name:<16} {text}")


@app.command()
def info() -> None:
    """Versions, back ends and processor features of this installation."""
    from ._build_info import build_info

    typer.echo(str(build_info()))


def _device(name: str) -> str:
    """The device to run on. "auto" takes a GPU where the build and torch have one."""
    import torch

    from ._build_info import build_info

    if name == "auto":
        usable = "cuda" in build_info().backends and torch.cuda.is_available()
        return "cuda" if usable else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        fail(f"--device {name} cannot be used: {str(error).splitlines()[0]}")
    return name


@solve_app.command("poisson-image")
def poisson_image(
    image: Annotated[
        Path | None, typer.Option(help="Image file; the camera image of scikit-image by default.")
    ] = None,
    supervise: Annotated[
        Supervision, typer.Option(help="What is given of the image.")
    ] = Supervision.gradient,
    config: Annotated[
        Configuration, typer.Option(help="'paper' is the paper's own, slow on a CPU.")
    ] = Configuration.default,
    neumann: Annotated[
        bool | None,
        typer.Option(
            "--neumann/--no-neumann",
            help="Continue the image by mirroring; needed by the Laplacian to be well posed.  "
            "[default: yes for --supervise laplacian --config default]",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Longer side in pixels; by default the image's own, up to 1024."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="In total; by default the configuration's, or fewer.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the initial features.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/poisson-image"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in --out.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    progress: Annotated[bool, typer.Option(help="Show progress.")] = True,
) -> None:
    """Rebuilds an image from its gradient, or its Laplacian, alone."""
    with one_line_errors(_resume_command()):
        from .problems.run_poisson_image import Request, run

        request = Request(
            image=image,
            supervise=supervise.value,
            config=config.value,
            neumann=neumann,
            size=size,
            steps=steps,
            seed=seed,
            out=out,
            resume=resume,
            device=_device(device),
            progress=progress,
        )
        _print_result(run(request), out)


def _resume_command() -> str:
    """The command line of this process, with --resume."""
    import shlex

    words = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join(["dinfgrid", *words, "--resume"])


def _print_result(report: dict[str, Any], out: Path) -> None:
    def decibel(name: str) -> str:
        value = report[name]
        return "infinite" if value is None else f"{value:.2f} dB"

    seconds, image = report["seconds"], report["image"]
    if image["original"] != [image["height"], image["width"]]:
        height, width = image["original"]
        typer.echo(
            f"the image was scaled from {width} x {height} to {image['width']} x {image['height']} "
            "pixels; --size chooses another"
        )
    typer.echo(
        f"PSNR {decibel('psnr_raw_db')} (mean aligned), {decibel('psnr_rescaled_db')} (the paper's:"
        f" both rescaled to [0, 1]), SSIM {report['ssim']:.3f}\n"
        f"{report['steps']} steps, {seconds['solve']:.1f} s solving, {seconds['total']:.1f} s in "
        f"all, {report['parameters']:,} parameters; {report['reason']}\n"
        f"results in {out}"
    )


def main() -> None:
    """Entry point of the command."""
    app()
