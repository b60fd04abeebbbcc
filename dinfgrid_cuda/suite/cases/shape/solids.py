"""Solids for problems in space: a torus, and a closed mesh of triangles.

ball = Ball((0, 0, 0), BALL);  torus = Torus(...) with TORUS or Implicit(torus_level, ...)
mesh = Mesh(bumpy_sphere())
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.packages import package

# Radius of the ball; of the torus around the third axis, from its axis to the tube, and the tube's.
BALL = 0.9
TORUS = (0.65, 0.28)


def torus_level(x: Tensor) -> Tensor:
    """Returns the signed distance of points x [N, 3] from the torus, [N], negative inside."""
    ring, tube = TORUS
    away = torch.hypot(x[:, 0], x[:, 1]) - ring
    return torch.hypot(away, x[:, 2]) - tube


def torus_normal(x: Tensor) -> Tensor:
    """Returns the outward normals at points x [N, 3] near the torus, [N, 3]."""
    across = torch.hypot(x[:, 0], x[:, 1])
    scale = (across - TORUS[0]) / across
    normal = torch.stack([scale * x[:, 0], scale * x[:, 1], x[:, 2]], dim=1)
    unit: Tensor = normal / normal.norm(dim=1, keepdim=True)
    return unit


def bumpy_sphere(
    halvings: int = 5, bump: float = 0.12
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Returns vertices [n, 3] and triangles [20 4^halvings, 3] of a closed surface with bumps.

    It is an icosphere of radius 0.75 whose vertices are moved along their radii by a factor
    1 + bump (sin(4 x) sin(4 y) sin(4 z) + cos(3 z)), x, y, z on the unit sphere. 20,480 triangles
    by default.

    Args:
        halvings: of the icosahedron's edges.
        bump: less than 0.5.
    """
    trimesh = package("trimesh")
    sphere = trimesh.creation.icosphere(subdivisions=halvings)
    unit = np.asarray(sphere.vertices, dtype=np.float64)
    height = np.sin(4 * unit).prod(axis=1) + np.cos(3 * unit[:, 2])
    vertices = 0.75 * (1 + bump * height)[:, None] * unit
    return vertices, np.asarray(sphere.faces, dtype=np.int64)
