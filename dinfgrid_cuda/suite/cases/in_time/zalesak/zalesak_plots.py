"""Pictures of the slotted disk: the outlines of the solution on the exact ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from dinfgrid_cuda.suite.cases.in_time import space_time_plots
from dinfgrid_cuda.suite.cases.in_time.space_time import Array, Samples
from dinfgrid_cuda.suite.tools import plots

from .slotted_disk import Shape, over_time, turns

SOLUTION, EXACT = "C1", "black"
TIMES = 4  # outlines in the main picture, the one at the end left out


def picture(samples: Samples, last: Shape, revolutions: float, title: str) -> bytes:
    """Draws outlines at several times, at the end enlarged, and errors over time."""
    fig = plots.figure(14.5, 5.0)
    several, end, errors = fig.subplots(1, 3)
    steps = len(samples.u) - 1
    for k in [round(index * steps / TIMES) for index in range(TIMES)]:
        _outlines(several, samples.u[k], samples.exact[k])
        if samples.exact[k].min() < 0:
            x, y = _middle(samples.exact[k])
            several.annotate(f"t = {samples.times[k]:.2g}", (x, y - 0.21), ha="center", va="top")
    several.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="x", ylabel="y")
    several.set_title("outlines u = 0", fontsize="medium")
    _legend(several)
    _outlines(end, last.u, last.exact)
    x, y = _middle(last.exact)
    end.set(xlim=(x - 0.2, x + 0.2), ylim=(y - 0.2, y + 0.2), aspect="equal", xlabel="x")
    end.set_title(
        f"after {turns(revolutions)}: area loss {last.area_loss:.2g} %,\n"
        f"symmetric difference {last.symmetric_difference:.2g} %",
        fontsize="medium",
    )
    _legend(end)
    columns = over_time(samples)
    space_time_plots.error_lines(errors, columns, ("mean_error", "max_error"))
    percent = plots.Line(
        columns["time"],
        columns["symmetric_difference_percent"] / 100,
        "symmetric difference / area of the disk",
    )
    plots.draw_lines(errors, [percent], "error over time", ("t", "error"), log=True)
    fig.suptitle(title)
    return plots.png(fig)


def animation(samples: Samples, revolutions: float) -> bytes:
    """Draws the distance in colours with its outline, next to the exact one, over time; a GIF."""
    columns = over_time(samples)

    def draw(fig: Any, frame: int) -> None:
        space_time_plots.place(fig, top=0.8)
        left, right = fig.subplots(1, 2)
        for axes, name, array in (
            (left, "found", samples.u[frame]),
            (right, "exact", samples.exact[frame]),
        ):
            axes.contourf(
                array.T,
                levels=np.linspace(-0.1, 0.6, 15),
                extent=(0, 1, 0, 1),
                cmap=plots.FIELD,
                extend="both",
            )
            axes.contour(array.T, levels=[0.0], extent=(0, 1, 0, 1), colors="white")
            axes.set(aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.set_title(name, fontsize="medium")
        fig.suptitle(
            f"{samples.times[frame] * revolutions:.2f} revolutions, "
            f"symmetric difference {columns['symmetric_difference_percent'][frame]:.1f} %",
            fontsize="medium",
        )

    return plots.animation(len(samples.u), draw, (5.6, 3.2))


def _outlines(axes: Any, u: Array, exact: Array) -> None:
    for array, colour, style in ((exact, EXACT, "solid"), (u, SOLUTION, "dashed")):
        if array.min() < 0 < array.max():
            axes.contour(
                array.T,
                levels=[0.0],
                extent=(0, 1, 0, 1),
                colors=colour,
                linestyles=style,
                linewidths=1.4,
            )


def _legend(axes: Any) -> None:
    axes.plot([], [], color=EXACT, label="exact")
    axes.plot([], [], color=SOLUTION, linestyle="dashed", label="found")
    axes.legend(loc="upper right", fontsize="small")


def _middle(distance: Array) -> tuple[float, float]:
    """The middle of the region inside."""
    rows, columns = np.nonzero(distance < 0)
    n = len(distance) - 1
    return float(rows.mean() / n), float(columns.mean() / n)
