"""Chebyshev collocation on boxes, solved by fast diagonalisation.

Unlike sines these polynomials know nothing of the manufactured solutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from dinfgrid_cuda.suite.tools.chebyshev_points import derivative_matrix, points
from dinfgrid_cuda.suite.tools.measuring import Array, Watch, relative_l2

from . import formulas
from .result import Result


def along(matrix: Array, values: Array, axis: int) -> Array:
    """Applies a matrix along an axis."""
    product: Array = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return product


def helmholtz_box(waves: Sequence[float], degree: int, wavenumber: float = 1.0) -> Result:
    """Solves Delta u + k^2 u = q on [-1, 1]^d.

    Args:
        waves: a_i of `formulas.box_wave`.
        degree: of the polynomials on each axis.
        wavenumber: k.
    """
    watch, dim = Watch(), len(waves)
    axes = [points(degree)[1:-1]] * dim
    with watch.timed():
        slope = derivative_matrix(degree)
        eigenvalues, vectors = linalg.eig((slope @ slope)[1:-1, 1:-1])
        # Real and distinct in theory (Gottlieb and Lustman, 1983).
        eigenvalues, vectors = eigenvalues.real, vectors.real
        inverse = linalg.inv(vectors)
        u = formulas.box_source(axes, waves, wavenumber)
        symbol = np.full(u.shape, wavenumber**2)
        for axis in range(dim):
            u = along(inverse, u, axis)
            symbol += eigenvalues.reshape([-1 if other == axis else 1 for other in range(dim)])
        u = u / symbol
        for axis in range(dim):
            u = along(vectors, u, axis)
    return Result(relative_l2(u, formulas.box_wave(axes, waves)), watch.seconds, u.size)


def heat(degree: int) -> Result:
    """Solves u_t = u_xx on [0, 1], t in [0, 1], collocated in space and time at once.

    The initial values stand in place of the equation at t = 0, the ends hold zero; the system is
    solved along the eigenvectors of space, one small system in time each.
    """
    watch = Watch()
    t, x = (1 - points(degree)) / 2, (1 - points(degree)[1:-1]) / 2
    with watch.timed():
        slope = -2 * derivative_matrix(degree)  # on [0, 1], from 0 up to 1
        eigenvalues, vectors = linalg.eig((slope @ slope)[1:-1, 1:-1])
        start = linalg.solve(vectors.real, formulas.heat(np.zeros(1), x))
        coefficients = np.empty((degree + 1, degree - 1))
        for index, value in enumerate(eigenvalues.real):
            system = slope - value * np.eye(degree + 1)
            system[0] = np.eye(degree + 1)[0]
            right = np.zeros(degree + 1)
            right[0] = start[index]
            coefficients[:, index] = linalg.solve(system, right)
        u = coefficients @ vectors.real.T
    return Result(relative_l2(u, formulas.heat(t[:, None], x)), watch.seconds, u.size)
