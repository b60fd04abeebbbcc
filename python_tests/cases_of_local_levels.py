"""Grids with local levels that several test files share."""

from __future__ import annotations

from typing import Any

import torch
from cases import normal
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda import functional
from dinfgrid_cuda.fields.refinement import Refined
from dinfgrid_cuda.kernels.spec import GridSpec

LEFT = dg.Box((0.0, 0.0), (0.5, 0.5))
CORNER = dg.Box((0.0, 0.0), (0.25, 0.25))
INSIDE = dg.Box((0.25, 0.25), (0.75, 0.75))
APART = dg.Box((0.5, 0.5), (1.0, 1.0))
BESIDE = dg.Box((0.375, 0.375), (1.0, 0.75))
WIDE = dg.Box((0.25, 0.0), (0.75, 1.0))
EDGE = dg.Box((0.5, 0.0, 0.0), (1.0, 1.0, 1.0))


def interval(low: float, high: float) -> dg.Box:
    """A box on a line."""
    return dg.Box((low,), (high,))


# Boxes, and settings of the grid, in place of 8 cells of [0, 1]^2.
CASES: dict[str, tuple[tuple[dg.Box | Refined, ...], dict[str, Any]]] = {
    "inside": ((INSIDE,), {}),
    "at a corner": ((LEFT,), {}),
    "nested": ((LEFT, CORNER), {}),
    "apart": ((LEFT, APART), {}),
    "crossing": ((Refined(LEFT, (2, 0)), Refined(INSIDE, (0, 1))), {}),
    "overlapping": ((INSIDE, Refined(BESIDE, 1)), {}),
    "periodic": ((INSIDE,), {"boundary": "periodic"}),
    "spanning": ((WIDE,), {"boundary": ("ghost", "periodic")}),
    "several levels": ((INSIDE,), {"levels": 3}),
    "on a line": ((interval(0.25, 0.75), interval(0.375, 0.625)), {"dim": 1, "cells": 16}),
    "in space": ((dg.Box((0.0,) * 3, (0.5,) * 3),), {"dim": 3, "cells": 4}),
    "a layer in space": ((Refined(EDGE, (2, 0, 0)),), {"dim": 3, "cells": 4}),
}


def grid_with(
    *boxes: dg.Box | Refined, dim: int = 2, degree: int = 3, **options: Any
) -> dg.FeatureGrid:
    """A grid of 8 cells of [0, 1]^dim with features of size 1, those held at zero included."""
    settings: dict[str, Any] = {"cells": 8, "lower": 0.0, "upper": 1.0, **options}
    grid = dg.FeatureGrid(
        dim=dim, basis=dg.BSpline(degree), dtype=torch.float64, refine=boxes, **settings
    )
    with torch.no_grad():
        grid.features.copy_(normal(*grid.features.shape))
    return grid


def functions(spec: GridSpec, x: Tensor) -> Tensor:
    """The values [N, nodes] of all functions at points, those of all levels one after the other."""
    return functional.gather(x, torch.eye(spec.total_nodes).double(), spec, 0, "sum")[:, 0]


def lattice(spec: GridSpec, halvings: int) -> Tensor:
    """As many points in each of the smallest cells as polynomials of the degree have there."""
    axes = []
    for low, high, cells in zip(spec.lower, spec.upper, spec.cells, strict=True):
        count = (cells << halvings) * spec.basis.nodes
        axes.append(low + (high - low) * (torch.arange(count).double() + 0.5) / count)
    return torch.cartesian_prod(*axes).reshape(-1, spec.dim)


def faces(spec: GridSpec, level: int) -> tuple[Tensor, Tensor]:
    """Points in the middle of cells of the faces of a box, and one step of the numbers below."""
    lower, upper = spec.level_box(level)
    middles = [
        low + (high - low) * (torch.arange(cells).double() + 0.5) / cells
        for low, high, cells in zip(lower, upper, spec.level_cells(level), strict=True)
    ]
    here, there = [torch.empty(0, spec.dim).double()], [torch.empty(0, spec.dim).double()]
    for axis, opens in enumerate(spec.level_open(level)):
        for end, is_open in zip((lower[axis], upper[axis]), opens, strict=True):
            if is_open:
                continue
            at = torch.tensor([end], dtype=torch.float64)
            for parts, place in ((here, at), (there, torch.nextafter(at, at - 1))):
                on = [place if a == axis else middles[a] for a in range(spec.dim)]
                parts.append(torch.cartesian_prod(*on).reshape(-1, spec.dim))
    return torch.cat(here), torch.cat(there)


def rank(matrix: Tensor) -> int:
    """The rank of a matrix whose singular values are those of its range, or rounding."""
    values = torch.linalg.svdvals(matrix)
    assert not ((values > 1e-12 * values[0]) & (values < 1e-6 * values[0])).any()
    return int((values > 1e-9 * values[0]).sum())
