"""Chebyshev points on [-1, 1], and the matrix of d/dx there."""

from __future__ import annotations

import numpy as np

from .measuring import Array


def points(degree: int) -> Array:
    """The Chebyshev points cos(pi j / degree), from 1 down to -1, [degree + 1]."""
    x: Array = np.cos(np.pi * np.arange(degree + 1) / degree)
    return x


def derivative_matrix(degree: int) -> Array:
    """The matrix [degree + 1]^2 of d/dx at `points` (Trefethen, Spectral Methods in MATLAB, 6).

    Differences of points by the sine formula, the diagonal by the sums of the other entries: both
    keep rounding from growing.
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
