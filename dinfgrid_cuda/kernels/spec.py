"""Description of a multi-resolution grid: box, levels, basis, boundary; not the features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from dinfgrid_cuda.checks import check_instance, is_int, plain, plain_int

from .basis import Basis, BSpline, Gaussian
from .packed_grid import pack

MAX_DIM = 4
MAX_LEVELS = 16
MAX_RHO_4D = 4
MAX_CELLS = 2**30
BOUNDARIES = ("ghost", "clamp", "periodic")

# Cells shorter than this many steps of the floating-point numbers at a corner lose their points.
FINEST = 16

T = TypeVar("T")


def max_order(dim: int) -> int:
    """Highest total order of a derivative: 5, in four dimensions 3."""
    return 3 if dim == 4 else 5


def per_axis(value: T | Sequence[T], dim: int, name: str) -> tuple[T, ...]:
    """Returns ``value`` for each axis, or, if it is a sequence, that it holds one per axis.

    Arrays and tensors are sequences, or numbers where they have no axis.
    """
    value = plain(value)
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (value,) * dim
    if len(value) != dim:
        raise ValueError(
            f"grid: {name} has {len(value)} entries, but the grid has {dim} axes; pass one value, "
            f"or {dim}."
        )
    return tuple(value)


def check_resolution(
    lower: Sequence[float], upper: Sequence[float], cells: Sequence[int], dtype: torch.dtype
) -> None:
    """Raises ValueError where points of this type cannot be told apart inside a grid's cells.

    Raises:
        ValueError: one line that names the axis.
    """
    name, eps = str(dtype).removeprefix("torch."), torch.finfo(dtype).eps
    for axis, (low, high, count) in enumerate(zip(lower, upper, cells, strict=True)):
        step = eps * max(abs(low), abs(high))
        if (high - low) / count < FINEST * step:
            raise ValueError(
                f"grid: on axis {axis} cells are {(high - low) / count:.3g} long, but {name} "
                f"numbers near {max(low, high, key=abs):.9g} are {step:.1g} apart; "
                + ("use dtype=torch.float64, " if dtype != torch.float64 else "use ")
                + "fewer cells, or coordinates that start at 0."
            )


@dataclass(frozen=True)
class GridSpec:
    """Describes a multi-resolution grid on a box, without its features. Immutable and hashable.

    Level s has ``cells[a] >> s`` cells along axis a (level 0 is the finest), so that coarse nodes
    coincide with fine ones. Features of all levels are one array [total_nodes, channels], finest
    level first, row-major within a level.

    Args:
        dim: 1..4.
        cells: cells per axis of the finest level, each divisible by 2^(levels-1).
        levels: 1..16.
        basis: `Gaussian` or `BSpline`.
        boundary: per axis. "ghost": rho - 1 extra nodes beyond each end; "clamp": nodes beyond the
            ends are replaced by copies of the last one, each weighted by its distance to that node
            (the paper's released code; not for B-splines); "periodic": wrapped.
        lower, upper: corners of the box in units of x, lower < upper.

    Attributes:
        ints, floats: the grid as the kernels take it, see `packed_grid`.

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
    """

    dim: int
    cells: tuple[int, ...]
    levels: int
    basis: Basis
    boundary: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    # Derived once; properties that cache themselves stop torch.compile.
    ints: tuple[int, ...] = field(init=False, repr=False, compare=False)
    floats: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _offsets: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("dim", "levels"):
            object.__setattr__(self, name, plain_int(getattr(self, name)))
        if not is_int(self.dim) or not 1 <= self.dim <= MAX_DIM:
            raise ValueError(f"grid: dim is {self.dim!r}, but it must be 1, 2, 3 or 4.")
        for name in ("cells", "boundary", "lower", "upper"):
            entries = plain(getattr(self, name))
            if isinstance(entries, str) or not isinstance(entries, Sequence):
                raise TypeError(f"grid: {name} is {entries!r}; pass a tuple, one entry per axis.")
            object.__setattr__(self, name, per_axis(entries, self.dim, name))
        self._check_basis()
        self._check_cells()
        self._check_box()
        ints, floats = self._packed()
        object.__setattr__(self, "ints", ints)
        object.__setattr__(self, "floats", floats)
        object.__setattr__(self, "_offsets", self._level_offsets())

    def _check_basis(self) -> None:
        check_instance("grid", "basis", self.basis)
        if not isinstance(self.basis, (Gaussian, BSpline)):
            raise TypeError(f"grid: basis is {self.basis!r}; pass a Gaussian(...) or BSpline(...).")
        if self.dim == 4 and self.basis.rho > MAX_RHO_4D:
            raise ValueError(
                f"grid: rho is {self.basis.rho}, but in 4-D it goes up to {MAX_RHO_4D} "
                f"({self.basis.nodes**4:,} nodes a point otherwise); choose a smaller rho."
            )
        for boundary in self.boundary:
            if boundary not in BOUNDARIES:
                raise ValueError(
                    f"grid: boundary is {boundary!r}, but it must be 'ghost', 'clamp' or "
                    "'periodic'."
                )
            if boundary == "clamp" and isinstance(self.basis, BSpline):
                raise ValueError(
                    "grid: a B-spline with boundary 'clamp' would not sum to 1; use 'ghost' or a "
                    "Gaussian."
                )

    def _check_cells(self) -> None:
        if not is_int(self.levels) or not 1 <= self.levels <= MAX_LEVELS:
            raise ValueError(
                f"grid: levels is {self.levels!r}, but it must be an integer in 1..{MAX_LEVELS}."
            )
        object.__setattr__(self, "cells", tuple(plain_int(cells) for cells in self.cells))
        multiple = 1 << (self.levels - 1)
        for cells in self.cells:
            if not is_int(cells) or not 1 <= cells <= MAX_CELLS:
                raise ValueError(
                    f"grid: cells is {cells!r}, but it must be an integer in 1..{MAX_CELLS}."
                )
            if cells % multiple:
                raise ValueError(
                    f"grid: {cells} cells cannot be halved {self.levels - 1} times, once per level "
                    f"after the first; use a multiple of {multiple} or fewer levels."
                )

    def _check_box(self) -> None:
        for name in ("lower", "upper"):
            corner = getattr(self, name)
            for value in corner:
                if isinstance(value, (bool, str)) or not math.isfinite(value):
                    raise ValueError(f"grid: {name} is {value!r}, but it must be a finite number.")
            object.__setattr__(self, name, tuple(float(value) for value in corner))
        for axis, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)):
            if not low < high or not math.isfinite(high - low):
                raise ValueError(
                    f"grid: on axis {axis} the box goes from {low} to {high}; the upper corner "
                    "must be above the lower one, by a finite length."
                )

    def _check_level(self, level: int) -> None:
        if not is_int(level) or not 0 <= level < self.levels:
            raise IndexError(
                f"grid: level {level!r} does not exist; levels are 0 (finest) to {self.levels - 1}."
            )

    def level_cells(self, level: int) -> tuple[int, ...]:
        """Number of cells of a level along each axis."""
        self._check_level(level)
        return tuple(cells >> level for cells in self.cells)

    def level_nodes(self, level: int) -> tuple[int, ...]:
        """Number of stored nodes of a level along each axis."""
        extra = {"ghost": 2 * self.basis.rho - 1, "clamp": 1, "periodic": 0}
        cells = self.level_cells(level)
        return tuple(n + extra[b] for n, b in zip(cells, self.boundary, strict=True))

    def level_size(self, level: int) -> int:
        """Number of stored nodes of a level."""
        return math.prod(self.level_nodes(level))

    def level_offset(self, level: int) -> int:
        """Position of the level's first node in the feature array."""
        self._check_level(level)
        return self._offsets[level]

    def _level_offsets(self) -> tuple[int, ...]:
        offsets = [0]
        for level in range(self.levels):
            offsets.append(offsets[-1] + self.level_size(level))
        return tuple(offsets)

    @property
    def total_nodes(self) -> int:
        """Number of nodes of all levels together, the length of the feature array."""
        return self._offsets[-1]

    @property
    def max_order(self) -> int:
        """Highest total order of a derivative."""
        return max_order(self.dim)

    def _packed(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        codes = [BOUNDARIES.index(boundary) for boundary in self.boundary]
        basis = (self.basis.kind, self.basis.rho, self.basis.normalize, self.basis.epsilon)
        return pack(self.levels, basis, codes, self.cells, (self.lower, self.upper))
