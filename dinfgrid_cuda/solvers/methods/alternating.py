"""Least squares for products of features: group after group of factors, or all of them at once.

u is linear in one factor of each product while the others are held: a linear problem for the first
factors of all products, then for the second ones, and so on (alternating least squares). Sweeps
that no longer gain much still are far from the minimum where factors must change together; with
all of them as unknowns of damped Gauss-Newton steps (Levenberg-Marquardt) they do.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import FactorizedField
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import LocalSum, Objective
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.product_rows import Group, ProductRows, groups, size
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

Array = npt.NDArray[np.float64]

ROUTES = ("auto", "alternating", "joint")
# Unknowns up to which normal equations are dense.
DENSE = 5000
# Of the unit diagonal. Products overlap (each holds functions of one axis), so that without it the
# matrix is singular; further steps, whose gradients are exact, remove what it costs.
SHIFT = 1e-12
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e4
# Of the promised fall of the loss: above it a step has earned less damping, below it more.
GOOD, POOR = 0.75, 0.25
# A feature that the residuals see less than this, against the best seen one, is not scaled up.
FAINT = 1e-8
ITERATIONS, TOLERANCE = 300, 1e-10
# A step that lowers the loss by less than this part, and a loss that is rounding alone.
ENOUGH, NIL = 1e-4, 1e-26


class AlternatingRunner:
    """One sweep over the groups of factors a step, or one step for all factors together.

    Args:
        objective: squares on fixed points; its field is a `FactorizedField`.
        route: "alternating", "joint" (after a first sweep), or "auto": joint up to `DENSE`
            unknowns.
        balanced: whether boundary terms are scaled to the equation's, as for a `Field`.

    Raises:
        SolveError: for a decoder that is not linear, energies, unknown parameters of the problem,
            or points that are spread over processes.
    """

    keeps_finite = True
    moves_last = False
    verdict = CONVERGED

    def __init__(self, objective: Objective, route: str = "auto", balanced: bool = True) -> None:
        field = objective.field
        assert isinstance(field, FactorizedField)
        if route not in ROUTES:
            raise ValueError(
                f"solve: route is {route!r}, but for a FactorizedField it must be one of {ROUTES}."
            )
        for fits, what in (
            (isinstance(field.decoder, LinearDecoder), "a LinearDecoder"),
            (objective.squares, "residuals, not energies"),
            (not objective.problem.parameters, "a problem without parameters of its own"),
            (isinstance(objective.point_sum, LocalSum), "all points in one process"),
        ):
            if not fits:
                raise SolveError(
                    f"solve: least squares for products of features needs {what}; use "
                    "method='adam'."
                )
        self.objective, self.field = objective, field
        self.wanted, self.balanced = route, balanced
        self.groups = groups(field)
        self.whole = [spot for group in self.groups for spot in group]
        small = size(field, self.whole) <= DENSE
        self.joint = route == "joint" or (route == "auto" and small)
        self.rows = ProductRows(objective)
        self.damping = dict.fromkeys(range(-1, len(self.groups)), SHIFT)
        self.damping[-1] = FIRST_DAMPING
        self.converged, self._swept = False, False
        self.fall = 1.0
        self.seconds = dict.fromkeys(("assembly", "solve", "residuals"), 0.0)

    def step(self, step: int) -> Tensor:
        """A sweep, or a joint step; the losses [1 + terms] after it."""
        if self.balanced and not self._swept:
            self.rows.balance(self.groups[0])
        losses = first = self._evaluate()
        if self.joint and self._swept:
            losses = self._improve(-1, losses)
        else:
            for number in range(len(self.groups)):
                losses = self._improve(number, losses)
        before, after = float(first[0]), float(losses[0])
        self.fall = (before - after) / max(before, NIL)
        self.converged = (self._swept and self.fall <= ENOUGH) or after <= NIL
        self._swept = True
        return losses

    def _evaluate(self) -> Tensor:
        began = time.monotonic()
        losses = self.objective.evaluate(0)
        self.seconds["residuals"] += time.monotonic() - began
        return losses

    def _improve(self, number: int, losses: Tensor) -> Tensor:
        """A step for a group (-1: all factors), damped until the loss does not rise."""
        deadline.check()
        group = self.whole if number < 0 else self.groups[number]
        factors = [self.field.grid.factor(*spot).features for spot in group]
        gradient = np.concatenate([_flat(factor.grad) for factor in factors])
        began = time.monotonic()
        system = _System(self.rows, group, len(gradient))
        self.seconds["assembly"] += time.monotonic() - began
        before = [factor.detach().clone() for factor in factors]
        while self.damping[number] <= LARGEST_DAMPING:
            began = time.monotonic()
            change, promised = system.step(gradient, self.damping[number])
            self.seconds["solve"] += time.monotonic() - began
            _move(factors, before, change)
            trial = self._evaluate()
            gain = float(losses[0]) - float(trial[0])
            if gain >= 0:
                self._judge(number, gain / max(promised, NIL))
                return trial
            self.damping[number] *= 10
        self.damping[number] = FIRST_DAMPING
        _move(factors, before, 0 * gradient)
        return self._evaluate()

    def _judge(self, number: int, ratio: float) -> None:
        factor = 0.1 if ratio > GOOD else 3.0 if ratio < POOR else 1.0
        self.damping[number] = max(SHIFT, factor * self.damping[number])

    def findings(self) -> Findings:
        """For the report."""
        counts = [self.objective.points(i, 0)[2] for i in range(len(self.objective.weights))]
        notes = []
        if not self.converged:
            notes = [
                f"not converged: the last step took {self.fall:.1%} of the loss; pass more steps."
            ]
        reason = f"u is linear in each of {len(self.groups)} groups of factors"
        if self.joint:
            reason += "; after a sweep, Gauss-Newton steps for all factors at once"
        return Findings(
            route="joint" if self.joint else "alternating",
            route_reason=reason,
            residuals=sum(counts),
            unknowns=size(self.field, self.whole),
            weights=dict(zip(self.objective.problem.names, self.objective.weights, strict=True)),
            seconds=dict(self.seconds),
            notes=tuple(notes),
        )

    def settings(self) -> dict[str, str]:
        """What a resumed solve must have in common with this one."""
        return {
            "route": self.wanted,
            "balance": repr(self.balanced),
            "products": repr(self.field.grid.products),
        }

    def state(self) -> Any:
        """Nested state for a checkpoint."""
        weights = [float(weight) for weight in self.objective.weights]
        return {
            "weights": weights,
            "swept": self._swept,
            "damping": dict(self.damping),
            "fall": self.fall,
            "converged": self.converged,
        }

    def load_state(self, state: Any) -> None:
        """Takes up the state of a checkpoint."""
        self.objective.weights = [float(weight) for weight in state["weights"]]
        self._swept = bool(state["swept"])
        self.damping = {int(key): float(value) for key, value in state["damping"].items()}
        self.fall, self.converged = float(state["fall"]), bool(state["converged"])


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
        found: Array = self.gram @ v if self.matrix is None else self.matrix.T @ (self.matrix @ v)
        return found

    def _cholesky(self, g: Array, damping: float) -> Array:
        from scipy.linalg import cho_factor, cho_solve

        scaled = self.gram * self.scale * self.scale[:, None]
        while damping <= LARGEST_DAMPING:
            try:
                factor = cho_factor(scaled + damping * np.eye(len(scaled)))
            except np.linalg.LinAlgError:  # rounding has made it indefinite
                damping *= 100
            else:
                found: Array = cho_solve(factor, g)
                return found
        raise SolveError("solve: the normal equations are not definite; use method='adam'.")

    def _iterated(self, g: Array, damping: float) -> Array:
        from scipy.sparse.linalg import LinearOperator, cg

        def apply(v: Array) -> Array:
            found: Array = self.scale * self._product(self.scale * v) + damping * v
            return found

        operator = LinearOperator((len(g), len(g)), matvec=apply, dtype=np.float64)
        found, _ = cg(operator, g, rtol=TOLERANCE, maxiter=ITERATIONS)
        result: Array = found
        return result


def _flat(gradient: Tensor | None) -> Array:
    assert gradient is not None
    flat: Array = gradient.detach().double().cpu().numpy().reshape(-1)
    return flat


@torch.no_grad()
def _move(factors: list[torch.nn.Parameter], before: list[Tensor], change: Array) -> None:
    """Sets factors to their values before, plus a change."""
    start = 0
    for factor, value in zip(factors, before, strict=True):
        part = torch.from_numpy(change[start : start + value.numel()])
        factor.copy_(value + part.reshape(value.shape).to(value))
        start += value.numel()
