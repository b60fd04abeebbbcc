"""The weights of a least-squares solve: balanced before the first step, and again on the way."""

from __future__ import annotations

from dataclasses import replace

from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.linear.balance import (
    balance,
    balance_scales,
    noticeable,
    weigh_extension,
)
from dinfgrid_cuda.solvers.linear.extension import extension_of
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.system import Timed

from .first_guess import start_from_linear_terms
from .newton_state import GaussNewtonState
from .present_system import PresentSystem

# Weights are balanced again this often at most, and looked at until as many steps find them right.
REBALANCED, CALM = 5, 2


class Balancing:
    """Linearises a problem with weights that suit its features.

    At the first features, near zero, an equation may be much smaller than at the solution, and
    boundary terms balanced by it would count for nothing. So the weights of a nonlinear problem are
    looked at again after its first steps, and at the end, and changed where they are far off.

    Args:
        objective: the problem; on a shape it gets the extension.
        present: where it is linearised.
        balanced: whether weights are balanced at all.
    """

    def __init__(self, objective: Objective, present: PresentSystem, balanced: bool) -> None:
        self.objective, self.present, self.balanced = objective, present, balanced
        self.extension = extension_of(objective)

    def take_up(self, state: GaussNewtonState) -> None:
        """Sets the weights of terms, and that of the extension, to those of a state."""
        self.objective.weights = list(state.weights)
        if self.extension is not None:
            self.extension.weight = state.extension

    def kept_in(self, state: GaussNewtonState) -> GaussNewtonState:
        """The state with the present weights."""
        extension = 0.0 if self.extension is None else self.extension.weight
        weights = tuple(map(float, self.objective.weights))
        return replace(state, weights=weights, extension=extension)

    def linearised(self, state: GaussNewtonState) -> tuple[GaussNewtonState, NormalOperator]:
        """The problem at the present features, its weights balanced the first time."""
        normal = self.present.linearise()
        if self.balanced and not state.prepared:
            with Timed(self.present.seconds, "assembly"):
                balance(normal, self.objective)
        if not state.prepared:
            weigh_extension(normal, self.objective)
        return replace(state, prepared=True), normal

    def next_normal(self, state: GaussNewtonState) -> tuple[GaussNewtonState, NormalOperator]:
        """The problem at the present features, or at a fit of its linear terms to begin with.

        Where ``rebalanced`` has changed, the loss is that of other weights.
        """
        if not state.prepared and state.fit:
            start = start_from_linear_terms(self.objective, self.balanced)
            if start is not None:
                weigh_extension(start, self.objective)
                return replace(state, prepared=True, started=True), start
        again = self.balanced and state.prepared and state.calm < CALM
        state, normal = self.linearised(state)
        if not again or state.rebalanced >= REBALANCED:
            return state, normal
        scales = balance_scales(normal, self.objective)
        if not noticeable(scales):
            return replace(state, calm=state.calm + 1), normal
        normal.scale_weights(self.objective, scales)
        weigh_extension(normal, self.objective)
        return replace(state, rebalanced=state.rebalanced + 1, calm=0, largest=0.0), normal

    def are_off(self, state: GaussNewtonState) -> bool:
        """Whether a nonlinear problem has converged with weights that are far from balanced."""
        if state.quadratic or not self.balanced or state.rebalanced >= REBALANCED:
            return False
        assert self.present.normal is not None
        return noticeable(balance_scales(self.present.normal, self.objective))
