"""The state of a Gauss-Newton solve, and what is decided after each trial step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from dinfgrid_cuda.solvers.diagnosis.convergence import MOVING, NOTED, SHRINKING, STILL
from dinfgrid_cuda.solvers.linear.system import System

from .damping import lowered, raised
from .method import State

# Relative to the diagonal. 0 means the undamped step.
FIRST_DAMPING, LARGEST_DAMPING = 1e-6, 1e8
# For a quadratic loss, whose step fails only where the factor is inaccurate.
FIRST_SHIFT, LARGEST_SHIFT = 1e-11, 1e-9
STALLED = (
    "stalled: no Newton step, however damped, lowers the loss; the field keeps the best found. Try "
    "`continuation` from an easier equation, a SlabField in time, other initial features, or more "
    "cells"
)
# Part of the largest loss that is left to rounding alone.
NIL = 1e-28
# Part of the loss that refinement may add, where the loss is hardly more than its own rounding.
REFINED = 0.1
# A step is accepted if the loss falls by this fraction of the prediction.
SUFFICIENT = 1e-3
# A linear problem is known by a first step that changes the loss much and exactly as predicted.
MUCH, EXACT, ROUNDING = 1e-3, 1e-7, 1e-12


@dataclass(frozen=True)
class GaussNewtonState(State):
    """A `State` of `LeastSquares` on a `Field`.

    Attributes:
        damping: of the next step, relative to the diagonal; 0 for none.
        moved: how far the last step moved u, relative to u.
        size: norm of u at the first step, or at the first where it was not zero.
        rest: what the features lack of their exact values (`AccurateJets`), or None.
        flat: whether the last step of a nonlinear problem gained next to nothing.
        quadratic: whether the loss is known to be quadratic: then one system serves all steps.
        weights: of the terms, balanced.
        extension: weight of the extension of a field on a shape.
        largest: the largest loss so far.
        clean: whether steps that promise little leave u nearly unmoved.
        fit: whether the linear terms may be fitted before the first step.
        first: whether no step has been judged yet.
        prepared: whether the weights have been balanced for the first time.
        started: whether the parameters of the problem have had their first step.
        rebalanced: how often the weights have been balanced again.
        calm: number of steps in a row that found them balanced.
        route: name, reason and limit of iterations of the present `Route`.
        assembled_at: the unknowns that the present system was formed at, or None.
        iterations, condition: of a system that iterates, so far; None of others.
    """

    damping: float = 0.0
    moved: float = math.inf
    size: float = 0.0
    rest: Tensor | None = None
    flat: bool = False
    quadratic: bool = False
    weights: tuple[float, ...] = ()
    extension: float = 0.0
    largest: float = 0.0
    clean: bool = False
    fit: bool = True
    first: bool = True
    prepared: bool = False
    started: bool = False
    rebalanced: int = 0
    calm: int = 0
    route: tuple[str, str, int] = ("auto", "as asked", 0)
    assembled_at: list[Tensor] | None = None
    iterations: int | None = None
    condition: float | None = None


@dataclass(frozen=True)
class Trial:
    """A step that has been tried.

    Attributes:
        loss: before it.
        gain: by which the loss fell.
        predicted: the fall that the quadratic model promised.
        moved: how far it moved u, relative to u.
        moved_before: how far the step before did.
    """

    loss: float
    gain: float
    predicted: float
    moved: float
    moved_before: float


def accepts(state: GaussNewtonState, trial: Trial) -> bool:
    """Whether a step is taken.

    Refinement of a linear problem goes on as long as its steps get shorter: functions that the
    residuals hardly see weigh less than the rounding of the loss.
    """
    if not math.isfinite(trial.gain):
        return False
    if trial.gain > 0 and trial.gain >= SUFFICIENT * trial.predicted:
        return True
    shorter = trial.moved < SHRINKING * trial.moved_before
    refines = state.quadratic and not state.damping and shorter
    return refines and -trial.gain <= REFINED * abs(trial.loss)


def damped(
    state: GaussNewtonState, trial: Trial, system: System, eps: float
) -> tuple[GaussNewtonState, bool]:
    """The state with more damping after a step that failed, and whether another step can help.

    Args:
        eps: relative rounding of the gradients.
    """
    undamped = state.quadratic or not state.damping
    rounding = max(system.enough if undamped else 1e-14, 10 * eps) * abs(trial.loss)
    rounding = max(rounding, NIL * state.largest)
    if math.isfinite(trial.gain) and trial.predicted <= rounding:
        return state, False
    if state.quadratic and state.damping > LARGEST_SHIFT:
        return state, False
    damping = raised(state.damping, FIRST_SHIFT if state.quadratic else FIRST_DAMPING)
    if damping > LARGEST_DAMPING:
        return replace(state, damping=damping, verdict=STALLED), False
    return replace(state, damping=damping), True


def fell_exactly(state: GaussNewtonState, trial: Trial, eps: float) -> bool:
    """Whether the first step changed the loss much, and exactly as a quadratic one changes."""
    # Heavy boundary terms hide a nonlinear equation in the fall, not in what is left.
    miss, left = abs(trial.gain - trial.predicted), abs(trial.loss - trial.gain)
    error = max(EXACT, 100 * eps)
    rounding = max(ROUNDING, 10 * eps) * abs(trial.loss)
    exact = miss <= min(error * trial.predicted, error * left + rounding)
    return state.first and not state.damping and exact and trial.gain >= MUCH * abs(trial.loss)


def judged(state: GaussNewtonState, trial: Trial, system: System) -> GaussNewtonState:
    """The state after a step that was taken: the next damping, and whether to stop."""
    damping = state.damping
    if damping and trial.gain > 0.5 * trial.predicted:
        damping = lowered(damping, 0.0) if damping > FIRST_DAMPING else 0.0
    little = trial.gain <= system.enough * abs(trial.loss)
    flat = state.flat
    if state.quadratic:
        # Refinement that no longer shortens its steps has reached rounding.
        longer = trial.moved > SHRINKING * trial.moved_before
        stalled = longer and trial.gain <= REFINED * abs(trial.loss)
        settled = little and system.clean and trial.moved <= NOTED
        converged = trial.moved <= STILL or stalled or settled
    else:
        # Newton's method near a loss that is not zero ends in steps that change nothing.
        flat = little and not damping
        slow = flat and (trial.moved <= MOVING or state.flat)
        converged = trial.moved <= STILL or slow
    return replace(state, damping=damping, flat=flat, converged=converged, first=False)
