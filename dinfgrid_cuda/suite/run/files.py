"""Files of a result, each written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from dinfgrid_cuda import CheckpointError
from dinfgrid_cuda.solvers.record.checkpoint import write_atomically
from dinfgrid_cuda.suite.tools.case import Writer


def write_pictures(folder: Path, pictures: dict[str, bytes]) -> list[str]:
    """Writes PNG and GIF data; returns the names.

    Raises:
        CheckpointError: if the folder cannot be written or the disk is full.
    """
    for name, data in pictures.items():
        write_atomically(folder / name, data)
    return list(pictures)


def write_exports(folder: Path, exports: dict[str, Writer]) -> tuple[list[str], dict[str, str]]:
    """Writes files by functions that take a path; returns the names, and why others are missing.

    A file whose package is not installed is left out; that is no error.

    Raises:
        CheckpointError: if the folder cannot be written or the disk is full.
    """
    written, reasons = [], {}
    for name, writer in exports.items():
        path = folder / name
        # Libraries choose the format by the suffix, so that the temporary file needs it too.
        temporary = folder / f".{secrets.token_hex(8)}{path.suffix}"
        try:
            writer(temporary)
            os.replace(temporary, path)
            written.append(name)
        except ModuleNotFoundError as error:
            reasons[name] = f"needs {error.name}: pip install {error.name}"
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror or error}.") from error
        finally:
            temporary.unlink(missing_ok=True)
    return written, reasons
