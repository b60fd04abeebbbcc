"""Smooth functions with a given zero set: Rvachev's conjunction, and zero sets cut to a part.

Functions are jets of one channel, positive on one side of their zero set. After V. Shapiro,
"Semi-analytic geometry with R-functions", Acta Numerica 16 (2007).
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import jet_algebra
from .jet import Jet

# Within this distance of the place where both functions are zero a conjunction is flattened.
CORNER = 0.1


def conjunction(a: Jet, b: Jet) -> Jet:
    """Returns a function that is positive where both are, zero or negative elsewhere.

    (a + b - r) (r^2 / (r^2 + CORNER^2))^2 with r = sqrt(a^2 + b^2): the first factor has a kink at
    a = b = 0, the second makes four derivatives continuous there.
    """
    squares = a * a + b * b
    root, total = _root(squares), a + b
    positive = total.value > 0
    # The same without cancellation, so that the sign is right next to the zero set.
    stable = (2 * a * b) / _where(positive, total + root, 1.0)
    return _where(positive, stable, total - root) * (squares / (squares + CORNER**2)) ** 2


def disjunction(a: Jet, b: Jet) -> Jet:
    """Returns a function that is positive where one of the two is, zero or negative elsewhere."""
    return -conjunction(-a, -b)


def trimmed(f: Jet, t: Jet) -> Jet:
    """Returns a function that is zero where f = 0 and t >= 0, and positive elsewhere.

    sqrt(f^2 + h^2) with h = (sqrt(t^2 + f^4) - t) / 2. Where t > 0 it is |f| up to f^7, with the
    slope of f towards f > 0 on the zero set itself; where t < 0 it is |t| or more. It has a kink
    where f = t = 0, at the ends of the part. (Within rounding of the zero set it may be below 0.)
    """
    squares = f * f
    root = _root(t * t + squares * squares)
    outside = t.value < 0
    total = root + t
    # Where t >= 0, h = f^4 / 2 (root + t): f is taken out of the square root.
    ratio = (squares * f) / _where(outside | (total.value == 0), 2.0, 2 * total)
    # A point of the zero set itself may be beyond it by rounding: the slope stays that of f.
    beyond = f.value < -100 * torch.finfo(f.value.dtype).eps
    on = _where(beyond, -f, f) * _root(ratio * ratio + 1.0)
    h = 0.5 * (root - t)
    return _where(outside, _root(squares + h * h), on)


def saturated(f: Jet, width: float) -> Jet:
    """Returns f / sqrt(f^2 + width^2): zero with f, near 1 where f is larger than the width."""
    return f / _root(f * f + width * width)


def bell(s: Jet, sigma: float) -> Jet:
    """Returns 1 - exp(-s^2 / sigma)."""
    exponent = (s * s) * (-1 / sigma)
    value = torch.exp(exponent.value)
    slices = exponent.components.unbind(dim=1)
    composed = jet_algebra.compose(slices, [value] * (s.order + 1), s.dim, s.order)
    result = -Jet(torch.stack(composed, dim=1), s.dim, s.order)
    # 1 - exp without cancellation, so that it is s^2 / sigma for small s.
    first = -torch.expm1(exponent.value)
    return Jet(torch.cat([first[:, None], result.components[:, 1:]], dim=1), s.dim, s.order)


def _root(u: Jet) -> Jet:
    """Returns the square root, at 0 with derivatives that are zero instead of infinite."""
    zero = u.value <= 0
    safe = torch.where(zero, 1.0, u.value)
    derivatives, factor = [torch.sqrt(safe)], 1.0
    for m in range(u.order):
        factor *= 0.5 - m
        derivatives.append(factor * derivatives[0] / safe ** (m + 1))
    slices = u.components.unbind(dim=1)
    composed = jet_algebra.compose(slices, derivatives, u.dim, u.order)
    return _where(zero, 0.0, Jet(torch.stack(composed, dim=1), u.dim, u.order))


def _where(mask: Tensor, a: Jet | float, b: Jet | float) -> Jet:
    """Returns one function where ``mask`` [N, 1] says so, and the other elsewhere."""
    like = a if isinstance(a, Jet) else b
    assert isinstance(like, Jet)
    first, second = (
        one
        if isinstance(one, Jet)
        else Jet.constant(torch.full_like(like.value, one), like.dim, like.order)
        for one in (a, b)
    )
    chosen = torch.where(mask[:, None], first.components, second.components)
    return Jet(chosen, like.dim, like.order)
