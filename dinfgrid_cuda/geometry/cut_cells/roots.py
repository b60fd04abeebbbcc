"""Roots of many functions of one variable at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# A function of a batch: which of the functions [n], and where [n] -> its values [n].
Lines = Callable[[Tensor, Tensor], Tensor]
PRECISION = 1e-15
ROUNDING = 4e-16
MOST_STEPS = 100


def bracketed_roots(f: Lines, ends: tuple[Tensor, Tensor], values: tuple[Tensor, Tensor]) -> Tensor:
    """Returns a root of each function between two ends, [n], to rounding.

    Chandrupatla's method (Adv. Eng. Software 28, 1997): inverse quadratic interpolation where it is
    safe, else bisection. Where both values have one sign it returns the end of the lesser value.

    Args:
        f: takes indices [k] into the n functions and points [k], returns their values [k].
        ends: of the intervals, [n] each.
        values: of the functions there.
    """
    (a, b), (at_a, at_b) = ends, values
    root = torch.where(at_a.abs() <= at_b.abs(), a, b)
    index = (at_a * at_b < 0).nonzero().squeeze(1)
    a, b, at_a, at_b = a[index], b[index], at_a[index], at_b[index]
    tolerance = PRECISION * (a.abs() + b.abs() + (a - b).abs())
    close = ROUNDING * torch.maximum(at_a.abs(), at_b.abs())
    # The first step is the secant's: exact for planes.
    t = at_a / (at_a - at_b)
    for _ in range(MOST_STEPS):
        if not len(index):
            break
        x = a + t * (b - a)
        at_x = f(index, x)
        same = at_x.sign() == at_a.sign()
        c, at_c = torch.where(same, a, b), torch.where(same, at_a, at_b)
        b, at_b = torch.where(same, b, a), torch.where(same, at_b, at_a)
        a, at_a = x, at_x
        root[index] = torch.where(at_a.abs() < at_b.abs(), a, b)
        least = tolerance / (b - a).abs()
        live = ((least < 0.5) & (at_a.abs() > close)).nonzero().squeeze(1)
        index, a, b, c = index[live], a[live], b[live], c[live]
        at_a, at_b, at_c = at_a[live], at_b[live], at_c[live]
        tolerance, least, close = tolerance[live], least[live], close[live]
        t = _step((a, b, c), (at_a, at_b, at_c))
        t = torch.maximum(torch.minimum(t, 1 - least), least)
    return root


def _step(points: tuple[Tensor, ...], values: tuple[Tensor, ...]) -> Tensor:
    """Returns where between a and b to look next, as a part of the way, [n]."""
    (a, b, c), (at_a, at_b, at_c) = points, values
    xi, phi = (a - b) / (c - b), (at_a - at_b) / (at_c - at_b)
    safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
    quadratic = at_a / (at_b - at_a) * at_c / (at_b - at_c)
    quadratic = quadratic + (c - a) / (b - a) * at_a / (at_c - at_a) * at_b / (at_c - at_b)
    safe &= quadratic.isfinite()
    return torch.where(safe, quadratic, torch.full_like(a, 0.5))


def all_roots(
    f: Lines, slope: Lines, ends: tuple[Tensor, Tensor], samples: int
) -> tuple[Tensor, Tensor]:
    """Returns the roots of each function between two ends: which function [k], and where [k].

    The functions are sampled; between two samples of one sign, where the slopes tell that there is
    an extremum, it is looked up, so that two roots between neighbouring samples are found too.

    Args:
        f, slope: values and derivatives; see `bracketed_roots`.
        ends: of the intervals, [n] each.
        samples: number of pieces an interval is divided into.
    """
    low, high = ends
    parts = torch.linspace(0, 1, samples + 1, dtype=low.dtype, device=low.device)
    x = low[:, None] + (high - low)[:, None] * parts
    which = torch.arange(len(low), device=low.device)[:, None].expand_as(x)
    flat = which.reshape(-1), x.reshape(-1)
    value, rise = f(*flat).reshape(x.shape), slope(*flat).reshape(x.shape)
    left, right = (slice(None), slice(None, -1)), (slice(None), slice(1, None))
    same = value[left] * value[right] > 0
    turns = same & (value[left] * rise[left] < 0) & (value[right] * rise[right] > 0)
    owner, a, b = which[left][turns], x[left][turns], x[right][turns]
    extremum = bracketed_roots(
        lambda i, y: slope(owner[i], y), (a, b), (rise[left][turns], rise[right][turns])
    )
    peak = f(owner, extremum)
    low_value, high_value = value[left][turns], value[right][turns]
    cuts = value[left] * value[right] < 0
    exact = value == 0
    which_cut = torch.cat([which[left][cuts], owner, owner])
    starts = torch.cat([x[left][cuts], a, extremum])
    stops = torch.cat([x[right][cuts], extremum, b])
    at_starts = torch.cat([value[left][cuts], low_value, peak])
    at_stops = torch.cat([value[right][cuts], peak, high_value])
    kept = at_starts * at_stops < 0
    which_cut, starts, stops = which_cut[kept], starts[kept], stops[kept]
    roots = bracketed_roots(
        lambda i, y: f(which_cut[i], y), (starts, stops), (at_starts[kept], at_stops[kept])
    )
    return torch.cat([which_cut, which[exact]]), torch.cat([roots, x[exact]])
