"""Integrals over the part of a shape in the cells of a lattice."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .families import SurfaceFamily
from .heights import Points, resolved
from .lattice import lattice_boxes, plan_of
from .rules import Solid, VolumeRule


def volume_rule(solid: Solid, edges: Sequence[Tensor], count: int) -> VolumeRule:
    """Returns points in the shape and positive weights of integrals over it, cell by cell.

    Cells within the shape hold count^dim Gauss points; cells that its boundary cuts are divided
    where surfaces pass. Only what lies in the lattice counts.

        rule = volume_rule(Disk((0, 0), 1), [edges, edges], 4)
        area = rule.weights.sum()

    Args:
        solid: a `Shape`, or what has surfaces and tells what it contains.
        edges: the ends of the cells, one ascending tensor per axis, for one to three axes.
        count: Gauss points per interval and axis.

    Raises:
        ValueError: for edges or a count that are not valid.
    """
    boxes = lattice_boxes(solid, edges, "volume_rule")
    family = SurfaceFamily(tuple(solid.surfaces), len(edges))
    points = _kept(solid, resolved(family, boxes, plan_of(count, len(edges), "volume_rule")))
    order = points.owner.argsort(stable=True)
    return VolumeRule(points.x[order], points.weights[order], points.owner[order])


def _kept(solid: Solid, points: Points) -> Points:
    inside = solid.contains(points.x)
    return Points(points.x[inside], points.weights[inside], points.owner[inside])
