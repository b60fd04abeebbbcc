"""How well a problem determines its solution, by the function that its residuals see least.

Where a condition is missing, a function solves the homogeneous equations, and on a grid residuals
see nothing of it but the error of discretisation, which decreases by orders from a grid to the next
finer one. In a well-posed problem it tends to a limit. So the least quotient loss / mean square of
u is compared between grids, each with half the cells of the one before, for the same rows.
B-splines of these grids are nested: a function of a coarser grid is one of the finest grid too.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import Box, check_faces
from dinfgrid_cuda.geometry.on_boundary import Name, names_on
from dinfgrid_cuda.geometry.regions import Boundary, Interior
from dinfgrid_cuda.geometry.samplers import Uniform
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.deadline import OutOfTime
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.factor_estimate import estimate
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import QUICK, factor_at_hand
from dinfgrid_cuda.solvers.linear.system import System

from .least_seen import LeastSeen, least_seen
from .values import Values

# Fewest cells of an axis that is halved, and largest number of grids that are compared.
FEWEST, GRIDS = 8, 3
# Quotients relative to that of a smooth function: not seen at all, and small enough to be compared
# between grids.
UNSEEN, SMALL = 1e-12, 1e-3
# Part of the least quotient that refinement by two may leave where a condition is missing.
FALLS = 0.1
# Bytes of a factor whose solves take little.
SMALL_FACTOR = 1e8
# Ratio of the quotients of two grids above which a finer grid has no smaller one.
ALIKE = 0.5
# The finer of two nested grids has a quotient this many times larger only at the end of double
# precision.
TROUBLED = 2
# Relative deviation from the mean up to which a function counts as a constant.
FLAT = 1e-3
# A face is named if the function there is at least this part of its size on the face where it is
# largest.
LARGE = 0.5
# Number of points per axis on a face.
FACE_POINTS = 33
# Number of points at which a function is compared with a constant.
FLAT_POINTS = 1024


@dataclass(frozen=True)
class Stability:
    """How well residuals determine u.

    Attributes:
        average: loss / mean square of u for an average function of the grid, without data.
        least: the same for the function that is seen least.
        smooth: the same for a smooth function without special properties.
        determined: whether the residuals determine u.
        bounded: whether no function of the grid is seen much less than ``least`` says.
        flat: whether the function that is seen least is a constant.
        faces: the faces, or the pieces of a shape's boundary, on which that function is large.
    """

    average: float
    least: float
    smooth: float
    determined: bool
    bounded: bool
    flat: bool
    faces: tuple[Name, ...]


# Whether solves search the function that the residuals see least. One that refines its grid does
# so in its first round only: what no residual sees on a coarse grid, none sees on a finer one.
SEARCHING: ContextVar[bool] = ContextVar("SEARCHING", default=True)


def stability(objective: Objective, normal: NormalOperator, system: System) -> Stability | None:
    """Searches the function seen least; None without points inside, or on too large grids."""
    if not SEARCHING.get():
        return None
    values = Values(objective)
    if not values.operators:
        return None
    average = 0.5 * normal.trace() / max(values.trace(), 1e-300)
    smooth = _smooth_quotient(objective, normal, values)
    searches = _searches(normal, values, system, SMALL * smooth)
    if not searches:
        return None
    quotients = [search.quotient for _, search in searches]
    spec, least = min(searches[:2], key=lambda search: search[1].quotient)
    determined = not _unseen(quotients, smooth)
    alike = len(quotients) > 1 and quotients[0] > ALIKE * quotients[1]
    return Stability(
        average=average,
        least=least.quotient,
        smooth=smooth,
        determined=determined,
        bounded=determined and (searches[0][0] == normal.spec or alike),
        flat=not determined and _is_flat(objective, spec, least.v),
        faces=() if determined else _faces(objective, spec, least.v),
    )


def _searches(
    normal: NormalOperator, values: Values, system: System, healthy: float
) -> list[tuple[GridSpec, LeastSeen]]:
    """Searches on grids from fine to coarse, as many as the comparison needs.

    Args:
        healthy: a quotient above which a rough value is good enough.
    """
    searches: list[tuple[GridSpec, LeastSeen]] = []
    for spec in _grids(normal, system):
        if len(searches) == 2 and searches[0][1].quotient <= TROUBLED * searches[1][1].quotient:
            break  # the finest two are enough
        try:
            searches.append((spec, _search(spec, normal, values, system, healthy)))
        except (SolveError, OutOfTime):
            break
    return searches


def _unseen(quotients: list[float], smooth: float) -> bool:
    """Whether the least quotients on grids from fine to coarse are errors of discretisation."""
    least = min(quotients[:2])
    if least < UNSEEN * smooth:
        return True
    if least > SMALL * smooth or len(quotients) < 2:
        return False
    # The grids are nested; a finer one that finds no less is at the end of double precision.
    pair = quotients[1:3] if quotients[0] > TROUBLED * quotients[1] else quotients[:2]
    return len(pair) == 2 and pair[0] < FALLS * pair[1]


def _grids(normal: NormalOperator, system: System) -> list[GridSpec]:
    """Returns grids that take little work, from fine to coarse, the problem's own if it does."""
    spec: GridSpec | None = normal.spec
    specs: list[GridSpec] = []
    while spec is not None and len(specs) < GRIDS:
        size = estimate(spec, normal.channels)
        factorised = spec == normal.spec and isinstance(system, DirectSystem)
        if size.work <= QUICK or (factorised and size.bytes <= SMALL_FACTOR):
            specs.append(spec)
        spec = _halved(spec)
    return specs


def _halved(spec: GridSpec) -> GridSpec | None:
    """Returns a grid with half the cells on all axes that have enough; None if none has."""
    if spec.local:
        return None
    step = 1 << (spec.levels - 1)
    cells = tuple(
        max(step, count // 2 // step * step) if count >= FEWEST else count for count in spec.cells
    )
    if cells == spec.cells:
        return None
    try:
        return replace(spec, cells=cells)
    except ValueError:  # a periodic axis that is too short for the basis
        return None


def _search(
    spec: GridSpec, normal: NormalOperator, values: Values, system: System, healthy: float
) -> LeastSeen:
    """Searches on one grid, with the factor at hand or a new one."""
    normal = normal.on(spec)
    factor = factor_at_hand(normal, system) or DirectSystem(normal)
    return least_seen(values.on(spec), normal, factor.precondition, healthy)


def _smooth_quotient(objective: Objective, normal: NormalOperator, values: Values) -> float:
    """Returns what the equations see of `_sines`, divided by its mean square."""
    v = _sines(normal.spec, normal.channels).to(normal.operators[0].slopes)
    inside = [
        operator
        for term, operators in zip(objective.problem.terms, normal.operators_of_terms, strict=True)
        if not isinstance(term.region, Boundary)
        for operator in operators
    ]
    unknowns = torch.cat([v, v.new_zeros(normal.parameter_count)])
    seen = float(normal.forward(unknowns, inside).square().sum()) / 2
    return seen / max(float(values.unit(v).square().sum()), 1e-300)


def _sines(spec: GridSpec, channels: int) -> Tensor:
    """Returns features [n] of a product of sines as long as the box, different on each axis."""
    levels = []
    for level in range(spec.levels):
        axes = []
        for axis, count in enumerate(spec.level_nodes(level)):
            shift = spec.basis.rho - 1 if spec.boundary[axis] == "ghost" else 0
            cells = spec.level_cells(level)[axis]
            place = (torch.arange(count, dtype=torch.float64) - shift) / cells
            axes.append(torch.sin((3 + 1.3 * axis) * place + 1))
        grid = torch.meshgrid(*axes, indexing="ij")
        levels.append(torch.stack(grid).prod(dim=0).reshape(-1, 1).expand(-1, channels))
    return torch.cat(levels).reshape(-1)


def _is_flat(objective: Objective, spec: GridSpec, v: Tensor) -> bool:
    """Whether u of features v [n] is a constant."""
    terms = [term for term in objective.problem.terms if not isinstance(term.region, Boundary)]
    # Points of a quadrature have weights, which vary.
    even = [
        replace(term, region=Interior(Uniform()), points=FLAT_POINTS)
        if isinstance(term.region, Interior)
        else term
        for term in terms
    ]
    u = _values_of(objective, even, spec, v)
    return bool(float(u.std()) < FLAT * float(u.square().mean()) ** 0.5)


def _values_of(objective: Objective, terms: list[Term], spec: GridSpec, v: Tensor) -> Tensor:
    """Returns u of features v [n] of a grid at the points of some terms, flat."""
    return Values(objective, terms).on(spec).unit(v)


def _regions(domain: Shape) -> dict[Name, Boundary]:
    """Returns the faces of a box, or the pieces of a shape's boundary, with some points on each."""
    if isinstance(domain, Box):
        lattice = (FACE_POINTS,) * domain.dim
        return {face: Boundary((face,), shape=lattice) for face in check_faces(None, domain.dim)}
    return {name: Boundary(name, Uniform()) for name in names_on(domain)}


def _faces(objective: Objective, spec: GridSpec, v: Tensor) -> tuple[Name, ...]:
    """Returns the parts of the boundary on which u of features v [n] is large."""
    domain = objective.problem.domain
    points = FACE_POINTS ** max(1, domain.dim - 1)
    sizes: dict[Name, float] = {}
    for face, region in _regions(domain).items():
        term = Term("face", region, lambda x, u: u.value, points=points)
        u = _values_of(objective, [term], spec, v)
        sizes[face] = float(u.square().mean()) ** 0.5
    largest = max(sizes.values())
    return tuple(face for face, size in sizes.items() if size >= LARGE * largest > 0)
