"""How a least-squares solve has ended: how far u still moves, and how much of the loss is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.regions import Boundary
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.lattice.sum_factorisation import axis_matrix
from dinfgrid_cuda.solvers.linear.unknowns import linear_field
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .few_points import residuals_at_zero
from .notes import warn

# Number of points at which the movement of u is measured.
SAMPLE = 2048
# Movements of u by a step, relative to u, above which there is a note, and above which a solve has
# not converged.
NOTED, MOVING = 1e-6, 1e-3
# The first of these for a nonlinear problem, whose last steps are longer than the error they leave.
LOOSE = 1e-4
# A refinement that moves u by more than this part of what the one before did is moved by rounding.
SHRINKING = 0.5
# A refinement that moves u by less than this leaves nothing to refine.
STILL = 1e-14
# Features, times the largest value of their functions within the box, compared with what they add
# up to at the points: below 100 in the suite.
WILD = 1e5
# A solution leaves less than this part of the loss of u = 0.
MOST = 0.5


class Movement:
    """Measures how far steps move u, in the root mean square over points of the equations.

    Args:
        objective: whose field moves.

    Attributes:
        x: the points [N, dim].
        last: the last movement, relative to u; infinite before the first.
        size: of u at the first start; where u ends at zero, movements are relative to that.
    """

    def __init__(self, objective: Objective) -> None:
        self.field, self.last, self.size = objective.field, math.inf, 0.0
        terms = objective.problem.terms
        inside = [i for i, term in enumerate(terms) if not isinstance(term.region, Boundary)]
        samples = []
        for index in inside or range(len(terms)):
            x = objective.points(index, 0)[0]
            random = torch.Generator().manual_seed(index)
            chosen = torch.randperm(len(x), generator=random)[:SAMPLE]
            samples.append(x[chosen.to(x.device)])
        self.x = torch.cat(samples)
        self._before: Tensor | None = None

    @torch.no_grad()
    def start(self) -> None:
        """Notes u as it is before the next step."""
        self._before = self.field(self.x)
        self.size = self.size or float(self._before.norm())

    @torch.no_grad()
    def measure(self) -> float:
        """Returns the movement since `start`, relative to the larger u of the two."""
        assert self._before is not None
        now = self.field(self.x)
        size = max(float(now.norm()), float(self._before.norm()), self.size)
        self.last = float((now - self._before).norm()) / size if size > 0 else 0.0
        return self.last


@torch.no_grad()
def wild_features(objective: Objective, x: Tensor) -> str | None:
    """Returns a note if features are far larger than u: only tails of functions reach a point.

    Args:
        x: points of the equations [N, dim].
    """
    field = linear_field(objective)
    peaks = _peaks(field.grid.spec).to(field.grid.features)
    features = float((peaks[:, None] * field.grid.features).abs().max())
    y = float(field.gather(x, 0).abs().max())
    if not features > WILD * y > 0:
        return None
    return (
        f"features reach {features:.0e} where u is made of {y:.0e}: only the tails of some basis "
        "functions reach a point, and u is meaningless except at the points. Take points up to "
        "where u is needed, or none that lie less than a thousandth of a cell beyond a grid line."
    )


def _peaks(spec: GridSpec) -> Tensor:
    """Returns the largest values of all basis functions within the box, [total nodes]."""
    levels = []
    for level in range(spec.levels):
        values = torch.ones((), dtype=torch.float64)
        for axis in range(spec.dim):
            values = values[..., None] * _axis_peaks(spec, level, axis)
        levels.append(values.reshape(-1))
    return torch.cat(levels)


def _axis_peaks(spec: GridSpec, level: int, axis: int) -> Tensor:
    """Returns largest values along an axis, [nodes], those of a short line with a longer middle."""
    cells, basis = spec.level_cells(level)[axis], spec.basis
    few = min(cells, 2 * basis.nodes)
    line = GridSpec(1, (few,), 1, basis, (spec.boundary[axis],), (0.0,), (float(few),))
    t = torch.linspace(0, few, 8 * few + 1, dtype=torch.float64)
    short = axis_matrix(t, line, 0, 0, 0)[0].amax(dim=0)
    half, count = len(short) // 2, spec.level_nodes(level)[axis]
    return torch.cat([short[:half], short[half].expand(count - len(short)), short[half:]])


def notes_on_movement(
    movement: Movement, converged: bool, certain: bool, quadratic: bool
) -> list[str]:
    """Notes on a solve whose last step still moved u.

    Args:
        movement: of the last step.
        converged: whether no step lowers the loss any more.
        certain: whether that is convergence.
        quadratic: whether the loss is quadratic, so that the last step is the error of the others.
    """
    moved, doubtful = movement.last, NOTED if quadratic else LOOSE
    if not converged and moved < math.inf:
        return [
            f"not converged: the last step moved u by {moved:.0e} of its size; pass more steps."
        ]
    if certain and moved > doubtful:
        return [
            f"the last step still moved u by {moved:.0e} of its size, and can gain no more: do "
            "not trust more digits than that."
        ]
    return []


def notes_on_features(objective: Objective, movement: Movement) -> list[str]:
    """A note, and a warning, on features that only the tails of their functions hold."""
    note = wild_features(objective, movement.x)
    if note is None:
        return []
    warn(note)
    return [note]


def loss_left(objective: Objective, loss: float) -> float | None:
    """Returns the part of the loss of u = 0 that is left, u under the hard constraint if any.

    None for energies, and where u = 0 has no finite loss.
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
    """Says for the user what it means that no step lowers the loss any more.

    Args:
        moved: movement of u by the last step, relative to u.
        left: part of the loss of u = 0 that is left, see `loss_left`.
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
