"""Packages that may be missing, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


class MissingPackageError(ImportError):
    """A package is not installed; the message says how to get it."""


def package(name: str, distribution: str | None = None) -> Any:
    """The module of this name, imported now.

    Args:
        name: of the module, dots allowed.
        distribution: its name for pip, where that differs from the module's.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        requirement = distribution or name.split(".", maxsplit=1)[0]
        raise MissingPackageError(f"not installed: pip install {requirement}") from error
