"""Level sets as triangles: extraction, distances to them, and a shaded view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .shapes import Array

Indices = npt.NDArray[np.int64]
NEAREST = 12  # triangles tried for a point, the nearest by their centroids


@dataclass(frozen=True)
class Surface:
    """A surface made of triangles.

    Attributes:
        vertices: [V, 3].
        faces: [F, 3] indices of ``vertices``, counterclockwise from outside.
        normals: [V, 3] unit normals, outwards.
    """

    vertices: Array
    faces: Indices
    normals: Array

    def sample(self, n: int, random: np.random.Generator) -> Array:
        """Points [n, 3] uniform by area."""
        corners = self.vertices[self.faces]
        sides = corners[:, 1:] - corners[:, :1]
        areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
        chosen = random.choice(len(areas), n, p=areas / areas.sum())
        s, t = random.random((2, n, 1))
        over = s + t > 1
        s, t = np.where(over, 1 - s, s), np.where(over, 1 - t, t)
        points = corners[chosen, 0] + s * sides[chosen, 0] + t * sides[chosen, 1]
        return np.asarray(points)

    def distances(self, x: Array) -> Array:
        """The distances [N] of points [N, 3] to the nearest triangle.

        Exact among the NEAREST triangles by centroid, which is all that can matter for triangles of
        nearly one size, as marching cubes makes them.
        """
        import trimesh
        from scipy.spatial import cKDTree

        corners = self.vertices[self.faces]
        count = min(NEAREST, len(corners))
        _, near = cKDTree(corners.mean(axis=1)).query(x, k=count)
        near = np.reshape(near, (len(x), count))
        triangles = corners[near].reshape(-1, 3, 3)
        points = np.repeat(x, count, axis=0)
        closest = trimesh.triangles.closest_point(triangles, points)
        away = np.linalg.norm(closest - points, axis=1).reshape(len(x), count)
        return np.asarray(away.min(axis=1))


def level_set(values: Array, lower: float = -1.0, upper: float = 1.0) -> Surface | None:
    """The zero level set of values [n, n, n] on a face-to-face lattice of a cube, or None.

    Marching cubes (Lewiner et al., 2003); the outside is where the values are positive.
    """
    from skimage.measure import marching_cubes

    if not np.isfinite(values).all() or not values.min() < 0 < values.max():
        return None
    spacing = ((upper - lower) / (values.shape[0] - 1),) * 3
    # Its faces are counterclockwise from where values are large; its normals point to small ones.
    vertices, faces, normals, _ = marching_cubes(
        values, 0.0, spacing=spacing, gradient_direction="descent"
    )
    if not len(faces):
        return None
    return Surface(
        vertices.astype(np.float64) + lower, faces.astype(np.int64), -normals.astype(np.float64)
    )


@dataclass(frozen=True)
class View:
    """A direction of sight, by parallel projection.

    Attributes:
        azimuth, elevation: of the eye, in degrees.
        size: of the picture in pixels; not antialiased, so draw it larger than it is shown.
        reach: half the edge of the square that is shown, centred at the origin.
    """

    azimuth: float
    elevation: float
    size: int
    reach: float

    def frame(self) -> tuple[Array, Array, Array]:
        """Unit vectors to the right, up, and towards the eye."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        right = np.array([-math.sin(a), math.cos(a), 0.0])
        to_eye = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        return right, np.cross(to_eye, right), to_eye

    def draw(self, surface: Surface) -> Array:
        """Draws a shaded picture [size, size] in [0, 1], 1 where there is nothing.

        Each triangle is covered by points closer to each other than pixels; of the points in a
        pixel the one nearest to the eye is seen.
        """
        right, up, to_eye = self.frame()
        n, facing = self.size, surface.normals @ to_eye
        light = to_eye + 0.6 * up - 0.5 * right
        shade = 0.26 + 0.62 * surface.normals @ (light / np.linalg.norm(light))
        # The back of an open surface is drawn dark.
        shade = np.where(facing < -0.05, 0.2, np.maximum(shade, 0.12))
        x, y = (surface.vertices @ axis / self.reach for axis in (right, up))
        depth = surface.vertices @ to_eye
        projected = np.stack([(x + 1) / 2 * n, (1 - y) / 2 * n, depth, shade], 1)
        corners = torch.from_numpy(projected.astype(np.float32)[surface.faces])
        longest = float((corners[:, :, :2] - corners[:, [1, 2, 0], :2]).abs().max())
        splats = _barycentric(max(1, math.ceil(1.2 * longest))) @ corners
        fig: Array = _nearest(splats.reshape(-1, 4), n).double().numpy()
        return fig


def _barycentric(n: int) -> Tensor:
    """The barycentric coordinates [B, 3] of points of a triangle whose edges are cut into n."""
    pairs = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)]
    return torch.tensor([(i, j, n - i - j) for i, j in pairs], dtype=torch.float32) / n


def _nearest(splats: Tensor, n: int) -> Tensor:
    """The shades [n, n] of the splats [K, 4] (column, row, depth, shade) in front."""
    column, row = (splats[:, k].clamp(0, n - 0.5).int() for k in (0, 1))
    depth = ((splats[:, 2] + 4) * (1 << 20)).long()  # positive for |depth| < 4
    key = (depth << 32) + torch.arange(len(splats))
    pixel = (row * n + column).long()
    best = torch.full((n * n,), -1).scatter_reduce(0, pixel, key, "amax")
    fig = splats.new_ones(n * n)
    hit = best >= 0
    fig[hit] = splats[best[hit] & 0xFFFFFFFF, 3]
    return fig.reshape(n, n)


def to_trimesh(surface: Surface) -> Any:
    """The surface as a trimesh.Trimesh, for export."""
    import trimesh

    return trimesh.Trimesh(
        surface.vertices, surface.faces, vertex_normals=surface.normals, process=False
    )
