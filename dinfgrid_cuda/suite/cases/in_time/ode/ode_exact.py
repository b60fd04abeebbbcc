"""Motions of oscillators: the damped one by a formula, Van der Pol's by an accurate integrator."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.suite.tools.case import CaseError

Array = npt.NDArray[np.float64]


def damped(t: Array, zeta: float, omega: float, start: float, velocity: float) -> Array:
    """The exact u and u' of the damped oscillator at times t [N], [N, 2].

    With g = zeta omega and r = omega sqrt(zeta^2 - 1), imaginary below critical damping,
    u = e^{-g t} (u0 cosh(r t) + (v0 + g u0) sinh(r t) / r), written without large exponentials and
    without cancellation where r is small. u' is the solution from v0 and u''(0).
    """
    g, r = zeta * omega, omega * np.sqrt(complex(zeta**2 - 1))
    slow = np.exp((r - g) * t)
    cosh = (slow + np.exp(-(r + g) * t)) / 2
    sinh = slow * (-np.expm1(-2 * r * t) / (2 * r) if r else t)

    def solution(value: float, slope: float) -> Array:
        result: Array = (value * cosh + (slope + g * value) * sinh).real
        return result

    acceleration = -2 * g * velocity - omega**2 * start
    return np.stack([solution(start, velocity), solution(velocity, acceleration)], axis=1)


def van_der_pol(
    t: Array, mu: float, start: float, velocity: float, method: str = "DOP853"
) -> Array:
    """The u and u' of Van der Pol's oscillator at ascending times t [N], [N, 2], by scipy.

    Args:
        method: of `scipy.integrate.solve_ivp`, at a relative tolerance of 1e-13. Its steps end at
            the times, so that nothing is interpolated.
    """
    from scipy.integrate import solve_ivp

    def right(_: float, y: Array) -> list[float]:
        return [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]]

    def at(a: float, b: float, state: Array) -> Array:
        step = solve_ivp(right, (a, b), state, method, rtol=1e-13, atol=1e-13)
        if not step.success:
            raise CaseError(f"the reference of van-der-pol fails at t = {a:g}: {step.message}")
        last: Array = step.y[:, -1]
        return last

    first = np.array([start, velocity])
    states = [at(0.0, t[0], first) if t[0] > 0 else first]
    for a, b in pairwise(t):
        states.append(at(a, b, states[-1]))
    return np.stack(states)
