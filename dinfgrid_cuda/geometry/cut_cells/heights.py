"""Points that resolve all functions of a family in boxes: dimension by dimension.

After R. Saye, High-order quadrature methods for implicitly defined surfaces and volumes in
hyperrectangles, SIAM J. Sci. Comput. 37 (2015), generalised to many functions in one box: where two
of them meet, the base is divided too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from .classify import PLAIN, ROUGH, Leaf, Plan, leaves
from .families import LOWER, UPPER, BaseFamily, Boxes, Family
from .roots import all_roots

SAMPLES = 5
# Intervals shorter than this part of a box are roundings of one root.
SHORTEST = 1e-14


@dataclass(frozen=True)
class Points:
    """Points and weights of boxes.

    Attributes:
        x: [N, dim].
        weights: [N], positive.
        owner: [N], of the box of each.
    """

    x: Tensor
    weights: Tensor
    owner: Tensor


def joined(parts: list[Points], dim: int) -> Points:
    """Returns all points of all parts."""
    parts = [Points(torch.zeros(0, dim, dtype=torch.float64), *_nothing()), *parts]
    return Points(
        torch.cat([part.x for part in parts]),
        torch.cat([part.weights for part in parts]),
        torch.cat([part.owner for part in parts]),
    )


def _nothing() -> tuple[Tensor, Tensor]:
    return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.long)


def resolved(family: Family, boxes: Boxes, plan: Plan) -> Points:
    """Returns Gauss points of the boxes between the zeros of their functions."""
    if family.dim == 0:
        return Points(boxes.lower, torch.ones(len(boxes), dtype=torch.float64), boxes.owner)
    if family.dim == 1:
        return _line(family, boxes, plan)
    parts = []
    for leaf in leaves(family, boxes, plan):
        if leaf.axis in (PLAIN, ROUGH):
            parts.append(
                gauss(
                    leaf.boxes,
                    plan if leaf.axis == PLAIN else replace(plan, count=min(plan.count, 2)),
                )
            )
        else:
            parts.append(_columns(family, leaf, plan))
    return joined(parts, family.dim)


def gauss(boxes: Boxes, plan: Plan) -> Points:
    """Returns the products of Gauss points in each box."""
    nodes, weights = plan.gauss
    dim = boxes.lower.shape[1]
    grid = torch.meshgrid(*[nodes] * dim, indexing="ij")
    unit = torch.stack(grid, dim=-1).reshape(-1, dim)
    product = torch.stack(torch.meshgrid(*[weights] * dim, indexing="ij"), dim=-1)
    product = product.reshape(-1, dim).prod(dim=1)
    size = boxes.upper - boxes.lower
    x = boxes.lower[:, None] + size[:, None] * unit
    return Points(
        x.reshape(-1, dim),
        (size.prod(dim=1)[:, None] * product).reshape(-1),
        boxes.owner.repeat_interleave(len(unit)),
    )


def _line(family: Family, boxes: Boxes, plan: Plan) -> Points:
    """Returns Gauss points between the zeros on lines."""
    row, column = (boxes.slots >= 0).nonzero().unbind(dim=1)
    slot, owner = boxes.slots[row, column], boxes.owner[row]
    low, high = boxes.lower[:, 0], boxes.upper[:, 0]
    which, root = all_roots(
        lambda i, x: family.value(slot[i], owner[i], x[:, None]),
        lambda i, x: family.gradient(slot[i], owner[i], x[:, None])[:, 0],
        (low[row], high[row]),
        SAMPLES,
    )
    box = torch.arange(len(boxes))
    place = torch.cat([low, root, high])
    of = torch.cat([box, row[which], box])
    order = place.argsort(stable=True)
    order = order[of[order].argsort(stable=True)]
    place, of = place[order], of[order]
    length = place.diff()
    kept = (of.diff() == 0) & (length > SHORTEST * (high - low)[of[1:]])
    return _between(place[:-1][kept], length[kept], boxes.owner[of[1:][kept]], plan)


def _between(start: Tensor, length: Tensor, owner: Tensor, plan: Plan) -> Points:
    """Returns Gauss points [n * count, 1] of intervals [n]."""
    nodes, weights = plan.gauss
    x = start[:, None] + length[:, None] * nodes
    return Points(
        x.reshape(-1, 1),
        (length[:, None] * weights).reshape(-1),
        owner.repeat_interleave(plan.count),
    )


def _columns(family: Family, leaf: Leaf, plan: Plan) -> Points:
    """Returns Gauss points over a base, between the heights at which functions are zero."""
    boxes, axis, count = leaf.boxes, leaf.axis, leaf.boxes.slots.shape[1]
    ends = [(end, i) for i in range(count) for end in (LOWER, UPPER)]
    pairs = list(combinations(range(count), 2))
    base = BaseFamily(family, boxes, axis, ends + pairs, complete=True)
    # A wall, equal at both ends, is told by its lower end, and where it meets others by itself.
    needed = [
        ~leaf.walls[:, i] if end == UPPER else torch.ones_like(leaf.walls[:, i]) for end, i in ends
    ]
    for i, j in pairs:
        meet = family.may_meet(boxes.slots[:, i], boxes.slots[:, j])
        needed.append(meet & ~leaf.walls[:, i] & ~leaf.walls[:, j])
    points = resolved(base, base_boxes(boxes, axis, torch.stack(needed, dim=1)), plan)
    low, high = boxes.lower[points.owner, axis], boxes.upper[points.owner, axis]
    breaks = [low, high]
    for i in range(count):
        column = torch.full_like(points.owner, i)
        height, _, _ = base.zeros(column, points.owner, points.x)
        breaks.append(torch.where(leaf.walls[points.owner, i], low, height))
    place = torch.stack(breaks, dim=1).sort(dim=1).values
    length = place.diff(dim=1)
    row, part = (length > SHORTEST * (high - low)[:, None]).nonzero().unbind(dim=1)
    lines = _between(place[row, part], length[row, part], row, plan)
    x = base.lifted(points.x[lines.owner], lines.x[:, 0])
    weights = lines.weights * points.weights[lines.owner]
    return Points(x, weights, boxes.owner[points.owner[lines.owner]])


def base_boxes(boxes: Boxes, axis: int, needed: Tensor) -> Boxes:
    """Returns the bases of boxes; each owns itself. Slots are those needed, [B, slots]."""
    rest = [k for k in range(boxes.lower.shape[1]) if k != axis]
    numbers = torch.arange(needed.shape[1]).expand_as(needed)
    slots = torch.where(needed, numbers, -1)
    owner = torch.arange(len(boxes))
    return Boxes(boxes.lower[:, rest], boxes.upper[:, rest], owner, slots)
