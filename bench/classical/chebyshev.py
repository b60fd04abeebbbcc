"""Chebyshev collocation on boxes, solved by fast diagonalisation.

Unlike sines these polynomials know nothing of the manufactured solutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from . import formulas
from .result import Array, Result, Watch, relative_l2


def nodes(degree: int) -> Array:
    """The points cos(pi j / degree), from 1 down to -1, [degree + 1]."""
    x: Array = np.cos(np.pi * np.arange(degree + 1) / degree)
    return x


def derivative(degree: int) -> Array:
    """The matrix [degree + 1]^2 of d/dx at `nodes` (Trefethen, Spectral Methods in MATLAB, 6).

    Differences of nodes by the sine formula, diagonal by the sum of the rows: both keep rounding
    from growing.
    """
    angle = np.pi * np.arange(degree + 1) / degree
    half_sum, half_difference = (angle[:, None] + angle) / 2, (angle - angle[:, None]) / 2
    distance = 2 * np.sin(half_sum) * np.sin(half_difference)
    sign = (-1.0) ** np.arange(degree + 1)
    sign[[0, -1]] *= 2
    np.fill_diagonal(distance, 1.0)
    matrix: Array = np.outer(sign, 1 / sign) / distance
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


def along(matrix: Array, values: Array, axis: int) -> Array:
    """A matrix applied along an axis."""
    product: Array = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return product


def helmholtz_box(waves: Sequence[float], degree: int, wavenumber: float = 1.0) -> Result:
    """Delta u + k^2 u = q on [-1, 1]^d.

    Args:
        waves: a_i of `formulas.box_wave`.
        degree: of the polynomials on each axis.
        wavenumber: k.
    """
    watch, dim = Watch(), len(waves)
    axes = [nodes(degree)[1:-1]] * dim
    with watch.timed():
        slope = derivative(degree)
        eigenvalues, vectors = linalg.eig((slope @ slope)[1:-1, 1:-1])
        # Real and distinct in theory (Gottlieb and Lustman, 1983).
        eigenvalues, vectors = eigenvalues.real, vectors.real
        inverse = linalg.inv(vectors)
        found = formulas.box_source(axes, waves, wavenumber)
        symbol = np.full(found.shape, wavenumber**2)
        for axis in range(dim):
            found = along(inverse, found, axis)
            symbol += eigenvalues.reshape([-1 if other == axis else 1 for other in range(dim)])
        found = found / symbol
        for axis in range(dim):
            found = along(vectors, found, axis)
    return Result(relative_l2(found, formulas.box_wave(axes, waves)), watch.seconds, found.size)


def heat(degree: int) -> Result:
    """u_t = u_xx on [0, 1], t in [0, 1], collocated in space and time at once.

    The initial values stand in place of the equation at t = 0, the ends hold zero; the system is
    solved along the eigenvectors of space, one small system in time each.
    """
    watch = Watch()
    t, x = (1 - nodes(degree)) / 2, (1 - nodes(degree)[1:-1]) / 2
    with watch.timed():
        slope = -2 * derivative(degree)  # on [0, 1], from 0 up to 1
        eigenvalues, vectors = linalg.eig((slope @ slope)[1:-1, 1:-1])
        start = linalg.solve(vectors.real, formulas.heat(np.zeros(1), x))
        coefficients = np.empty((degree + 1, degree - 1))
        for index, value in enumerate(eigenvalues.real):
            system = slope - value * np.eye(degree + 1)
            system[0] = np.eye(degree + 1)[0]
            right = np.zeros(degree + 1)
            right[0] = start[index]
            coefficients[:, index] = linalg.solve(system, right)
        found = coefficients @ vectors.real.T
    return Result(relative_l2(found, formulas.heat(t[:, None], x)), watch.seconds, found.size)
