"""Whether a basis can represent the derivatives that a problem asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import MultiIndex
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.kernels.tables import axis_tables

# Relative error of a derivative, in units of the grid, below which there is no note.
QUIET = 1e-6


def saturation(epsilon: float, order: int) -> float:
    """Returns the error of a Gaussian's derivative that refinement keeps, in units of h^-order.

    It is 2 exp(-pi^2 / epsilon^2) (2 pi)^order, the first alias of the Gaussian on a grid of
    spacing 1 (V. Maz'ya, G. Schmidt, Approximate Approximations, AMS 2007).
    """
    return 2 * math.exp(-((math.pi / epsilon) ** 2)) * (2 * math.pi) ** order


def jump(basis: Basis, order: int) -> float:
    """Returns the largest jump of a function's derivative at a cell face, in units of h^-order."""
    cell = GridSpec(1, (1,), 1, basis, ("ghost",), (0.0,), (1.0,))
    ends = torch.tensor([1.0, 0.0], dtype=torch.float64)
    left, right = axis_tables(ends, cell, 0, 0, order)[1][order]
    # Node k of the left cell is node k - 1 of the right one; the first leaves, one enters.
    zero = left.new_zeros(1)
    return float((torch.cat([left, zero]) - torch.cat([zero, right])).abs().max())


def shortcomings(basis: Basis, alphas: Iterable[MultiIndex]) -> list[str]:
    """Returns notes on what a basis cannot do for residuals with these derivatives.

    Args:
        basis: of the grid.
        alphas: the derivatives that occur.
    """
    order = max((max(alpha) for alpha in alphas), default=0)
    if isinstance(basis, BSpline):
        return _of_spline(basis, order)
    return _of_gaussian(basis, order)


def _of_spline(basis: BSpline, order: int) -> list[str]:
    """Returns a note if B-splines have no continuous derivatives of an order."""
    if order < basis.degree:
        return []
    degree = min((d for d in (3, 5, 7) if d > order), default=7)
    what = "are zero" if order > basis.degree else "are constant in each cell"
    return [
        f"derivatives of order {order} along an axis {what} for {basis!r}; BSpline({degree}) has "
        "continuous ones."
    ]


def _of_gaussian(basis: Gaussian, order: int) -> list[str]:
    """Returns notes on errors of a Gaussian's derivatives that refinement keeps."""
    notes = []
    error = saturation(basis.epsilon, order)
    if error > QUIET:
        notes.append(
            f"{basis!r} saturates: its derivatives of order {order} keep an error of "
            f"{error:.0e} / h^{order}, however fine the grid; BSpline(7), or "
            "Gaussian(epsilon=0.5, rho=12), converges further."
        )
    step = jump(basis, order)
    if step > QUIET:
        notes.append(
            f"{basis!r} is cut off at rho: its derivatives of order {order} jump by {step:.0e} / "
            f"h^{order} at cell faces; window='smooth', or a BSpline, has none."
        )
    return notes
