"""Points of least squares on a shape: regular in each cell, denser along the boundary."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from .box import bounding_box
from .cut_cells.rules import SurfaceRule, VolumeRule
from .quadrature import PER_CELL, GaussPoints
from .shape import Shape
from .thinning import thinned

Rule = tuple[Tensor, Tensor]
Edges = tuple[tuple[float, ...], ...]
# Points and weights of shapes by what was asked for: forming them takes longer than using them.
_known: WeakKeyDictionary[Shape, dict[Any, Any]] = WeakKeyDictionary()
# Kept for a shape at a time.
KEPT = 12
# Cells along the longest axis by dimension, and in more, of integrals over a shape and of random
# points on its boundary.
CELLS, FEW_CELLS = {1: 1, 2: 64, 3: 24}, 12


def known(shape: Shape, key: Any, make: Any) -> Any:
    """Returns what ``make()`` gave for the shape and the key before, or gives now."""
    of_shape = _known.setdefault(shape, {})
    if key not in of_shape:
        while len(of_shape) >= KEPT:
            del of_shape[next(iter(of_shape))]
        of_shape[key] = make()
    return of_shape[key]


def tensors(edges: Edges) -> list[Tensor]:
    """Returns the ends of the cells of each axis, float64."""
    return [torch.tensor(ends, dtype=torch.float64) for ends in edges]


def volume_of(shape: Shape, edges: Edges, count: int) -> VolumeRule:
    """Returns the quadrature over the part of a shape in a lattice of cells."""
    rule: VolumeRule = known(
        shape, ("volume", edges, count), lambda: shape.cell_rule(tensors(edges), count)
    )
    return rule


def boundary_of(shape: Shape, edges: Edges, count: int, coarse: bool = False) -> SurfaceRule:
    """Returns the quadrature over the boundary of a shape in a lattice of cells.

    Args:
        coarse: whether weights need to be right to a part in a hundred only.
    """
    rule: SurfaceRule = known(
        shape,
        ("boundary", edges, count, coarse),
        lambda: shape.boundary_rule(tensors(edges), count, coarse),
    )
    return rule


@dataclass(frozen=True)
class CellPoints:
    """Places points regularly in the cells of a lattice, more in those that the boundary cuts.

    Args:
        edges: ends of the cells, ascending, one sequence per axis.
        per_cell, per_cut_cell: points per axis in a cell.
        gauss: whether whole cells have Gauss points; else the middles of equal parts, as cut cells.
    """

    edges: Edges
    per_cell: int = 3
    per_cut_cell: int = 4
    gauss: bool = False

    def __call__(
        self,
        n: int,
        box: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns the points [m, dim] that lie in the shape, whatever ``n``."""
        x, _ = self._placed(box)
        return x.to(dtype=dtype or torch.get_default_dtype(), device=device)

    def weights(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Returns weights [m] of the points, their share of the volume, 1 in the mean."""
        _, weights = self._placed(shape)
        return (weights / weights.mean()).to(dtype=dtype, device=device)

    def volumes(self, shape: Shape) -> Tensor:
        """Returns the volume that each point stands for, [m], float64."""
        return self._placed(shape)[1]

    def _placed(self, shape: Shape) -> tuple[Tensor, Tensor]:
        """Returns points and the volumes that they stand for."""
        placed: tuple[Tensor, Tensor] = known(shape, self, lambda: self._place(shape))
        return placed

    def _place(self, shape: Shape) -> tuple[Tensor, Tensor]:
        return self.placed_in(shape)

    def placed_in(
        self, shape: Shape, chosen: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns points [m, dim] and the volumes that they stand for, of some of the cells.

        Args:
            chosen: whether cells take part, by their centres [cells, dim]; None for all.
        """
        lower, sizes = _cells(tensors(self.edges))
        if chosen is not None:
            some = chosen(lower + sizes / 2)
            lower, sizes = lower[some], sizes[some]
        cut = near_boundary(shape, lower, sizes)
        inside = ~cut
        inside[inside.clone()] = shape.contains((lower + sizes / 2)[inside])
        whole = _gauss(self.per_cell) if self.gauss else _middles(self.per_cell)
        parts = [_in_cells(lower[inside], sizes[inside], whole)]
        x, weights = _in_cells(lower[cut], sizes[cut], _middles(self.per_cut_cell))
        held = shape.contains(x)
        parts.append((x[held], weights[held]))
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def near_boundary(shape: Shape, lower: Tensor, sizes: Tensor) -> Tensor:
    """Whether the surfaces of a shape may pass through cells, [cells].

    Args:
        lower: their lower corners [cells, dim], float64.
        sizes: their edge lengths [cells, dim].
    """
    centres, reach = lower + sizes / 2, sizes.norm(dim=1) / 2
    cut = torch.zeros(len(lower), dtype=torch.bool)
    for surface in shape.surfaces:
        rest = (~cut).nonzero()[:, 0]
        cut[rest] = surface.near(centres[rest], reach[rest])
    return cut


def _cells(edges: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns lower corners and sizes of the cells, [cells, dim], last axis fastest."""
    lower = torch.cartesian_prod(*(ends[:-1] for ends in edges)).reshape(-1, len(edges))
    sizes = torch.cartesian_prod(*(ends.diff() for ends in edges)).reshape(-1, len(edges))
    return lower, sizes


def _in_cells(lower: Tensor, sizes: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Returns points of a rule for [0, 1] along each axis of each cell, and their volumes."""
    dim = lower.shape[1]
    nodes, weights = (torch.cartesian_prod(*[numbers] * dim).reshape(-1, dim) for numbers in rule)
    x = lower[:, None] + sizes[:, None] * nodes
    volumes = sizes.prod(dim=1, keepdim=True) * weights.prod(dim=1)
    return x.reshape(-1, dim), volumes.reshape(-1)


def _middles(count: int) -> Rule:
    """Returns the middles of equal parts of [0, 1], and the parts' lengths."""
    middles = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return middles, torch.full_like(middles, 1 / count)


def _gauss(count: int) -> Rule:
    """Returns Gauss points and weights of [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


def gauss_on(sampler: GaussPoints, n: int, shape: Shape) -> VolumeRule:
    """Returns the quadrature of `GaussPoints` over a shape: those of its cells that are inside.

    Cells that the boundary cuts get points and weights of their own.

    Args:
        n: about the number of points if neither cells nor edges are given.
    """
    box = bounding_box(shape)
    edges = tuple(tuple(ends.tolist()) for ends in sampler.cell_edges(n, box))
    return volume_of(shape, edges, sampler.per_cell or PER_CELL)


@dataclass(frozen=True)
class BoundaryPoints:
    """Places the points of a quadrature over the boundary, cell by cell of a lattice.

    Args:
        edges: ends of the cells, ascending, one sequence per axis.
        per_cell: points per cell along each direction of the boundary.
        exact: False leaves out points that are closer than that, in favour of their neighbours, as
            equations allow; True keeps all points of the quadrature, as energies need.
    """

    edges: Edges
    per_cell: int = 3
    exact: bool = False

    def rule(self, shape: Shape) -> SurfaceRule:
        """Returns points, normals and weights on the whole boundary of a shape."""
        whole = boundary_of(shape, self.edges, self.per_cell, coarse=not self.exact)
        if self.exact:
            return whole
        rule: SurfaceRule = known(shape, self, lambda: thinned(whole, self._spacing()))
        return rule

    def _spacing(self) -> Tensor:
        """The size of a cell divided by the points in it, [dim]."""
        largest = [float(ends.diff().max()) for ends in tensors(self.edges)]
        return torch.tensor(largest, dtype=torch.float64) / self.per_cell


def lattice_around(shape: Shape, cells: int | None = None) -> Edges:
    """Returns cells around a shape, about cubes, ``cells`` of them along the longest axis.

    By default as many as integrals and random points need.
    """
    cells = cells or CELLS.get(shape.dim, FEW_CELLS)
    lengths = [high - low for low, high in zip(shape.lower, shape.upper, strict=True)]
    size = max(lengths) / cells
    edges = []
    for low, length in zip(shape.lower, lengths, strict=True):
        count = max(1, math.ceil(length / size - 1e-9))
        edges.append(tuple(low + length * k / count for k in range(count + 1)))
    return tuple(edges)
