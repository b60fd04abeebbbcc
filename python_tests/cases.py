"""Grids, points and tolerances that several test files share."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels import reference, tables
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.local_level import LocalLevel
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec

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


def make_local_spec(
    dim: int, basis: Basis, boundary: str | tuple[str, ...], **changes: Any
) -> GridSpec:
    """`make_spec` with three levels on boxes of their own, in axes halved differently.

    One lies inside the grid; one ends with it; one overlaps both and spans the third axis.
    """
    boxes = (
        ((4, 2, 3, 1), (6, 3, 5, 2), (1, 1, 1, 1)),
        ((0, 5, 2, 0), (11, 3, 4, 8), (2, 1, 0, 1)),
        ((10, 1, 0, 2), (20, 2, 16, 2), (3, 0, 1, 0)),
    )
    local = tuple(LocalLevel(*(entry[:dim] for entry in box)) for box in boxes)
    settings = {"levels": 2 + len(local), "local": local, **changes}
    return make_spec(dim, basis, boundary, **settings)


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
    in units of the actual dtype's rounding.
    """
    assert actual.shape == expected.shape
    difference = (actual.double() - expected).abs().transpose(0, dim).flatten(1).amax(1)
    size = expected.abs().transpose(0, dim).flatten(1).amax(1)
    return float((difference / size.clamp_min(1e-300)).amax()) / torch.finfo(actual.dtype).eps


ROUNDINGS = 4500  # 1e-12 in float64

MATRIX = [
    (dim, basis, boundary)
    for dim, basis, boundary in itertools.product(
        (1, 2, 3, 4), BASES, ("ghost", "clamp", "periodic")
    )
    if allowed(basis, boundary, dim)
]


def compare(
    spec: GridSpec,
    device: str = "cpu",
    *,
    n: int = 37,
    channels: int = 2,
    order: int = 2,
    reduce: str = "concat",
    dtype: torch.dtype = torch.float64,
    outside: float = 0.1,
) -> None:
    """Asserts that the compiled gather and scatter agree with the reference up to rounding."""
    x = points_in(spec, n, outside=outside).to(dtype)
    features = normal(spec.total_nodes, channels).to(dtype)
    levels = spec.global_levels if reduce == "concat" else 1
    y = normal(n, jet_size(spec.dim, order), levels * channels, seed=2).to(dtype)
    gathered = functional.gather(x.to(device), features.to(device), spec, order, reduce).cpu()
    scattered = functional.scatter(x.to(device), y.to(device), spec, order, reduce).cpu()
    x, features, y = x.double(), features.double(), y.double()
    sizes = magnitudes(x, features, y, spec, order)
    # A weight is a quotient of sums of 2 rho terms, differentiated `order` times: so many
    # roundings, each a few units of the last place.
    rounding = 16 * (spec.basis.nodes + order) * torch.finfo(dtype).eps
    difference = (gathered - reference.gather(x, features, spec, order, reduce)).abs()
    assert (difference.amax((0, 2)) <= rounding * sizes[0]).all()
    difference = (scattered - reference.scatter(x, y, spec, order, reduce)).abs()
    assert difference.amax() <= rounding * sizes[1]


def magnitudes(
    x: Tensor, features: Tensor, y: Tensor, spec: GridSpec, order: int
) -> tuple[Tensor, Tensor]:
    """Largest sum of absolute values that a gather adds up, per derivative [J], and a scatter.

    Rounding errors are relative to these, not to the results, which may cancel. (Levels that are
    added up count by the largest of them.)
    """
    gathered = torch.zeros(jet_size(spec.dim, order), dtype=torch.float64)
    nodes = torch.zeros(spec.total_nodes, dtype=torch.float64)
    for level in range(spec.levels):
        weights = tables.weights(x, spec, level, order).abs()
        gathered = gathered.maximum(weights.sum(2).amax(0) * features.abs().max())
        added = torch.einsum("pjk,pj->pk", weights, y.abs().amax(2))
        nodes.index_add_(0, tables.neighbours(x, spec, level).flatten(), added.flatten())
    return gathered, nodes.max()
