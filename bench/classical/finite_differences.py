"""Finite differences: sparse LU for the static problems, time steps for the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import solve_banded

from dinfgrid_cuda.suite.tools.measuring import Array, Watch, relative_l2
from dinfgrid_cuda.suite.tools.sparse_lu import symmetric_lu

from . import formulas
from .result import Result


def second_difference(count: int, spacing: float) -> Any:
    """The matrix [count, count] of u_xx with zero values beyond both ends."""
    return sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(count, count)) * (
        1 / spacing**2
    )


def helmholtz_matrix(dim: int, count: int, wavenumber: float) -> Any:
    """The matrix of Delta + k^2 at interior points of [-1, 1]^dim, ``count`` intervals per axis."""
    line, one = second_difference(count - 1, 2 / count), sparse.eye_array(count - 1)
    total = sparse.csr_array(((count - 1) ** dim,) * 2)
    for axis in range(dim):
        product = sparse.eye_array(1)
        for other in range(dim):
            product = sparse.kron(product, line if other == axis else one)
        total = total + product
    return (total + wavenumber**2 * sparse.eye_array((count - 1) ** dim)).tocsc()


def helmholtz_box(waves: Sequence[float], count: int, wavenumber: float = 1.0) -> Result:
    """Solves Delta u + k^2 u = q on [-1, 1]^d to second order, by sparse LU.

    Args:
        waves: a_i of `formulas.box_wave`.
        count: intervals per axis.
        wavenumber: k.
    """
    watch = Watch()
    axes = [np.linspace(-1, 1, count + 1)[1:-1]] * len(waves)
    with watch.timed():
        matrix = helmholtz_matrix(len(waves), count, wavenumber)
        source = formulas.box_source(axes, waves, wavenumber).ravel()
        u = symmetric_lu(matrix).solve(source)
    return Result(relative_l2(u, formulas.box_wave(axes, waves).ravel()), watch.seconds, len(u))


def helmholtz_layers(count: int, wavenumber: float = 20.0) -> Result:
    """Solves the suite's `helmholtz` with one source: flux form, sparse LU.

    The error is taken as the suite does: between the layers, away from the source.

    Args:
        count: intervals per axis of [-1, 1]^2, even.
        wavenumber: k.
    """
    from dinfgrid_cuda.suite.cases.helmholtz import point_sources as suite

    watch = Watch()
    nodes = np.linspace(-suite.OUTER, suite.OUTER, count + 1)
    x, h = nodes[1:-1], 2 * suite.OUTER / count
    with watch.timed():
        at_middles, at_nodes = _stretch((nodes[1:] + nodes[:-1]) / 2), _stretch(x)
        ends = 1 / at_middles
        line = sparse.diags_array(
            [ends[1:-1], -(ends[1:] + ends[:-1]), ends[1:-1]], offsets=[-1, 0, 1]
        )
        across = sparse.diags_array(at_nodes)
        mass = wavenumber**2 * sparse.kron(across, across)
        matrix = (sparse.kron(line, across) + sparse.kron(across, line)) / h**2 + mass
        square = x[:, None] ** 2 + x**2
        source = suite.AMPLITUDE * np.exp(-square / (2 * suite.WIDTH**2))
        source = source / (2 * np.pi * suite.WIDTH**2)
        u = symmetric_lu(matrix).solve(source.ravel())
    points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    far = (np.abs(points).max(axis=1) <= suite.INNER) & (square.ravel() > suite.NEAR**2)
    exact = suite.Wave(wavenumber, suite.positions(1))(points[far])
    return Result(relative_l2(u[far], exact), watch.seconds, 2 * len(u))


def _stretch(x: Array) -> Any:
    """The factor e = 1 - j a0 (l / L)^2 of the suite's absorbing layers at coordinates x."""
    from dinfgrid_cuda.suite.cases.helmholtz import point_sources as suite

    depth = np.maximum(np.abs(x) - suite.INNER, 0.0)
    return 1 - 1j * suite.STRENGTH * (depth / suite.DEPTH) ** 2


def wave(count: int, courant: float = 0.8) -> Result:
    """Solves u_tt = 4 u_xx on [0, 1], t in [0, 1], by leapfrog, second order.

    A Courant number of 1 is a curiosity of one dimension: there leapfrog is exact at the nodes.
    """
    watch = Watch()
    x = np.linspace(0, 1, count + 1)
    steps = round(2 * count / courant)
    states = np.zeros((steps + 1, count + 1))
    with watch.timed():
        number = (2 * count / steps) ** 2
        states[0] = formulas.wave(np.zeros(1), x)
        states[1, 1:-1] = states[0, 1:-1] + number / 2 * np.diff(states[0], 2)
        for n in range(1, steps):
            states[n + 1, 1:-1] = (
                2 * states[n, 1:-1] - states[n - 1, 1:-1] + number * np.diff(states[n], 2)
            )
    t = np.linspace(0, 1, steps + 1)[:, None]
    return Result(relative_l2(states, formulas.wave(t, x)), watch.seconds, count - 1)


def heat(count: int, steps: int) -> Result:
    """Solves u_t = u_xx on [0, 1], t in [0, 1], by Crank-Nicolson, second order in both."""
    watch = Watch()
    x = np.linspace(0, 1, count + 1)
    states = np.zeros((steps + 1, count + 1))
    with watch.timed():
        operator = second_difference(count - 1, 1 / count) * (0.5 / steps)
        one = sparse.eye_array(count - 1)
        factor, explicit = symmetric_lu(one - operator), (one + operator).tocsr()
        states[0] = formulas.heat(np.zeros(1), x)
        for n in range(steps):
            states[n + 1, 1:-1] = factor.solve(explicit @ states[n, 1:-1])
    t = np.linspace(0, 1, steps + 1)[:, None]
    return Result(relative_l2(states, formulas.heat(t, x)), watch.seconds, count - 1)


def convection(count: int, courant: float = 0.8) -> Result:
    """Solves u_t + 30 u_x = 0, period 2 pi, by fourth-order differences and Runge-Kutta 4."""
    watch = Watch()
    h = 2 * np.pi / count
    x = h * np.arange(count, dtype=np.float64)
    steps = int(np.ceil(30 / (courant * h)))

    def rate(u: Array) -> Array:
        near, far = np.roll(u, -1) - np.roll(u, 1), np.roll(u, -2) - np.roll(u, 2)
        return -30 * (8 * near - far) / (12 * h)

    with watch.timed():
        states = _runge_kutta(formulas.shifted_sine(np.zeros(1), x), rate, 1 / steps, steps)
    t = np.linspace(0, 1, steps + 1)[:, None]
    return Result(relative_l2(states, formulas.shifted_sine(t, x)), watch.seconds, count)


def _runge_kutta(start: Array, rate: Any, step: float, steps: int) -> Array:
    """The states [steps + 1, *start.shape] of u_t = rate(u) after each step."""
    states = np.empty((steps + 1, *start.shape))
    states[0] = start
    for n in range(steps):
        u = states[n]
        a = rate(u)
        b = rate(u + step / 2 * a)
        c = rate(u + step / 2 * b)
        states[n + 1] = u + step / 6 * (a + 2 * b + 2 * c + rate(u + step * c))
    return states


def burgers(exact: formulas.InTime, count: int, steps: int, viscosity: float) -> Result:
    """Solves u_t + u u_x = nu u_xx on [-1, 1] by central differences and Crank-Nicolson.

    Args:
        exact: u(t, x), t [times, 1] and x [points]; also the initial and boundary values.
        count: intervals.
        steps: of time.
        viscosity: nu.
    """
    watch = Watch()
    x, h, dt = np.linspace(-1, 1, count + 1), 2 / count, 1 / steps
    t = np.linspace(0, 1, steps + 1)[:, None]
    ends = exact(t, x[[0, -1]])
    kept = max(1, steps // 10)
    u = exact(t[0], x)
    states = [u]

    def rate(u: Array) -> Array:
        flux = -(u[2:] ** 2 - u[:-2] ** 2) / (4 * h)
        derivative: Array = flux + viscosity * np.diff(u, 2) / h**2
        return derivative

    with watch.timed():
        for n in range(steps):
            start, next_u = u[1:-1] + dt / 2 * rate(u), u.copy()
            next_u[[0, -1]] = ends[n + 1]
            for _ in range(20):
                residual = next_u[1:-1] - dt / 2 * rate(next_u) - start
                change = solve_banded((1, 1), _burgers_jacobian(next_u, h, dt, viscosity), residual)
                next_u[1:-1] -= change
                if np.abs(change).max() < 1e-12:
                    break
            u = next_u
            if (n + 1) % kept == 0:
                states.append(u)
    start = exact(t[::kept], x)
    return Result(relative_l2(np.stack(states), start[: len(states)]), watch.seconds, count - 1)


def _burgers_jacobian(u: Array, h: float, dt: float, viscosity: float) -> Array:
    """The Jacobian of u - dt/2 rate(u) by interior values, as bands [3, n] of `solve_banded`."""
    stiff = dt / 2 * viscosity / h**2
    bands = np.zeros((3, len(u) - 2))
    bands[0, 1:] = dt / 2 * u[2:-1] / (2 * h) - stiff
    bands[1] = 1 + 2 * stiff
    bands[2, :-1] = -dt / 2 * u[1:-2] / (2 * h) - stiff
    return bands
