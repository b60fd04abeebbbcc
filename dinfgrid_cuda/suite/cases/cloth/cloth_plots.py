"""Pictures and files of deformed sheets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dinfgrid_cuda.suite.tools.evaluation import Array
from dinfgrid_cuda.suite.tools.plots import animation, figure, png

# Towards the light; in the frame of the plots, whose third axis is up.
LIGHT = np.array([-0.45, -0.75, 0.5])
# (name, elevation, azimuth) in degrees
VIEWS = (("front", 2.0, -90.0), ("side", 8.0, -25.0), ("from above", 40.0, -70.0))
FRAMES = 24
# Light where the stretch is small, so that the shading shows the folds.
COLOURS = "YlOrBr"


@dataclass(frozen=True)
class Sheet:
    """A deformed sheet on a structured grid.

    Attributes:
        points: [n, m, 3] in m, y up.
        data: [n, m, k] each, by name; "stretch", the larger principal one, is drawn.
    """

    points: Array
    data: dict[str, Array]


def views(sheet: Sheet, title: str) -> bytes:
    """Draws the sheet from the front, the side and above, coloured by stretch and shaded."""
    fig = figure(15.0, 6.6)
    plots = [fig.add_subplot(1, 3, k + 1, projection="3d") for k in range(3)]
    limits = _limits(sheet)
    for axes, (name, elevation, azimuth) in zip(plots, VIEWS, strict=True):
        _draw(axes, sheet, limits)
        axes.set_title(name, fontsize="medium", y=1.06)
        if name == "front":
            axes.set(yticks=[], ylabel="")
        axes.view_init(elev=elevation, azim=azimuth)
    _colour_bar(fig, plots, limits)
    fig.suptitle(title)
    return png(fig)


def turntable(sheet: Sheet) -> bytes:
    """Draws the sheet as it turns once, a GIF."""
    limits = _limits(sheet)

    def draw(fig: Any, k: int) -> None:
        axes = fig.add_subplot(projection="3d")
        _draw(axes, sheet, limits)
        axes.view_init(elev=12.0, azim=-90.0 + 360.0 * k / FRAMES)
        axes.set_axis_off()

    return animation(FRAMES, draw, (5.0, 5.0))


def _limits(sheet: Sheet) -> tuple[float, float]:
    low, high = np.quantile(sheet.data["stretch"], [0.01, 0.99])
    return float(low), max(float(high), float(low) + 1e-6)


def _draw(axes: Any, sheet: Sheet, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import MaxNLocator

    # Depth is drawn as the second axis and height as the third: matplotlib turns about the third.
    x, y, z = sheet.points[..., 0], -sheet.points[..., 2], sheet.points[..., 1]
    n = len(x)
    axes.plot_surface(
        x,
        y,
        z,
        rcount=n,
        ccount=n,
        facecolors=_colours(np.stack([x, y, z], axis=-1), sheet.data["stretch"], limits),
        linewidth=0,
        antialiased=False,
        shade=False,
    )
    for corner in ((0, -1), (-1, -1)):
        axes.plot(*(c[corner] for c in (x, y, z)), "o", color="black", markersize=4)
    axes.set(xlabel="x [m]", ylabel="-z [m]", zlabel="y [m]")
    middle, reach = (
        [(c.min() + c.max()) / 2 for c in (x, y, z)],
        0.5 * max(np.ptp(x), np.ptp(z)),
    )
    axes.set(
        xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach)
    )
    axes.set_proj_type("ortho")
    axes.set_zlim(middle[2] - reach, middle[2] + reach)
    axes.set_box_aspect((1, 1, 1), zoom=1.35)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(4))


def _colours(points: Array, stretch: Array, limits: tuple[float, float]) -> Array:
    """The colours of the faces [n - 1, m - 1, 4] by their stretch, darker away from the light."""
    from matplotlib import colormaps

    along, across = points[1:, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, 1:]
    normal = np.cross(along, across)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-30
    shade = 0.35 + 0.65 * np.abs(normal @ (LIGHT / np.linalg.norm(LIGHT)))
    low, high = limits
    colours: Array = colormaps[COLOURS]((stretch[:-1, :-1, 0] - low) / (high - low))
    colours[..., :3] *= shade[..., None]
    return colours


def _colour_bar(fig: Any, plots: list[Any], limits: tuple[float, float]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scale = ScalarMappable(Normalize(*limits), COLOURS)
    fig.colorbar(scale, ax=plots, shrink=0.6, label="larger principal stretch", pad=0.02)


def write_mesh(path: Path, sheet: Sheet) -> None:
    """Writes a triangle mesh; the format follows from the suffix."""
    import trimesh

    n, m, _ = sheet.points.shape
    index = np.arange(n * m).reshape(n, m)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    halves = [np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))]
    mesh = trimesh.Trimesh(sheet.points.reshape(-1, 3), np.concatenate(halves), process=False)
    mesh.export(path)


def write_vtk(path: Path, sheet: Sheet) -> None:
    """Writes a structured grid with stretch, displacement [m] and energies [J/m^2] of the sheet."""
    import pyvista

    grid = pyvista.StructuredGrid(
        *(np.ascontiguousarray(c) for c in np.moveaxis(sheet.points, 2, 0))
    )
    for name, data in sheet.data.items():
        grid.point_data[name] = data.transpose(1, 0, 2).reshape(-1, data.shape[2]).squeeze()
    grid.save(path)
