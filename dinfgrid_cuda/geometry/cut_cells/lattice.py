"""The cells of a lattice as boxes, with the surfaces that may pass through each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import is_int

from .classify import DEPTH, Plan
from .families import Boxes
from .rules import Solid

# Errors of Gauss points aimed at, relative to the size of a cut cell, by dimension.
AIM = {1: 1e-10, 2: 5e-12, 3: 1e-4}
# Beyond these a normal needs turn no less, or may turn no more.
LEAST_TURN, MOST_TURN = 0.035, 0.5
# The most that it may turn where weights need to be right to a part in a hundred only.
COARSE_TURN = 1.0


def plan_of(count: int, dim: int, where: str, coarse: bool = False) -> Plan:
    """Returns how cells are cut for a number of Gauss points.

    A height over an interval has its nearest singularity where the normal turns flat: after Gauss
    with n points an error of rho^-2n is left, for rho about the inverse of the turn.

    Raises:
        ValueError: unless ``count`` is a positive integer.
    """
    if not is_int(count) or count < 1:
        raise ValueError(f"{where}: count is {count!r}; pass a positive integer.")
    turn = AIM[dim] ** (1 / (2 * count))
    turn = COARSE_TURN if coarse else min(max(turn, LEAST_TURN), MOST_TURN)
    return Plan(int(count), turn, DEPTH[dim])


def lattice_boxes(solid: Solid, edges: Sequence[Tensor], where: str) -> Boxes:
    """Returns the cells, last axis fastest; slots are the surfaces that may pass through each.

    Raises:
        ValueError: unless there are one to three axes with ascending finite float64 edges.
    """
    if not 1 <= len(edges) <= 3:
        raise ValueError(f"{where}: edges are given for {len(edges)} axes; pass one to three.")
    for axis, ends in enumerate(edges):
        if ends.dtype != torch.float64 or ends.dim() != 1 or len(ends) < 2:
            raise ValueError(
                f"{where}: edges of axis {axis} are {ends.dtype} {list(ends.shape)}; pass float64 "
                "[cells + 1], two at the least."
            )
        if not bool((ends.diff() > 0).all()) or not bool(ends.isfinite().all()):
            raise ValueError(f"{where}: edges of axis {axis} must be finite and ascend.")

    def points(ends: list[Tensor]) -> Tensor:
        return torch.stack(torch.meshgrid(*ends, indexing="ij"), dim=-1).reshape(-1, len(edges))

    lower, upper = points([e[:-1] for e in edges]), points([e[1:] for e in edges])
    return Boxes(lower, upper, torch.arange(len(lower)), _near(solid, lower, upper))


def _near(solid: Solid, lower: Tensor, upper: Tensor) -> Tensor:
    """Returns the numbers [cells, m] of the surfaces near each cell, padded with -1."""
    centre, radius = (lower + upper) / 2, (upper - lower).norm(dim=1) / 2 * (1 + 1e-9)
    cells = [surface.near(centre, radius).nonzero().squeeze(1) for surface in solid.surfaces]
    counts = [len(found) for found in cells]
    cell = torch.cat([torch.zeros(0, dtype=torch.long), *cells])
    number = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    order = cell.argsort(stable=True)
    cell, number = cell[order], number[order]
    per_cell = torch.bincount(cell, minlength=len(lower))
    column = torch.arange(len(cell)) - (per_cell.cumsum(0) - per_cell)[cell]
    slots = torch.full((len(lower), max(1, int(per_cell.max()))), -1)
    slots[cell, column] = number
    return slots
