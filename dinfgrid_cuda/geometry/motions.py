"""Vectors and rotations, as shapes are moved by them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_point


def vector(where: str, name: str, values: Any, dim: int) -> Tensor:
    """Returns coordinates, checked, as a tensor [dim], float64."""
    return torch.tensor(check_point(where, name, values, dim), dtype=torch.float64)


def rotation_by(angle: float, axis: Sequence[float] | None, dim: int) -> Tensor:
    """Returns the matrix of a rotation [dim, dim], in 3-D by Rodrigues' formula."""
    cosine, sine = math.cos(angle), math.sin(angle)
    if dim == 2 and axis is None:
        return torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
    if dim != 3:
        raise ValueError(f"rotated: a {dim}-D shape is not turned by an angle about an axis.")
    unit = vector("rotated", "axis", axis or (0.0, 0.0, 1.0), 3)
    if not float(unit.norm()):
        raise ValueError("rotated: axis is zero; pass a direction.")
    unit = unit / unit.norm()
    x, y, z = unit.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    return eye + sine * cross + (1 - cosine) * (cross @ cross)
