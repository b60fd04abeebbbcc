"""The picture of the study of classical solvers."""

from __future__ import annotations

from typing import Any

from dinfgrid_cuda.suite.tools import plots

from .record import Row

TITLES = {
    "Poisson": "Poisson",
    "variable": "coefficient that varies by 1000",
    "Helmholtz": "Helmholtz, k = 25",
}
AXES = {
    "seconds": "seconds, assembly and solve",
    "work": "floating-point operations, counted",
}
MARKERS = ("o", "s", "D", "^", "v", "<", ">", "P", "X", "*")


def draw(rows: list[Row], problems: list[str], methods: list[str]) -> Any:
    """Draws error against seconds above, against operations below; ours with thick lines."""
    fig = plots.figure(16.0, 9.0)
    axes = fig.subplots(2, len(problems) + 1, width_ratios=[1] * len(problems) + [0.55])
    for column, problem in enumerate(problems):
        for line, key in enumerate(("seconds", "work")):
            place = axes[line, column]
            for index, method in enumerate(methods):
                series = [r for r in rows if r["problem"] == problem and r["method"] == method]
                if not series:
                    continue
                ours = series[0]["ours"]
                place.loglog(
                    [r[key] for r in series],
                    [r["error"] for r in series],
                    marker=MARKERS[index],
                    color=f"C{index}",
                    linewidth=2.6 if ours else 1.1,
                    linestyle="-" if ours else "--",
                    markersize=6 if ours else 5,
                    label=method,
                )
            place.set(xlabel=AXES[key])
            place.grid(visible=True, alpha=0.25)
        axes[0, column].set_title(TITLES[problem])
    for line in (0, 1):
        axes[line, 0].set_ylabel("relative L2 error")
        axes[line, -1].set_axis_off()
    handles = axes[0, 0].get_legend_handles_labels()
    axes[0, -1].legend(*handles, loc="upper left", frameon=False, title="thick: this package")
    fig.suptitle("Smooth elliptic problems on a square: this package and classical solvers")
    return fig
