"""The picture of the study of boundaries."""

from __future__ import annotations

from typing import Any

from dinfgrid_cuda.problems import plots

from .record import Row

MARKERS = "osD^vPXh*<"


def draw(rows: list[Row], cells: int, away: float) -> Any:
    """Above: both singular problems. Below: the smooth one. On the right: what the lines are.

    Args:
        rows: of the study.
        cells: of the grid whose profiles are drawn.
        away: see `boundary.AWAY`.
    """
    drawn = plots.figure(15.0, 9.0)
    places = drawn.subplot_mosaic(
        [["rim", "jump", "corner", "bases"], ["cells", "smooth", "L", "remedies"]],
        width_ratios=(1, 1, 1, 0.62),
    )
    profiles(places["rim"], rows, "jumps", "boundary", cells)
    profiles(places["jump"], rows, "jumps", "corner", cells)
    profiles(places["corner"], rows, "L-shape", "corner", cells)
    profiles(places["smooth"], rows, "smooth", "boundary", cells)
    against_cells(places["L"], rows, "L-shape")
    against_cells(places["cells"], rows, "smooth")
    grid = f"{cells} cells"
    titles = {
        "rim": f"Boundary values that jump, {grid}:\nnear sides, {away:g} away from the jumps",
        "jump": f"Boundary values that jump, {grid}:\nnear the jumps",
        "corner": f"L-shape, u = r^(2/3) sin(2θ/3), {grid}:\nnear the re-entrant corner",
        "L": "L-shape:\nwhole domain",
        "cells": "Smooth solution on a square:\nwhole domain",
        "smooth": f"Smooth solution, {grid}:\nnear the boundary",
    }
    for name, title in titles.items():
        places[name].set_title(title, fontsize="medium")
    key(places["bases"], places["rim"], "Upper row, and L-shape")
    key(places["remedies"], places["cells"], "Smooth solution (Gaussian(1, 3)\nwhere not named)")
    drawn.suptitle("Where the error sits: distance to boundaries and corners")
    return drawn


def profiles(axes: Any, rows: list[Row], problem: str, of: str, cells: int) -> None:
    """Error against the distance in cells, a line for each way."""
    mine = [
        row
        for row in rows
        if row["problem"] == problem and row["cells"] == cells and row.get("distance_to") == of
    ]
    lines(axes, mine, "distance_in_cells", "error")
    what = "boundary" if of == "boundary" else "nearest such corner"
    axes.set(xlabel=f"distance to the {what}, in cells", ylabel="error (rms) / u (rms)")


def against_cells(axes: Any, rows: list[Row], problem: str) -> None:
    """Error of the whole domain against cells per axis."""
    mine = [row for row in rows if row["problem"] == problem and "total" in row]
    lines(axes, mine, "cells", "total")
    ticks = sorted({row["cells"] for row in mine})
    axes.set_xticks(ticks, [str(count) for count in ticks])
    axes.minorticks_off()
    axes.set(xlabel="cells per axis", ylabel="relative L2 error")


def lines(axes: Any, rows: list[Row], x: str, y: str) -> None:
    """One for each way, in the order of the rows; what is fitted is dashed and grey."""
    for index, way in enumerate(dict.fromkeys(row["way"] for row in rows)):
        points = [(row[x], row[y]) for row in rows if row["way"] == way]
        grey = "fitted" in way
        axes.plot(
            *zip(*points, strict=True),
            color="0.45" if grey else f"C{index}",
            linestyle="--" if grey else "-",
            marker=None if grey else MARKERS[index],
            markersize=4,
            linewidth=1.3,
            label=way,
        )
    axes.set(xscale="log", yscale="log")
    axes.grid(visible=True, alpha=0.25)


def key(axes: Any, of: Any, title: str) -> None:
    """The legend of other axes, in a place of its own so that it covers no line."""
    axes.set_axis_off()
    axes.legend(*of.get_legend_handles_labels(), title=title, loc="center left", frameon=False)
