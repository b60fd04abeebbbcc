"""Pictures of results, as PNG and GIF data; matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda import FeatureGrid, History

Array = npt.NDArray[np.float64]
Corners = tuple[tuple[float, ...], tuple[float, ...]]

DPI = 120
FIELD, SIGNED = "viridis", "RdBu_r"


@dataclass(frozen=True)
class Panel:
    """A scalar field on a rectangle.

    Attributes:
        values: [n, m], at the nodes of a face-to-face lattice, x down the rows (first axis).
        title: above it.
        extent: (x lower, x upper, y lower, y upper).
        signed: symmetric colours around 0.
        limits: of the colours; None takes those of the values, without the outermost 0.1 %.
        labels: of the first and second axis.
        boxes: drawn as thin outlines, lower and upper corner of each, see `blocks`.
    """

    values: Array
    title: str
    extent: tuple[float, float, float, float]
    signed: bool = False
    limits: tuple[float, float] | None = None
    labels: tuple[str, str] = ("x", "y")
    boxes: tuple[Corners, ...] = ()


def figure(width: float, height: float) -> Any:
    """A matplotlib figure of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def png(fig: Any) -> bytes:
    """The figure as PNG data."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_panel(axes: Any, panel: Panel) -> Any:
    """Draws a panel with its colour bar; the second axis goes up. Returns the image."""
    low, high = panel.limits or _limits(panel.values, panel.signed)
    image = axes.imshow(
        panel.values.T,
        origin="lower",
        extent=panel.extent,
        cmap=SIGNED if panel.signed else FIELD,
        vmin=low,
        vmax=high,
        interpolation="bilinear",
        aspect="auto",
    )
    for box in panel.boxes:
        draw_box(axes, box)
    axes.locator_params(axis="x", nbins=6)
    axes.set_title(panel.title, fontsize="medium")
    axes.set_xlabel(panel.labels[0])
    axes.set_ylabel(panel.labels[1])
    axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
    return image


def blocks(grid: FeatureGrid) -> tuple[Corners, ...]:
    """Returns the boxes of a grid's local levels, coarse ones first."""
    spec = grid.spec
    levels = range(spec.global_levels, spec.levels)
    return tuple(
        spec.level_box(level) for level in sorted(levels, key=lambda n: _fineness(grid, n))
    )


def _fineness(grid: FeatureGrid, level: int) -> float:
    return float(np.prod(grid.spec.level_scale(level)))


def draw_box(axes: Any, box: Corners) -> None:
    """Draws the outline of a box in the plane, visible on light and on dark colours."""
    from matplotlib.patches import Rectangle

    (x, y), (right, top) = box
    for colour, width in (("white", 1.0), ("black", 0.4)):
        axes.add_patch(
            Rectangle((x, y), right - x, top - y, fill=False, edgecolor=colour, linewidth=width)
        )


def _limits(values: Array, signed: bool) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return -1.0, 1.0
    if signed:
        reach = float(np.quantile(np.abs(finite), 0.999)) or 1.0
        return -reach, reach
    low, high = (float(q) for q in np.quantile(finite, [0.001, 0.999]))
    return low, high if high > low else low + 1.0


def panels(contents: Sequence[Panel], title: str, columns: int | None = None) -> bytes:
    """Draws scalar fields side by side, as PNG data."""
    columns = columns or len(contents)
    row_count = -(-len(contents) // columns)
    x0, x1, y0, y1 = contents[0].extent
    height = 4.2 * min(1.3, max(0.5, (y1 - y0) / (x1 - x0)))
    fig = figure(4.9 * columns, (height + 0.6) * row_count + 0.4)
    grid = fig.subplots(row_count, columns, squeeze=False).flat
    for axes, content in zip(grid, contents, strict=False):
        draw_panel(axes, content)
    for axes in list(grid)[len(contents) :]:
        axes.set_axis_off()
    fig.suptitle(title)
    return png(fig)


@dataclass(frozen=True)
class Line:
    """A curve: x [n], y [n], its label and a matplotlib format such as "k--"."""

    x: Array
    y: Array
    label: str
    style: str = "-"


def draw_lines(
    axes: Any, lines: Sequence[Line], title: str, labels: tuple[str, str], log: bool = False
) -> None:
    """Draws curves with a legend and a grid."""
    for line in lines:
        axes.plot(line.x, line.y, line.style, label=line.label, linewidth=1.4)
    if log:
        axes.set_yscale("log")
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize="small")


def animation(frames: int, draw: Callable[[Any, int], None], size: tuple[float, float]) -> bytes:
    """Draws a GIF that runs for ever, 15 frames a second.

    Args:
        frames: their number.
        draw: draws frame k into an empty figure.
        size: in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    images = []
    for k in range(frames):
        fig = figure(*size)
        fig.set_dpi(80)
        canvas = FigureCanvasAgg(fig)
        draw(fig, k)
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        images.append(image.quantize(128, dither=Image.Dither.NONE))
    buffer = io.BytesIO()
    images[0].save(
        buffer, "GIF", save_all=True, append_images=images[1:], duration=67, loop=0, optimize=True
    )
    return buffer.getvalue()


def loss_curve(history: History, title: str) -> bytes:
    """Draws the loss over the steps, and each term's mean square where there are several."""
    fig = figure(7.0, 4.2)
    axes = fig.subplots()
    steps = [step + 1 for step in history.steps]
    marker = "o" if len(steps) <= 50 else ""
    axes.plot(steps, history.totals, color="black", marker=marker, markersize=3, label="loss")
    if len(history.names) > 1:
        for name in history.names:
            axes.plot(steps, history.term(name), linewidth=1, label=name)
        axes.legend()
    if all(total > 0 for total in history.totals):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.set_title(title)
    return png(fig)
