"""The picture of the study of dimensions."""

from __future__ import annotations

from statistics import median
from typing import Any

from dinfgrid_cuda.suite.tools import plots

from .record import Row

COLOURS = {"B-spline 5": "C0", "Gaussian": "C2", "Gaussian, Adam": "C1", "SIREN, Adam": "C4"}
NAMES = {
    "B-spline 5": "grid, B-spline 5, least squares",
    "Gaussian": "grid, Gaussian, least squares",
    "Gaussian, Adam": "grid of 3 levels, Gaussian, Adam",
    "SIREN, Adam": "SIREN, Adam",
}
UNITS = {"error": ("relative L2 error", 1.0), "seconds": ("seconds", 1.0)}
UNITS["memory"] = ("peak memory of the solve, MB", 1e-6)


def draw(rows: list[Row], dimensions: tuple[int, ...]) -> Any:
    """Draws error, seconds, memory against dimension; below, errors against parameters, time."""
    fig = plots.figure(14.5, 9.0)
    axes = fig.subplots(2, 3)
    done = [row for row in rows if "error" in row]
    for place, key in zip(axes[0], UNITS, strict=True):
        _against_dimension(place, done, key, dimensions)
    axes[0, 1].set_title("2^16 parameters (or just below)")
    _refined(axes[1, 0], done, "B-spline 5", dimensions)
    _refined(axes[1, 1], done, "Gaussian", dimensions)
    _on_the_way(axes[1, 2], [row for row in rows if "after" in row], dimensions)
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, ncols=len(COLOURS), loc="outside lower center")
    fig.suptitle("The heat equation in d - 1 dimensions of space and time")
    return fig


def _against_dimension(axes: Any, rows: list[Row], key: str, dimensions: tuple[int, ...]) -> None:
    name, unit = UNITS[key]
    for model, colour in COLOURS.items():
        middle, low, high = [], [], []
        for dim in dimensions:
            series = [row for row in rows if row["model"] == model and row["dim"] == dim]
            most = max((row["parameters"] for row in series), default=0)
            values = [unit * row[key] for row in series if row["parameters"] == most]
            middle.append(median(values) if values else float("nan"))
            low.append(middle[-1] - min(values, default=middle[-1]))
            high.append(max(values, default=middle[-1]) - middle[-1])
        label = NAMES[model]
        axes.errorbar(
            dimensions, middle, [low, high], fmt="o-", color=colour, capsize=3, label=label
        )
    axes.set(yscale="log", xlabel="d, time included", ylabel=name, xticks=dimensions)
    axes.grid(visible=True, alpha=0.25)


def _refined(axes: Any, rows: list[Row], model: str, dimensions: tuple[int, ...]) -> None:
    for dim, marker in zip(dimensions, "osD", strict=False):
        series = [row for row in rows if row["model"] == model and row["dim"] == dim]
        x, y = [row["parameters"] for row in series], [row["error"] for row in series]
        axes.loglog(x, y, f"{marker}-", color=COLOURS[model], alpha=1 - 0.25 * (dim - 2))
        if series:
            axes.annotate(f"d = {dim}", (x[0], y[0]), (4, 6), textcoords="offset points")
    axes.set(xlabel="parameters", ylabel="relative L2 error", title=NAMES[model])
    axes.grid(visible=True, alpha=0.25)


def _on_the_way(axes: Any, rows: list[Row], dimensions: tuple[int, ...]) -> None:
    for model, colour in COLOURS.items():
        for dim, style in zip(dimensions, ("-", "--", ":"), strict=False):
            series = [row for row in rows if row["model"] == model and row["dim"] == dim]
            for seed in dict.fromkeys(row["seed"] for row in series):
                x = [row["after"] for row in series if row["seed"] == seed]
                y = [row["error_then"] for row in series if row["seed"] == seed]
                axes.loglog(x, y, style, color=colour, linewidth=1.1)
    for dim, style in zip(dimensions, ("-", "--", ":"), strict=False):
        axes.plot([], [], style, color="0.3", label=f"d = {dim}")
    axes.legend(fontsize="small")
    axes.set(xlabel="seconds", ylabel="relative L2 error", title="Adam on the way")
    axes.grid(visible=True, alpha=0.25)
