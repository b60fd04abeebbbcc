"""Grids, points and tolerances that several test files share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.spec import GridSpec

BASES: tuple[Basis, ...] = (
    Gaussian(),
    Gaussian(epsilon=0.7, rho=2),
    Gaussian(rho=1),
    Gaussian(epsilon=0.5, rho=5),
    Gaussian(rho=2, normalize=False),
    Gaussian(window="smooth"),
    BSpline(1),
    BSpline(3),
    BSpline(5),
    BSpline(7),
)


def make_spec(dim: int, basis: Basis, boundary: str | tuple[str, ...], **changes: Any) -> GridSpec:
    """A small anisotropic grid on a box without symmetry."""
    settings: dict[str, Any] = {
        "cells": (8, 4, 8, 4)[:dim],
        "levels": 2 if dim == 4 else 3,
        "boundary": (boundary,) * dim if isinstance(boundary, str) else boundary,
        "lower": (-1.0, 0.5, 0.0, -2.0)[:dim],
        "upper": (1.5, 2.0, 1.0, 3.0)[:dim],
    }
    return GridSpec(dim=dim, basis=basis, **{**settings, **changes})


def allowed(basis: Basis, boundary: str | tuple[str, ...], dim: int) -> bool:
    """Whether such a grid exists (and, in 3-D and 4-D, is small enough for the reference)."""
    if "clamp" in boundary and isinstance(basis, BSpline):
        return False
    return basis.rho <= (12, 12, 3, 2)[dim - 1]


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points_in(spec: GridSpec, n: int, *, outside: float = 0.0, seed: int = 0) -> Tensor:
    """Random points [n, dim], float64, in the box blown up by a share ``outside`` on each side."""
    unit = torch.rand(n, spec.dim, dtype=torch.float64, generator=random(seed))
    lower, upper = (torch.tensor(c, dtype=torch.float64) for c in (spec.lower, spec.upper))
    return lower + (unit * (1 + 2 * outside) - outside) * (upper - lower)


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=random(seed))


def error(actual: Tensor, expected: Tensor, dim: int = 1) -> float:
    """Largest difference relative to the largest entry, for each slice along ``dim`` by itself.

    Slices are derivatives, whose sizes differ by powers of the cells per unit length. The result is
    in units of the actual dtype's rounding; about 4500 of them are 1e-12 in float64.
    """
    assert actual.shape == expected.shape
    difference = (actual.double() - expected).abs().transpose(0, dim).flatten(1).amax(1)
    size = expected.abs().transpose(0, dim).flatten(1).amax(1)
    return float((difference / size.clamp_min(1e-300)).amax()) / torch.finfo(actual.dtype).eps


ROUNDINGS = 4500
