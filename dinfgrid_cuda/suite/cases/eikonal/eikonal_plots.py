"""Pictures of a signed distance: its surface, shaded, and a slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dinfgrid_cuda import Box
from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.evaluation import jet

from .point_clouds import Cloud
from .shapes import Array, Shape
from .surfaces import Surface, View

SLICE = 241  # points per axis
SIZE, TURNING_SIZE, FRAMES = 1000, 400, 30
EYE = (-55.0, 28.0)  # azimuth and elevation in degrees


@dataclass(frozen=True)
class Drawing:
    """Draws a signed distance and its surface.

    Attributes:
        field: trained.
        box: of the problem, a cube.
        surface: its zero level set, or None.
        cloud: the points given.
        exact: the shape, if it is analytic.
    """

    field: nn.Module
    box: Box
    surface: Surface | None
    cloud: Cloud
    exact: Shape | None

    def overview(self, title: str) -> bytes:
        """Draws the surface, a slice of u, and the slice's error (or its gradient's length)."""
        fig = plots.figure(16.2, 5.2)
        left, middle, right = fig.subplots(1, 3)
        self._draw_surface(left)
        axis, level = self._cut()
        x = self._slice_points(axis, level)
        u = jet(self.field, torch.from_numpy(x), 1)
        shape = (SLICE, SLICE)
        distances = u.value.reshape(shape).numpy()
        exact = None if self.exact is None else self.exact.distance(x).reshape(shape)
        names = [name for name in "xyz" if name != "xyz"[axis]]
        where = f"{'xyz'[axis]} = {level:.2f}"
        labels, extent = (names[0], names[1]), self._extent(axis)
        plots.draw_panel(
            middle, plots.Panel(distances, f"u at {where}", extent, signed=True, labels=labels)
        )
        if exact is None:
            length = torch.linalg.vector_norm(u.gradient[:, 0], dim=1).reshape(shape).numpy()
            panel = plots.Panel(length, f"|grad u| at {where}", extent, False, (0.5, 1.5), labels)
        else:
            error = distances - exact
            panel = plots.Panel(error, f"u - exact at {where}", extent, True, None, labels)
        plots.draw_panel(right, panel)
        self._draw_contours(middle, distances, exact, axis, level)
        for axes in (middle, right):
            axes.set_aspect("equal")
        fig.suptitle(title)
        return plots.png(fig)

    def _draw_surface(self, axes: Any) -> None:
        axes.set_axis_off()
        if self.surface is None:
            axes.text(0.5, 0.5, "u has one sign:\nno surface", ha="center", va="center", size=16)
            axes.set_title("zero level set", fontsize="medium")
            return
        self._show(axes, EYE[0], SIZE)
        axes.set_title(f"zero level set, {len(self.surface.faces):,} triangles", fontsize="medium")

    def _cut(self) -> tuple[int, float]:
        """The axis along which the points spread least, and their mean on it."""
        axis = int(np.ptp(self.cloud.points, axis=0).argmin())
        return axis, round(float(self.cloud.points[:, axis].mean()), 2) + 0.0

    def _slice_points(self, axis: int, level: float) -> Array:
        rest = [k for k in range(3) if k != axis]
        ticks = [np.linspace(self.box.lower[k], self.box.upper[k], SLICE) for k in rest]
        x = np.full((SLICE, SLICE, 3), level)
        x[..., rest[0]], x[..., rest[1]] = np.meshgrid(*ticks, indexing="ij")
        return np.asarray(x.reshape(-1, 3))

    def _extent(self, axis: int) -> tuple[float, float, float, float]:
        a, b = (k for k in range(3) if k != axis)
        lower, upper = self.box.lower, self.box.upper
        return lower[a], upper[a], lower[b], upper[b]

    def _draw_contours(
        self, axes: Any, distances: Array, exact: Array | None, axis: int, level: float
    ) -> None:
        """Draws lines of equal distance every 0.1, the zero contour and the given surface."""
        extent = self._extent(axis)
        steps = np.arange(-20, 21) / 10
        axes.contour(distances.T, steps, extent=extent, colors="black", linewidths=0.3, alpha=0.5)
        handles = []
        if distances.min() < 0 < distances.max():
            axes.contour(distances.T, [0.0], extent=extent, colors="black", linewidths=2.0)
            handles += axes.plot([], [], "k-", linewidth=2.0, label="u = 0")
        if exact is not None:
            if exact.min() < 0 < exact.max():
                style = {"colors": "gold", "linewidths": 1.2, "linestyles": "dashed"}
                axes.contour(exact.T, [0.0], extent=extent, **style)
            handles += axes.plot([], [], "--", color="gold", label="exact")
        else:
            a, b = (k for k in range(3) if k != axis)
            near = self.cloud.held_points[abs(self.cloud.held_points[:, axis] - level) < 0.01]
            handles += axes.plot(near[:, a], near[:, b], ".", color="gold", ms=2, label="held out")
        axes.legend(handles=handles, fontsize="small", loc="lower right")

    def turning(self) -> bytes:
        """Draws the surface through one turn, as GIF data."""
        assert self.surface is not None

        def draw(fig: Any, k: int) -> None:
            axes = fig.subplots()
            axes.set_axis_off()
            self._show(axes, EYE[0] + 360 * k / FRAMES, TURNING_SIZE)

        return plots.animation(FRAMES, draw, (4.0, 4.0))

    def _show(self, axes: Any, azimuth: float, size: int) -> None:
        assert self.surface is not None
        reach = 1.02 * float(np.linalg.norm(self.surface.vertices, axis=1).max())
        image = View(azimuth, EYE[1], size, reach).draw(self.surface)
        axes.imshow(image, cmap="gray", vmin=0.0, vmax=1.0, interpolation="antialiased")
