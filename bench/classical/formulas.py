"""Exact solutions as functions of numpy arrays that broadcast; time first, where there is time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dinfgrid_cuda.suite.tools.measuring import Array

InTime = Callable[[Array, Array], Array]  # u(t, x)


def box_wave(axes: Sequence[Array], waves: Sequence[float]) -> Array:
    """The product of sin(a_i pi x_i) on the lattice of the axes, of the 1-D coordinates x_i."""
    sines = [np.sin(a * np.pi * x) for x, a in zip(axes, waves, strict=True)]
    product = sines[0]
    for sine in sines[1:]:
        product = product[..., None] * sine
    return product


def box_source(axes: Sequence[Array], waves: Sequence[float], wavenumber: float) -> Array:
    """The source Delta u + k^2 u of `box_wave`."""
    amplitude = wavenumber**2 - np.pi**2 * sum(a * a for a in waves)
    source: Array = amplitude * box_wave(axes, waves)
    return source


def wave(t: Array, x: Array) -> Array:
    """Solves u_tt = 4 u_xx on [0, 1], starts at rest, zero at both ends."""
    first = np.sin(np.pi * x) * np.cos(2 * np.pi * t)
    u: Array = first + 0.5 * np.sin(4 * np.pi * x) * np.cos(8 * np.pi * t)
    return u


def heat(t: Array, x: Array) -> Array:
    """Solves u_t = u_xx on [0, 1], zero at both ends."""
    u: Array = np.exp(-(np.pi**2) * t) * np.sin(np.pi * x)
    return u


def bump(t: Array, x: Array) -> Array:
    """A Gaussian of width 0.1 that starts at -1.5 and moves at 0.25."""
    u: Array = np.exp(-((x + 1.5 - 0.25 * t) ** 2) / (2 * 0.1**2))
    return u


def shifted_sine(t: Array, x: Array, speed: float = 30.0) -> Array:
    """Solves u_t + c u_x = 0 with the period 2 pi."""
    u: Array = np.sin(x - speed * t)
    return u


def burgers_front(t: Array, x: Array, viscosity: float) -> Array:
    """A front that moves at speed 1/2: u_t + u u_x = nu u_xx from u = 1 on the left to 0."""
    u: Array = 0.5 - 0.5 * np.tanh((x - 0.5 * t) / (4 * viscosity))
    return u


def klein_gordon(t: float, x: Array, y: Array) -> Array:
    """Solves u_tt - Delta u + u^2 = u^2 - 4 u; linear along both axes of space."""
    u: Array = (x + y) * np.cos(2 * t) + x * y * np.sin(2 * t)
    return u


def swirl_rate(x: Array, y: Array) -> Array:
    """The angular velocity sech^2(r) tanh(r) / (0.385 r) of the mixing flow; 1 / 0.385 at r = 0."""
    r = np.hypot(x, y)
    ratio = np.divide(np.tanh(r), r, out=np.ones_like(r), where=r > 0)
    rate: Array = ratio / (0.385 * np.cosh(r) ** 2)
    return rate


def flow_mixing(t: float, x: Array, y: Array) -> Array:
    """Solves u_t + a u_x + b u_y = 0, (a, b) = rate (-y, x), from -tanh(y / 2)."""
    angle = swirl_rate(x, y) * t
    u: Array = -np.tanh((y * np.cos(angle) - x * np.sin(angle)) / 2)
    return u
