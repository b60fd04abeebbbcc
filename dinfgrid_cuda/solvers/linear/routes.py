"""The two routes to a least-squares step: a sparse factorisation, or iteration without a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.solvers.errors import SolveError

from .cholesky import estimate, free_memory
from .direct import DirectSystem
from .matrix_free import LIMIT, MatrixFreeSystem, suits
from .normal_operator import NormalOperator
from .unknowns import Array

ROUTES = ("auto", "direct", "matrix-free")
# Multiplications of a factorisation: one that takes half a minute on two cores, and one so short
# that iterating cannot be much faster.
SLOW, QUICK = 2e12, 1e10
# Iterations after which a factorisation that fits is the better way.
TRIAL = 150


class System(Protocol):
    """A linearised problem that can be solved.

    Attributes:
        rows, seen: residuals, and features that they depend on.
        enough: part of the loss; a step of refinement that promises less is the last.
        condition: of the matrix that is solved with, an estimate.
        finished: whether the last step was solved as well as it can be.
        clean: whether a step that promises little of the loss leaves u nearly unmoved.
    """

    rows: int
    seen: int
    enough: float

    @property
    def condition(self) -> float:
        """See above."""
        ...

    @property
    def finished(self) -> bool:
        """See above."""
        ...

    @property
    def clean(self) -> bool:
        """See above."""
        ...

    def step(
        self, gradient: Array, damping: float, loss: float, exact: bool = True
    ) -> tuple[Array, float]:
        """Step [unknowns], and the fall of the loss that the quadratic model predicts.

        Args:
            exact: False where an error of the step does not matter, if that saves work.
        """
        ...


@dataclass(frozen=True)
class Route:
    """A choice.

    Attributes:
        name: "direct" or "matrix-free".
        reason: why, for the report.
        limit: of iterations a step; a direct route follows if they do not suffice.
    """

    name: str
    reason: str
    limit: int = LIMIT

    @property
    def on_trial(self) -> bool:
        """Whether a direct route is left."""
        return self.name == "matrix-free" and self.limit == TRIAL


def check_route(field: Field, wanted: str) -> None:
    """Whether a route can be taken, before anything is formed.

    Raises:
        ValueError: for one that does not exist.
        SolveError: if a direct one is asked for and will not fit into memory, or without scipy.
    """
    if wanted not in ROUTES:
        raise ValueError(f"solve: route is {wanted!r}, but it must be one of {ROUTES}.")
    size, free = estimate(field.grid.spec, field.grid.channels), free_memory()
    if wanted == "direct" and size.bytes > free:
        raise SolveError(
            f"solve: the factor for {size.unknowns:,} features will take about "
            f"{size.bytes / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free; use fewer cells, one "
            "level, or route='matrix-free'."
        )


def choose_route(normal: NormalOperator, squares: bool) -> Route:
    """What "auto" stands for.

    Args:
        normal: the linearised problem.
        squares: whether all terms are squares.
    """
    size, free = estimate(normal.spec, normal.channels), free_memory()
    need = f"a factor of {size.bytes / 1e9:.2g} GB, {free / 1e9:.2g} GB free"
    fits = size.bytes <= free
    if size.work > QUICK and suits(normal):
        reason = "constant coefficients on lattices, so that fast diagonalisation preconditions"
        return Route("matrix-free", reason, TRIAL if fits and size.work <= SLOW else LIMIT)
    if not fits:
        return Route("matrix-free", need)
    if size.work > SLOW and squares:
        return Route("matrix-free", f"a factor would take {size.work:.0e} multiplications")
    return Route("direct", need)


def make_system(route: Route, normal: NormalOperator, seconds: dict[str, float]) -> System:
    """The linearised problem, ready to be solved."""
    if route.name == "direct":
        return DirectSystem(normal, seconds)
    return MatrixFreeSystem(normal, seconds, route.limit)


def after_trial(system: System, route: Route) -> Route | None:
    """The direct route, if the iterations on trial did not suffice."""
    if not route.on_trial or not isinstance(system, MatrixFreeSystem):
        return None
    last = system.last
    if last is None or last.done:
        return None
    return Route(
        "direct",
        f"{last.iterations} iterations of conjugate gradients did not suffice (condition at least "
        f"{system.condition:.0e})",
    )
