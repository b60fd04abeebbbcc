"""Collocation points of least squares on a grid with local levels, as dense as its cells.

The residual of an equation of order m weighs h^(m - g) in cells of size h, that of a condition of
order q on the boundary h^(q + 1/2 - g), with g = max(1, m / 2). These are discrete norms of order
g - m in which the residual of a corner singularity is finite: with g = 1 that of r^a for any a > 0,
with g = m / 2 that of any u of finite energy; and both are of one size whatever h. With equal
weights the solution converges to something else.

Measured (degree 5 and 7, 12 to 16 cells): with g = 1 a plate, m = 4, is 4.2 times less accurate
with a finer box in its middle than without, with g = 2 about as accurate (1.0e-6, 8.8e-7). Another
g for m = 2 gains on one corner what it loses on another: g = 0.75 takes 8.9e-7 to 6.1e-7 on an L
(16 levels), and 3.2e-5 to 8.3e-5 where Dirichlet and Neumann conditions meet. So do lighter
boundaries: a tenth of the balanced weight takes these to 7.0e-7 and 4.0e-5. More points in a cell,
or along the boundary, change nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from dinfgrid_cuda.geometry.box import Box, bounding_box
from dinfgrid_cuda.geometry.leaf_points import LeafBoundary, LeafPoints, Leaves
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

from .cells import per_cell

# Of a level's box, beyond its ends where the domain ends there.
SLACK = 1e-9
# Grids whose leaves are remembered.
KEPT = 16


def fitted_locally(
    term: Term,
    domain: Shape,
    spec: GridSpec,
    inside: tuple[int, int, bool],
    along: int,
    highest: int,
) -> Term:
    """Returns the term with points in the leaves of a grid where it has no sampler.

    Args:
        inside: points per axis in a cell and in one that the boundary cuts, and whether whole
            cells have Gauss points.
        along: points per cell along each direction of the boundary.
        highest: order of the problem's equations.
    """
    region, energy = term.region, term.is_energy
    leaves = leaves_of(spec, bounding_box(domain))
    edges = leaves[0].edges
    if isinstance(region, Interior):
        sampler = region.sampler
        own = isinstance(sampler, GaussPoints) and sampler.cells is None and sampler.edges is None
        if (energy and sampler is None) or own:
            count = sampler.per_cell if isinstance(sampler, GaussPoints) else None
            exact = LeafPoints(edges, count or per_cell(spec), leaves=leaves, exact=True)
            return replace(term, region=Interior(exact), points=None)
        if sampler is None:
            points = LeafPoints(edges, *inside, leaves=leaves, power=interior_power(term))
            return replace(term, region=Interior(points), points=None)
    if isinstance(region, Boundary) and region.sampler is None and region.shape is None:
        if domain.dim == 1:
            return term
        power = 0.0 if energy else boundary_power(term, highest)
        count = max(along, per_cell(spec)) if energy else along
        on = LeafBoundary(edges, count, energy, leaves, power)
        return replace(term, region=Boundary(region.faces, on), points=None)
    return term


def interior_power(term: Term) -> float:
    """Returns the power of h by which the squares of an equation's residuals are weighted."""
    return 2.0 * max(0.0, term.order - _gap(term.order))


def boundary_power(term: Term, highest: int) -> float:
    """Returns the power of h by which the squares of a boundary condition's are weighted.

    Args:
        highest: order of the problem's equations, see `highest_order`.
    """
    return 2.0 * (term.order - _gap(highest)) + 1


def highest_order(problem: Problem) -> int:
    """Returns the order of a problem's equations, of the highest one."""
    orders = [term.order for term in problem.terms if not isinstance(term.region, Boundary)]
    return max(orders, default=0)


def _gap(order: int) -> float:
    """Returns the derivatives of u that the norm of an equation's residual counts, see above."""
    return max(1.0, order / 2)


@lru_cache(maxsize=KEPT)
def leaves_of(spec: GridSpec, box: Box) -> tuple[Leaves, ...]:
    """Returns the cells of each level within a box that no finer level covers."""
    result = []
    for level in (0, *range(spec.global_levels, spec.levels)):
        edges = _edges(spec, level, box)
        if edges is None:
            continue
        covered = tuple(
            spec.level_box(other)
            for other in range(spec.global_levels, spec.levels)
            if other != level and _covers(spec, other, level)
        )
        size = min(1 / scale for scale in spec.level_scale(level))
        result.append(Leaves(edges, covered, size, level))
    return tuple(result)


def _covers(spec: GridSpec, other: int, level: int) -> bool:
    """Whether points that lie in both levels belong to the other one: the finer, or the first."""
    one, two = spec.local_level(level), spec.local_level(other)
    assert two is not None
    if one is None:
        return True
    if sum(one.halvings) == sum(two.halvings):
        return other < level
    return sum(two.halvings) > sum(one.halvings)


def _edges(spec: GridSpec, level: int, box: Box) -> tuple[tuple[float, ...], ...] | None:
    """Returns the ends of a level's cells within a box, and those of the box; None if apart.

    Where the box ends within the level, the last cells are a little longer, so that rounding leaves
    no point of its boundary outside.
    """
    edges = []
    lower, upper = spec.level_box(level)
    for axis, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
        start, stop, cells = lower[axis], upper[axis], spec.level_cells(level)[axis]
        size = (stop - start) / cells
        slack = SLACK * (stop - start)
        if high < start + slack or low > stop - slack:
            return None
        ends = [start + size * k for k in range(cells)] + [stop]
        # Ends that agree with those of the box up to rounding count as these.
        inner = [end for end in ends if low + 1e-6 * size < end < high - 1e-6 * size]
        first = low - slack if low >= start - 1e-6 * size else start
        last = high + slack if high <= stop + 1e-6 * size else stop
        edges.append(tuple(sorted({first, *inner, last})))
    return tuple(edges)
