"""Pictures of problems in time: space-time diagrams, profiles, errors over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from dinfgrid_cuda.suite.tools import plots

from .space_time import FRAMES, Array, Samples

SNAPSHOTS = 4
# Errors below it, such as those of values that hold exactly, are not drawn.
ROUNDING = 1e-14


def error_lines(axes: Any, columns: dict[str, Array], names: tuple[str, ...]) -> None:
    """Draws some columns of errors over time, on a logarithmic scale; rounding is left out."""
    positive = {name: np.where(columns[name] > ROUNDING, columns[name], np.nan) for name in names}
    lines = [
        plots.Line(columns["time"], y, name.replace("_", " ").replace("l2", "L2"))
        for name, y in positive.items()
    ]
    plots.draw_lines(axes, lines, "error over time", ("t", "error"), log=True)


def space_time_picture(samples: Samples, title: str, signed: bool = False) -> bytes:
    """Draws u, exact, error and error over time of a problem on a line."""
    fig = plots.figure(11.5, 7.6)
    axes = fig.subplots(2, 2)
    (t0, x0), (t1, x1) = samples.box.lower, samples.box.upper
    low, high = float(samples.exact.min()), float(samples.exact.max())
    reach = max(abs(low), abs(high))
    limits = (-reach, reach) if signed else (low, high)
    common: dict[str, Any] = {"extent": (t0, t1, x0, x1), "labels": ("t", "x")}
    for place, name, values in (
        (axes[0, 0], "found", samples.u),
        (axes[0, 1], "exact", samples.exact),
    ):
        panel = plots.Panel(values, name, signed=signed, limits=limits, **common)
        plots.draw_panel(place, panel)
    worst = np.abs(samples.error).max()
    panel = plots.Panel(samples.error, f"found - exact, at most {worst:.2g}", signed=True, **common)
    plots.draw_panel(axes[1, 0], panel)
    error_lines(axes[1, 1], samples.over_time(), ("mean_error", "max_error", "relative_l2"))
    fig.suptitle(title)
    return plots.png(fig)


def line_animation(samples: Samples, name: str) -> bytes:
    """Draws u on the exact solution, as profiles over x, from the first time to the last; a GIF."""
    x, last = samples.points, len(samples.u) - 1
    low, high = float(samples.exact.min()), float(samples.exact.max())
    margin = 0.08 * (high - low)
    columns = samples.over_time()

    def draw(fig: Any, frame: int) -> None:
        k = round(frame * last / (FRAMES - 1))
        place(fig, top=0.9)
        axes = fig.subplots()
        exact = plots.Line(x, samples.exact[k], "exact", "k-")
        profile = plots.Line(x, samples.u[k], "found", "C1--")
        title = f"t = {samples.times[k]:.2f}, mean |error| {columns['mean_error'][k]:.1e}"
        plots.draw_lines(axes, [exact, profile], title, ("x", name))
        axes.set_ylim(low - margin, high + margin)
        axes.legend(loc="upper right", fontsize="small")

    return plots.animation(FRAMES, draw, (5.6, 3.4))


def square_picture(samples: Samples, title: str) -> bytes:
    """Draws u at several times above its error there, and errors over time, in two dimensions."""
    fig = plots.figure(15.4, 6.2)
    axes = fig.subplots(2, SNAPSHOTS)
    last = len(samples.u) - 1
    limits = (float(samples.exact.min()), float(samples.exact.max()))
    worst = float(np.abs(samples.error).max()) or 1.0
    for column in range(SNAPSHOTS):
        k = round(column * last / (SNAPSHOTS - 1))
        when = f"t = {samples.times[k]:.3g}"
        panel = _square(samples, samples.u[k], f"found, {when}", limits)
        plots.draw_panel(axes[0, column], panel)
        if column:
            at = np.abs(samples.error[k]).max()
            text = f"found - exact, {when}, at most {at:.1e}"
            panel = _square(samples, samples.error[k], text, (-worst, worst))
            plots.draw_panel(axes[1, column], panel)
    error_lines(axes[1, 0], samples.over_time(), ("mean_error", "max_error", "relative_l2"))
    fig.suptitle(title)
    return plots.png(fig)


def square_animation(samples: Samples) -> bytes:
    """Draws u next to the exact solution, from the first time to the last; a GIF."""
    low, high = (round(float(f(samples.exact)), 3) for f in (np.min, np.max))
    columns = samples.over_time()
    (_, x0, y0), (_, x1, y1) = samples.box.lower, samples.box.upper

    def draw(fig: Any, frame: int) -> None:
        k = round(frame * (len(samples.u) - 1) / (FRAMES - 1))
        place(fig, top=0.8)
        pair = (("found", samples.u), ("exact", samples.exact))
        for axes, (name, values) in zip(fig.subplots(1, 2), pair, strict=True):
            axes.imshow(
                values[k].T,
                origin="lower",
                extent=(x0, x1, y0, y1),
                cmap=plots.FIELD,
                vmin=low,
                vmax=high,
                interpolation="bilinear",
            )
            axes.set_title(f"{name}, colours from {low:.2g} to {high:.2g}", size="small")
        fig.suptitle(
            f"t = {samples.times[k]:.2f}, mean |error| {columns['mean_error'][k]:.1e}",
            size="medium",
        )

    return plots.animation(FRAMES, draw, (5.6, 3.2))


def place(fig: Any, top: float) -> None:
    """Fixes the margins: to lay out each frame of an animation anew takes half its time."""
    fig.set_layout_engine(None)
    fig.subplots_adjust(left=0.12, right=0.97, bottom=0.15, top=top, wspace=0.25)


def _square(samples: Samples, array: Array, title: str, limits: tuple[float, float]) -> plots.Panel:
    (_, x0, y0), (_, x1, y1) = samples.box.lower, samples.box.upper
    signed = limits[0] == -limits[1]
    return plots.Panel(array, title, (x0, x1, y0, y1), signed=signed, limits=limits)
