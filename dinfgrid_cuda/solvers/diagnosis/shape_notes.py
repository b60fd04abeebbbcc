"""Notes on shapes: points that are too few for the grid, parts that are thinner than a cell."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.cell_points import BoundaryPoints
from dinfgrid_cuda.geometry.filled import LEAST, Filled
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.geometry.shapes.corners import corners, sharp_edges
from dinfgrid_cuda.geometry.shapes.thinness import is_thin
from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.linear.balance import has_data
from dinfgrid_cuda.solvers.linear.shape_points import cells_around
from dinfgrid_cuda.solvers.linear.sight import CHUNK, Sight
from dinfgrid_cuda.solvers.linear.unknowns import linear_field

# A feature sees too few points if it has less than this part of `LEAST` per cell and axis.
FEW = 0.5
# Cells of the shape from which on a function counts.
TOUCHED = 0.5
# Part of the boundary below which thin places do not count: rounding at tangents.
SOME = 0.01
# Points that are looked at for thin places.
MOST = 4000


def notes_on_shape(objective: Objective) -> tuple[list[str], list[str]]:
    """Returns notes that deserve a warning, and others; none on boxes."""
    if isinstance(objective.problem.domain, Box):
        return [], []
    serious = [note for note in (_few_points(objective), _thin(objective)) if note]
    return serious, _filled(objective)


def _filled(objective: Objective) -> list[str]:
    """Returns notes on points that the solver has added."""
    notes = []
    for index, term in enumerate(objective.problem.terms):
        sampler = getattr(term.region, "sampler", None)
        objective.points(index, 0)
        if isinstance(sampler, Filled) and sampler.added:
            notes.append(
                f"term {term.name!r}: {type(sampler.sampler).__name__} placed fewer than {LEAST} "
                f"points per axis in some cells; {sampler.added:,} regular ones were added there."
            )
    return notes


def _few_points(objective: Objective) -> str | None:
    """Returns a note if some basis functions inside see too few points of the equations."""
    terms, spec = objective.problem.terms, linear_field(objective).grid.spec
    if any(boundary != "ghost" for boundary in spec.boundary):
        return None
    places = [
        index
        for index, term in enumerate(terms)
        if not isinstance(term.region, Boundary) and not has_data(term) and term.order
    ]
    if not places:
        return None
    shape = objective.problem.domain
    regular, volumes = Sight.of_shape(shape).points(spec)
    cells = _count(regular, volumes / math.prod(_sizes(spec)), spec)
    found = torch.zeros_like(cells)
    for index in places:
        x = objective.points(index, 0)[0].cpu().double()
        found = torch.maximum(found, _count(x, torch.ones_like(x[:, 0]), spec))
    touched = cells > TOUCHED
    wanted = FEW * LEAST**spec.dim * cells
    starved = touched & (found < wanted)
    if not bool(starved.any()):
        return None
    names = " and ".join(repr(terms[index].name) for index in places)
    return (
        f"{int(starved.sum()):,} of {int(touched.sum()):,} basis functions on the shape see fewer "
        f"points of {names} than {LEAST} per cell and axis: the equations are not controlled "
        "between the points there, and u may be wrong by more than the residual tells. Take more "
        "points, or Interior() without a sampler."
    )


def _sizes(spec: GridSpec) -> list[float]:
    """Returns the edge lengths of a cell."""
    sizes = zip(spec.lower, spec.upper, spec.cells, strict=True)
    return [(high - low) / count for low, high, count in sizes]


def _count(x: Tensor, weights: Tensor, spec: GridSpec) -> Tensor:
    """Returns the sum of weights [N] of the points that each function of the finest level sees."""
    result = torch.zeros(spec.total_nodes, dtype=torch.float64)
    for some, share in zip(x.split(CHUNK), weights.split(CHUNK), strict=True):
        nodes = tables.neighbours(some, spec, 0)
        result.index_add_(0, nodes.reshape(-1), share[:, None].expand_as(nodes).reshape(-1))
    return result[: spec.level_size(0)]


def _thin(objective: Objective) -> str | None:
    """Returns a note if the shape is thinner than a cell at some part of its boundary."""
    shape, spec = objective.problem.domain, linear_field(objective).grid.spec
    rule = BoundaryPoints(cells_around(shape, spec)).rule(shape)
    size = min(_sizes(spec))
    some = slice(None, None, max(1, len(rule.x) // MOST))
    x, normals, weights = rule.x[some], rule.normals[some], rule.weights[some]
    thin = is_thin(shape, x, normals, size)
    if bool(thin.any()) and shape.dim in (2, 3):
        ends = corners(shape, size) if shape.dim == 2 else sharp_edges(shape, size)
        thin = is_thin(shape, x, normals, size, ends)
    part = float(weights[thin].sum() / weights.sum()) if bool(thin.any()) else 0.0
    if part < SOME:
        return None
    place = ", ".join(f"{c:.3g}" for c in x[thin][0].tolist())
    return (
        f"the shape is thinner than a cell ({size:.2g}) along {part:.0%} of its boundary, for "
        f"instance at ({place}): u can vary across it only as the polynomials of one cell do. Take "
        "more cells if that is not enough."
    )
