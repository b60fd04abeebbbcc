"""Warnings that point at the user's line, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Their frames are not the user's.
PACKAGES = (__name__.partition(".")[0], "torch", "importlib", "_frozen_importlib")


def warn_user(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the innermost line of the stack that belongs to neither this package nor torch."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_ours(frame: FrameType) -> bool:
    module = frame.f_globals.get("__spec__")
    name = getattr(module, "name", None) or frame.f_globals.get("__name__", "")
    return str(name).partition(".")[0] in PACKAGES
