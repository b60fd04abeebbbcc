"""LeastSquares: the method of choice where features enter linearly, or nearly so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from dinfgrid_cuda.checks import check_flag
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.linear.linearity import is_a_mean
from dinfgrid_cuda.solvers.linear.points import fitted, fitted_mean
from dinfgrid_cuda.solvers.linear.solver_choice import LinearSolver, linear_solver, route_name

from .gauss_newton import GaussNewton
from .method import FREE, Method, State
from .newton_state import GaussNewtonState


@dataclass(frozen=True)
class LeastSquares(Method):
    """Gauss-Newton: a linear problem in one solve, a nonlinear one (or an energy) in a few.

        dg.solve(problem, field, dg.LeastSquares(linear=dg.Direct()), steps=10)

    Where the loss is quadratic the first step solves the problem, and further ones refine the
    solution. Best in float64. On a `SlabField` it goes on slab by slab (`TimeSlabs`), on a
    `FactorizedField` by factors in turn (`Alternating`).

    Args:
        linear: `Direct()`, `MatrixFree()`, or "auto", which goes by memory and work.
        balance: whether the terms on `Boundary`, and those with data on `Points`, are scaled on
            top of their weights, so that they weigh as much as the equation in the cells next to
            them; data with ``noise`` no more than their noise allows. Of a nonlinear equation the
            weights may be changed again on the way, and the total loss with them.
        fit: whether a nonlinear problem may start from a fit of its linear terms (data, boundary
            values), where that is the better start.

    Raises:
        TypeError, ValueError: for another ``linear``.
    """

    linear: LinearSolver | str = "auto"
    balance: bool = True
    fit: bool = field(default=True, metadata=FREE)

    name: ClassVar[str] = "least-squares"
    undoes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "linear", linear_solver("LeastSquares", self.linear))
        for name in ("balance", "fit"):
            check_flag("LeastSquares", name, getattr(self, name))

    def default_steps(self, field: nn.Module) -> int:
        """Returns 20: nonlinear problems that are well posed take five to ten."""
        return 20

    def prepare(self, problem: Problem, field: nn.Module) -> Problem:
        """The problem with a lattice as fine as the grid; Gauss points for energies and means."""
        if not isinstance(field, Field):
            return problem
        return fitted(_with_means(problem, field), field.grid.spec)

    def init(self, objective: Objective) -> GaussNewtonState:
        """The state before the first step.

        Raises:
            SolveError: if the field is no `Field`, or the points are spread over processes.
        """
        return GaussNewton(objective, route_name(self.linear), self.balance).start(self.fit)

    def step(self, state: State) -> GaussNewtonState:
        """One step that lowers the loss, or none and ``converged``; the losses are those after it.

        Raises:
            SolveError: if the system cannot be formed or is singular.
        """
        assert isinstance(state, GaussNewtonState)
        work: GaussNewton = state.work
        return work.step(state)

    def findings(self, state: State) -> Findings:
        """Route, sizes, stability and more, for which it solves with the last factor again."""
        assert isinstance(state, GaussNewtonState)
        work: GaussNewton = state.work
        return work.findings(state)


def _with_means(problem: Problem, field: Field) -> Problem:
    """The problem with Gauss points where a residual is a mean over points left to the solver."""
    terms = [
        fitted_mean(term, problem.domain, field.grid.spec)
        if isinstance(term.region, Interior)
        and term.region.sampler is None
        and not term.is_energy
        and is_a_mean(problem, field, index)
        else term
        for index, term in enumerate(problem.terms)
    ]
    return Problem(problem.domain, terms, problem.parameters)
