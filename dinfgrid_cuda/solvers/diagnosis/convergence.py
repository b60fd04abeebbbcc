"""What the end of a least-squares solve is worth: how far u still moves, and what loss is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.sum_factorisation import axis_matrix
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .few_points import residuals_at_zero

# Points at which the movement of u is measured.
SAMPLE = 2048
# Movements of u by a step, relative to u, that are noted, and that are no convergence.
NOTED, MOVING = 1e-6, 1e-3
# Of a nonlinear problem, whose steps near the end are longer than what is left.
LOOSE = 1e-4
# A refinement that moves u by more than this part of what the one before did has met rounding.
SHRINKING = 0.5
# Nothing is left to refine.
STILL = 1e-14
# Features, times the largest value of their functions within the box, against what they add up to
# at the points: below 100 in the suite.
WILD = 1e5
# Part of the loss of u = 0 that a solution does not leave.
MOST = 0.5


class Movement:
    """How far steps move u, in the root mean square over points of the equations.

    Args:
        objective: whose field is looked at.

    Attributes:
        last: the last movement, relative to u; infinite before the first.
        size: of u at the first start: where u ends at zero, rounding is measured by that.
    """

    def __init__(self, objective: Objective) -> None:
        self.field, self.last, self.size = objective.field, math.inf, 0.0
        terms = objective.problem.terms
        inside = [i for i, term in enumerate(terms) if not isinstance(term.region, Boundary)]
        parts = []
        for index in inside or range(len(terms)):
            x = objective.points(index, 0)[0]
            random = torch.Generator().manual_seed(index)
            rows = torch.randperm(len(x), generator=random)[:SAMPLE]
            parts.append(x[rows.to(x.device)])
        self.x = torch.cat(parts)
        self._before: Tensor | None = None

    @torch.no_grad()
    def start(self) -> None:
        """Takes u as it is for the place that the next step starts from."""
        self._before = self.field(self.x)
        self.size = self.size or float(self._before.norm())

    @torch.no_grad()
    def measure(self) -> float:
        """Movement since `start`, relative to the larger one of both u."""
        assert self._before is not None
        now = self.field(self.x)
        size = max(float(now.norm()), float(self._before.norm()), self.size)
        self.last = float((now - self._before).norm()) / size if size > 0 else 0.0
        return self.last


@torch.no_grad()
def wild_features(objective: Objective, x: Tensor) -> str | None:
    """A note on features far larger than u: only the tail of their function reaches a point.

    Args:
        x: points of the equations [N, dim].
    """
    field = objective.field
    assert isinstance(field, Field)
    peaks = _peaks(field.grid.spec).to(field.grid.features)
    features = float((peaks[:, None] * field.grid.features).abs().max())
    y = float(field.gather(x, 0).abs().max())
    if not features > WILD * y > 0:
        return None
    return (
        f"features reach {features:.0e} where u is made of {y:.0e}: only the tails of some basis "
        "functions reach a point, and beside the points u is meaningless. Take points up to where "
        "u is wanted, or none that lie less than a thousandth of a cell beyond a grid line."
    )


def _peaks(spec: GridSpec) -> Tensor:
    """Largest values of all basis functions within the box, [total nodes]."""
    levels = []
    for level in range(spec.levels):
        values = torch.ones((), dtype=torch.float64)
        for axis in range(spec.dim):
            values = values[..., None] * _axis_peaks(spec, level, axis)
        levels.append(values.reshape(-1))
    return torch.cat(levels)


def _axis_peaks(spec: GridSpec, level: int, axis: int) -> Tensor:
    """The same along an axis, [nodes]: of a short line, whose middle stands for all others."""
    cells, basis = spec.level_cells(level)[axis], spec.basis
    few = min(cells, 2 * basis.nodes)
    line = GridSpec(1, (few,), 1, basis, (spec.boundary[axis],), (0.0,), (float(few),))
    t = torch.linspace(0, few, 8 * few + 1, dtype=torch.float64)
    short = axis_matrix(t, line, 0, 0, 0)[0].amax(dim=0)
    half, count = len(short) // 2, spec.level_nodes(level)[axis]
    return torch.cat([short[:half], short[half].expand(count - len(short)), short[half:]])


def loss_left(objective: Objective, loss: float) -> float | None:
    """Part of the loss of u = 0 that is left; None for energies, or where u = 0 has no such loss.

    A hard constraint keeps its own values.
    """
    if not objective.squares:
        return None
    names = objective.problem.names
    at_zero = residuals_at_zero(objective.problem, objective.field)
    if set(at_zero) != set(names):
        return None
    zero = sum(w * at_zero[name] ** 2 for w, name in zip(objective.weights, names, strict=True))
    return loss / zero if math.isfinite(zero) and zero > 0 else None


def verdict(moved: float, left: float | None, condition: Callable[[], float]) -> str:
    """What it means that no step lowers the loss any more.

    Args:
        moved: by the last step, relative to u.
        left: see `loss_left`.
        condition: gives that of the normal matrix, about.
    """
    if left is not None and left > MOST:
        return (
            f"stopped: no step lowers the loss, but {left:.0%} of the loss of u = 0 is left: the "
            "terms contradict each other, or this grid cannot hold their solution"
        )
    if moved > MOVING:
        return (
            "stopped by rounding: no step lowers the loss, but the last one moved u by "
            f"{moved:.0e} of its size (condition of the normal matrix about {condition():.0e}); "
            "take fewer cells, float64, or equations of lower order, or add a missing condition"
        )
    return CONVERGED
