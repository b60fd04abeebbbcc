"""Collocation points of least squares where the user leaves them to the solver."""

from __future__ import annotations

import math
from dataclasses import replace

from dinfgrid_cuda.geometry.box import Box, bounding_box
from dinfgrid_cuda.geometry.on_boundary import faces_of
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Lattice
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

from .cells import cell_edges, per_cell
from .local_points import highest_order
from .shape_points import fitted_on_shape

# Points per cell and axis. One leaves features undetermined near the ends, three cost time without
# a gain.
PER_CELL = 2.0


def fitted(problem: Problem, spec: GridSpec) -> Problem:
    """Returns the problem with regular points, as dense as the cells, where no sampler is given.

    Terms whose ``points`` are given get about as many, spread in proportion to the cells. Energies
    get Gauss points with weights, since the minimiser of a sum with equal weights gains from what
    lies between the points, and diverges there.
    """
    highest = highest_order(problem)
    terms = [_fitted(term, problem.domain, spec, highest) for term in problem.terms]
    return Problem(problem.domain, terms, problem.parameters)


def fitted_energies(problem: Problem, spec: GridSpec) -> Problem:
    """Returns the problem with Gauss points for energies without sampler and number of points."""

    highest = highest_order(problem)

    def placed(term: Term) -> Term:
        energy = term.is_energy and term.points is None
        return _fitted(term, problem.domain, spec, highest) if energy else term

    return Problem(problem.domain, [placed(term) for term in problem.terms], problem.parameters)


def fitted_mean(term: Term, domain: Shape, spec: GridSpec) -> Term:
    """Returns a term that takes means over its points, on points whose mean is that over the box.

    Two Gauss points per cell and axis weigh the same, so that ``u.value.mean()`` is exact for
    cubics in each cell; on a lattice from face to face its error is O(h). Only a term on `Interior`
    without a sampler gets new points.
    """
    if not isinstance(term.region, Interior) or term.region.sampler is not None:
        return term
    edges = cell_edges(spec, bounding_box(domain))
    sampler = GaussPoints(per_cell=2, edges=edges)
    if isinstance(domain, Box):
        sampler = GaussPoints(tuple(len(ends) - 1 for ends in edges), 2)
    return replace(term, region=Interior(sampler), points=None)


def _gauss(
    sampler: GaussPoints, spec: GridSpec, box: Box, points: int | None, dim: int
) -> GaussPoints:
    """Returns a sampler on the grid's cells, or the same one if it has cells of its own.

    Args:
        points: the number of points on ``dim`` axes, about; None for that of `per_cell`.
    """
    if sampler.cells is not None or sampler.edges is not None:
        return sampler
    edges = cell_edges(spec, box)
    count = sampler.per_cell or per_cell(spec)
    if points is not None and sampler.per_cell is None and dim:
        cells = math.prod(len(ends) - 1 for ends in edges) ** (1 / box.dim)
        count = max(1, round(points ** (1 / dim) / cells))
    return replace(sampler, per_cell=count, edges=edges)


def _with_gauss(term: Term, box: Box, spec: GridSpec) -> Term | None:
    """Returns the term with Gauss points on the grid's cells; None if it gets other points."""
    region, points = term.region, term.points
    if not isinstance(region, (Interior, Boundary)):
        return None
    sampler = region.sampler
    if sampler is None and term.is_energy and getattr(region, "shape", None) is None:
        sampler = GaussPoints()
    if not isinstance(sampler, GaussPoints):
        return None
    dim = box.dim
    if isinstance(region, Boundary):
        dim -= 1
        faces = len(faces_of(region.faces, box))
        points = None if points is None else max(1, points // faces)
    return replace(term, region=replace(region, sampler=_gauss(sampler, spec, box, points, dim)))


def _fitted(term: Term, domain: Shape, spec: GridSpec, highest: int) -> Term:
    """Returns the term with regular points where it has no sampler.

    Args:
        highest: order of the problem's equations.
    """
    if not isinstance(domain, Box) or spec.local:
        return fitted_on_shape(term, domain, spec, highest)
    region, box = term.region, domain
    gauss = _with_gauss(term, box, spec)
    if gauss is not None:
        return gauss
    if isinstance(region, Interior) and region.sampler is None:
        shape = _shape(box, spec, term.points, range(box.dim))
        return replace(term, region=Interior(Lattice(shape, ends=True)), points=None)
    if isinstance(region, Boundary) and region.sampler is None and region.shape is None:
        faces = len(faces_of(region.faces, box))
        points = None if term.points is None else max(1, term.points // faces)
        shape = _shape(box, spec, points, range(1, box.dim))
        return replace(term, region=Boundary(region.faces, shape=shape), points=None)
    return term


def _shape(box: Box, spec: GridSpec, points: int | None, axes: range) -> tuple[int, ...]:
    """Returns the points per axis of the box; about ``points`` on as many axes as ``axes`` has.

    Lattices go from face to face, because a constraint that holds values on a face hides features
    next to it.
    """
    cells = [
        count * length / (high - low)
        for count, length, low, high in zip(
            spec.cells, box.lengths, spec.lower, spec.upper, strict=True
        )
    ]
    scale = PER_CELL
    if points is not None and len(axes):
        mean = math.prod(cells) ** (1 / len(cells))
        scale = points ** (1 / len(axes)) / mean
    if points is not None:
        return tuple(max(2, round(scale * count)) for count in cells)
    # A whole multiple of the cells plus one, so that points lie on the nodes and regularly in
    # between; but where cells are few, as in a slab of time, more than the features along the axis.
    nodes = spec.level_nodes(0)
    return tuple(
        max(round(scale * count) + 1, on_axis + 1)
        for count, on_axis in zip(cells, nodes, strict=True)
    )
