"""Samplers: collocation points in a box, reproducible from (seed, step) alone.

Every sampler is called as ``sampler(n, box, seed, step, dtype, device)`` and returns [m, box.dim]
points in the units of the box. No state is kept between calls, so a run that resumes at a step sees
the points it would have seen. Random numbers are drawn on ``device``; the same seed gives different
points on a CPU and a GPU.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dinfgrid_cuda.checks import is_int, plain, plain_int

from .box import Box


class Sampler(Protocol):
    """What regions need of a sampler: a function of (n, box, seed, step, dtype, device)."""

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns at most ``n`` points [m, box.dim], or as many as the sampler itself fixes."""
        ...


def mix(*numbers: int) -> int:
    """A well-spread 63-bit seed from integers; the same for the same integers everywhere."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, step: int, device: torch.device | str | None = None) -> torch.Generator:
    """A fresh generator on ``device`` for this seed and step."""
    return torch.Generator(device=device or "cpu").manual_seed(mix(seed, step))


def lattice_shape(n: int, dim: int) -> tuple[int, ...]:
    """Nearly equal counts per axis whose product is at most ``n``: 1000 in 2-D gives (32, 31)."""
    count = max(1, round(n ** (1 / dim)))
    while count > 1 and count**dim > n:
        count -= 1
    shape = [count] * dim
    for axis in range(dim):
        shape[axis] += 1
        if math.prod(shape) > n:
            shape[axis] -= 1
            break
    return tuple(shape)


def check_count(n: int, name: str) -> None:
    """Raises ValueError unless a number of points is a whole one, not negative."""
    n = plain_int(n)
    if not is_int(n) or n < 0:
        raise ValueError(f"{name}: {n!r} points were requested; pass a non-negative integer.")


def _into(box: Box, units: Sequence[Tensor]) -> Tensor:
    """Points [N, dim] of the box from coordinates in [0, 1], one tensor [N] per axis.

    Axis by axis with plain numbers, so that nothing is copied to a GPU.
    """
    edges = zip(units, box.lower, box.lengths, strict=True)
    return torch.stack([low + length * unit for unit, low, length in edges], dim=1)


def _cells(
    shape: tuple[int, ...], dtype: torch.dtype | None, device: torch.device | str | None
) -> Tensor:
    """Lower corners of the cells of a lattice, in cells: [prod(shape), dim], last axis fastest."""
    axes = [torch.arange(count, dtype=dtype, device=device) for count in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(shape))


def _shape(wanted: Sequence[int] | None, n: int, dim: int, name: str) -> tuple[int, ...]:
    if wanted is None:
        return lattice_shape(n, dim) if n else (0,) * dim
    shape = tuple(plain_int(count) for count in plain(wanted))
    if len(shape) != dim or any(not is_int(count) or count < 1 for count in shape):
        raise ValueError(
            f"{name}: shape is {shape}, but the box has {dim} axes; pass {dim} positive integers."
        )
    return shape


@dataclass(frozen=True)
class Uniform:
    """Draws independent uniform points, exactly ``n``."""

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points [n, box.dim]."""
        check_count(n, "Uniform")
        random = generator(seed, step, device)
        unit = torch.rand(n, box.dim, generator=random, dtype=dtype, device=device)
        return _into(box, unit.unbind(dim=1))


@dataclass(frozen=True)
class Stratified:
    """Draws one uniform point in each cell of a regular lattice, as the paper does.

    Args:
        shape: cells per axis; it decides the number of points, whatever ``n``. By default the
            largest nearly equal-sided lattice of at most ``n`` cells, so that fewer than ``n``
            points come back where ``n`` is not a perfect power.
    """

    shape: Sequence[int] | None = None

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points [m, box.dim], cells in row-major order, m the product of the shape."""
        check_count(n, "Stratified")
        shape = _shape(self.shape, n, box.dim, "Stratified")
        dtype = dtype or torch.get_default_dtype()
        corner = _cells(shape, dtype, device)
        random = generator(seed, step, device)
        inside = torch.rand(corner.shape, generator=random, dtype=dtype, device=device)
        spots = (corner + inside).unbind(dim=1)
        return _into(box, [spot / count for spot, count in zip(spots, shape, strict=True)])


@dataclass(frozen=True)
class Sobol:
    """Draws scrambled Sobol points, exactly ``n``; each step has a scrambling of its own."""

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points [n, box.dim], drawn on the CPU, then moved."""
        check_count(n, "Sobol")
        dtype = dtype or torch.get_default_dtype()
        engine = torch.quasirandom.SobolEngine(  # type: ignore[no-untyped-call]
            box.dim, scramble=True, seed=mix(seed, step)
        )
        unit = engine.draw(n, dtype=dtype) if n else torch.empty(0, box.dim, dtype=dtype)
        return _into(box, unit.to(device).unbind(dim=1))


@dataclass(frozen=True)
class Lattice:
    """Places points regularly, the same at every seed and step.

    Args:
        shape: points per axis, whatever ``n``; by default as in `Stratified`.
        ends: False puts points in the middle of the lattice's cells, as pixels of an image; True
            spreads them from face to face (a single point on an axis is put in the middle).
    """

    shape: Sequence[int] | None = None
    ends: bool = False

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points [m, box.dim], last axis fastest, m = product of the lattice's shape."""
        axes = self.axes(n, box, dtype, device)
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, box.dim)

    def axes(
        self,
        n: int,
        box: Box,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> list[Tensor]:
        """Returns the positions on each axis, whose product the points are."""
        check_count(n, "Lattice")
        shape = _shape(self.shape, n, box.dim, "Lattice")
        dtype = dtype or torch.get_default_dtype()
        positions = []
        for count, low, length in zip(shape, box.lower, box.lengths, strict=True):
            cell = torch.arange(count, dtype=dtype, device=device)
            unit = cell / (count - 1) if self.ends and count > 1 else (cell + 0.5) / count
            positions.append(low + length * unit)
        return positions
