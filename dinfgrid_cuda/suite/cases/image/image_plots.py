"""Pictures of images and their reconstructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from dinfgrid_cuda.suite.tools.images import Array
from dinfgrid_cuda.suite.tools.plots import figure, png


def _show(axes: Any, pixels: Array) -> None:
    shown = np.clip(pixels, 0.0, 1.0)
    if shown.shape[2] == 1:
        axes.imshow(shown[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(shown, interpolation="nearest")


def comparison(image: Array, reconstruction: Array, title: str, caption: str) -> bytes:
    """Draws input, reconstruction and error side by side.

    Args:
        image, reconstruction: [height, width, channels]; values outside [0, 1] are shown clipped.
        title: above all; caption: above the reconstruction.
    """
    height, width = image.shape[:2]
    panel = 4.6
    panel_height = min(2.0, max(0.35, height / width)) * panel
    fig = figure(3 * panel + 0.9, panel_height + 0.9)
    left, middle, right = fig.subplots(1, 3)
    _show(left, image)
    left.set_title(f"input, {width} x {height}")
    _show(middle, reconstruction)
    middle.set_title(caption)
    error = (reconstruction - image).mean(axis=2)
    # The 99.5th percentile: a few pixels at sharp edges would otherwise leave the map blank.
    reach = max(float(np.quantile(np.abs(error), 0.995)), 1e-6)
    errors = right.imshow(error, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    worst = float(np.abs(error).max())
    what = "reconstruction - input" if image.shape[2] == 1 else "channel mean of the error"
    right.set_title(f"{what} (largest {worst:.2f})")
    fig.colorbar(errors, cax=right.inset_axes([1.03, 0.0, 0.05, 1.0]), extend="both")
    for axes in (left, middle, right):
        axes.set_xticks([])
        axes.set_yticks([])
    fig.suptitle(title)
    return png(fig)
