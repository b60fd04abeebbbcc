"""Collocation points of least squares on a shape, where the user leaves them to the solver."""

from __future__ import annotations

from dataclasses import replace

from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.cell_points import BoundaryPoints, CellPoints, Edges
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.term import Term

from .cells import cell_edges, per_cell

# Points per cell and axis: inside, in cells that the boundary cuts, and along the boundary. Fewer
# leave features undetermined at some places of the grid relative to the shape.
INSIDE, CUT, ALONG = 3, 4, 3
# Of the box around a shape, beyond its ends.
SLACK = 1e-9


def fitted_on_shape(term: Term, shape: Shape, spec: GridSpec) -> Term:
    """Returns the term with points in the grid's cells where it has no sampler.

    Energies, and terms on `GaussPoints` without cells of their own, get a quadrature over the
    parts of the cells that are inside.
    """
    region = term.region
    edges = cells_around(shape, spec)
    if isinstance(region, Interior):
        sampler = region.sampler
        if sampler is None and term.loss == "mean":
            sampler = GaussPoints()
        if isinstance(sampler, GaussPoints):
            if sampler.cells is None and sampler.edges is None:
                count = sampler.per_cell or per_cell(spec)
                sampler = replace(sampler, edges=edges, per_cell=count)
            return replace(term, region=Interior(sampler))
        if sampler is None:
            count = _per_axis(term, shape, spec, INSIDE, 0)
            inside = CellPoints(edges, count, max(count, CUT))
            return replace(term, region=Interior(inside), points=None)
    if isinstance(region, Boundary) and region.sampler is None:
        energy = term.loss == "mean"
        along = max(ALONG, per_cell(spec)) if energy else ALONG
        points = BoundaryPoints(edges, along, exact=energy)
        return replace(term, region=Boundary(region.faces, points), points=None)
    return term


def cells_around(shape: Shape, spec: GridSpec) -> Edges:
    """Returns the grid's cells around a shape, those at the ends a little longer.

    So rounding leaves no point of the boundary outside.
    """
    edges = []
    for ends in cell_edges(spec, bounding_box(shape)):
        more = SLACK * (ends[-1] - ends[0])
        edges.append((ends[0] - more, *ends[1:-1], ends[-1] + more))
    return tuple(edges)


def _per_axis(term: Term, shape: Shape, spec: GridSpec, least: int, across: int) -> int:
    """Returns points per cell and axis that give about the number that a term asks for."""
    if term.points is None:
        return least
    cells: float = 1.0
    for count, length, low, high in zip(
        spec.cells, shape.lengths, spec.lower, spec.upper, strict=True
    ):
        cells *= count * length / (high - low)
    return int(max(1, round((term.points / cells) ** (1 / (spec.dim - across)))))
