"""Description of a multi-resolution grid: box, levels, basis, boundary; not the features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dinfgrid_cuda.checks import check_instance, is_int, plain, plain_int

from .basis import Basis, BSpline, Gaussian
from .local_level import MAX_CELLS as MAX_CELLS
from .local_level import MAX_LOCAL, LocalLevel, check_place
from .packed_grid import pack

MAX_DIM = 4
MAX_LEVELS = 16
MAX_RHO_4D = 4
BOUNDARIES = ("ghost", "clamp", "periodic")

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


@dataclass(frozen=True)
class GridSpec:
    """Describes a multi-resolution grid on a box, without its features. Immutable and hashable.

    Level s has ``cells[a] >> s`` cells along axis a (level 0 is the finest), so that coarse nodes
    coincide with fine ones. Local levels follow, each on a box of its own (see `LocalLevel`):
    outside its box it contributes nothing. Features of all levels are one array
    [total_nodes, channels], in the order of the levels, row-major within a level.

    Args:
        dim: 1..4.
        cells: cells per axis of level 0, the finest global one, each divisible by 2^(g-1), g the
            number of global levels.
        levels: number of levels, 1..16 global and up to 64 local ones.
        basis: `Gaussian` or `BSpline`.
        boundary: per axis. "ghost": rho - 1 extra nodes beyond each end; "clamp": nodes beyond the
            ends are replaced by copies of the last one, each weighted by its distance to that node
            (the paper's released code; not for B-splines); "periodic": wrapped.
        lower, upper: corners of the box in units of x, lower < upper.
        local: the local levels, the last ones; for B-splines and smooth Gaussians, which vanish at
            the ends of a box, and not with "clamp".

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
    local: tuple[LocalLevel, ...] = ()
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
        self._check_local()
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
        count = len(self.local)
        if not is_int(self.levels) or not 1 <= self.levels - count <= MAX_LEVELS:
            beside = f" beside the {count} local ones" if count else ""
            raise ValueError(
                f"grid: levels is {self.levels!r}, but it must be an integer in 1..{MAX_LEVELS}"
                f"{beside}."
            )
        multiple = 1 << (self.global_levels - 1)
        for cells in self.cells:
            if not is_int(cells) or not 1 <= cells <= MAX_CELLS:
                raise ValueError(
                    f"grid: cells is {cells!r}, but it must be an integer in 1..{MAX_CELLS}."
                )
            if cells % multiple:
                raise ValueError(
                    f"grid: {cells} cells cannot be halved {self.global_levels - 1} times, once "
                    f"per level after the first; use a multiple of {multiple} or fewer levels."
                )
        for level in self.local:
            check_place(level, self.cells)

    def _check_local(self) -> None:
        object.__setattr__(self, "local", tuple(self.local))
        object.__setattr__(self, "cells", tuple(plain_int(cells) for cells in self.cells))
        if not self.local:
            return
        if len(self.local) > MAX_LOCAL:
            raise ValueError(
                f"grid: {len(self.local)} local levels were asked for, but a grid has at most "
                f"{MAX_LOCAL}; use fewer and larger boxes."
            )
        if isinstance(self.basis, Gaussian) and self.basis.window != "smooth":
            raise ValueError(
                f"grid: a local level must end smoothly at its box, but {self.basis} jumps at its "
                "reach; use a BSpline, or window='smooth'."
            )
        if "clamp" in self.boundary:
            raise ValueError(
                "grid: local levels do not exist with boundary 'clamp'; use 'ghost' or 'periodic'."
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
                f"grid: level {level!r} does not exist; levels are 0 to {self.levels - 1}."
            )

    @property
    def global_levels(self) -> int:
        """Number of levels that cover the whole box; they come first."""
        return self.levels - len(self.local)

    def column(self, level: int) -> int:
        """Place of a level among those side by side in a jet: a local one adds to level 0."""
        return level if level < self.global_levels else 0

    def local_level(self, level: int) -> LocalLevel | None:
        """The description of a level on a box of its own; None for a global one."""
        self._check_level(level)
        return None if level < self.global_levels else self.local[level - self.global_levels]

    def level_cells(self, level: int) -> tuple[int, ...]:
        """Number of cells of a level along each axis."""
        own = self.local_level(level)
        return tuple(cells >> level for cells in self.cells) if own is None else own.cells

    def level_boundary(self, level: int) -> tuple[str, ...]:
        """How a level ends along each axis: as the grid, or "ghost" where its box ends before."""
        own = self.local_level(level)
        if own is None:
            return self.boundary
        return tuple(
            boundary if boundary == "ghost" or count == cells << halvings else "ghost"
            for boundary, cells, count, halvings in zip(
                self.boundary, self.cells, own.cells, own.halvings, strict=True
            )
        )

    def level_box(self, level: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The corners of a level's box, lower and upper, in units of x."""
        own = self.local_level(level)
        if own is None:
            return self.lower, self.upper
        corners = []
        for ends in (own.start, own.end):
            corners.append(tuple(self._place(axis, n, own) for axis, n in enumerate(ends)))
        return corners[0], corners[1]

    def _place(self, axis: int, n: int, level: LocalLevel) -> float:
        count = self.cells[axis] << level.halvings[axis]
        if n == count:
            return self.upper[axis]
        return self.lower[axis] + (self.upper[axis] - self.lower[axis]) * n / count

    def level_scale(self, level: int) -> tuple[float, ...]:
        """Cells of a level per unit of x along each axis, 1 / h."""
        own = self.local_level(level)
        lengths = [high - low for low, high in zip(self.lower, self.upper, strict=True)]
        if own is None:
            counts = self.level_cells(level)
        else:
            counts = tuple(n << k for n, k in zip(self.cells, own.halvings, strict=True))
        return tuple(count / length for count, length in zip(counts, lengths, strict=True))

    def level_open(self, level: int) -> tuple[tuple[bool, bool], ...]:
        """Whether a level goes on beyond each end of its box, per axis: lower, upper.

        A global level does. So does a local one where its box ends with the grid; around a periodic
        axis only if it spans it.
        """
        own = self.local_level(level)
        if own is None:
            return ((True, True),) * self.dim
        ends = []
        for axis in range(self.dim):
            count = self.cells[axis] << own.halvings[axis]
            at_ends = own.start[axis] == 0, own.end[axis] == count
            wraps = self.boundary[axis] == "periodic"
            ends.append((all(at_ends), all(at_ends)) if wraps else at_ends)
        return tuple(ends)

    def level_nodes(self, level: int) -> tuple[int, ...]:
        """Number of stored nodes of a level along each axis."""
        extra = {"ghost": 2 * self.basis.rho - 1, "clamp": 1, "periodic": 0}
        cells, boundary = self.level_cells(level), self.level_boundary(level)
        return tuple(n + extra[b] for n, b in zip(cells, boundary, strict=True))

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
        corners = self.lower, self.upper
        return pack(self.global_levels, basis, codes, self.cells, corners, self.local)
