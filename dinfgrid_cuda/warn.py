"""Warnings that point at the user's line, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

OWN = __name__.partition(".")[0]
# Their frames are not the user's: what runs this package, and what it is called back by.
PLUMBING = {
    OWN,
    "torch",
    "numpy",
    "scipy",
    "importlib",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "runpy",
    "contextlib",
    "functools",
    "threading",
    "concurrent",
}


def warn_user(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the innermost line of the stack that the user wrote.

    Frames of this package, of torch and of other libraries that call this package back are passed
    over. Where nothing else is on the stack, as in a thread that a library started, the warning
    points at the line of the package that gave it.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _top_package(frame) in PLUMBING:
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


def _top_package(frame: FrameType) -> str:
    """The package that a frame's code belongs to, "torch" of torch.nn.functional."""
    spec = frame.f_globals.get("__spec__")
    name = getattr(spec, "name", None) or frame.f_globals.get("__name__", "")
    return str(name).partition(".")[0]
