"""Least squares for products of features: group after group of factors, or all of them at once.

u is linear in one factor of each product while the others are held: a linear problem for the first
factors of all products, then for the second ones, and so on (alternating least squares). Sweeps
that no longer gain much still are far from the minimum where factors must change together; with
all of them as unknowns of damped Gauss-Newton steps (Levenberg-Marquardt) they do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from dinfgrid_cuda.checks import check_flag
from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import FactorizedField
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.point_sum import LocalSum
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.product_rows import (
    Group,
    ProductRows,
    groups,
    scattered,
    unknown_count,
)
from dinfgrid_cuda.solvers.linear.system import Timed
from dinfgrid_cuda.solvers.linear.unknowns import Array, assign, gradient

from .damping import lowered, raised
from .method import Method, State

# Unknowns up to which normal equations are dense.
DENSE = 5000
# Of the unit diagonal. Products overlap (each holds functions of one axis), so that without it the
# matrix is singular; further steps, whose gradients are exact, remove what it costs.
SHIFT = 1e-12
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e4
# Of the promised fall of the loss: above it a step has earned less damping, below it more.
GOOD, POOR, WORSE = 0.75, 0.25, 3.0
# The place of the damping of all factors at once, after those of the groups.
WHOLE = -1
# A feature that the residuals see less than this, against the best seen one, is not scaled up.
FAINT = 1e-8
ITERATIONS, TOLERANCE = 300, 1e-10
# A step that lowers the loss by less than this part, and a loss that is rounding alone.
ENOUGH, NIL = 1e-4, 1e-26


@dataclass(frozen=True)
class AlternatingState(State):
    """A `State` of a solve for products of features.

    Attributes:
        weights: of the terms, balanced.
        swept: whether a first sweep has been taken.
        damping: of each group of factors, and at last of all at once.
        fall: part of the loss that the last step took.
    """

    weights: tuple[float, ...] = ()
    swept: bool = False
    damping: tuple[float, ...] = ()
    fall: float = 1.0


@dataclass(frozen=True)
class Alternating(Method):
    """Least squares for a `FactorizedField`: its factors in turn, or all of them at once.

    A step is one sweep over the groups of factors, or one damped step for all factors together.

    Args:
        joint: whether all factors are solved for at once after the first sweep; "auto": up to
            `DENSE` unknowns.
        balance: whether boundary terms are scaled to the equation's, as for a `Field`.

    Raises:
        ValueError: for another ``joint``.
    """

    joint: bool | str = "auto"
    balance: bool = True

    name: ClassVar[str] = "least-squares"
    undoes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.joint, bool) and self.joint != "auto":
            raise ValueError(f"Alternating: joint is {self.joint!r}; pass True, False or 'auto'.")
        check_flag("Alternating", "balance", self.balance)

    def default_steps(self, field: nn.Module) -> int:
        """Returns 50: a sweep over the factors gains less than a Newton step."""
        return 50

    def prepare(self, problem: Problem, field: nn.Module) -> Problem:
        """The problem with scattered points, as suits many dimensions."""
        return scattered(problem, field) if isinstance(field, FactorizedField) else problem

    def init(self, objective: Objective) -> AlternatingState:
        """The state before the first sweep.

        Raises:
            SolveError: for another field than a `FactorizedField`, a decoder that is not linear,
                energies, unknown parameters of the problem, or points spread over processes.
        """
        field = objective.field
        for fits, what in (
            (isinstance(field, FactorizedField), "a FactorizedField"),
            (isinstance(getattr(field, "decoder", None), LinearDecoder), "a LinearDecoder"),
            (objective.squares, "residuals, not energies"),
            (not objective.problem.parameters, "a problem without parameters of its own"),
            (isinstance(objective.point_sum, LocalSum), "all points in one process"),
        ):
            if not fits:
                other = "Adam()" if isinstance(field, FactorizedField) else "LeastSquares()"
                raise SolveError(
                    f"solve: least squares for products of features needs {what}; use {other}."
                )
        work = _Work(self, objective)
        damping = (*[SHIFT] * len(work.groups), FIRST_DAMPING)
        return AlternatingState(
            weights=tuple(map(float, objective.weights)), damping=damping, work=work
        )

    def step(self, state: State) -> AlternatingState:
        """A sweep, or a joint step; the losses are those after it."""
        assert isinstance(state, AlternatingState)
        work: _Work = state.work
        work.take_up(state)
        if self.balance and not state.swept:
            work.rows.balance(work.groups[0])
        losses = first = work.evaluate()
        if work.joint and state.swept:
            losses = work.improve(WHOLE, losses)
        else:
            for place in range(len(work.groups)):
                losses = work.improve(place, losses)
        before, after = float(first[0]), float(losses[0])
        fall = (before - after) / max(before, NIL)
        return replace(
            state,
            losses=losses,
            step=state.step + 1,
            converged=(state.swept and fall <= ENOUGH) or after <= NIL,
            weights=tuple(map(float, work.objective.weights)),
            swept=True,
            damping=tuple(work.damping),
            fall=fall,
        )

    def findings(self, state: State) -> Findings:
        """Route, sizes, weights and times, and whether more steps would help."""
        assert isinstance(state, AlternatingState)
        work: _Work = state.work
        objective = work.objective
        counts = [objective.points(i, 0)[2] for i in range(len(objective.weights))]
        notes = []
        if not state.converged:
            notes = [
                f"not converged: the last step took {state.fall:.1%} of the loss; pass more steps."
            ]
        reason = f"u is linear in each of {len(work.groups)} groups of factors"
        if work.joint:
            reason += "; after a sweep, Gauss-Newton steps for all factors at once"
        return Findings(
            route="joint" if work.joint else "alternating",
            route_reason=reason,
            residuals=sum(counts),
            unknowns=unknown_count(work.field, work.whole),
            weights=dict(zip(objective.problem.names, objective.weights, strict=True)),
            seconds=dict(work.seconds),
            notes=tuple(notes),
        )


class _Work:
    """The groups of factors, and the rows of the terms by them."""

    def __init__(self, method: Alternating, objective: Objective) -> None:
        field = objective.field
        assert isinstance(field, FactorizedField)
        self.objective, self.field = objective, field
        self.groups = groups(field)
        self.whole = [spot for group in self.groups for spot in group]
        small = unknown_count(field, self.whole) <= DENSE
        self.joint = small if method.joint == "auto" else bool(method.joint)
        self.rows = ProductRows(objective)
        self.damping: list[float] = []
        self.seconds = dict.fromkeys(("assembly", "solve", "residuals"), 0.0)

    def take_up(self, state: AlternatingState) -> None:
        """Goes on from the weights and the damping of a state."""
        self.objective.weights, self.damping = list(state.weights), list(state.damping)

    def evaluate(self) -> Tensor:
        """Losses [1 + terms], and gradients."""
        with Timed(self.seconds, "residuals"):
            return self.objective.evaluate(0)

    def improve(self, place: int, losses: Tensor) -> Tensor:
        """A step for a group of factors (or `WHOLE`), damped until the loss does not rise."""
        deadline.check()
        group = self.whole if place == WHOLE else self.groups[place]
        factors = [self.field.grid.factor(*spot).features for spot in group]
        slope = gradient(factors)
        with Timed(self.seconds, "assembly"):
            system = _System(self.rows, group, len(slope))
        before = [factor.detach().clone() for factor in factors]
        while self.damping[place] <= LARGEST_DAMPING:
            with Timed(self.seconds, "solve"):
                change, promised = system.step(slope, self.damping[place])
            assign(factors, before, change)
            trial = self.evaluate()
            gain = float(losses[0]) - float(trial[0])
            if gain >= 0:
                self._judge(place, gain / max(promised, NIL))
                return trial
            self.damping[place] = raised(self.damping[place], SHIFT)
        self.damping[place] = FIRST_DAMPING
        assign(factors, before)
        return self.evaluate()

    def _judge(self, place: int, ratio: float) -> None:
        """Less damping after a step that fell as promised, more after one that fell short."""
        if ratio > GOOD:
            self.damping[place] = lowered(self.damping[place], SHIFT)
        elif ratio < POOR:
            self.damping[place] *= WORSE


class _System:
    """Normal equations of a group: dense, or applied row by row where they are large."""

    def __init__(self, rows: ProductRows, group: Group, unknowns: int) -> None:
        self.matrix: Any = None
        if unknowns <= DENSE:
            self.gram = np.zeros((unknowns, unknowns))
            for part in rows.blocks(group):
                dense = part.toarray()
                self.gram += dense.T @ dense
            diagonal = self.gram.diagonal()
        else:
            from scipy.sparse import vstack

            self.matrix = vstack(list(rows.blocks(group)), format="csr")
            diagonal = np.asarray(self.matrix.multiply(self.matrix).sum(axis=0)).reshape(-1)
        least = max(float(FAINT**2 * diagonal.max()), NIL)
        self.scale = 1 / np.sqrt(np.maximum(diagonal, least))

    def step(self, gradient: Array, damping: float) -> tuple[Array, float]:
        """The step, and the fall of the loss that the quadratic model promises."""
        g = self.scale * gradient
        v = -(self._cholesky(g, damping) if self.matrix is None else self._iterated(g, damping))
        change: Array = self.scale * v
        curved = self._product(change)
        return change, float(-(gradient @ change) - 0.5 * (change @ curved))

    def _product(self, v: Array) -> Array:
        product: Array = self.gram @ v if self.matrix is None else self.matrix.T @ (self.matrix @ v)
        return product

    def _cholesky(self, g: Array, damping: float) -> Array:
        from scipy.linalg import cho_factor, cho_solve

        scaled = self.gram * self.scale * self.scale[:, None]
        while damping <= LARGEST_DAMPING:
            try:
                factor = cho_factor(scaled + damping * np.eye(len(scaled)))
            except np.linalg.LinAlgError:  # rounding has made it indefinite
                damping *= 100
            else:
                solution: Array = cho_solve(factor, g)
                return solution
        raise SolveError("solve: the normal equations are not definite; use method='adam'.")

    def _iterated(self, g: Array, damping: float) -> Array:
        from scipy.sparse.linalg import LinearOperator, cg

        def apply(v: Array) -> Array:
            product: Array = self.scale * self._product(self.scale * v) + damping * v
            return product

        operator = LinearOperator((len(g), len(g)), matvec=apply, dtype=np.float64)
        solution: Array = cg(operator, g, rtol=TOLERANCE, maxiter=ITERATIONS)[0]
        return solution
