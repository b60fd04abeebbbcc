"""Points in the leaves of a grid with local levels: each cell that no finer one covers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .cell_points import BoundaryPoints, CellPoints, Edges, Rule, known, volume_of
from .cut_cells.rules import SurfaceRule
from .shape import Shape

Corners = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Leaves:
    """The cells of one level, less those that finer levels cover.

    Attributes:
        edges: ends of the level's cells, ascending, one sequence per axis.
        covered: corners of the boxes of finer levels.
        size: the shortest edge of a cell.
        level: of the grid.
    """

    edges: Edges
    covered: tuple[Corners, ...]
    size: float
    level: int = 0

    def hold(self, x: Tensor) -> Tensor:
        """Whether no finer box covers points x [N, dim], [N]."""
        held = torch.ones(len(x), dtype=torch.bool)
        for lower, upper in self.covered:
            low, high = x.new_tensor(lower), x.new_tensor(upper)
            held &= ~((x >= low) & (x < high)).all(dim=1)
        return held


@dataclass(frozen=True)
class LeafPoints(CellPoints):
    """Places `CellPoints` in the leaves of all levels.

    Args:
        leaves: of each level; ``edges`` are those of the first.
        power: weights are the volumes times that power of the size of the cells.
        exact: whether the points are those of a quadrature, in cut cells too, as energies need.
    """

    leaves: tuple[Leaves, ...] = ()
    power: float = 0.0
    exact: bool = False

    def weights(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Returns weights [m] of the points, 1 in the mean."""
        _, volumes, sizes = self._all(shape)
        weights = volumes * sizes**self.power
        return (weights / weights.mean()).to(dtype=dtype, device=device)

    def _placed(self, shape: Shape) -> Rule:
        return self._all(shape)[:2]

    def _all(self, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
        """Returns points, the volumes that they stand for, and the sizes of their cells."""
        placed: tuple[Tensor, Tensor, Tensor] = known(shape, self, lambda: self._place_all(shape))
        return placed

    def _place_all(self, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
        parts = []
        for own in self.leaves:
            if self.exact:
                rule = volume_of(shape, own.edges, self.per_cell)
                x, volumes = rule.x, rule.weights
            else:
                cells = CellPoints(own.edges, self.per_cell, self.per_cut_cell, self.gauss)
                x, volumes = cells.placed_in(shape, own.hold)
            held = own.hold(x)
            x, volumes = x[held], volumes[held]
            parts.append((x, volumes, torch.full_like(volumes, own.size)))
        x, volumes, sizes = (torch.cat(column) for column in zip(*parts, strict=True))
        return x, volumes, sizes


@dataclass(frozen=True)
class LeafBoundary(BoundaryPoints):
    """Places `BoundaryPoints` in the leaves of all levels.

    Args:
        leaves: of each level; ``edges`` are those of the first.
        power: weights are the areas times that power of the size of the cells.
    """

    leaves: tuple[Leaves, ...] = ()
    power: float = 0.0

    def rule(self, shape: Shape) -> SurfaceRule:
        """Returns points, normals and weights on the whole boundary of a shape."""
        rule: SurfaceRule = known(shape, self, lambda: self._rule(shape))
        return rule

    def _rule(self, shape: Shape) -> SurfaceRule:
        parts = []
        for own in self.leaves:
            rule = BoundaryPoints(own.edges, self.per_cell, self.exact).rule(shape)
            rule = rule.at(own.hold(rule.x))
            weights = rule.weights * own.size**self.power
            parts.append((rule.x, rule.normals, weights, rule.surfaces))
        return SurfaceRule(*(torch.cat(column) for column in zip(*parts, strict=True)))
