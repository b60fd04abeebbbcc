"""Files that are whole or absent: written atomically, elsewhere if need be, and cleared away."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dinfgrid_cuda.solvers.errors import CheckpointError

FILE_NAME = "checkpoint.safetensors"
TEMPORARY = re.compile(
    rf"\.{re.escape(FILE_NAME)}\.(?:(?P<host>[0-9a-f]{{8}})-(?P<pid>[0-9]+)\.)?[0-9a-f]{{16}}"
)
DAY = 86_400.0


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` so that ``path`` holds either the old content or all of the new.

    Raises:
        CheckpointError: if the folder cannot be written or the disk is full.
    """
    # The name tells a later run whether the one that wrote it still lives, see `clear_abandoned`.
    # Mode "x" creates the file with the permissions of the umask; mkstemp would leave one that
    # only its owner can read.
    temporary = path.with_name(f".{path.name}.{_host()}-{os.getpid()}.{secrets.token_hex(8)}")
    try:
        with _removed_on_failure(temporary):
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}.") from error


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """Deletes the file if the block fails, Ctrl-C included."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def clear_abandoned(folder: Path) -> None:
    """Deletes temporary files of runs that were killed while they wrote a checkpoint.

    Those of a run that is alive stay, and for a day those of another machine, of which nobody here
    knows.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            parts = TEMPORARY.fullmatch(path.name)
            if parts is not None and not _in_use(path, parts["host"], parts["pid"]):
                with contextlib.suppress(OSError):
                    path.unlink()


def _in_use(path: Path, host: str | None, pid: str | None) -> bool:
    if host is None or pid is None:
        return False  # of an older version
    if host != _host() or os.name != "posix":
        return time.time() - path.stat().st_mtime < DAY
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # of another user
    return True


def _host() -> str:
    """Eight letters that stand for this machine."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def elsewhere(path: Path, write: Callable[[Path], None]) -> Path | None:
    """Writes a file that cannot be written at ``path`` in a new folder; None if that fails too.

    The folder is made next to the one of ``path``, or else among the temporary files of the system.
    """
    name = path.parent.name
    next_to = path.parent.parent if name else path.parent / ".."
    for parent in (next_to, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError, CheckpointError):
            folder = Path(tempfile.mkdtemp(prefix=f"{name or 'checkpoint'}-", dir=parent))
            with _removed_folder_on_failure(folder):
                write(folder / path.name)
            return folder / path.name
    return None


@contextlib.contextmanager
def _removed_folder_on_failure(folder: Path) -> Iterator[None]:
    """Deletes the empty folder if the block fails, Ctrl-C included."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
