"""Points inside a shape: those of any sampler of boxes, on the box around it."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .box import bounding_box
from .samplers import Sampler, Sobol, Uniform, check_count, mix
from .shape import Shape

# Points of the box at which it is told how much of it a shape takes, and their seed.
TRIED, TRIED_SEED = 1 << 15, 7
# Drawings until enough points lie inside.
DRAWINGS = 60
_shares: WeakKeyDictionary[Shape, float] = WeakKeyDictionary()


def share(shape: Shape) -> float:
    """Returns about what part of the box around it a shape takes, by `TRIED` points.

    Raises:
        ValueError: if none of them is inside.
    """
    if shape not in _shares:
        box = bounding_box(shape)
        x = Sobol()(TRIED, box, TRIED_SEED, 0, torch.float64)
        part = float(shape.contains(x).double().mean())
        if not part:
            raise ValueError(
                f"shape: {shape!r} is empty, or takes less than {1 / TRIED:.0e} of the box around "
                f"it, {list(box.lower)} to {list(box.upper)}."
            )
        _shares[shape] = part
    return _shares[shape]


def points_inside(
    sampler: Sampler,
    n: int,
    shape: Shape,
    seed: int,
    step: int,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Tensor:
    """Returns points [m, dim] of a sampler that lie inside, about ``n`` of them.

    `Uniform` and `Sobol` give exactly ``n``; the cells of `Stratified` are made so small that about
    ``n`` have their point inside; a `Lattice` and samplers with a shape of their own are cut.
    """
    check_count(n, type(sampler).__name__)
    box = bounding_box(shape)
    if isinstance(sampler, Uniform):
        return _drawn(sampler, n, shape, seed, step, dtype, device)
    wanted = n
    if not getattr(sampler, "shape", None):
        wanted = math.ceil(n / share(shape)) if n else 0
    if isinstance(sampler, Sobol):
        wanted = math.ceil(1.1 * wanted) + 64
    x = sampler(wanted, box, seed, step, dtype, device)
    inside: Tensor = x[shape.contains(x)]
    if isinstance(sampler, Sobol):
        missing = n - len(inside)
        if missing > 0:
            more = _drawn(Uniform(), missing, shape, mix(seed, 1), step, dtype, device)
            inside = torch.cat([inside, more])
        return inside[:n]
    return inside


def _drawn(
    sampler: Uniform,
    n: int,
    shape: Shape,
    seed: int,
    step: int,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Tensor:
    """Returns exactly ``n`` independent points: those of the box that are inside, redrawn."""
    box, part = bounding_box(shape), share(shape)
    found: list[Tensor] = []
    missing = n
    for drawing in range(DRAWINGS):
        count = math.ceil(1.1 * missing / part) + 64 if n else 0
        drawn_seed = mix(seed, drawing) if drawing else seed
        x = sampler(count, box, drawn_seed, step, dtype, device)
        found.append(x[shape.contains(x)][:missing])
        missing -= len(found[-1])
        if not missing:
            break
    return torch.cat(found)
