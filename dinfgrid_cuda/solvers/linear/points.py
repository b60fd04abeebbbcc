"""Collocation points for least squares where the user leaves them to the solver."""

from __future__ import annotations

import math
from dataclasses import replace

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Lattice
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

# Per cell and axis. One leaves features undetermined near the ends, three cost time for nothing.
PER_CELL = 2.0
# Gauss points of an energy, at the most. Wide Gaussians are smooth within a cell.
MOST_GAUSS = 8


def fitted(problem: Problem, spec: GridSpec) -> Problem:
    """The problem with regular points, as dense as the grid's cells, wherever no sampler is given.

    Terms whose ``points`` are given get about as many, spread in proportion to the cells. Energies
    get Gauss points with weights: the minimiser of a sum with equal weights gains from what lies
    between the points, and runs away there.
    """
    terms = [_fitted(term, problem.domain, spec) for term in problem.terms]
    return Problem(problem.domain, terms, problem.parameters)


def fitted_energies(problem: Problem, spec: GridSpec) -> Problem:
    """The problem with Gauss points for energies that have neither sampler nor number of points."""

    def placed(term: Term) -> Term:
        energy = term.loss == "mean" and term.points is None
        return _fitted(term, problem.domain, spec) if energy else term

    return Problem(problem.domain, [placed(term) for term in problem.terms], problem.parameters)


def fitted_mean(term: Term, box: Box, spec: GridSpec) -> Term:
    """A term that takes means over its own points, on points whose plain mean is that over x.

    Two Gauss points a cell and axis weigh the same, so that ``u.value.mean()`` is exact for cubics
    in each cell; on a lattice from face to face it is off by O(h). Only for `Interior` without a
    sampler.
    """
    if not isinstance(term.region, Interior) or term.region.sampler is not None:
        return term
    cells = tuple(len(ends) - 1 for ends in cell_edges(spec, box))
    return replace(term, region=Interior(GaussPoints(cells, 2)), points=None)


def per_cell(spec: GridSpec) -> int:
    """Gauss points per cell and axis for an energy of first derivatives.

    Splines of degree p need p for the full order: on a membrane of 16 x 16 cells, p = 5 and 7, the
    error is 4e-11 and 4e-12; with (p + 3) / 2, taken in three dimensions and more, 4e-8 and 4e-9;
    with 3, 1e-4 and 1.
    """
    degree = spec.basis.nodes - 1
    return min(MOST_GAUSS, max(2, degree) if spec.dim < 3 else max(2, (degree + 3) // 2))


def cell_edges(spec: GridSpec, box: Box) -> tuple[tuple[float, ...], ...]:
    """The ends of the grid's cells within the box, and those of the box, per axis."""
    found = []
    for axis, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
        start, count = spec.lower[axis], spec.cells[axis]
        size = (spec.upper[axis] - start) / count
        # Ends that agree with those of the box up to rounding are these.
        first, last = (math.floor((low - start) / size + 1e-6), (high - start) / size - 1e-6)
        inner = [start + size * k for k in range(first + 1, math.ceil(last))]
        found.append((low, *inner, high))
    return tuple(found)


def _gauss(
    given: GaussPoints, spec: GridSpec, box: Box, points: int | None, dim: int
) -> GaussPoints:
    """Gauss points on the grid's cells, unless ``given`` has cells of its own.

    Args:
        points: about as many, if not None, on ``dim`` axes.
    """
    if given.cells is not None or given.edges is not None:
        return given
    edges = cell_edges(spec, box)
    count = given.per_cell or per_cell(spec)
    if points is not None and given.per_cell is None and dim:
        cells = math.prod(len(ends) - 1 for ends in edges) ** (1 / box.dim)
        count = max(1, round(points ** (1 / dim) / cells))
    return replace(given, per_cell=count, edges=edges)


def _with_gauss(term: Term, box: Box, spec: GridSpec) -> Term | None:
    """The term with Gauss points on the grid's cells; None if it is to have others."""
    region, points = term.region, term.points
    if not isinstance(region, (Interior, Boundary)):
        return None
    own = region.sampler
    if own is None and term.loss == "mean" and getattr(region, "shape", None) is None:
        own = GaussPoints()
    if not isinstance(own, GaussPoints):
        return None
    dim = box.dim
    if isinstance(region, Boundary):
        dim -= 1
        faces = len(region.faces or ()) or 2 * box.dim
        points = None if points is None else max(1, points // faces)
    return replace(term, region=replace(region, sampler=_gauss(own, spec, box, points, dim)))


def _fitted(term: Term, box: Box, spec: GridSpec) -> Term:
    region = term.region
    gauss = _with_gauss(term, box, spec)
    if gauss is not None:
        return gauss
    if isinstance(region, Interior) and region.sampler is None:
        shape = _shape(box, spec, term.points, range(box.dim))
        return replace(term, region=Interior(Lattice(shape, ends=True)), points=None)
    if isinstance(region, Boundary) and region.sampler is None and region.shape is None:
        faces = len(region.faces or ()) or 2 * box.dim
        points = None if term.points is None else max(1, term.points // faces)
        shape = _shape(box, spec, points, range(1, box.dim))
        return replace(term, region=Boundary(region.faces, shape=shape), points=None)
    return term


def _shape(box: Box, spec: GridSpec, points: int | None, axes: range) -> tuple[int, ...]:
    """Points per axis of the box; about ``points`` on as many axes as ``axes`` has.

    Lattices go from face to face: next to a face a factor that holds values there hides features.
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
    # A whole number and one, so that points lie on the nodes and as regularly in between; but where
    # cells are few, as in a slab of time, more than the features along the axis.
    nodes = spec.level_nodes(0)
    return tuple(
        max(round(scale * count) + 1, own + 1) for count, own in zip(cells, nodes, strict=True)
    )
