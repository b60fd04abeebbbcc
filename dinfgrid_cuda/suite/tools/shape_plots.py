"""Pictures of fields on shapes, as PNG data: outlines, masked fields, errors, surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.evaluation import Array
from dinfgrid_cuda.suite.tools.packages import package
from dinfgrid_cuda.suite.tools.plots import FIELD, SIGNED, figure, png
from dinfgrid_cuda.suite.tools.shape_samples import (
    Evaluate,
    Frame,
    Solid,
    contained,
    evaluated,
    frame,
    outline,
    surface,
)

NODES = 481  # on the longest axis of a picture in the plane
NODES_OF_CUTS = 301
NODES_IN_SPACE = 96
ERROR = "magma"
DECADES = 5.0  # of an error, at most
LIGHT = np.array([0.35, -0.55, 0.76])
EYE = (28.0, -55.0)  # elevation and azimuth in degrees


@dataclass(frozen=True)
class Slice:
    """A field on a shape in the plane, or on a plane through a solid.

    Attributes:
        lattice: nodes in the plane.
        points: the nodes [N, dim], in the space of the shape.
        inside: which of them are inside, [N].
        values: at the nodes, NaN outside the shape.
        curves: outline of the shape, each [n, 2].
        labels: of the axes.
    """

    lattice: Frame
    points: Tensor
    inside: npt.NDArray[np.bool_]
    values: Array
    curves: list[Array]
    labels: tuple[str, str]

    def of(self, evaluate: Evaluate) -> Slice:
        """Returns another field on the same nodes."""
        values = np.full(len(self.points), np.nan)
        values[self.inside] = evaluated(evaluate, self.points[torch.from_numpy(self.inside)])
        return replace(self, values=values.reshape(self.lattice.shape))


def sampled(shape: Solid, evaluate: Evaluate, nodes: int = NODES) -> Slice:
    """Returns a field on a shape in the plane; it is evaluated inside only."""
    lattice = frame(shape.lower, shape.upper, nodes)
    return _slice(shape, evaluate, lattice, lattice.points, ("x", "y"))


def cut(
    shape: Solid,
    evaluate: Evaluate,
    axis: int = 2,
    at: float | None = None,
    nodes: int = NODES_OF_CUTS,
) -> Slice:
    """Returns a field on a plane through a solid.

    Args:
        shape: three-dimensional.
        evaluate: points [N, 3] -> [N], asked for inside only.
        axis: normal of the plane.
        at: its coordinate on that axis; None takes the middle of the box.
        nodes: on the longest axis of the picture.
    """
    kept = [k for k in range(3) if k != axis]
    place = (shape.lower[axis] + shape.upper[axis]) / 2 if at is None else at
    ends = [tuple(corner[k] for k in kept) for corner in (shape.lower, shape.upper)]
    lattice = frame(ends[0], ends[1], nodes)
    points = torch.full((len(lattice.points), 3), place, dtype=torch.float64)
    points[:, kept] = lattice.points
    return _slice(shape, evaluate, lattice, points, ("xyz"[kept[0]], "xyz"[kept[1]]))


def _slice(
    shape: Solid, evaluate: Evaluate, lattice: Frame, points: Tensor, labels: tuple[str, str]
) -> Slice:
    inside = contained(shape, points)
    curves = outline(lattice, evaluated(shape.level, points))
    return Slice(lattice, points, inside, np.zeros(0), curves, labels).of(evaluate)


def draw_slice(
    axes: Any,
    content: Slice,
    title: str,
    signed: bool = False,
    limits: tuple[float, float] | None = None,
) -> Any:
    """Draws a masked field with the outline of the shape and a colour bar. Returns the image.

    Args:
        axes: of matplotlib.
        content: the field.
        title: above it.
        signed: symmetric colours around 0.
        limits: of the colours; None takes those of the values.
    """
    from matplotlib.colors import Normalize

    low, high = limits or _limits(content.values)
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    cmap = SIGNED if signed else FIELD
    return _draw(axes, content, title, cmap, Normalize(low, high))


def draw_error(axes: Any, content: Slice, title: str) -> Any:
    """Draws the modulus of an error on a logarithmic scale. Returns the image."""
    from matplotlib.colors import LogNorm

    error = np.abs(content.values)
    high = float(np.nanmax(error, initial=0.0)) or 1.0
    shown = error[error > 0]
    low = float(np.quantile(shown, 0.02)) if shown.size else 0.0
    low = min(max(low, high * 10.0**-DECADES), high / 100)  # two decades at least
    clipped = replace(content, values=error.clip(low))
    return _draw(axes, clipped, title, ERROR, LogNorm(low, high))


def _draw(axes: Any, content: Slice, title: str, cmap: str, norm: Any) -> Any:
    """Draws an image cut out along the outline: its edge is a curve, not a stair of pixels."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    image = axes.imshow(
        _continued(content.values).T,
        origin="lower",
        extent=content.lattice.extent,
        cmap=cmap,
        norm=norm,
        interpolation="bilinear",
    )
    if content.curves:
        path = Path.make_compound_path(*(Path(curve) for curve in content.curves))
        image.set_clip_path(PathPatch(path, transform=axes.transData))
    draw_outline(axes, content.curves)
    axes.set_xlim(*content.lattice.extent[:2])
    axes.set_ylim(*content.lattice.extent[2:])
    axes.set_aspect("equal")
    for name, count in zip("xy", content.lattice.shape, strict=True):
        axes.locator_params(axis=name, nbins=_ticks(count / max(content.lattice.shape)))
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(content.labels[0])
    axes.set_ylabel(content.labels[1])
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    return image


def _ticks(share: float) -> int:
    """Returns the most intervals between ticks of an axis with this share of the longest."""
    return max(2, round(6 * share))


def draw_outline(axes: Any, curves: Sequence[Array]) -> None:
    """Draws the outline of a shape."""
    for curve in curves:
        axes.plot(curve[:, 0], curve[:, 1], color="0.15", linewidth=1.1, solid_joinstyle="miter")


def _continued(values: Array) -> Array:
    """Returns values without NaN: outside, those of the nearest node inside."""
    from scipy.ndimage import distance_transform_edt

    outside = np.isnan(values)
    if outside.all():
        return np.zeros_like(values)
    nearest = distance_transform_edt(outside, return_distances=False, return_indices=True)
    result: Array = values[tuple(nearest)]
    return result


def _limits(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return -1.0, 1.0
    low, high = (float(q) for q in np.quantile(finite, [0.001, 0.999]))
    return low, high if high > low else low + 1.0


def plane_picture(
    shape: Solid, evaluate: Evaluate, title: str, exact: Evaluate | None = None, nodes: int = NODES
) -> bytes:
    """Draws a field on a shape in the plane; with a reference, that and the error, as PNG data."""
    found = sampled(shape, evaluate, nodes)
    x, y = found.lattice.ticks
    height = 4.2 * min(1.3, max(0.35, len(y) / len(x)))
    fig = figure(5.2 * (1 if exact is None else 3), height + 0.6)
    axes = fig.subplots(1, 1 if exact is None else 3, squeeze=False)[0]
    draw_slice(axes[0], found, "u")
    if exact is not None:
        reference = found.of(exact)
        error = replace(found, values=found.values - reference.values)
        draw_slice(axes[1], reference, "reference")
        draw_error(axes[2], error, f"|error|, at most {_most(error):.1e}")
    fig.suptitle(title)
    return png(fig)


def _most(content: Slice) -> float:
    return float(np.nanmax(np.abs(content.values), initial=0.0))


def solid_picture(
    shape: Solid,
    evaluate: Evaluate,
    title: str,
    exact: Evaluate | None = None,
    axis: int = 2,
    at: float | None = None,
) -> bytes:
    """Draws a field on the surface of a solid and on a plane through it, as PNG data.

    Args:
        shape: three-dimensional.
        evaluate: points [N, 3] -> [N].
        title: above all.
        exact: a reference; the error on the plane is drawn, too.
        axis, at: the plane, see `cut`.
    """
    fig = figure(11.5 if exact is None else 16.2, 5.2)
    count = 2 if exact is None else 3
    widths = fig.add_gridspec(1, count, width_ratios=[1.15, *[1.0] * (count - 1)])
    draw_surface(fig.add_subplot(widths[0], projection="3d"), shape, evaluate, "u on the surface")
    found = cut(shape, evaluate, axis, at)
    place = (shape.lower[axis] + shape.upper[axis]) / 2 if at is None else at
    where = f"{'xyz'[axis]} = {place:.3g}"
    draw_slice(fig.add_subplot(widths[1]), found, f"u at {where}")
    if exact is not None:
        error = replace(found, values=found.values - found.of(exact).values)
        text = f"|error| at {where}, at most {_most(error):.1e}"
        draw_error(fig.add_subplot(widths[2]), error, text)
    fig.suptitle(title)
    return png(fig)


def draw_surface(
    axes: Any, shape: Solid, evaluate: Evaluate, title: str, nodes: int = NODES_IN_SPACE
) -> None:
    """Draws the surface of a solid coloured by a field, shaded, with a colour bar."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    art = package("mpl_toolkits.mplot3d.art3d")
    vertices, faces = surface(shape, nodes)
    corners = vertices[faces]
    values = evaluated(evaluate, torch.from_numpy(vertices))[faces].mean(axis=1)
    norm = Normalize(*_limits(values))
    colours = colormaps[FIELD](norm(values))
    colours[:, :3] *= _shade(corners)[:, None]
    # Edges in the colour of their triangle close the gaps that antialiasing leaves.
    axes.add_collection3d(
        art.Poly3DCollection(corners, facecolors=colours, edgecolors=colours, linewidths=0.3)
    )
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    for name, start, end in zip("xyz", low, high, strict=True):
        axes.set(**{f"{name}lim": (start, end), f"{name}label": name})
        axes.locator_params(axis=name, nbins=_ticks((end - start) / (high - low).max()))
    axes.set_box_aspect(high - low)
    axes.view_init(*EYE)
    axes.set_title(title, fontsize="medium")
    axes.figure.colorbar(ScalarMappable(norm, FIELD), ax=axes, fraction=0.04, pad=0.12, shrink=0.75)


def _shade(corners: Array) -> Array:
    """Returns the brightness of triangles, 0.65 to 1, under a lamp."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1).clip(1e-300)
    result: Array = 0.65 + 0.35 * ((normals @ LIGHT) / lengths / np.linalg.norm(LIGHT)).clip(0)
    return result
