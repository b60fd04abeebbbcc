"""Closed parametric curves: derivatives, samples, and the checks that they are ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .crossings import check_simple

CurveFunction = Callable[[Tensor], Tensor]

# Samples at first and at most; they double until no arc between two turns by more than TURN.
SAMPLES = (512, 32768)
TURN = 0.02
# of the size: by how much ends may miss each other, and the tangents there in radians
GAP, KINK = 1e-9, 1e-5


def evaluate(function: CurveFunction, t: Tensor) -> Tensor:
    """Returns the points [N, 2] of a curve at parameters t [N].

    Raises:
        ValueError: if the function returns something else, or NaN.
    """
    points = function(t)
    if not isinstance(points, Tensor) or points.shape != (len(t), 2):
        kind = list(points.shape) if isinstance(points, Tensor) else type(points).__name__
        raise ValueError(
            f"Curve: function returned {kind} for t of shape [{len(t)}]; it must return "
            f"[{len(t)}, 2], a point for each t."
        )
    if not bool(points.isfinite().all()):
        place = float(t[~points.isfinite().all(dim=1)][0].detach())
        raise ValueError(f"Curve: function is not finite at t = {place:g}.")
    return points.to(t.dtype)


def derivatives(
    function: CurveFunction, t: Tensor, keep: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns points, first and second derivatives [N, 2] at parameters t [N].

    Args:
        function: of t.
        t: parameters.
        keep: whether what is returned depends on t for autograd.
    """
    with torch.enable_grad():
        at = t if keep and t.requires_grad else t.detach().requires_grad_()
        points = evaluate(function, at)
        first = _slope(points, at, True)
        second = _slope(first, at, keep)
    if keep:
        return points, first, second
    return points.detach(), first.detach(), second.detach()


def tangents(function: CurveFunction, t: Tensor) -> tuple[Tensor, Tensor]:
    """Returns points and first derivatives [N, 2] at parameters t [N]."""
    with torch.enable_grad():
        at = t.detach().requires_grad_()
        points = evaluate(function, at)
        first = _slope(points, at, False)
    return points.detach(), first.detach()


def _slope(values: Tensor, t: Tensor, keep: bool) -> Tensor:
    """Returns the derivative [N, 2] of values [N, 2] in t [N], to be differentiated if kept."""
    columns = []
    for k in range(2):
        slope = None
        if values.requires_grad:
            (slope,) = torch.autograd.grad(
                values[:, k].sum(), t, create_graph=keep, retain_graph=True, allow_unused=True
            )
        columns.append(torch.zeros_like(t) if slope is None else slope)
    return torch.stack(columns, dim=1)


def sample(function: CurveFunction, period: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns parameters [M] and, there, points, first and second derivatives [M, 2].

    Raises:
        ValueError: for a curve that is not closed, stands still, has a corner or crosses itself.
    """
    count, most = SAMPLES
    _check_ends(function, period)
    while True:
        t = torch.arange(count, dtype=torch.float64) * (period / count)
        points, first, second = derivatives(function, t)
        speed = first.norm(dim=1)
        if float(speed.min()) <= 1e-9 * float(speed.max()):
            place = float(t[speed.argmin()])
            raise ValueError(
                f"Curve: its speed is zero at t = {place:g}; the derivative of function must "
                "vanish nowhere."
            )
        turns = _turns(first)
        widest = float(turns.abs().max())
        if widest <= TURN:
            break
        if count >= most:
            place = float(t[turns.abs().argmax()])
            raise ValueError(
                f"Curve: it turns by {math.degrees(widest):.3g} degrees at t = {place:g}; it must "
                "be smooth there. Corners come from combinations of shapes, or use Polygon."
            )
        count *= 2
    _check_once(function, period, points, float(turns.sum()))
    check_simple("Curve", points, points.roll(-1, 0), "it crosses itself")
    return t, points, first, second


def _turns(first: Tensor) -> Tensor:
    """Returns the angles [M] by which tangents turn from each sample to the next."""
    after = first.roll(-1, 0)
    cross = first[:, 0] * after[:, 1] - first[:, 1] * after[:, 0]
    return torch.atan2(cross, (first * after).sum(dim=1))


def _check_ends(function: CurveFunction, period: float) -> None:
    """Raises ValueError unless the curve ends where, and as, it begins."""
    t = torch.linspace(0, period, 65, dtype=torch.float64)
    points, first, _ = derivatives(function, t)
    size = float((points.amax(dim=0) - points.amin(dim=0)).norm())
    if not size:
        raise ValueError("Curve: function returns one point for all t.")
    if float((points[-1] - points[0]).norm()) > GAP * size:
        raise ValueError(
            f"Curve: it is not closed: from {_text(points[0])} at t = 0 it goes to "
            f"{_text(points[-1])} at t = period = {period:g}."
        )
    if float(_turns(first[[0, -1]])[0].abs()) > KINK:
        raise ValueError("Curve: it has a corner at t = 0; it must be smooth. Or use Polygon.")


def _check_once(function: CurveFunction, period: float, points: Tensor, turning: float) -> None:
    """Raises ValueError if the curve runs around several times, always on the same way."""
    times = round(abs(turning) / (2 * math.pi))
    if times < 2:
        return
    t = torch.arange(len(points), dtype=torch.float64) * (period / len(points))
    away = (evaluate(function, t + period / times).detach() - points).norm(dim=1)
    if float(away.max()) <= GAP * float(points.abs().max()):
        raise ValueError(
            f"Curve: it runs {times} times around in one period of {period:g}; pass "
            f"period={period / times:g}."
        )


def _text(point: Tensor) -> str:
    """A point as text."""
    return f"({float(point[0]):g}, {float(point[1]):g})"
