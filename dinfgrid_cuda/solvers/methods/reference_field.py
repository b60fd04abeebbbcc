"""Other discretisations of a problem, to compare a solution with: fields and points."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from dinfgrid_cuda.fields.constraints import Constraint
from dinfgrid_cuda.fields.decoders import IdentityDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Lattice
from dinfgrid_cuda.kernels.basis import DEGREES, BSpline
from dinfgrid_cuda.kernels.spec import MAX_CELLS, GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term

# The degree of B-splines that Gaussians are compared with: that of the reach of the paper's.
GAUSSIAN_DEGREE = 5
# Axes of many cells keep a number of cells that this divides, as jumps of coefficients often lie at
# halves and quarters.
EVEN, MANY = 4, 16

# Points of a finer grid per cell and axis, and this many times those whose number is given.
PER_CELL, DENSER = 3, 1.5


@dataclass(frozen=True)
class Discretisation:
    """Cells and degree of the B-splines of one level.

    Attributes:
        cells: per axis.
        degree: of the B-splines.
    """

    cells: tuple[int, ...]
    degree: int

    def scaled(self, factor: float) -> Discretisation:
        """The same with about ``factor`` times the cells on each axis, at least one more or less.

        Raises:
            ValueError: where that is not possible.
        """
        cells = tuple(_scaled(count, factor) for count in self.cells)
        if cells == self.cells or max(cells) > MAX_CELLS:
            raise ValueError(f"there is no grid of {factor:.2g} times {self.cells} cells")
        return replace(self, cells=cells)

    def raised(self) -> Discretisation | None:
        """The same cells with B-splines of two degrees more, or None where these do not exist."""
        return replace(self, degree=self.degree + 2) if self.degree < DEGREES[-1] else None


def of_field(field: Field | SlabField) -> Discretisation:
    """The B-splines that are about as fine as a field's grid."""
    spec = (field.part(0) if isinstance(field, SlabField) else field).grid.spec
    basis = spec.basis
    degree = basis.degree if isinstance(basis, BSpline) else GAUSSIAN_DEGREE
    return Discretisation(tuple(spec.cells), degree)


def reference(
    field: Field | SlabField, new: Discretisation, dtype: torch.dtype
) -> Field | SlabField:
    """A field of another discretisation, with the box and the constraint of this one."""
    if isinstance(field, SlabField):
        parts = iter([_alike(field.part(i), new, dtype) for i in range(len(field.parts))])
        return SlabField(lambda box: next(parts), field.box, len(field.parts))
    return _alike(field, new, dtype)


def with_points(problem: Problem, old: GridSpec, new: Discretisation) -> Problem:
    """The problem with more points, and others, for a finer discretisation than the old one.

    On the points of the old one u would repeat its error of sampling, such as that of a load with
    a kink. In a box inside points that are left to the solver become three per cell and axis; where
    their number is given it grows likewise. Those of `Points`, of other samplers and on other
    shapes stay what they are, or follow the grid. A coarser one keeps all.
    """
    grown = [
        (b + new.degree) / (a + old.basis.nodes - 1)
        for a, b in zip(old.cells, new.cells, strict=True)
    ]
    if max(grown) <= 1:
        return problem
    grown = [max(DENSER, one) for one in grown]
    shape = tuple(max(PER_CELL * count, count + new.degree + 1) for count in new.cells)
    inside = shape if isinstance(problem.domain, Box) else None
    terms = [_denser(term, grown, inside) for term in problem.terms]
    return Problem(problem.domain, terms, problem.parameters)


def _scaled(count: int, factor: float) -> int:
    step = EVEN if count >= MANY and count % EVEN == 0 else 1
    wanted = round(count * factor / step) * step
    return max(wanted, count + 1) if factor > 1 else max(1, min(wanted, count - 1))


def _alike(field: Field, new: Discretisation, dtype: torch.dtype) -> Field:
    spec = field.grid.spec
    grid = FeatureGrid(
        dim=spec.dim,
        cells=new.cells,
        channels=field.out_channels,
        basis=BSpline(new.degree),
        boundary=tuple("ghost" if one == "clamp" else one for one in spec.boundary),
        lower=spec.lower,
        upper=spec.upper,
        dtype=dtype,
        device=field.grid.features.device,
        seed=0,
    )
    with torch.no_grad():
        grid.features.zero_()
    constraint: Constraint | None = copy.deepcopy(field.constraint)
    return Field(grid, IdentityDecoder(field.out_channels), constraint)


def _denser(term: Term, grown: Sequence[float], inside: tuple[int, ...] | None) -> Term:
    """The term with more points.

    Args:
        grown: times as many on each axis where their number is given.
        inside: those of a lattice where it is not; None leaves that to the solver.
    """
    region, axes = term.region, len(grown)
    if isinstance(region, Boundary):
        axes -= 1
    if not isinstance(region, (Boundary, Interior)) or axes == 0:
        return term
    open_ = isinstance(region, Interior) and region.sampler is None and term.points is None
    if open_ and inside is not None and not term.is_energy:
        return replace(term, region=Interior(Lattice(inside, ends=True)))
    mean = math.prod(grown) ** (1 / len(grown))
    if term.points is not None:
        term = replace(term, points=math.ceil(term.points * mean**axes))
    if isinstance(region, Boundary):
        if region.shape is None:
            return term
        shape = tuple(math.ceil(n * g) for n, g in zip(region.shape, grown, strict=True))
        return replace(term, region=replace(region, shape=shape))
    sampler = region.sampler
    if isinstance(sampler, Lattice) and sampler.shape is not None:
        shape = tuple(math.ceil(n * g) for n, g in zip(sampler.shape, grown, strict=True))
        return replace(term, region=Interior(replace(sampler, shape=shape)))
    if isinstance(sampler, GaussPoints) and sampler.cells:
        cells = sampler.cells if isinstance(sampler.cells, Sequence) else [sampler.cells] * axes
        more = tuple(math.ceil(n * g) for n, g in zip(cells, grown, strict=True))
        return replace(term, region=Interior(replace(sampler, cells=more)))
    return term
