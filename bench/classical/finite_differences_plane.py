"""Finite differences in two dimensions of space and time, with Runge-Kutta 4."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dinfgrid_cuda.suite.tools.measuring import Array, Watch, relative_l2

from . import formulas
from .result import Result

TIMES = 10  # at which errors are taken, evenly up to the end


def _march(
    u: Array, rate: Callable[[float, Array], Array], end: float, steps: int
) -> tuple[Array, Array]:
    """The times [1 + TIMES] and states by Runge-Kutta 4, ``steps`` rounded up."""
    per_part = -(-steps // TIMES)
    step = end / (per_part * TIMES)
    states = [u]
    for n in range(per_part * TIMES):
        t = n * step
        a = rate(t, u)
        b = rate(t + step / 2, u + step / 2 * a)
        c = rate(t + step / 2, u + step / 2 * b)
        u = u + step / 6 * (a + 2 * b + 2 * c + rate(t + step, u + step * c))
        if (n + 1) % per_part == 0:
            states.append(u)
    return np.linspace(0, end, TIMES + 1), np.stack(states)


def klein_gordon(count: int, steps: int, end: float = 10.0) -> Result:
    """Solves u_tt - Delta u + u^2 = f on [-1, 1]^2; the solution is linear along x and y.

    Second differences are exact for it, so that only the error of time is left, of order 4. The
    ends take the exact values.

    Args:
        count: intervals per axis.
        steps: of time, at least 10 ``count`` for stability at ``end`` 10.
        end: of time.
    """
    watch = Watch()
    x = np.linspace(-1, 1, count + 1)
    x, y = np.meshgrid(x, x, indexing="ij")
    h = 2 / count

    def rate(t: float, state: Array) -> Array:
        u, velocity = state
        inside = (slice(1, -1),) * 2
        exact = formulas.klein_gordon(t, x, y)
        acceleration = -4 * exact  # at the ends
        laplacian = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[inside]
        acceleration[inside] += laplacian / h**2 - u[inside] ** 2 + exact[inside] ** 2
        return np.stack([velocity, acceleration])

    with watch.timed():
        start = np.stack([formulas.klein_gordon(0, x, y), 2 * x * y])
        times, states = _march(start, rate, end, steps)
    exact = np.stack([formulas.klein_gordon(t, x, y) for t in times])
    return Result(relative_l2(states[:, 0], exact), watch.seconds, 2 * (count - 1) ** 2)


def flow_mixing(count: int, courant: float = 1.0, end: float = 4.0) -> Result:
    """Solves u_t + a u_x + b u_y = 0 on [-4, 4]^2 by fourth-order central differences.

    Two rings of nodes next to the edge take the exact values.

    Args:
        count: intervals per axis.
        courant: largest speed, 1, times the time step over the spacing; stable up to about 2.
        end: of time.
    """
    watch = Watch()
    axis, h = np.linspace(-4, 4, count + 1), 8 / count
    x, y = np.meshgrid(axis, axis, indexing="ij")
    inside = (slice(2, -2),) * 2
    with watch.timed():
        rate_of_turn = formulas.swirl_rate(x, y)
        a, b = -rate_of_turn * y, rate_of_turn * x
        edge = np.ones_like(x, bool)
        edge[inside] = False
        at_edge = (x[edge], y[edge])

        def rate(t: float, u: Array) -> Array:
            u = u.copy()
            u[edge] = formulas.flow_mixing(t, *at_edge)
            result = np.zeros_like(u)
            result[inside] = -(a[inside] * _slope(u, 0, h) + b[inside] * _slope(u, 1, h))
            return result

        start = formulas.flow_mixing(0, x, y)
        times, states = _march(start, rate, end, int(np.ceil(end / (courant * h))))
    exact = np.stack([formulas.flow_mixing(t, x, y) for t in times])
    error = relative_l2(states[:, 2:-2, 2:-2], exact[:, 2:-2, 2:-2])
    return Result(error, watch.seconds, (count - 3) ** 2)


def _slope(u: Array, axis: int, h: float) -> Array:
    """The fourth-order differences [n - 4, m - 4] of u [n, m] along an axis."""
    u = u[:, 2:-2] if axis == 0 else u[2:-2].T
    slope: Array = (8 * (u[3:-1] - u[1:-3]) - (u[4:] - u[:-4])) / (12 * h)
    return slope if axis == 0 else slope.T


def characteristics(count: int, steps: int, end: float = 4.0) -> Result:
    """Solves flow mixing by its characteristics: points traced back to time 0.

    Args:
        count: points per axis at which u is wanted.
        steps: of time.
        end: of time.
    """
    watch = Watch()
    axis = np.linspace(-4, 4, count)
    x, y = np.meshgrid(axis, axis, indexing="ij")

    def backwards(_: float, place: Array) -> Array:
        turn = formulas.swirl_rate(*place)
        return np.stack([turn * place[1], -turn * place[0]])

    with watch.timed():
        times, places = _march(np.stack([x, y]), backwards, end, steps)
        u = -np.tanh(places[:, 1] / 2)
    exact = np.stack([formulas.flow_mixing(t, x, y) for t in times])
    return Result(relative_l2(u, exact), watch.seconds, 2 * count**2)
