"""Integrals over the boundary of a shape in the cells of a lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .classify import ROUGH, Leaf, Plan, leaves
from .families import LOWER, UPPER, BaseFamily, Boxes, SurfaceFamily
from .heights import base_boxes, resolved
from .lattice import lattice_boxes, plan_of
from .rules import Solid, SurfaceRule

# In units of a cell: how far in front of and behind the boundary a shape is asked, and how close
# surfaces are that count as one.
ASIDE, TOGETHER = 1e-7, 1e-10


@dataclass(frozen=True)
class _Found:
    """Points on surfaces: x [N, dim], unit gradients, weights, cells, surfaces, others [N, m]."""

    x: Tensor
    normals: Tensor
    weights: Tensor
    cells: Tensor
    surfaces: Tensor
    others: Tensor

    def __getitem__(self, index: Tensor) -> _Found:
        return _Found(*(value[index] for value in vars(self).values()))


def surface_rule(
    solid: Solid, edges: Sequence[Tensor], count: int, coarse: bool = False
) -> SurfaceRule:
    """Returns points on the boundary, normals and positive weights of integrals over it.

    Only what lies in the lattice counts, its ends included; a point on a face between two cells
    counts once, and so does one where two surfaces of the boundary coincide.

        rule = surface_rule(Disk((0, 0), 1), [edges, edges], 4)
        length = rule.weights.sum()

    Args:
        solid: a `Shape`, or what has surfaces and tells what it contains.
        edges: the ends of the cells, one ascending tensor per axis, for one to three axes.
        count: Gauss points per interval and axis. In 1-D the boundary is points of weight 1.
        coarse: whether weights need to be right to a part in a hundred only, which takes much less
            time where surfaces curve; the points lie on the boundary as exactly.

    Raises:
        ValueError: for edges or a count that are not valid.
    """
    found = _boundary(solid, edges, count, "surface_rule", coarse)
    return SurfaceRule(found.x, found.normals, found.weights, found.surfaces)


def cut_cells(solid: Solid, edges: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns which cells lie wholly inside the shape, and which its boundary cuts, bool [cells].

    A cell with a boundary only on its faces is not cut.

    Raises:
        ValueError: for edges that are not valid.
    """
    boxes = lattice_boxes(solid, edges, "cut_cells")
    found = _boundary(solid, edges, 2, "cut_cells")
    low, high = boxes.lower[found.cells], boxes.upper[found.cells]
    margin = 1e-9 * (high - low)
    within = ((found.x > low + margin) & (found.x < high - margin)).all(dim=1)
    cut = torch.zeros(len(boxes), dtype=torch.bool)
    cut[found.cells[within]] = True
    return ~cut & solid.contains((boxes.lower + boxes.upper) / 2), cut


def _boundary(
    solid: Solid, edges: Sequence[Tensor], count: int, where: str, coarse: bool = False
) -> _Found:
    dim = len(edges)
    boxes = lattice_boxes(solid, edges, where)
    plan = plan_of(count, dim, where, coarse)
    last = torch.stack([ends[-1] for ends in edges])
    family = SurfaceFamily(tuple(solid.surfaces), dim)
    parts = [
        _graph(family, leaf, plan, last)
        for leaf in leaves(family, _by_surface(boxes), plan, first_only=True)
    ]
    width = max([part.others.shape[1] for part in parts], default=0)
    empty = torch.zeros(0, dtype=torch.long)
    none = torch.zeros(0, dim, dtype=torch.float64)
    parts.append(_Found(none, none, none[:, 0], empty, empty, torch.zeros(0, width).long()))

    def padded(others: Tensor) -> Tensor:
        return torch.nn.functional.pad(others, (0, width - others.shape[1]), value=-1)

    columns = [[*list(vars(part).values())[:-1], padded(part.others)] for part in parts]
    found = _Found(*(torch.cat(values) for values in zip(*columns, strict=True)))
    found = _told_apart(solid, found[found.cells.argsort(stable=True)], boxes, family)
    return found


def _by_surface(boxes: Boxes) -> Boxes:
    """Returns each box once for each of its surfaces, which comes first among its slots."""
    row, column = (boxes.slots >= 0).nonzero().unbind(dim=1)
    slots = boxes.slots[row]
    first = slots.gather(1, column[:, None])
    rest = slots.scatter(1, column[:, None], -1)
    return Boxes(
        boxes.lower[row], boxes.upper[row], boxes.owner[row], torch.cat([first, rest], dim=1)
    )


def _graph(family: SurfaceFamily, leaf: Leaf, plan: Plan, last: Tensor) -> _Found:
    """Returns points of the first surface of each box, as a graph over a base."""
    boxes, axis = leaf.boxes, leaf.axis
    if axis == ROUGH:
        axis = _steepest(family, boxes)
    count = boxes.slots.shape[1]
    pairs = [(LOWER, 0), (UPPER, 0), *((0, j) for j in range(1, count))]
    base = BaseFamily(family, boxes, axis, pairs, complete=False)
    needed = torch.ones(len(boxes), len(pairs), dtype=torch.bool)
    points = resolved(base, base_boxes(boxes, axis, needed), plan)
    height, at_low, at_high = base.zeros(torch.zeros_like(points.owner), points.owner, points.x)
    # Boxes hold their lower faces; those at the end of the lattice the upper ones too.
    at_end = boxes.upper[points.owner, axis] == last[axis]
    crossed = (at_low * at_high < 0) | (at_low == 0) | ((at_high == 0) & at_end)
    box = points.owner[crossed]
    x = base.lifted(points.x[crossed], height[crossed])
    surface = boxes.slots[box, 0]
    gradient = family.gradient(surface, boxes.owner[box], x)
    length = gradient.norm(dim=1)
    weights = points.weights[crossed] * length / gradient[:, axis].abs()
    normals = gradient / length[:, None]
    usable = weights.isfinite() & normals.isfinite().all(dim=1)
    found = _Found(x, normals, weights, boxes.owner[box], surface, boxes.slots[box, 1:])
    return found[usable]


def _steepest(family: SurfaceFamily, boxes: Boxes) -> int:
    """Returns the axis along which the first surfaces of most boxes are steepest."""
    centre = (boxes.lower + boxes.upper) / 2
    gradient = family.gradient(boxes.slots[:, 0], boxes.owner, centre)
    return int(gradient.abs().argmax(dim=1).mode().values)


def _told_apart(solid: Solid, found: _Found, boxes: Boxes, family: SurfaceFamily) -> _Found:
    """Returns the points on the boundary of the whole, each once, with outward normals."""
    size = (boxes.upper - boxes.lower).amin(dim=1)
    found = found[_own(found, size[found.cells], family)]
    aside = ASIDE * size[found.cells][:, None] * found.normals
    behind, front = solid.contains(found.x - aside), solid.contains(found.x + aside)
    outward = torch.where(behind[:, None], found.normals, -found.normals)
    found = _Found(found.x, outward, *list(vars(found).values())[2:])
    return found[behind != front]


def _own(found: _Found, size: Tensor, family: SurfaceFamily) -> Tensor:
    """Whether points are on the piece of their surface and on none of an earlier one, [N]."""
    kept = family.holds(found.surfaces, found.x, TOGETHER * size)
    row, column = (found.others >= 0).nonzero().unbind(dim=1)
    other = found.others[row, column]
    earlier = other < found.surfaces[row]
    row, other = row[earlier], other[earlier]
    x, near = found.x[row], TOGETHER * size[row]
    level = family.value(other, row, x).abs()
    on = level <= near * family.gradient(other, row, x).norm(dim=1)
    row, other, near = row[on], other[on], near[on]
    kept[row[family.holds(other, found.x[row], 2 * near)]] = False
    return kept
