"""The linearised problem at the present features, and the system that solves it."""

from __future__ import annotations

from torch import Tensor

from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.diagnosis.notes import beforehand
from dinfgrid_cuda.solvers.linear.matrix_free import MatrixFreeSystem
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.routes import (
    Route,
    after_trial,
    choose_route,
    make_system,
)
from dinfgrid_cuda.solvers.linear.system import System, Timed, new_seconds
from dinfgrid_cuda.solvers.linear.unknowns import Array, Unknowns


class PresentSystem:
    """A problem, linearised and ready to be solved.

    Args:
        objective: the problem; its field is a `Field`.
        unknowns: of the problem.
        route: name of the route that is asked for.

    Attributes:
        system: None until `assemble`.
        normal: the normal operator that it was made of.
        route: how it is solved.
        taken: whether it is that of another solve of the same matrix.
        assembled_at: the unknowns that it was formed at.
        notes: what there is to say of it, for the report.
        seconds: spent, by part of the work.
    """

    def __init__(self, objective: Objective, unknowns: Unknowns, route: str) -> None:
        self.objective, self.unknowns = objective, unknowns
        self.route = Route(route, "as asked")
        self.system: System | None = None
        self.normal: NormalOperator | None = None
        self.taken = False
        self.assembled_at: list[Tensor] | None = None
        self.notes: list[str] = []
        self.seconds = {**new_seconds(), "residuals": 0.0}

    def linearise(self) -> NormalOperator:
        """The normal operator at the present features."""
        with Timed(self.seconds, "assembly"):
            return NormalOperator(self.objective)

    def assemble(self, normal: NormalOperator) -> System:
        """Makes a normal operator the present system."""
        self.assembled_at, self.taken = self.unknowns.values(), False
        first = self.system is None and not self.notes
        self.system, self.normal = None, normal  # two systems would not fit
        if self.route.name == "auto":
            self.route = choose_route(normal, self.objective.squares)
        self.system = make_system(self.route, normal, self.seconds)
        if first:
            self.notes = beforehand(self.system, normal, self.objective, self.route)
        return self.system

    def solve(
        self, gradient: Array, damping: float, loss: float, exact: bool
    ) -> tuple[Array, float]:
        """The step and the fall of the loss it promises; by a factor where iterations fail."""
        assert self.system is not None
        solution = self.system.step(gradient, damping, loss, exact)
        direct = after_trial(self.system, self.route)
        if direct is None:
            return solution
        self.route = direct
        return self.assemble(self.linearise()).step(gradient, damping, loss)

    def take(self, other: PresentSystem) -> None:
        """Goes on with the system of another solve, which must be that of a linear problem."""
        self.system, self.normal, self.notes = other.system, other.normal, other.notes
        self.route, self.taken = other.route, True
        self.assembled_at = other.assembled_at

    def form_again(self, at: list[Tensor]) -> None:
        """Forms the system at other unknowns than the present ones, as it was before a break."""
        now = self.unknowns.values()
        self.unknowns.set([value.to(own) for value, own in zip(at, now, strict=True)])
        self.assemble(self.linearise())
        self.unknowns.set(now)

    @property
    def iterated(self) -> tuple[int | None, float | None]:
        """Iterations so far and the condition that they have shown, of a system that iterates."""
        if not isinstance(self.system, MatrixFreeSystem):
            return None, None
        return self.system.iteration_count, self.system.condition

    def count_from(self, iterations: int | None, condition: float | None) -> None:
        """Takes up what `iterated` was before a break."""
        if isinstance(self.system, MatrixFreeSystem) and iterations is not None:
            self.system.iteration_count = iterations
            if condition is not None:
                self.system.condition = condition
