"""Poisson image: find the image u whose gradient (or Laplacian) is given, and nothing else.

The image lies on a box whose longer side is [-1, 1]; coordinates are (down, right), and the
collocation points are the pixel centres. Cells are as large as pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..basis import Basis, BSpline, Gaussian
from ..decoders import LinearDecoder
from ..domain import Box, Points
from ..field import Field
from ..grid import FeatureGrid
from ..jet import Jet
from ..solvers import Problem, Term
from .image_derivatives import five_point_laplacian, sobel_gradient
from .images import Array, Image

SUPERVISION = ("gradient", "laplacian")
# A rim point's flux counts RIM_WEIGHT / spacing times as much as a pixel's Laplacian. After 100
# steps on the camera at 256 x 256: 31.2, 36.2, 33.2, 16.4 dB (rescaled) for 0.1, 0.4, 1.6, 6.4.
RIM_WEIGHT = 0.4


@dataclass(frozen=True)
class Settings:
    """How the field is built and trained.

    Attributes:
        levels: None takes as many as leave at least four cells on the shorter side.
        channels: per level and channel of the image.
        nodes: where the finest nodes lie, "corners" or "centres" of pixels. A symmetric basis
            cannot see an alternating pattern of features half way between two nodes if the
            derivative is even, and on the nodes if it is odd: so centres suit the Laplacian.
        decoder: "trained" as in the paper, or "sum": the levels are added up with fixed weights
            level_weight^level, which makes the loss quadratic in the features and scales the
            coarse levels for the optimizer.
        method, steps, lr, decay, patience: of `solve`.
        neumann: whether the image is continued by mirroring (see `make_problem`).
    """

    levels: int | None
    channels: int
    nodes: str
    basis: Basis
    boundary: str
    decoder: str
    level_weight: float
    method: str
    steps: int
    lr: float | None
    decay: tuple[float, int] | None
    patience: int | None
    neumann: bool


PAPER = Settings(
    levels=6,
    channels=2,
    nodes="corners",
    basis=Gaussian(epsilon=1.0, rho=3),
    boundary="clamp",
    decoder="trained",
    level_weight=1.0,
    method="adam",
    steps=10_000,
    lr=5e-3,
    decay=(0.1, 5000),
    patience=None,
    neumann=False,
)
# On the 512 x 512 camera 6 steps reach 32.0 dB (rescaled), as 30 do; patience ends the solve at 23.
GRADIENT = replace(
    PAPER,
    levels=None,
    channels=1,
    boundary="ghost",
    decoder="sum",
    method="lbfgs",
    steps=40,
    lr=None,
    decay=None,
    patience=5,
)
# A coarse feature reaches 4^level times as many points with 16^-level times the squared Laplacian;
# weights 2^level even that out. After 100 steps on the camera at 256 x 256: 36.2 dB (rescaled),
# with equal weights 12.7 dB, with nodes at corners 16.7 dB.
LAPLACIAN = replace(
    GRADIENT, nodes="centres", basis=BSpline(3), level_weight=2.0, steps=100, neumann=True
)

CONFIGS: dict[str, dict[str, Settings]] = {
    "default": {"gradient": GRADIENT, "laplacian": LAPLACIAN},
    "paper": {"gradient": PAPER, "laplacian": replace(PAPER, levels=4)},
}


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
        """Side of a pixel."""
        return 2.0 / max(self.height, self.width)

    @property
    def box(self) -> Box:
        """The image's rectangle, centred at 0."""
        half = (self.height * self.spacing / 2, self.width * self.spacing / 2)
        return Box((-half[0], -half[1]), half)

    def pixel_centres(self) -> Tensor:
        """[height * width, 2], row by row, float64."""
        axes = [
            (torch.arange(count, dtype=torch.float64) + 0.5) * self.spacing + lower
            for count, lower in zip((self.height, self.width), self.box.lower, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 2)

    def edges(self) -> tuple[Tensor, Tensor]:
        """Midpoints of the pixel sides on the rim [M, 2] and the axis each is normal to [M]."""
        centres = self.pixel_centres().reshape(self.height, self.width, 2)
        rims, axes = [], []
        for axis in (0, 1):
            for side, corner in ((0, self.box.lower), (-1, self.box.upper)):
                rim = centres.select(axis, side).clone()
                rim[:, axis] = corner[axis]
                rims.append(rim)
                axes.append(torch.full((len(rim),), axis, dtype=torch.int64))
        return torch.cat(rims), torch.cat(axes)


def level_count(height: int, width: int) -> int:
    """Levels whose coarsest has about four cells on the shorter side: 8 for 512 pixels."""
    return max(1, int(math.log2(min(height, width))) - 1)


def make_field(shape: tuple[int, int, int], settings: Settings, seed: int = 0) -> Field:
    """The field for an image of ``shape`` (height, width, channels).

    Cells are as large as pixels. Where the image is no multiple of the coarsest cell, the grid
    reaches beyond its lower and right edge.
    """
    height, width, channels = shape
    geometry = Geometry(height, width)
    levels = settings.levels or level_count(height, width)
    unit = 1 << (levels - 1)
    centred = settings.nodes == "centres"
    cells = [-(-(pixels + centred) // unit) * unit for pixels in (height, width)]
    lower = [low - 0.5 * centred * geometry.spacing for low in geometry.box.lower]
    upper = [low + n * geometry.spacing for low, n in zip(lower, cells, strict=True)]
    grid = FeatureGrid(
        dim=2,
        cells=cells,
        levels=levels,
        channels=settings.channels * channels,
        basis=settings.basis,
        boundary=settings.boundary,
        lower=lower,
        upper=upper,
        seed=seed,
    )
    decoder = LinearDecoder(channels, bias=settings.decoder == "trained", seed=seed + 1)
    field = Field(grid, decoder)
    if settings.decoder == "sum":
        block = torch.eye(channels).repeat(1, settings.channels)
        weights = [block * settings.level_weight**level for level in range(levels)]
        with torch.no_grad():
            decoder.layer.weight.copy_(torch.cat(weights, dim=1))
        decoder.layer.weight.requires_grad_(False)
    return field


def make_problem(image: Image, supervise: str = "gradient", neumann: bool = False) -> Problem:
    """The terms: the image's derivatives at the pixel centres.

    Args:
        supervise: "gradient" (Sobel) or "laplacian" (five-point).
        neumann: asks also for an even continuation beyond the rim, as the stencils' mirrored
            borders have it: first and third normal derivatives are zero. It makes the Laplacian
            problem well posed; without it any harmonic function can be added to the solution.
    """
    height, width, _ = image.shape
    geometry = Geometry(height, width)
    spacing = geometry.spacing
    centres = Points(geometry.pixel_centres())
    if supervise == "gradient":
        given = _rows(sobel_gradient(image.pixels, spacing))
        terms = [Term("gradient", centres, _gradient_residual, order=1, data=given)]
    elif supervise == "laplacian":
        given = _rows(five_point_laplacian(image.pixels, spacing))
        terms = [Term("laplacian", centres, _laplacian_residual, order=2, data=given)]
    else:
        raise ValueError(f"supervise is {supervise!r}, but it must be 'gradient' or 'laplacian'.")
    if neumann:
        rim, axes = geometry.edges()

        def even(x: Tensor, u: Jet, axis: Tensor) -> Tensor:
            first = torch.where(axis[:, None] == 0, u.derivative((1, 0)), u.derivative((0, 1)))
            third = torch.where(axis[:, None] == 0, u.derivative((3, 0)), u.derivative((0, 3)))
            return torch.cat([first, spacing**2 * third], dim=1)

        weight = 1.0
        if supervise == "laplacian":
            weight = (RIM_WEIGHT / spacing) ** 2 * 2 * len(rim) / (height * width)
        terms.append(Term("neumann", Points(rim), even, order=3, data=axes, weight=weight))
    return Problem(geometry.box, terms)


def _rows(array: Array) -> Tensor:
    return torch.from_numpy(array.reshape(-1, *array.shape[2:]))


def _gradient_residual(x: Tensor, u: Jet, given: Tensor) -> Tensor:
    return (u.gradient - given).flatten(1)


def _laplacian_residual(x: Tensor, u: Jet, given: Tensor) -> Tensor:
    return u.laplacian - given


def reconstruct(field: Field, height: int, width: int, chunk: int = 1 << 16) -> Array:
    """The field at the pixel centres, [height, width, channels]."""
    parameter = field.grid.features
    points = Geometry(height, width).pixel_centres()
    with torch.no_grad():
        parts = [
            field(part.to(parameter.device, parameter.dtype)).cpu().double()
            for part in points.split(chunk)
        ]
    pixels: Array = torch.cat(parts).reshape(height, width, -1).numpy()
    return pixels
