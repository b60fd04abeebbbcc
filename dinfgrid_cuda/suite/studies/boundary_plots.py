"""The picture of the study of boundaries."""

from __future__ import annotations

from typing import Any

from dinfgrid_cuda.suite.tools import plots

from .record import Row

# Colours show the basis; line styles and marks show the grid's ends and what else was tried.
COLOURS = {
    "Gaussian(1, 3)": "C0",
    "Gaussian(0.7, 6)": "C1",
    "Gaussian(0.5, 12)": "C3",
    "B-spline 3": "yellowgreen",
    "B-spline 5": "C2",
    "B-spline 7": "darkgreen",
}
MARKS = {"crowded": "^", "×": "s", "smooth": "d", "equation": "*"}


def draw(rows: list[Row], cells: int, away: float) -> Any:
    """Draws both singular problems above, the smooth one below, and the legends on the right.

    Args:
        rows: of the study.
        cells: of the grid whose profiles are drawn.
        away: see `boundary.AWAY`.
    """
    fig = plots.figure(19.0, 9.5)
    places = fig.subplot_mosaic(
        [["rim", "jump", "corner", "L", "bases"], ["fit", "equation", "smooth", "cells", "ways"]],
        width_ratios=(1, 1, 1, 1, 0.72),
    )
    profiles(places["rim"], rows, "jumps", "boundary", cells)
    profiles(places["jump"], rows, "jumps", "corner", cells)
    profiles(places["corner"], rows, "L-shape", "corner", cells)
    section(places["fit"], rows, cells)
    profiles(places["equation"], rows, "smooth", "boundary", cells, "residual")
    profiles(places["smooth"], rows, "smooth", "boundary", cells)
    against_cells(places["L"], rows, "L-shape")
    against_cells(places["cells"], rows, "smooth")
    grid = f"{cells} cells"
    titles = {
        "rim": f"u jumps at two corners of a square, {grid}:\nsides, {away:g} away from the jumps",
        "jump": f"u jumps at two corners of a square, {grid}:\nnear the jumps",
        "corner": f"L-shape, u = r^(2/3) sin(2θ/3), {grid}:\nnear the re-entrant corner",
        "L": "L-shape:\nwhole domain",
        "fit": f"Smooth u = sin 3x cos 2y, {grid}:\nbest fit to u itself, along y = 0",
        "equation": f"Smooth u, Poisson's equation, {grid}:\nwhere the equation does not hold",
        "smooth": f"Smooth u, Poisson's equation, {grid}:\nwhere u is wrong",
        "cells": "Smooth u, Poisson's equation:\nwhole domain",
    }
    for name, title in titles.items():
        places[name].set_title(title, fontsize="medium")
    key(places["bases"], places["corner"], "Upper row; ghost nodes\nexcept where clamped")
    key(places["ways"], places["cells"], "Lower row; ghost nodes\nexcept where clamped")
    fig.suptitle(
        "Error at boundaries and corners, least squares on one level; Gaussian(ε, ρ): exp(-(ε d)²) "
        "on ρ nodes to each side"
    )
    return fig


def profiles(
    axes: Any, rows: list[Row], problem: str, of: str, cells: int, what: str = "error"
) -> None:
    """Draws an error against the distance in cells, a line for each way."""
    series = [
        row
        for row in rows
        if row["problem"] == problem and row["cells"] == cells and row.get("distance_to") == of
    ]
    lines(axes, series, "distance_in_cells", what)
    axes.set(xscale="log", yscale="log")
    where = "boundary" if of == "boundary" else "nearest such corner"
    of_what = "u" if what == "error" else "Δu"
    axes.set(xlabel=f"distance to the {where}, in cells")
    axes.set(ylabel=f"error of {of_what} (rms), relative to {of_what}")


def section(axes: Any, rows: list[Row], cells: int) -> None:
    """Draws the fits' errors with their signs, from a side inwards."""
    series = [
        row
        for row in rows
        if row["problem"] == "fits" and row["cells"] == cells and row.get("distance_to") == "side"
    ]
    lines(axes, series, "distance_in_cells", "error", bare=True)
    axes.set(xlabel="distance to the side x = -1, in cells", ylabel="(fit - u) / u (rms)")


def against_cells(axes: Any, rows: list[Row], problem: str) -> None:
    """Draws the error of the whole domain against cells per axis."""
    series = [row for row in rows if row["problem"] == problem and "total" in row]
    lines(axes, series, "cells", "total")
    axes.set(xscale="log", yscale="log")
    ticks = sorted({row["cells"] for row in series})
    axes.set_xticks(ticks, [str(count) for count in ticks])
    axes.minorticks_off()
    axes.set(xlabel="cells per axis", ylabel="error of u (L2), relative to u")


def lines(axes: Any, rows: list[Row], x: str, y: str, bare: bool = False) -> None:
    """Draws a line for each way, in the order of the rows; without marks if ``bare``."""
    for way in dict.fromkeys(row["way"] for row in rows):
        points = [(row[x], row[y]) for row in rows if row["way"] == way]
        style = look(way)
        if bare:
            style["marker"] = None
        axes.plot(*zip(*points, strict=True), label=way, **style)
    axes.grid(visible=True, alpha=0.25)


def look(way: str) -> dict[str, Any]:
    """The style of a line: colour by the basis, dashed where clamped, grey for a fit."""
    if "fit" in way:
        return {"color": "0.4", "linestyle": ":", "marker": None, "linewidth": 1.6}
    mark = next((mark for word, mark in MARKS.items() if word in way), "o")
    colour = next(colour for basis, colour in COLOURS.items() if basis in way)
    return {
        "color": "black" if mark == "*" else colour,
        "linestyle": "--" if "clamp" in way else "-",
        "marker": mark,
        # Some ways differ by less than a line's width: open marks do not hide the line below.
        "markerfacecolor": "none" if mark in "^sd" else None,
        "markersize": 8 if mark in "s*" else 5,
        "linewidth": 1.3,
    }


def key(axes: Any, of: Any, title: str) -> None:
    """Draws the legend of other axes in a place of its own, so that it covers no line."""
    axes.set_axis_off()
    axes.legend(
        *of.get_legend_handles_labels(),
        title=title,
        loc="center left",
        frameon=False,
        alignment="left",
        handlelength=3.5,
    )
