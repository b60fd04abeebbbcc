"""What the command `dinfgrid` says where something is wrong: one line on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


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
        from .problems.case import CaseError
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
    except (SolveError, CaseError) as error:
        fail(str(error))
    except ImportError as error:
        fail_import(error)
