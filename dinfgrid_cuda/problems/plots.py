"""Pictures of results, as PNG data; matplotlib without a display."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..solvers import History
from .images import Array

DPI = 120


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _show(axes: Any, pixels: Array) -> None:
    shown = np.clip(pixels, 0.0, 1.0)
    if shown.shape[2] == 1:
        axes.imshow(shown[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(shown, interpolation="nearest")


def comparison(image: Array, reconstruction: Array, title: str, caption: str) -> bytes:
    """Input, reconstruction and error side by side.

    Args:
        image, reconstruction: [height, width, channels]; values outside [0, 1] are shown clipped.
        title: above all; caption: above the reconstruction.
    """
    height, width = image.shape[:2]
    panel = 4.6
    rows = min(2.0, max(0.35, height / width)) * panel
    figure = _figure(3 * panel + 0.9, rows + 0.9)
    left, middle, right = figure.subplots(1, 3)
    _show(left, image)
    left.set_title(f"input, {width} x {height}")
    _show(middle, reconstruction)
    middle.set_title(caption)
    error = (reconstruction - image).mean(axis=2)
    # The 99.5th percentile: a few pixels at sharp edges would otherwise leave the map blank.
    reach = max(float(np.quantile(np.abs(error), 0.995)), 1e-6)
    drawn = right.imshow(error, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    worst = float(np.abs(error).max())
    what = "reconstruction - input" if image.shape[2] == 1 else "channel mean of the error"
    right.set_title(f"{what} (largest {worst:.2f})")
    figure.colorbar(drawn, cax=right.inset_axes([1.03, 0.0, 0.05, 1.0]), extend="both")
    for axes in (left, middle, right):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(title)
    return _png(figure)


def loss_curve(history: History, title: str) -> bytes:
    """The loss over the steps, and each term's mean square where there are several."""
    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    steps = [step + 1 for step in history.steps]
    marker = "o" if len(steps) <= 50 else ""
    axes.plot(steps, history.totals, color="black", marker=marker, markersize=3, label="loss")
    if len(history.names) > 1:
        for name in history.names:
            axes.plot(steps, history.term(name), linewidth=1, label=f"{name}, mean square")
        axes.legend()
    if any(total > 0 for total in history.totals):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.set_title(title)
    return _png(figure)
