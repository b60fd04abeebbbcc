"""The two routes to a step of least squares: a sparse factorisation, or matrix-free iteration."""

from __future__ import annotations

from dataclasses import dataclass

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.solvers.errors import SolveError

from .direct import DirectSystem
from .factor_estimate import Size, estimate, estimate_of
from .matrix_free import LIMIT, MatrixFreeSystem, suits
from .memory import free_memory
from .normal_operator import NormalOperator
from .schwarz import suits_boxes
from .system import System

ROUTES = ("auto", "direct", "matrix-free")
# Multiplications of two factorisations: one that takes half a minute on two cores, and one so short
# that iterating cannot be much faster.
SLOW, QUICK = 2e12, 1e10
# The first of these on shapes, where iterations take longer: 330 s on a ball of 32 cells, degree 5,
# which a factor of 1e12 multiplications solves in a minute.
SLOW_ON_SHAPES = 1e13
# Number of iterations after which a factorisation that fits into memory is faster.
TRIAL = 150
# The same number on shapes, where iterations are more: 120 to 400 from 16 to 32 cells (degree 5).
LONG_TRIAL = 400


@dataclass(frozen=True)
class Route:
    """A route and why it was chosen.

    Attributes:
        name: "direct" or "matrix-free".
        reason: for the report.
        limit: largest number of iterations of a step; after `TRIAL` or `LONG_TRIAL` of them the
            direct route follows if they do not suffice.
    """

    name: str
    reason: str
    limit: int = LIMIT

    @property
    def on_trial(self) -> bool:
        """Whether the direct route follows if the iterations do not suffice."""
        return self.name == "matrix-free" and self.limit in (TRIAL, LONG_TRIAL)


def check_route(field: Field, wanted: str, on_box: bool = True) -> None:
    """Checks whether a route can be taken, before anything is formed.

    Args:
        on_box: whether the domain fills the grid, so that the size of a factor is known.

    Raises:
        ValueError: for one that does not exist.
        SolveError: if a direct one is asked for and will not fit into memory, or without scipy.
    """
    if wanted not in ROUTES:
        raise ValueError(f"solve: route is {wanted!r}, but it must be one of {ROUTES}.")
    size = estimate(field.grid.spec, field.grid.channels)
    if wanted == "direct" and on_box:
        _check_fits(size)


def _check_fits(size: Size) -> None:
    """Raises SolveError if a factor will not fit into memory."""
    free = free_memory()
    if size.bytes > free:
        raise SolveError(
            f"solve: the factor for {size.unknown_count:,} features will take about "
            f"{size.bytes / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free; use fewer cells, one "
            "level, or LeastSquares(linear=MatrixFree())."
        )


def choose_route(normal: NormalOperator, squares: bool) -> Route:
    """Chooses the route that "auto" stands for.

    Args:
        normal: the linearised problem.
        squares: whether all terms are squares.
    """
    size, free = estimate_of(normal), free_memory()
    need = f"a factor of {size.bytes / 1e9:.2g} GB, {free / 1e9:.2g} GB free"
    fits = size.bytes <= free
    if size.work > QUICK and suits(normal):
        reason = "constant coefficients on lattices, so that fast diagonalisation preconditions"
        return Route("matrix-free", reason, TRIAL if fits and size.work <= SLOW else LIMIT)
    by, limit, slow = "", LIMIT, SLOW
    if suits_boxes(normal) and normal.averaged() is None:
        by, limit = "; overlapping boxes of features precondition", LONG_TRIAL if fits else LIMIT
        slow = SLOW_ON_SHAPES
    if not fits:
        return Route("matrix-free", need + by)
    if size.work > slow and squares:
        reason = f"a factor would take {size.work:.0e} multiplications{by}"
        return Route("matrix-free", reason, limit)
    return Route("direct", need)


def make_system(
    route: Route, normal: NormalOperator, seconds: dict[str, float] | None = None
) -> System:
    """Prepares the linearised problem to be solved by a route.

    Args:
        seconds: to which the time of the work is added, see `new_seconds`.

    Raises:
        SolveError: if the factor on a shape will not fit into memory.
    """
    if route.name == "direct":
        if normal.extension is not None:
            _check_fits(estimate_of(normal))
        return DirectSystem(normal, seconds)
    return MatrixFreeSystem(normal, seconds, route.limit)


def factor_at_hand(normal: NormalOperator, system: System) -> DirectSystem | None:
    """Returns a system that holds a factor for as many features as ``normal`` has, else None."""
    if isinstance(system, DirectSystem) and system.normal.feature_count == normal.feature_count:
        return system
    return None


def after_trial(system: System, route: Route) -> Route | None:
    """Returns the direct route if the iterations on trial did not suffice, else None."""
    if not route.on_trial or not isinstance(system, MatrixFreeSystem):
        return None
    last = system.last
    if last is None or last.done:
        return None
    return Route(
        "direct",
        f"{last.iteration_count} iterations of conjugate gradients did not suffice (condition at "
        f"least {system.condition:.0e})",
    )
