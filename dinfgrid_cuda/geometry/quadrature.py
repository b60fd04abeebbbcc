"""Gauss points: fixed points with the weights of an integral, refined at places that are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.checks import is_int

from .box import Box
from .samplers import lattice_shape

PER_CELL = 4
# Cells of size `width` on each side of a place; further out they double.
NARROW = 4


def gauss_line(edges: Sequence[float] | Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre points and weights [cells * count] of the cells between ``edges``, float64."""
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(count))
    ends = torch.as_tensor(edges, dtype=torch.float64)
    sizes = ends.diff()[:, None]
    points = ends[:-1, None] + sizes * (nodes + 1) / 2
    return points.reshape(-1), (sizes * weights / 2).reshape(-1)


@dataclass(frozen=True)
class GaussPoints:
    """Places Gauss-Legendre points in the cells of a lattice, the same at every seed and step.

    A term on ``Interior(GaussPoints(...))`` or ``Boundary(sampler=GaussPoints(...))`` is summed
    with the weights of the quadrature: its mean, or mean square, is an integral divided by the
    volume. Where `solve` looks for the features of a grid, what is left out is taken from the grid.

        dg.Interior(dg.GaussPoints(cells=32, per_cell=5))
        dg.Interior(dg.GaussPoints(at=(0.3, 0.7), width=1e-3))     # a narrow source there

    Points do not refine the grid: around a source that is narrower than a cell u keeps the error of
    a kink that cells of size h cannot follow, h^(3/2) / 10 in the root mean square on a line.

    Args:
        cells: per axis, or one number for all. On faces of a box: of the box, or of the face.
        per_cell: points per cell and axis, exact for polynomials of degree 2 per_cell - 1.
        edges: ends of the cells, ascending, one sequence per axis, in place of ``cells``.
        at: places to refine: coordinates [dim] of one, [K, dim] of some, or in 1-D their positions.
        width: of what happens there, in units of x. Cells of this size lie at each place and double
            in size away from it, along each axis, so that the points remain a lattice.

    Raises:
        ValueError: for cells, edges, places or a width that are not valid.
    """

    cells: int | Sequence[int] | None = None
    per_cell: int | None = None
    edges: Sequence[Sequence[float]] | None = None
    at: Any = None
    width: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.cells, Iterable):
            object.__setattr__(self, "cells", tuple(self.cells))
        for count in self.cells if isinstance(self.cells, tuple) else (self.cells,):
            if count is not None and (not is_int(count) or count < 1):
                raise ValueError(f"GaussPoints: cells is {self.cells}; pass positive integers.")
        if self.per_cell is not None and (not is_int(self.per_cell) or self.per_cell < 1):
            raise ValueError(f"GaussPoints: per_cell is {self.per_cell}; pass a positive integer.")
        if self.edges is not None:
            self._check_edges()
        self._check_places()

    def _check_edges(self) -> None:
        assert self.edges is not None
        edges = tuple(tuple(float(end) for end in axis) for axis in self.edges)
        if self.cells is not None:
            raise ValueError("GaussPoints: pass cells or edges, not both.")
        for axis in edges:
            if len(axis) < 2 or any(not low < high for low, high in pairwise(axis)):
                raise ValueError("GaussPoints: the edges of an axis must ascend, two at the least.")
        object.__setattr__(self, "edges", edges)

    def _check_places(self) -> None:
        if (self.at is None) != (self.width is None):
            raise ValueError("GaussPoints: at and width belong together; pass both or neither.")
        if self.at is None or self.width is None:
            return
        places = torch.as_tensor(self.at, dtype=torch.float64)
        if places.dim() > 2 or not places.numel() or not bool(places.isfinite().all()):
            raise ValueError(
                f"GaussPoints: at is {self.at}; pass finite coordinates [dim] or [K, dim]."
            )
        if not math.isfinite(self.width) or self.width <= 0:
            raise ValueError(f"GaussPoints: width is {self.width}; pass a positive length.")
        listed: Any = places.tolist()
        if places.dim():
            listed = tuple(tuple(place) if isinstance(place, list) else place for place in listed)
        object.__setattr__(self, "at", listed)

    def __call__(
        self,
        n: int,
        box: Box,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points [m, box.dim], last axis fastest.

        They are about ``n`` if neither cells nor edges are given.

        Raises:
            ValueError: if the sampler has another number of axes than the box.
        """
        dtype = dtype or torch.get_default_dtype()
        axes = [line[0].to(dtype=dtype, device=device) for line in self._lines(n, box)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, box.dim)

    def weights(
        self,
        box: Box,
        n: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns weights [m] of the points, 1 in the mean.

        (weights * values).mean() is a mean over x. Times the volume of the box it is the integral.
        """
        product = torch.ones(1, dtype=torch.float64)
        for _, line in self._lines(n, box):
            product = (product[:, None] * (line / line.mean())).reshape(-1)
        return product.to(dtype=dtype or torch.get_default_dtype(), device=device)

    def count(self, n: int, box: Box) -> int:
        """The number of points in a box."""
        return math.prod(len(line) for line, _ in self._lines(n, box))

    def on_face(self, axes: Sequence[int], dim: int) -> GaussPoints:
        """The sampler of a face of a box of ``dim`` axes, which has these ``axes``."""

        def of_face(entries: Any) -> Any:
            whole = isinstance(entries, tuple) and len(entries) == dim
            return tuple(entries[axis] for axis in axes) if whole else entries

        at = self.at
        if at is not None:
            places = torch.as_tensor(at, dtype=torch.float64)
            at = places.reshape(-1, dim)[:, list(axes)] if places.shape[-1:] == (dim,) else at
        return replace(self, cells=of_face(self.cells), edges=of_face(self.edges), at=at)

    def _lines(self, n: int, box: Box) -> list[tuple[Tensor, Tensor]]:
        return [gauss_line(edges, self.per_cell or PER_CELL) for edges in self.cell_edges(n, box)]

    def cell_edges(self, n: int, box: Box) -> list[Tensor]:
        """Returns the ends of the cells of each axis, float64, about ``n`` points in them."""
        edges = self._edges(n, box, self.per_cell or PER_CELL)
        if self.at is None:
            return edges
        return [self._refined(ends, axis, box.dim) for axis, ends in enumerate(edges)]

    def _edges(self, n: int, box: Box, count: int) -> list[Tensor]:
        if self.edges is not None:
            if len(self.edges) != box.dim:
                raise ValueError(
                    f"GaussPoints: edges are given for {len(self.edges)} axes, but the box has "
                    f"{box.dim}."
                )
            return [torch.tensor(ends, dtype=torch.float64) for ends in self.edges]
        cells = self.cells
        if cells is None:
            cells = lattice_shape(max(1, n // count**box.dim), box.dim)
        cells = tuple(cells) if isinstance(cells, Sequence) else (cells,) * box.dim
        if len(cells) != box.dim:
            raise ValueError(f"GaussPoints: cells is {cells}, but the box has {box.dim} axes.")
        return [
            torch.linspace(low, high, number + 1, dtype=torch.float64)
            for low, high, number in zip(box.lower, box.upper, cells, strict=True)
        ]

    def _refined(self, edges: Tensor, axis: int, dim: int) -> Tensor:
        """The edges of an axis, and between them those of graded cells around each place."""
        assert self.width is not None
        places = torch.as_tensor(self.at, dtype=torch.float64)
        if places.numel() % dim or (places.dim() == 2 and places.shape[1] != dim):
            raise ValueError(f"GaussPoints: at is {self.at}, but the box has {dim} axes.")
        largest = float(edges.diff().max())
        steps = [float(k) for k in range(NARROW + 1)]
        while steps[-1] * self.width < largest:
            steps.append(2 * steps[-1])
        ladder = torch.tensor([*(-s for s in steps[:0:-1]), *steps], dtype=torch.float64)
        added = (places.reshape(-1, dim)[:, axis, None] + self.width * ladder).reshape(-1)
        added = added[(added > edges[0]) & (added < edges[-1])]
        apart = (added[:, None] - edges).abs().amin(dim=1) > 1e-9 * self.width
        refined: Tensor = torch.cat([edges, added[apart]]).unique()
        return refined
