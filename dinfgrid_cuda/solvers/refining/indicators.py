"""How much each cell of a grid adds to the error, by the residuals between the points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.leaf_points import LeafBoundary, LeafPoints, Leaves
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.kernels.multi_index import multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.linear.local_points import (
    boundary_power,
    highest_order,
    interior_power,
    leaves_of,
)

# Points per cell and axis between those of the solve, inside and along the boundary.
BETWEEN, ALONG = 4, 5
# Points whose jets are formed at a time.
CHUNK = 1 << 15


@dataclass(frozen=True)
class Cells:
    """The cells of one level that no finer one covers, and what they add to the error.

    Attributes:
        level: of the grid.
        index: along each axis, counted from the level's first cell, [cells, dim].
        squares: the part of each in the loss between the points, [cells].
        rough: per axis a, the mean square of h_a^k d_a^k u / (2^k k!), with k the degree or the
            highest derivative: how far u is from a polynomial along the axis, [cells, dim].
    """

    level: int
    index: Tensor
    squares: Tensor
    rough: Tensor


def cells_with_errors(problem: Problem, field: Field, weights: Mapping[str, float]) -> list[Cells]:
    """Returns the cells of all levels, with their parts in the loss at points between those seen.

    Terms with points of their own, and data, are left out; energies, which have no residual, count
    by their roughness.

    Args:
        weights: of terms, by name, in place of their own.
    """
    spec = field.grid.spec
    leaves = leaves_of(spec, bounding_box(problem.domain))
    found: list[tuple[Tensor, Tensor]] = []
    energies = False
    for term in problem.terms:
        fresh = _between(term, leaves, highest_order(problem))
        if fresh is None:
            continue
        energies |= fresh.is_energy
        if not fresh.is_energy:
            weight = weights.get(term.name, term.weight) * term.measure(problem.domain)
            x, squares = _squares(fresh, problem.domain, field)
            found.append((x, weight * squares))
    inside = LeafPoints(leaves[0].edges, 2, 3, leaves=leaves)
    at = inside(0, problem.domain, dtype=torch.float64)
    volumes = inside.volumes(problem.domain)
    rough = _roughness(field, at, spec, leaves)
    if energies:
        found.append((at, volumes / volumes.sum() * rough.sum(dim=1)))
    return _by_cells(found, (at, rough), spec, leaves)


def _between(term: Term, leaves: tuple[Leaves, ...], highest: int) -> Term | None:
    """Returns a term at other points in the leaves; None for one with points of its own."""
    region = term.region
    edges = leaves[0].edges
    if isinstance(region, Interior) and (
        region.sampler is None or isinstance(region.sampler, LeafPoints)
    ):
        power = interior_power(term)
        points = LeafPoints(edges, BETWEEN, BETWEEN + 1, leaves=leaves, power=power)
        return replace(term, region=Interior(points), points=None)
    if isinstance(region, Boundary) and (
        region.sampler is None or isinstance(region.sampler, LeafBoundary)
    ):
        if len(edges) == 1:
            return term
        on = LeafBoundary(edges, ALONG, leaves=leaves, power=boundary_power(term, highest))
        return replace(term, region=Boundary(region.faces, on), points=None)
    return None


@torch.no_grad()
def _squares(term: Term, domain: Shape, field: Field) -> tuple[Tensor, Tensor]:
    """Returns points [n, dim] and the part of each in the mean square of a term's residual."""
    features = field.grid.features
    x, given = term.draw(domain, 0, 0, features.dtype, features.device)
    weights = term.point_weights(domain, features.dtype, features.device)
    parts = []
    for start in range(0, len(x), CHUNK):
        chunk = slice(start, start + CHUNK)
        some = x[chunk]
        own: Any = None if given is None else given[chunk]
        residual = term.evaluate(some, field.jet(some, term.order), own)
        parts.append(residual.abs().square().reshape(len(some), -1).mean(dim=1))
    squares = torch.cat(parts)
    if weights is not None:
        squares = squares * weights.reshape(-1)
    return x.double().cpu(), squares.double().cpu() / len(x)


@torch.no_grad()
def _roughness(field: Field, x: Tensor, spec: GridSpec, leaves: tuple[Leaves, ...]) -> Tensor:
    """Returns the squares of h_a^k d_a^k u / (2^k k!) at points x, the channels added, [n, dim]."""
    degree = spec.basis.degree if isinstance(spec.basis, BSpline) else spec.max_order
    k = min(degree, spec.max_order - 1)
    every = multi_indices(spec.dim, k)
    places = [every.index(tuple(k * (a == b) for b in range(spec.dim))) for a in range(spec.dim)]
    like = field.grid.features
    parts = [field.jet(some.to(like), k).components[:, places] for some in x.split(CHUNK)]
    slopes = torch.cat(parts).double().cpu().square().sum(dim=2)
    sizes = torch.ones_like(slopes)
    for level, held in _levels_of(x, spec, leaves):
        sizes[held] = 1 / torch.tensor(spec.level_scale(level), dtype=torch.float64)
    scaled: Tensor = slopes * (sizes / 2) ** (2 * k) / math.factorial(k) ** 2
    return scaled


def _levels_of(x: Tensor, spec: GridSpec, leaves: tuple[Leaves, ...]) -> list[tuple[int, Tensor]]:
    """Returns, for each level, which points x lie in its leaves."""
    found = []
    for own in leaves:
        held, inside = own.hold(x), tables.within(x, spec, own.level)
        found.append((own.level, held if inside is None else held & inside))
    return found


def _by_cells(
    found: list[tuple[Tensor, Tensor]],
    rough: tuple[Tensor, Tensor],
    spec: GridSpec,
    leaves: tuple[Leaves, ...],
) -> list[Cells]:
    """Adds up squares, and takes the mean of roughness, cell by cell."""
    x = torch.cat([rough[0], *(pair[0] for pair in found)])
    squares = torch.cat([torch.zeros(len(rough[0])).double(), *(pair[1] for pair in found)])
    seen = len(rough[0])
    result = []
    for level, held in _levels_of(x, spec, leaves):
        rows = held.nonzero()[:, 0]
        if not len(rows):
            continue
        index = torch.stack(
            [tables.axis_position(x[rows], spec, level, axis)[1] for axis in range(spec.dim)], 1
        )
        cells, inverse = index.unique(dim=0, return_inverse=True)
        total = torch.zeros(len(cells)).double().index_add_(0, inverse, squares[rows])
        own = rows < seen
        count = torch.zeros(len(cells)).double().index_add_(0, inverse[own], own[own].double())
        sums = torch.zeros(len(cells), spec.dim).double()
        sums.index_add_(0, inverse[own], rough[1][rows[own]])
        result.append(Cells(level, cells, total, sums / count.clamp(min=1)[:, None]))
    return result
