"""What the command `dinfgrid` prints where something is wrong: one line on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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


def folder(out: str | None) -> Path | None:
    """The folder that --out names, or None where it is not given."""
    if out is not None and not out.strip():
        fail("--out is empty; name a folder, or leave it out.")
    return None if out is None else Path(out)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of the many by which Python, numpy and torch say so."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


@contextmanager
def one_line_errors(resume: str = "", options: str = "") -> Iterator[None]:
    """Turns errors that the user can correct into one line each; others are bugs, shown whole.

    Args:
        resume: how to resume from the command line.
        options: the options that the user has given, such as "--cells 64".
    """
    try:
        from dinfgrid_cuda import Interrupted, SolveError
        from dinfgrid_cuda.suite.tools.case import CaseError
    except ImportError as error:
        fail_import(error)
    try:
        yield
    except Interrupted as error:
        if error.trouble:
            fail(str(error), EXIT_INTERRUPTED)
        done = error.solution.steps
        fail(f"interrupted at step {done}; resume with {resume}", EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)
    except (SolveError, CaseError) as error:
        fail(str(error))
    except ImportError as error:
        fail_import(error)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        with_options = f" with {options}" if options else ""
        fail(f"out of memory{with_options}; choose fewer cells or points, or a lower resolution.")
    except (OverflowError, ZeroDivisionError) as error:
        if not options:
            raise  # default values cause none
        what = "too large" if isinstance(error, OverflowError) else "too small"
        fail(f"a number became {what} to be computed with {options}; choose less extreme values.")
