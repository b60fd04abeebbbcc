"""Boxes that a family of functions cuts simply: as graphs over one of their faces."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.warn import warn_user

from .families import Boxes, Family

# Boxes that are no graphs are halved this often, by dimension of the lattice and of the box: a
# corner without a common direction leaves 4^-18 of a cell in 2-D, an edge 4^-6 of each in 3-D.
DEPTH = {1: (0, 20), 2: (0, 0, 18), 3: (0, 0, 8, 6)}
BUDGET = 400_000
PAIRS_AT_ONCE = 50_000
# A slope that counts as none: a plane along the height, to rounding.
FLAT = 1e-11
PLAIN, ROUGH = -1, -2


@dataclass(frozen=True)
class Plan:
    """How boxes are cut and filled.

    Attributes:
        count: Gauss points per interval.
        turn: the most a normal may turn in a box, as a part of its component along the height.
        depth: how often a box is halved, by its dimension.
    """

    count: int
    turn: float
    depth: tuple[int, ...]

    @cached_property
    def gauss(self) -> tuple[Tensor, Tensor]:
        """Nodes and weights [count] on [0, 1]."""
        nodes, weights = np.polynomial.legendre.leggauss(self.count)
        return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


@dataclass(frozen=True)
class Leaf:
    """Boxes in which all functions are graphs over the base along one axis, or what is left.

    Attributes:
        boxes: slots [B, m] without gaps.
        axis: of the height, `PLAIN` where no function is zero, `ROUGH` where none is found.
        walls: [B, m], functions that do not change along the height.
    """

    boxes: Boxes
    axis: int
    walls: Tensor


def leaves(family: Family, boxes: Boxes, plan: Plan, first_only: bool = False) -> list[Leaf]:
    """Returns boxes divided until their functions are graphs, in groups.

    Args:
        first_only: only the first function of each box must be a graph; boxes in which it has no
            zero are left out.
    """
    found: list[tuple[Boxes, Tensor, Tensor]] = []
    dim = family.dim
    last = False
    for depth in range(plan.depth[dim] + 1):
        if not len(boxes):
            break
        over = depth > 0 and len(boxes) > BUDGET
        last = depth == plan.depth[dim] or over
        if over and depth < plan.depth[dim]:
            warn_user(
                f"quadrature on cut cells: {len(boxes)} parts of cells are still curved or cut "
                "after halving; integrals may have few digits. Use smaller cells, or a level set "
                "that is smooth near its zeros."
            )
        boxes, axis, walls = _examined(
            family, boxes, replace(plan, turn=math.inf) if last else plan, first_only
        )
        if first_only:
            kept = axis != PLAIN
            boxes, axis, walls = boxes[kept], axis[kept], walls[kept]
        rough = axis == ROUGH
        if last:
            rough = torch.zeros_like(rough)
        found.append((boxes[~rough], axis[~rough], walls[~rough]))
        boxes = _halves(boxes[rough])
    return _grouped(found)


def _grouped(found: list[tuple[Boxes, Tensor, Tensor]]) -> list[Leaf]:
    if not found:
        return []
    width = max(boxes.slots.shape[1] for boxes, _, _ in found)

    def padded(table: Tensor, value: int) -> Tensor:
        return torch.nn.functional.pad(table, (0, width - table.shape[1]), value=value)

    slots = torch.cat([padded(boxes.slots, -1) for boxes, _, _ in found])
    corners = [torch.cat([getattr(b, name) for b, _, _ in found]) for name in ("lower", "upper")]
    boxes = Boxes(corners[0], corners[1], torch.cat([b.owner for b, _, _ in found]), slots)
    axis = torch.cat([axis for _, axis, _ in found])
    walls = torch.cat([padded(walls, 0) for _, _, walls in found])
    count = (slots >= 0).sum(dim=1)
    groups = []
    for key in torch.stack([axis, count], dim=1).unique(dim=0).tolist():
        index = ((axis == key[0]) & (count == key[1])).nonzero().squeeze(1)
        part = boxes[index]
        part = Boxes(part.lower, part.upper, part.owner, part.slots[:, : key[1]])
        groups.append(Leaf(part, key[0], walls[index][:, : key[1]]))
    return groups


def _halves(boxes: Boxes) -> Boxes:
    """Returns the 2^dim parts of each box."""
    dim = boxes.lower.shape[1]
    middle = (boxes.lower + boxes.upper) / 2
    bits = _corners(2, dim).bool()
    lower = torch.where(bits, middle[:, None], boxes.lower[:, None]).reshape(-1, dim)
    upper = torch.where(bits, boxes.upper[:, None], middle[:, None]).reshape(-1, dim)
    return Boxes(
        lower,
        upper,
        boxes.owner.repeat_interleave(len(bits)),
        boxes.slots.repeat_interleave(len(bits), dim=0),
    )


def _corners(count: int, dim: int) -> Tensor:
    """Returns all points [count^dim, dim] of numbers 0 .. count - 1."""
    axes = [torch.arange(count)] * dim
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, dim)


def _examined(
    family: Family, boxes: Boxes, plan: Plan, first_only: bool
) -> tuple[Boxes, Tensor, Tensor]:
    """Returns the boxes with only those functions that may be zero in them, axes [B], walls."""
    where = (boxes.slots >= 0).nonzero()
    shape = (*boxes.slots.shape, family.dim)
    active = torch.zeros(shape[:2], dtype=torch.bool)
    fits = torch.ones(shape, dtype=torch.bool)
    walls = torch.zeros(shape, dtype=torch.bool)
    slope = torch.ones(shape, dtype=torch.float64)
    for part in where.split(PAIRS_AT_ONCE):
        row, column = part.unbind(dim=1)
        seen = _samples(family, boxes[row], boxes.slots[row, column], plan)
        active[row, column], fits[row, column], walls[row, column], slope[row, column] = seen
    if first_only:
        active = active & active[:, :1]
        fits[:, 1:], slope[:, 1:] = True, 1.0
        walls[:, 0] = False
    idle = ~active[:, :, None]
    score = torch.where(idle | walls, 1.0, slope).amin(dim=1)
    score = torch.where((fits | walls | idle).all(dim=1), score, -1.0)
    best, axis = score.max(dim=1)
    axis = torch.where(best < 0, ROUGH, axis)
    axis = torch.where(active.any(dim=1), axis, PLAIN)
    order = (~active).long().argsort(dim=1, stable=True)
    slots = torch.where(active, boxes.slots, -1).gather(1, order)
    chosen = walls.gather(2, axis.clamp(min=0)[:, None, None].expand(*shape[:2], 1)).squeeze(2)
    width = max(1, int(active.sum(dim=1).max())) if len(boxes) else 1
    boxes = Boxes(boxes.lower, boxes.upper, boxes.owner, slots[:, :width])
    return boxes, axis, chosen.gather(1, order)[:, :width]


def _samples(family: Family, boxes: Boxes, slot: Tensor, plan: Plan) -> tuple[Tensor, ...]:
    """Returns for one function a box, seen at 3^dim points: whether it may be zero, [P], and for
    each axis [P, dim]: whether it is a graph, does not change, and the least slope."""
    dim = family.dim
    size = boxes.upper - boxes.lower
    centre, radius = (boxes.lower + boxes.upper) / 2, size.norm(dim=1) / 2 * (1 + 1e-9)
    x = boxes.lower[:, None] + size[:, None] * (_corners(3, dim) / 2.0)
    count = x.shape[1]
    many = slot.repeat_interleave(count), boxes.owner.repeat_interleave(count), x.reshape(-1, dim)
    value = family.value(*many).reshape(-1, count)
    gradient = family.gradient(*many).reshape(-1, count, dim)
    # No point is farther than a quarter of the box from a sample on any axis; half as much again
    # for what the slope changes between samples.
    reach = 1.5 * (gradient.abs().amax(dim=1) * size / 4).sum(dim=1)
    active = (value.amin(dim=1) <= 0) & (value.amax(dim=1) >= 0)
    active |= value.abs().amin(dim=1) <= reach
    index = active.nonzero().squeeze(1)
    active[index] = family.near(slot[index], centre[index], radius[index])
    normal = torch.nan_to_num(gradient / gradient.norm(dim=2, keepdim=True))
    turn = (normal - normal.mean(dim=1, keepdim=True)).norm(dim=2).amax(dim=1)
    slope = normal.abs().amin(dim=1)
    one_sign = normal.sign().sum(dim=1).abs() == count
    fits = one_sign & (turn[:, None] <= plan.turn * slope) & (slope > FLAT)
    return active, fits, normal.abs().amax(dim=1) <= FLAT, slope
