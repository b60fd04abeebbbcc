"""The boundary of a shape, of which some surfaces place points of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.surface import Surface

from .rules import Solid, SurfaceRule
from .surface import surface_rule

# Of the diagonal of the lattice: how far in front of a point and behind it the shape is looked for.
STEP = 1e-7


@dataclass(frozen=True)
class _Part:
    """A solid of which only some surfaces are looked at."""

    solid: Solid
    surfaces: tuple[Surface, ...]

    def contains(self, x: Tensor) -> Tensor:
        return self.solid.contains(x)


def whole_boundary(
    solid: Solid, edges: Sequence[Tensor], count: int, coarse: bool = False
) -> SurfaceRule:
    """Returns the quadrature over the boundary within a lattice of cells.

    Surfaces of triangles have points on these, as close as a cell divided by ``count``; where
    another surface cuts them off, triangles are taken whole or not at all.
    """
    sizes = [float(ends.diff().min()) for ends in edges]
    smooth = [place for place, surface in enumerate(solid.surfaces) if not surface.kinked]
    if len(smooth) == len(solid.surfaces):
        return surface_rule(solid, edges, count, coarse)
    rules = []
    for place, surface in enumerate(solid.surfaces):
        if surface.kinked:
            x, normals, weights = surface.own_points(min(sizes) / count)
            rule = SurfaceRule(x, normals, weights, torch.full((len(x),), place))
            rules.append(_kept(solid, rule, edges))
    if smooth:
        part = _Part(solid, tuple(solid.surfaces[place] for place in smooth))
        rule = surface_rule(part, edges, count, coarse)
        places = torch.tensor(smooth)[rule.surfaces]
        rules.append(SurfaceRule(rule.x, rule.normals, rule.weights, places))
    return SurfaceRule(
        torch.cat([rule.x for rule in rules]),
        torch.cat([rule.normals for rule in rules]),
        torch.cat([rule.weights for rule in rules]),
        torch.cat([rule.surfaces for rule in rules]),
    )


def _kept(solid: Solid, rule: SurfaceRule, edges: Sequence[Tensor]) -> SurfaceRule:
    """Returns the points on the boundary of the whole and in the lattice, turned outward."""
    low = torch.stack([ends[0] for ends in edges])
    high = torch.stack([ends[-1] for ends in edges])
    step = STEP * float((high - low).norm()) * rule.normals
    behind, before = solid.contains(rule.x - step), solid.contains(rule.x + step)
    within = ((rule.x >= low) & (rule.x <= high)).all(dim=1)
    normals = torch.where(before[:, None], -rule.normals, rule.normals)
    turned = SurfaceRule(rule.x, normals, rule.weights, rule.surfaces)
    return turned.at((behind != before) & within)
