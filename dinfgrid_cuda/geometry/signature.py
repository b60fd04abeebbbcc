"""A signature of a shape: numbers that are the same for the same shape, and differ for another."""

from __future__ import annotations

import torch
from torch import Tensor

from .box import bounding_box
from .shape import Shape

POINTS = 32
# Of the box around a shape, beyond its ends.
MARGIN = 0.1
# The root of t^3 = t + 1: the fractional parts of k / t, k / t^2, k / t^3, ... fill a cube evenly.
PLASTIC = 1.324717957244746


def signature(shape: Shape) -> list[float]:
    """Returns the levels of a shape, and of all its surfaces, at fixed points around it.

    A level tells combinations from each other, the surfaces' tell of pieces far from all points.
    """
    x = _points(shape)
    levels = shape.level(x).double()
    pieces = torch.zeros_like(levels)
    for place, surface in enumerate(shape.surfaces):
        # Other factors for each surface and point, so that no change of two makes up for another.
        factors = 1 + 0.5 * torch.sin(1.7 * place + torch.arange(len(x), dtype=torch.float64))
        pieces += factors * surface.level(x).double()
    both: list[float] = torch.cat([levels, pieces]).nan_to_num().tolist()
    return both


def _points(shape: Shape) -> Tensor:
    """Returns points [POINTS, dim] in a box somewhat larger than the one around a shape."""
    box = bounding_box(shape)
    low, lengths = (torch.tensor(ends, dtype=torch.float64) for ends in (box.lower, box.lengths))
    powers = PLASTIC ** torch.arange(1, shape.dim + 1, dtype=torch.float64)
    unit = (torch.arange(1, POINTS + 1, dtype=torch.float64)[:, None] / powers).frac()
    return low + lengths * ((1 + 2 * MARGIN) * unit - MARGIN)
