"""LocalLevel: a level of a grid on a box of its own, with cells of its own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dinfgrid_cuda.checks import is_int, plain, plain_int

MAX_CELLS = 2**30
# Places of local levels are counted exactly in float64.
MAX_LOCAL_CELLS = 2**52
# Cells of an axis are halved at most this often, and a grid has at most so many local levels.
MAX_HALVINGS = 48
MAX_LOCAL = 64


@dataclass(frozen=True)
class LocalLevel:
    """Describes a level on a box that consists of whole cells of an endless lattice.

    Along axis a that lattice has cells of the grid's finest global level divided by
    ``2**halvings[a]``, and begins at the grid's lower corner.

    Args:
        start: the box's first cell along each axis, counted from the grid's lower corner.
        cells: how many cells it has along each axis.
        halvings: how often the grid's cells are halved along each axis, 0..48; not all zero.

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
    """

    start: tuple[int, ...]
    cells: tuple[int, ...]
    halvings: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, least in (("start", 0), ("cells", 1), ("halvings", 0)):
            object.__setattr__(self, name, _whole(name, getattr(self, name), least))
        if not len(self.start) == len(self.cells) == len(self.halvings):
            raise ValueError(
                f"grid: a local level's start {self.start}, cells {self.cells} and halvings "
                f"{self.halvings} must have one entry per axis each."
            )
        if not 0 < max(self.halvings) <= MAX_HALVINGS:
            raise ValueError(
                f"grid: a local level halves cells {self.halvings} times, but it must halve them "
                f"1 to {MAX_HALVINGS} times along some axis."
            )

    @property
    def end(self) -> tuple[int, ...]:
        """The cell after the box's last one along each axis."""
        return tuple(a + n for a, n in zip(self.start, self.cells, strict=True))


def check_place(level: LocalLevel, cells: tuple[int, ...]) -> None:
    """Raises ValueError unless a level lies in a grid of so many cells along each axis."""
    if not isinstance(level, LocalLevel) or len(level.cells) != len(cells):
        raise ValueError(
            f"grid: a local level is {level!r}, but it must be a LocalLevel with {len(cells)} "
            "entries per axis."
        )
    for axis, (end, halvings) in enumerate(zip(level.end, level.halvings, strict=True)):
        count = cells[axis] << halvings
        if count > MAX_LOCAL_CELLS or level.cells[axis] > MAX_CELLS:
            raise ValueError(
                f"grid: {cells[axis]} cells halved {halvings} times on axis {axis} are "
                f"more than the {MAX_LOCAL_CELLS} that can be counted; halve them less often."
            )
        if end > count:
            raise ValueError(
                f"grid: on axis {axis} a local level ends at cell {end}, but the grid has "
                f"{count} cells of that size; keep the box inside the grid."
            )


def _whole(name: str, given: Any, least: int) -> tuple[int, ...]:
    entries = plain(given)
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise TypeError(f"grid: a local level's {name} is {given!r}; pass one integer per axis.")
    numbers = tuple(plain_int(entry) for entry in entries)
    for number in numbers:
        if not is_int(number) or number < least:
            raise ValueError(
                f"grid: a local level's {name} is {numbers}, but its entries must be integers "
                f">= {least}."
            )
    return numbers
