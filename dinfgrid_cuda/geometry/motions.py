"""Vectors and rotations, as shapes are moved by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dinfgrid_cuda.checks import plain


def numbers(where: str, values: Sequence[float], dim: int) -> Tensor:
    """Returns numbers [dim], float64."""
    values = plain(values)
    if len(values) == 1 and isinstance(plain(values[0]), (list, tuple)):
        values = plain(values[0])
    vector = torch.tensor([float(value) for value in values], dtype=torch.float64)
    if len(vector) != dim or not bool(vector.isfinite().all()):
        raise ValueError(f"{where}: {tuple(values)} must be {dim} finite numbers.")
    return vector


def rotation_by(angle: float, axis: Sequence[float] | None, dim: int) -> Tensor:
    """Returns the matrix of a rotation [dim, dim], in 3-D by Rodrigues' formula."""
    cosine, sine = math.cos(angle), math.sin(angle)
    if dim == 2 and axis is None:
        return torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
    if dim != 3:
        raise ValueError(f"rotated: a {dim}-D shape is not turned by an angle about an axis.")
    unit = numbers("rotated(axis=...)", axis or (0.0, 0.0, 1.0), 3)
    if not float(unit.norm()):
        raise ValueError("rotated: axis is zero; pass a direction.")
    unit = unit / unit.norm()
    x, y, z = unit.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    return eye + sine * cross + (1 - cosine) * (cross @ cross)
