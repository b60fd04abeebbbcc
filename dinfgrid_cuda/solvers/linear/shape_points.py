"""Collocation points of least squares on a shape, where the user leaves them to the solver."""

from __future__ import annotations

from dataclasses import replace

from dinfgrid_cuda.geometry.box import bounding_box
from dinfgrid_cuda.geometry.cell_points import BoundaryPoints, CellPoints, Edges
from dinfgrid_cuda.geometry.filled import LEAST, Filled
from dinfgrid_cuda.geometry.inside import share
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Lattice, Sobol, Stratified, Uniform
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.term import Term

from .cells import cell_edges, per_cell
from .local_points import fitted_locally

# Points per cell and axis: inside, in cells that the boundary cuts, and along the boundary. Fewer
# leave features undetermined at some places of the grid relative to the shape.
INSIDE, CUT, ALONG = 3, 4, 3
# Largest excess of the degree of splines over the order of an equation that gains by Gauss points.
MOST_EXCESS = 4
# Of the box around a shape, beyond its ends.
SLACK = 1e-9


def fitted_on_shape(term: Term, shape: Shape, spec: GridSpec, highest: int) -> Term:
    """Returns the term with points in the grid's cells where it has no sampler.

    Energies, and terms on `GaussPoints` without cells of their own, get a quadrature over the
    parts of the cells that are inside.

    Args:
        highest: order of the problem's equations.
    """
    if spec.local:
        needed = _gauss_points(spec, term.order)
        count = max(INSIDE, needed)
        placing = count, max(count, CUT), 0 < needed <= count
        return fitted_locally(term, shape, spec, placing, ALONG, highest)
    region = term.region
    edges = cells_around(shape, spec)
    if isinstance(region, Interior):
        sampler = region.sampler
        if sampler is None and term.is_energy:
            sampler = GaussPoints()
        if isinstance(sampler, GaussPoints):
            if sampler.cells is None and sampler.edges is None:
                count = sampler.per_cell or per_cell(spec)
                sampler = replace(sampler, edges=edges, per_cell=count)
            return replace(term, region=Interior(sampler))
        if sampler is None:
            count = _per_axis(term, shape, spec)
            needed = _gauss_points(spec, term.order)
            if term.points is None:
                count = max(count, needed)
            inside = CellPoints(edges, count, max(count, CUT), gauss=0 < needed <= count)
            return replace(term, region=Interior(inside), points=None)
        if isinstance(sampler, (Lattice, Sobol, Stratified, Uniform)):
            return replace(term, region=Interior(Filled(sampler, edges)))
    if isinstance(region, Boundary) and region.sampler is None:
        energy = term.is_energy
        along = max(ALONG, per_cell(spec)) if energy else ALONG
        points = BoundaryPoints(edges, along, exact=energy)
        return replace(term, region=Boundary(region.faces, points), points=None)
    return term


def _gauss_points(spec: GridSpec, order: int) -> int:
    """Returns Gauss points per cell and axis for an equation of an order; 0 where others do.

    In each cell the residual of splines of degree p is, to leading order, a polynomial of degree
    p - order whose mean is zero, and its moments up to degree order - 1 are what limits u. Regular
    points see means of its own, (1/3)^(p - order) of it, and u gains no order over the residual:
    with p = 5 and order 2, or p = 7 and order 4, its error falls as h^4. (p + 1) / 2 Gauss points
    integrate all of this exactly, and it falls as h^(p + 1). Where (1/3)^(p - order) is less than
    0.002, regular points do as well, and for p = 7 are fewer.
    """
    if not isinstance(spec.basis, BSpline) or spec.basis.degree - order > MOST_EXCESS:
        return 0
    return max(INSIDE, (spec.basis.degree + 1) // 2)


def cells_around(shape: Shape, spec: GridSpec) -> Edges:
    """Returns the grid's cells around a shape, those at the ends a little longer.

    So rounding leaves no point of the boundary outside.
    """
    edges = []
    for ends in cell_edges(spec, bounding_box(shape)):
        more = SLACK * (ends[-1] - ends[0])
        edges.append((ends[0] - more, *ends[1:-1], ends[-1] + more))
    return tuple(edges)


def _per_axis(term: Term, shape: Shape, spec: GridSpec) -> int:
    """Returns points per cell and axis that give about the number that a term asks for.

    At least `LEAST`.
    """
    if term.points is None:
        return INSIDE
    cells: float = share(shape)
    for count, length, low, high in zip(
        spec.cells, shape.lengths, spec.lower, spec.upper, strict=True
    ):
        cells *= count * length / (high - low)
    return int(max(LEAST, round((term.points / cells) ** (1 / spec.dim))))
