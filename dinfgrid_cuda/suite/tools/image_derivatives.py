"""Derivatives of an image by the stencils of image processing, in units of the field's box."""

from __future__ import annotations

import numpy as np

from .images import Array


def sobel_gradient(pixels: Array, spacing: float) -> Array:
    """The Sobel gradient: (-1 0 1)/2 along an axis, (1 2 1)/4 across it, borders mirrored.

    The usual stencil without the division by 8 * spacing is 8 * spacing times as large.

    Args:
        pixels: [height, width, channels].
        spacing: distance between pixel centres.

    Returns:
        [height, width, channels, 2]: derivative down the rows, then along the columns.
    """
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    across = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    down = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    by_row = (across[2:] - across[:-2]) / (2 * spacing)
    by_column = (down[:, 2:] - down[:, :-2]) / (2 * spacing)
    gradient: Array = np.stack([by_row, by_column], axis=-1)
    return gradient


def five_point_laplacian(pixels: Array, spacing: float) -> Array:
    """The five-point Laplacian, borders mirrored (no flux): [height, width, channels]."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    around = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
    laplacian: Array = (around - 4 * pixels) / spacing**2
    return laplacian
