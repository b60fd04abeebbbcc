"""ETDRK4: exponential time differencing with a Runge-Kutta scheme of fourth order, mode by mode.

For v' = L v + N(v) with a diagonal L (Cox and Matthews, J. Comput. Phys. 176, 2002). Its
coefficients cancel where L h is small; means over a circle about L h do not (Kassam and Trefethen,
SIAM J. Sci. Comput. 26, 2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Modes = npt.NDArray[np.complex128]
Nonlinear = Callable[[Modes], Modes]

CIRCLE = 32  # points on the upper half of the circle; the lower half is their conjugate


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of a step of one length, each [modes]."""

    whole: Real  # exp(L h)
    half: Real  # exp(L h / 2)
    inner: Real
    first: Real
    middle: Real
    last: Real


def coefficients(linear: Real, h: float) -> Coefficients:
    """The coefficients of a step of length h for L [modes], real."""
    angles = math.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE
    z = h * linear[:, None] + np.exp(1j * angles)
    e = np.exp(z)

    def mean(function: npt.NDArray[np.complex128]) -> Real:
        result: Real = h * function.mean(axis=1).real
        return result

    return Coefficients(
        whole=np.exp(h * linear),
        half=np.exp(h * linear / 2),
        inner=mean((np.exp(z / 2) - 1) / z),
        first=mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3),
        middle=mean((2 + z + e * (z - 2)) / z**3),
        last=mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3),
    )


def step(v: Modes, nonlinear: Nonlinear, c: Coefficients) -> Modes:
    """Returns v one step later, [modes]."""
    n = nonlinear(v)
    a = c.half * v + c.inner * n
    n_a = nonlinear(a)
    b = c.half * v + c.inner * n_a
    n_b = nonlinear(b)
    n_c = nonlinear(c.half * a + c.inner * (2 * n_b - n))
    result: Modes = c.whole * v + c.first * n + 2 * c.middle * (n_a + n_b) + c.last * n_c
    return result


def integrate(
    start: Modes, linear: Real, nonlinear: Nonlinear, times: Sequence[float], longest: float
) -> list[Modes]:
    """Returns v at each of some times, each [modes].

    Args:
        start: v at time 0, [modes].
        linear: L, [modes].
        nonlinear: N.
        times: not falling, from 0 on.
        longest: step; those to the next time are equally long, and not longer.
    """
    v, now, states = start, 0.0, []
    by_length: dict[float, Coefficients] = {}
    for time in times:
        count = math.ceil((time - now) / longest - 1e-9)
        if count > 0:
            h = float(f"{(time - now) / count:.13g}")  # times are rounded, steps need not differ
            if h not in by_length:
                by_length[h] = coefficients(linear, h)
            for _ in range(count):
                v = step(v, nonlinear, by_length[h])
        now = time
        states.append(v)
    return states
