"""Fields on shapes at the nodes of a lattice, the outline of a shape, and its surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.evaluation import CHUNK, Array

Evaluate = Callable[[Tensor], Tensor]
Indices = npt.NDArray[np.int64]

MARGIN = 0.03  # of the longest edge, around the box of the shape
FINEST = 6  # times a triangle of a mesh is quartered at most


class Solid(Protocol):
    """A shape: what these pictures need of it.

    Attributes:
        lower, upper: corners of a box around it.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def level(self, x: Tensor) -> Tensor:
        """Returns [N] at points x [N, dim]: negative inside, zero on the boundary."""
        ...

    def contains(self, x: Tensor) -> Tensor:
        """Whether points x [N, dim] are inside, [N]."""
        ...


@dataclass(frozen=True)
class Frame:
    """A lattice of nodes with one step on all axes, a little larger than a shape.

    Attributes:
        ticks: coordinates of the nodes on each axis.
    """

    ticks: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes on each axis."""
        return tuple(len(ticks) for ticks in self.ticks)

    @property
    def step(self) -> float:
        """Distance of neighbours."""
        return float(self.ticks[0][1] - self.ticks[0][0])

    @property
    def origin(self) -> Array:
        """The first node, [dim]."""
        return np.array([ticks[0] for ticks in self.ticks])

    @property
    def points(self) -> Tensor:
        """All nodes [N, dim], float64, last axis fastest."""
        grids = torch.meshgrid(*map(torch.from_numpy, self.ticks), indexing="ij")
        return torch.stack(grids, dim=-1).reshape(-1, len(self.ticks))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(x lower, x upper, y lower, y upper) in two dimensions."""
        x, y = self.ticks
        return float(x[0]), float(x[-1]), float(y[0]), float(y[-1])


def frame(lower: tuple[float, ...], upper: tuple[float, ...], nodes: int) -> Frame:
    """Returns a lattice around a box, with this many nodes on its longest axis.

    Raises:
        ValueError: if the box has no end.
    """
    low, high = np.array(lower), np.array(upper)
    if not np.isfinite([low, high]).all():
        raise ValueError(f"picture: the shape has no end: its box is {lower} to {upper}.")
    margin = MARGIN * (high - low).max()
    step = ((high - low).max() + 2 * margin) / (nodes - 1)
    counts = np.ceil((high - low + 2 * margin) / step - 1e-9).astype(int) + 1
    starts = (low + high) / 2 - (counts - 1) * step / 2
    return Frame(
        tuple(start + step * np.arange(count) for start, count in zip(starts, counts, strict=True))
    )


def evaluated(function: Callable[[Tensor], Tensor], x: Tensor) -> Array:
    """Returns a function at points x [N, dim], [N], evaluated part by part."""
    with torch.no_grad():
        parts = [function(part).reshape(-1).cpu().double() for part in x.split(CHUNK)]
    result: Array = torch.cat(parts).numpy() if parts else np.zeros(0)
    return result


def contained(shape: Solid, points: Tensor) -> npt.NDArray[np.bool_]:
    """Returns which points [N, dim] are inside a shape, [N]."""
    inside = torch.cat([shape.contains(part) for part in points.split(CHUNK)])
    result: npt.NDArray[np.bool_] = inside.cpu().numpy()
    return result


def outline(lattice: Frame, level: Array) -> list[Array]:
    """Returns the closed curves on which a level set is zero, each [n, 2], by marching squares."""
    from skimage.measure import find_contours

    curves = find_contours(level.reshape(lattice.shape), 0.0)
    return [lattice.origin + lattice.step * curve for curve in curves]


def surface(shape: Solid, nodes: int) -> tuple[Array, Indices]:
    """Returns corners [V, 3] and triangles [F, 3] of the boundary of a shape.

    The triangles of a mesh itself, large ones divided, else those of marching cubes.

    Args:
        shape: three-dimensional.
        nodes: of the lattice on the longest axis, about.
    """
    vertices, faces = (getattr(shape, name, None) for name in ("vertices", "faces"))
    if vertices is not None and faces is not None:
        reach = max(high - low for low, high in zip(shape.lower, shape.upper, strict=True))
        return _divided(np.asarray(vertices), np.asarray(faces), 2 * reach / nodes)
    from skimage.measure import marching_cubes

    lattice = frame(shape.lower, shape.upper, nodes)
    level = evaluated(shape.level, lattice.points).reshape(lattice.shape)
    if not level.min() < 0 < level.max():
        raise ValueError(f"picture: {shape!r} has no surface between {nodes} nodes an axis.")
    corners, triangles, _, _ = marching_cubes(level, 0.0)
    return lattice.origin + lattice.step * corners, triangles.astype(np.int64)


def _divided(vertices: Array, faces: Indices, longest: float) -> tuple[Array, Indices]:
    """Returns triangles without edges longer than asked, where quartering them allows it."""
    corners = vertices[faces]
    for _ in range(FINEST):
        middles = (corners + np.roll(corners, -1, axis=1)) / 2
        edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        long = edges.max(axis=1) > longest
        if not long.any():
            break
        a, b, c = np.moveaxis(corners[long], 1, 0)
        ab, bc, ca = np.moveaxis(middles[long], 1, 0)
        quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        corners = np.concatenate([corners[~long], *(np.stack(each, axis=1) for each in quarters)])
    flat, numbers = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return flat, numbers.reshape(-1, 3).astype(np.int64)
