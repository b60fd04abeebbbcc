"""Checks of the arguments of shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dinfgrid_cuda.checks import check_point


def check_name(where: str, name: Any) -> str:
    """Returns the name of a boundary piece.

    Raises:
        TypeError: if it is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"{where}: name is {name!r}; pass a text, e.g. name='wall'.")
    return name


def check_number(where: str, argument: str, value: Any) -> float:
    """Returns any finite number, negative ones too.

    Raises:
        TypeError, ValueError: if it is none.
    """
    message = f"{where}: {argument} is {value!r}; pass a finite number."
    if isinstance(value, (str, bool)):
        raise TypeError(message)
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(message) from error
    if not math.isfinite(number):
        raise ValueError(message)
    return number


def check_direction(
    where: str, argument: str, value: Any, dim: int | None = None
) -> tuple[float, ...]:
    """Returns a vector scaled to length 1.

    Raises:
        TypeError, ValueError: if it is no vector, or zero.
    """
    vector = check_point(where, argument, value, dim)
    length = math.hypot(*vector)
    if not length:
        raise ValueError(f"{where}: {argument} is {vector}; it must not be zero.")
    return tuple(entry / length for entry in vector)


def check_order(where: str, lower: Sequence[float], upper: Sequence[float], first: int = 0) -> None:
    """Raises ValueError unless lower < upper on every axis, counted from ``first``."""
    for axis, (low, high) in enumerate(zip(lower, upper, strict=True), start=first):
        if not low < high:
            raise ValueError(
                f"{where}: on axis {axis} it goes from {low:g} to {high:g}; upper must be above "
                "lower."
            )


def prefixed(prefix: str, piece: str) -> str:
    """Returns the name of a piece of a shape that has several, "tank side"."""
    return f"{prefix} {piece}".strip()
