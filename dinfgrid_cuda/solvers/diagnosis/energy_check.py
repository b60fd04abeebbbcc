"""What a solve cannot see: an energy between its points, and details finer than their distance."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.box import Box, bounding_box
from dinfgrid_cuda.geometry.inside import share
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.problem.given import Numbers
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.lattice.axes import as_lattice
from dinfgrid_cuda.solvers.linear.cells import cell_edges, per_cell

# Part of the mean modulus of the density by which means may differ. At a minimum the relative error
# of u is about the root of this.
APART = 1e-3
# Largest number of fresh points.
MOST = 1 << 18


def fresh_energy(objective: Objective, index: int) -> str | None:
    """Returns a note if an energy at other Gauss points differs from that at the solve's points.

    The fresh points are those of the grid's cells, one more per cell and axis than the solve takes
    by itself. None also where there is nothing to compare: for squares, for points that are new in
    each step, for `Points`, for fields without a grid, and where the grid has too many cells.
    """
    term, field = objective.problem.terms[index], objective.field
    if not term.is_energy or not isinstance(field, Field):
        return None
    if objective.resample and not term.fixed:
        return None
    region = _between(term, objective.problem.domain, field)
    if region is None:
        return None
    box, dtype, device = objective.problem.domain, objective.dtype, objective.device
    with contextlib.suppress(Exception):  # a density may hold a number for each point of the solve
        x, data, total = objective.points(index, 0)
        if len(x) < total:
            return None
        density, weights = _density(field, term, x, data), objective.point_weights(index)
        fresh_x = region.sample(0, box, 0, 0, dtype, device)
        fresh_density = _density(field, term, fresh_x, None)
        fresh_weights = region.weights(0, box, dtype, device)
        solved, fresh = _mean(density, weights), _mean(fresh_density, fresh_weights)
        size = max(_mean(density.abs(), weights), _mean(fresh_density.abs(), fresh_weights))
        if not abs(fresh - solved) <= APART * size:
            return (
                f"the energy of term {term.name!r} is {solved:.3e} at the points of the solve, but "
                f"{fresh:.3e} at points between them: u is the minimiser for these points only. "
                "Leave the sampler out, or take GaussPoints with more points per cell."
            )
    return None


def _between(term: Term, domain: Shape, field: Field) -> Interior | Boundary | None:
    """Returns the region of a term with fresh Gauss points, or None where it has none."""
    region, spec = term.region, field.grid.spec
    if not isinstance(region, (Interior, Boundary)) or term.data is not None:
        return None
    if isinstance(region, Boundary) and (domain.dim == 1 or not isinstance(domain, Box)):
        return None
    box = bounding_box(domain)
    edges, count = cell_edges(spec, box), per_cell(spec) + 1
    sampler = GaussPoints(per_cell=count, edges=edges)
    if isinstance(region.sampler, GaussPoints) and region.sampler.at is not None:
        sampler = replace(sampler, at=region.sampler.at, width=region.sampler.width)
    if isinstance(region, Boundary):
        faces = Boundary(region.faces, sampler)
        cells = [len(axis) for axis in edges]
        return faces if 2 * box.dim * math.prod(cells) * count ** (box.dim - 1) < MOST else None
    return Interior(sampler) if sampler.count(0, box) <= MOST else None


def _density(field: Field, term: Term, x: Tensor, data: Numbers | None) -> Tensor:
    """Returns the density of an energy at points x, [N], the mean over its columns."""
    jet: Any = field.jet(x, term.order)
    return term.evaluate(x, jet, data).detach().reshape(len(x), -1).mean(dim=1)


def _mean(values: Tensor, weights: Tensor | None) -> float:
    """Returns the mean of values [N], weighted where weights are given."""
    return float((values if weights is None else weights * values).mean())


def apart(x: Tensor, domain: Shape) -> float:
    """Returns about the largest distance between neighbouring points x [N, dim] of a box.

    For a lattice this is the largest gap on an axis; for scattered points about the edge of the
    largest empty cube, (volume * ln N / N)^(1 / dim).
    """
    axes = as_lattice(x) if isinstance(domain, Box) else None
    if axes is None or not isinstance(domain, Box):
        n, volume = max(2, len(x)), math.prod(domain.lengths)
        if not isinstance(domain, Box):
            volume *= share(domain)
        return float((volume * math.log(n) / n) ** (1 / domain.dim))
    gaps = []
    for t, low, high in zip(axes, domain.lower, domain.upper, strict=True):
        ends = torch.cat([t.new_tensor([low]), t, t.new_tensor([high])])
        gaps.append(float(ends.diff().max()))
    return max(gaps)


def looked_at(objective: Objective, fresh: int = 0) -> str | None:
    """Returns a line on how fine the points inside the box are; None without `Interior` terms.

    Args:
        fresh: number of stratified points at which the report looks as well; 0 for none.
    """
    box, distances = objective.problem.domain, []
    for index, term in enumerate(objective.problem.terms):
        if isinstance(term.region, Interior):
            distances.append(apart(objective.points(index, 0)[0], box))
    if not distances:
        return None
    finest = min(distances)
    if fresh:
        # Neighbours in stratified cells are at most two cells apart.
        cells = fresh ** (1 / box.dim)
        finest = min(finest, 2 * max(box.lengths) / cells)
    return (
        f"looked at points no further apart than about {finest:.0e}: what is narrower may be missed"
    )
