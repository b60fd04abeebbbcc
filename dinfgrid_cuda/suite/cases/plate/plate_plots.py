"""Pictures and files of bent plates."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.evaluation import Array, lattice
from dinfgrid_cuda.suite.tools.plots import FIELD, Line, Panel, draw_lines, draw_panel, figure, png
from dinfgrid_cuda.suite.tools.shape_plots import draw_slice, sampled

from .plate_terms import Outline

Deflection = Callable[[Tensor], Tensor]
NODES = 161


def comparison(outline: Outline, deflection: Deflection, exact: Deflection, title: str) -> bytes:
    """Draws deflection, reference and error, the bent plate, and a cut through its middle."""
    x = lattice(outline.box, NODES)
    inside = outline.inside(x)
    w, reference = (_masked(f, x, inside) for f in (deflection, exact))
    half_a, half_b = outline.a / 2, outline.b / 2
    extent = (-half_a, half_a, -half_b, half_b)
    limits = (float(np.nanmin(reference)), float(np.nanmax(reference)))
    error = w - reference
    worst = np.nanmax(np.abs(error)) / np.nanmax(np.abs(reference))
    labels = ("x [m]", "y [m]")
    functions = (deflection, exact, lambda x: deflection(x) - exact(x))
    fig = figure(14.0, 9.0)
    grid = fig.add_gridspec(2, 6)
    for column, panel in enumerate(
        (
            Panel(w, "deflection found [m]", extent, limits=limits, labels=labels),
            Panel(reference, "reference [m]", extent, limits=limits, labels=labels),
            Panel(error, f"error [m], at most {worst:.1e} of max |w|", extent, True, labels=labels),
        )
    ):
        axes = fig.add_subplot(grid[0, 2 * column : 2 * column + 2])
        if outline.disk:
            _draw_disk(axes, outline, panel, functions[column])
        else:
            draw_panel(axes, panel)
            axes.set_aspect("equal")
    surface = fig.add_subplot(grid[1, :3], projection="3d")
    _draw_bent(surface, outline, deflection)
    axes = fig.add_subplot(grid[1, 3:])
    line = np.linspace(-half_a, half_a, NODES)
    middle = NODES // 2
    draw_lines(
        axes,
        [
            Line(line, w[:, middle], "found"),
            Line(line, reference[:, middle], "reference", "k--"),
        ],
        "deflection along y = 0",
        ("x [m]", "w [m]"),
    )
    fig.suptitle(title)
    return png(fig)


def _draw_disk(axes: Any, outline: Outline, panel: Panel, function: Deflection) -> None:
    """Draws a panel cut out along the circle."""
    draw_slice(axes, sampled(outline.shape, function, 2 * NODES), panel.title, panel.signed)
    axes.set(xlabel=panel.labels[0], ylabel=panel.labels[1])


def _masked(function: Deflection, x: Tensor, inside: Tensor) -> Array:
    """The values on the lattice, NaN off the plate, [NODES, NODES]."""
    w = torch.full((len(x),), math.nan, dtype=torch.float64)
    w[inside] = function(x[inside])
    array: Array = w.reshape(NODES, NODES).numpy()
    return array


def surface_points(outline: Outline, count: int) -> Tensor:
    """The points [count, count, 2] of a structured grid that fills the plate; polar on a disk."""
    if not outline.disk:
        return lattice(outline.box, count).reshape(count, count, 2)
    r = torch.linspace(0, outline.a / 2, count, dtype=torch.float64)
    angle = torch.linspace(0, 2 * math.pi, count, dtype=torch.float64)
    directions = torch.stack([angle.cos(), angle.sin()], dim=1)
    # Rounding must not push the rim out of the box.
    return (r[:, None, None] * directions[None]).clamp(-outline.a / 2, outline.a / 2)


def _draw_bent(axes: Any, outline: Outline, deflection: Deflection) -> None:
    from matplotlib.ticker import MaxNLocator

    points = surface_points(outline, 65)
    height = -deflection(points.reshape(-1, 2)).reshape(65, 65).numpy()
    x, y = points[..., 0].numpy(), points[..., 1].numpy()
    axes.plot_surface(x, y, height, rcount=65, ccount=65, cmap=f"{FIELD}_r", linewidth=0.1)
    axes.set_box_aspect((outline.a, outline.b, 0.4 * min(outline.a, outline.b)), zoom=1.1)
    axes.set(xlabel="x [m]", ylabel="y [m]")
    axes.set_title("bent plate, height -w (not to scale)", fontsize="medium")
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(4))
    axes.view_init(elev=32, azim=-60)


def write_vtk(path: Path, outline: Outline, deflection: Deflection, exact: Deflection) -> None:
    """Writes a structured grid of the flat plate with w, its reference and its error, in m."""
    import pyvista

    points = surface_points(outline, NODES)
    x, y = points[..., 0].numpy(), points[..., 1].numpy()
    grid = pyvista.StructuredGrid(x, y, np.zeros_like(x))
    w, reference = (f(points.reshape(-1, 2)).reshape(x.shape).numpy() for f in (deflection, exact))
    for name, data in (("w", w), ("exact", reference), ("error", w - reference)):
        grid.point_data[name] = data.ravel(order="F")
    grid.save(path)
