"""The pieces of a boundary that a name stands for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def places_of(where: str, name: str, every: Sequence[str]) -> list[int]:
    """Returns the places of the pieces that a name stands for, among the names of all pieces.

    "plate" stands for the pieces "plate", "plate lower 0" and so on.

    Raises:
        ValueError: for a name that no piece has, with the nearest.
    """
    found = [k for k, own in enumerate(every) if own == name or own.startswith(f"{name} ")]
    if not found:
        known = list(dict.fromkeys(every))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}."
        raise ValueError(f"{where}: the shape has no boundary piece {name!r}; {hint}")
    return found
