"""How well a problem determines its solution: the function that its residuals see least.

Where a condition is missing, a function solves the homogeneous equations, and what residuals see of
it on a grid is the error of discretisation alone: it falls by orders from a grid to the next finer
one. In a well-posed problem it tends to a limit. So the least quotient loss / mean square of u is
compared between grids, each with half the cells of the one before; the rows stay the same, only the
functions are fewer. B-splines of these grids are nested: a function that is found is one of the
finest grid too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.box import SIDES, Face
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.deadline import OutOfTime
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.cholesky import estimate
from dinfgrid_cuda.solvers.linear.direct import DirectSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import QUICK, System

from .least_seen import LeastSeen, least_seen
from .values import Values, value_operators

# Fewest cells of an axis that is halved, and grids that are compared.
FEWEST, GRIDS = 8, 3
# Quotients against that of a smooth function: hopeless, and small enough for a comparison.
UNSEEN, SMALL = 1e-12, 1e-3
# What refinement by two may leave of the least quotient of a well-posed problem.
FALLS = 0.1
# Bytes of a factor whose solves take little.
SMALL_FACTOR = 1e8
# Quotients of two grids that are alike: a finer one will not find less.
ALIKE = 0.5
# The finer one of nested grids finds more only at the end of double precision.
TROUBLED = 2
# Deviation from the mean that is left to a constant.
FLAT = 1e-3
# A face is named if the function is at least this part as large there as on the face where it is
# largest.
LARGE = 0.5
# Points of an axis on a face.
FACE_POINTS = 33


@dataclass(frozen=True)
class Stability:
    """What the search has found.

    Attributes:
        average: loss / mean square of u for an average function of the grid, without data.
        least: the same for the function that is seen least.
        smooth: the same for a smooth function that nothing distinguishes.
        determined: whether the residuals determine u.
        bounded: whether no function of the grid is seen much less than that.
        flat: whether what they see least is a constant.
        faces: where that function is large.
    """

    average: float
    least: float
    smooth: float
    determined: bool
    bounded: bool
    flat: bool
    faces: tuple[Face, ...]


def stability(objective: Objective, normal: NormalOperator, system: System) -> Stability | None:
    """The least-seen function; None without points inside, or where grids would be too large."""
    values = Values(objective)
    if not values.parts:
        return None
    average = 0.5 * float(normal.diagonal()[: normal.features].sum()) / max(values.trace(), 1e-300)
    smooth = _smooth(objective, normal, values)
    found: list[tuple[GridSpec, LeastSeen]] = []
    for spec in _grids(normal, system):
        if len(found) == 2 and found[0][1].quotient <= TROUBLED * found[1][1].quotient:
            break  # the finest two are enough
        try:
            found.append((spec, _on(spec, normal, values, system, SMALL * smooth)))
        except (SolveError, OutOfTime):
            break
    if not found:
        return None
    finest = found[0][1].quotient
    spec, least = min(found[:2], key=lambda pair: pair[1].quotient)
    determined = not _unseen([one.quotient for _, one in found], smooth)
    alike = len(found) > 1 and found[0][1].quotient > ALIKE * found[1][1].quotient
    bounded = determined and (found[0][0] == normal.spec or alike)
    flat = _is_flat(values.on(spec), least.v)
    faces = () if determined else _faces(objective, spec, least.v)
    return Stability(average, min(finest, least.quotient), smooth, determined, bounded, flat, faces)


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
    """Grids that take little, from fine to coarse; the first is the problem's own if it does."""
    spec: GridSpec | None = normal.spec
    specs: list[GridSpec] = []
    while spec is not None and len(specs) < GRIDS:
        size = estimate(spec, normal.channels)
        known = spec == normal.spec and isinstance(system, DirectSystem)
        if size.work <= QUICK or (known and size.bytes <= SMALL_FACTOR):
            specs.append(spec)
        spec = _halved(spec)
    return specs


def _halved(spec: GridSpec) -> GridSpec | None:
    """A grid with half the cells on all axes that have enough; None if there are none."""
    step = 1 << (spec.levels - 1)
    cells = tuple(
        max(step, count // 2 // step * step) if count >= FEWEST else count for count in spec.cells
    )
    if cells == spec.cells:
        return None
    try:
        return replace(spec, cells=cells)
    except ValueError:  # a ring that is too short for the basis
        return None


def _on(
    spec: GridSpec, normal: NormalOperator, values: Values, system: System, healthy: float
) -> LeastSeen:
    """The search on one grid, with the factor at hand or one of its own."""
    own = normal.on(spec)
    known = isinstance(system, DirectSystem) and own.features == system.operator.features
    factor = (
        system if known else DirectSystem(own, dict.fromkeys(("assembly", "factor", "solve"), 0.0))
    )
    assert isinstance(factor, DirectSystem)
    return least_seen(values.on(spec), own, factor.precondition, healthy)


def _smooth(objective: Objective, normal: NormalOperator, values: Values) -> float:
    """What the equations see of a product of sines as long as the box, alike on no two axes."""
    spec = normal.spec
    parts = []
    for level in range(spec.levels):
        axes = []
        for axis, count in enumerate(spec.level_nodes(level)):
            shift = spec.basis.rho - 1 if spec.boundary[axis] == "ghost" else 0
            place = (torch.arange(count, dtype=torch.float64) - shift) / spec.level_cells(level)[
                axis
            ]
            axes.append(torch.sin((3 + 1.3 * axis) * place + 1))
        grid = torch.meshgrid(*axes, indexing="ij")
        parts.append(torch.stack(grid).prod(dim=0).reshape(-1, 1).expand(-1, normal.channels))
    v = torch.cat(parts).reshape(-1).to(normal.parts[0].slopes)
    v = torch.cat([v, v.new_zeros(normal.parameters)])
    inside = [
        part
        for term, own in zip(objective.problem.terms, normal.terms, strict=True)
        if not isinstance(term.region, Boundary)
        for part in own
    ]
    seen = float(normal.rows_of(v, inside).square().sum()) / 2
    return seen / max(float(values.unit(v[: normal.features]).square().sum()), 1e-300)


def _is_flat(values: Values, v: Tensor) -> bool:
    u = values.unit(v)
    return bool(float(u.std()) < FLAT * float(u.square().mean()) ** 0.5)


def _faces(objective: Objective, spec: GridSpec, v: Tensor) -> tuple[Face, ...]:
    """Faces of the box on which u of these features is largest."""
    dim = objective.problem.domain.dim
    sizes: dict[Face, float] = {}
    for axis in range(dim):
        for side in SIDES:
            face = (axis, side)
            region = Boundary((face,), shape=(FACE_POINTS,) * dim)
            rows = value_operators(objective, [Term("face", region, lambda x, u: u.value)])
            u = [
                part.on(spec).forward(v.reshape(-1, part.slopes.shape[3] // spec.levels), v[:0])
                for part in rows
            ]
            sizes[face] = math.sqrt(sum(float(one.square().mean()) for one in u))
    largest = max(sizes.values())
    return tuple(face for face, size in sizes.items() if size >= LARGE * largest > 0)
