"""The places of an image's pixels in the box of its field."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda import Box


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of an image lie.

    Attributes:
        height, width: in pixels.
        spacing: distance between pixel centres; the longer side of the image is 2.
    """

    height: int
    width: int

    @property
    def spacing(self) -> float:
        """The side of a pixel."""
        return 2.0 / max(self.height, self.width)

    @property
    def box(self) -> Box:
        """The image's rectangle, centred at 0."""
        half = (self.height * self.spacing / 2, self.width * self.spacing / 2)
        return Box((-half[0], -half[1]), half)

    def pixel_centres(self, height: int | None = None, width: int | None = None) -> Tensor:
        """The centres [height * width, 2] of the image's pixels, or of more of them, row by row."""
        counts = (height or self.height, width or self.width)
        axes = [
            (torch.arange(count, dtype=torch.float64) + 0.5) * self.spacing + lower
            for count, lower in zip(counts, self.box.lower, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 2)
