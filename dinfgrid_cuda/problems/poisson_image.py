"""Poisson image: find the image u whose gradient (or Laplacian) is given, and nothing else.

The image lies on a box whose longer side is [-1, 1]; coordinates are (down, right), and the
collocation points are the pixel centres. Cells are as large as pixels.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..basis import BSpline
from ..domain import Box, Points
from ..jet import Jet
from ..solvers import Problem, Term
from . import image_plots, metrics
from .case import Case, CaseError, Measure, Setup, option
from .image_derivatives import five_point_laplacian, sobel_gradient
from .images import Array, Image, load_image
from .lattice import values

SUPERVISION = ("gradient", "laplacian")
# A rim point's flux counts RIM_WEIGHT / spacing times as much as a pixel's Laplacian. After 100
# steps on the camera at 256 x 256: 31.2, 36.2, 33.2, 16.4 dB (rescaled) for 0.1, 0.4, 1.6, 6.4.
RIM_WEIGHT = 0.4

# The paper's, for an image from its gradient; from its Laplacian it takes 4 levels.
PAPER = Setup(
    config="paper",
    cells=512,
    levels=6,
    channels=2,
    boundary="clamp",
    steps=10_000,
    lr=5e-3,
    decay=(0.1, 5000),
)
# On the 512 x 512 camera 6 steps reach 32.0 dB (rescaled), as 30 do; patience ends the solve at 23.
GRADIENT = Setup(
    cells=512,
    decoder="sum",
    method="lbfgs",
    steps=40,
    patience=5,
    min_decrease=1e-2,
)
# A coarse feature reaches 4^level times as many points with 16^-level times the squared Laplacian;
# weights 2^level even that out. After 100 steps on the camera at 256 x 256: 36.2 dB (rescaled),
# with equal weights 12.7 dB, with nodes at corners 16.7 dB.
LAPLACIAN = replace(GRADIENT, basis=BSpline(3), level_weight=2.0, steps=300)


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


@dataclass(frozen=True)
class PoissonImage(Case):
    """Rebuilds an image from its gradient, or its Laplacian, alone."""

    name: ClassVar[str] = "poisson-image"

    image: Path | None = option(None, "Image file; the camera image of scikit-image by default.")
    supervise: str = option(
        "gradient", "What is given of the image: gradient or laplacian.", choices=SUPERVISION
    )
    neumann: bool | None = option(
        None,
        "Continue the image by mirroring, which makes the Laplacian well posed; by default for "
        "--supervise laplacian --config default.",
    )
    size: int | None = option(
        None, "Longer side in pixels; by default the image's own, up to 1024."
    )

    @cached_property
    def picture(self) -> Image:
        """The image. Raises CaseError if it cannot be used."""
        return load_image(self.image, self.size)

    @property
    def out_channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.picture.shape[2]

    @property
    def geometry(self) -> Geometry:
        """Where the pixels lie."""
        return Geometry(*self.picture.shape[:2])

    def fingerprint(self) -> dict[str, Any]:
        """The image itself."""
        pixels = self.picture.pixels
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
        return {"image": digest, "shape": list(pixels.shape)}

    def box(self) -> Box:
        """The image's rectangle."""
        return self.geometry.box

    def grid_box(self, setup: Setup) -> Box:
        """Where the image is no multiple of the coarsest cell, more below and to the right.

        A symmetric basis cannot see an alternating pattern of features half way between two nodes
        if the derivative is even, and on the nodes if it is odd: so the nodes lie at the centres
        of pixels for the Laplacian, except in the paper's setup, and else at their corners.
        """
        if not isinstance(setup.cells, tuple):
            raise CaseError("--cells follows from the pixels of an image; choose them by --size.")
        spacing, box = self.geometry.spacing, self.box()
        centred = self._centred(setup)
        lower = tuple(low - 0.5 * centred * spacing for low in box.lower)
        upper = tuple(low + n * spacing for low, n in zip(lower, setup.cells, strict=True))
        return Box(lower, upper)

    def _centred(self, setup: Setup) -> bool:
        return self.supervise == "laplacian" and setup.config != "paper"

    def setup(self, config: str) -> Setup:
        """Cells are as large as pixels."""
        height, width, _ = self.picture.shape
        if config == "paper":
            setup = PAPER if self.supervise == "gradient" else replace(PAPER, levels=4)
        else:
            base = GRADIENT if self.supervise == "gradient" else LAPLACIAN
            setup = replace(base, levels=level_count(height, width))
        unit = 1 << (setup.levels - 1)
        extra = int(self._centred(setup))
        cells = tuple(-(-(pixels + extra) // unit) * unit for pixels in (height, width))
        return replace(setup, cells=cells, points=height * width)

    def problem(self, setup: Setup) -> Problem:
        """The image's derivatives at the pixel centres, all of them or some each step."""
        mirrored = self.supervise == "laplacian" and setup.config != "paper"
        neumann = mirrored if self.neumann is None else self.neumann
        return make_problem(self.picture, self.supervise, neumann, setup.points)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """PSNR and SSIM at the pixels, or at those of the image scaled to a longer side."""
        image = self.picture
        if resolution is not None:
            image = load_image(self.image, resolution)
        height, width, _ = image.shape
        if Geometry(height, width).box != self.box() and resolution is not None:
            raise CaseError(
                f"the image at --resolution {resolution} has another shape ({width} x {height}); "
                "choose a multiple of its own, or none."
            )
        found = metrics.align_mean(reconstruct(field, height, width), image.pixels)
        return {
            "psnr_raw": Measure(
                metrics.psnr(found, image.pixels), "dB", "mean of each channel aligned, range 1"
            ),
            "psnr_rescaled": Measure(
                metrics.rescaled_psnr(found, image.pixels),
                "dB",
                "the paper's: both rescaled to [0, 1] by their extremes",
            ),
            "ssim": Measure(
                metrics.ssim(found, image.pixels), "1", "7 x 7 windows, range 1, mean aligned"
            ),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Input, reconstruction and error side by side."""
        image = self.picture
        found = metrics.align_mean(reconstruct(field, *image.shape[:2]), image.pixels)
        raw, rescaled = (f(found, image.pixels) for f in (metrics.psnr, metrics.rescaled_psnr))
        what = {"gradient": "Sobel gradient", "laplacian": "Laplacian"}[self.supervise]
        title = f"{image.source} from its {what} alone ({title})"
        caption = f"reconstruction, PSNR {raw:.2f} dB (rescaled {rescaled:.2f} dB)"
        return {"poisson-image.png": image_plots.comparison(image.pixels, found, title, caption)}


def make_problem(
    image: Image, supervise: str = "gradient", neumann: bool = False, points: int | None = None
) -> Problem:
    """The terms: the image's derivatives at the pixel centres.

    Args:
        supervise: "gradient" (Sobel) or "laplacian" (five-point).
        neumann: asks also for an even continuation beyond the rim, as the stencils' mirrored
            borders have it: first and third normal derivatives are zero. It makes the Laplacian
            problem well posed; without it any harmonic function can be added to the solution.
        points: pixels a step; None means all.
    """
    height, width, _ = image.shape
    geometry = Geometry(height, width)
    spacing = geometry.spacing
    centres = Points(geometry.pixel_centres())
    if supervise == "gradient":
        given = _rows(sobel_gradient(image.pixels, spacing))
        terms = [Term("gradient", centres, _gradient_residual, order=1, points=points, data=given)]
    elif supervise == "laplacian":
        given = _rows(five_point_laplacian(image.pixels, spacing))
        terms = [
            Term("laplacian", centres, _laplacian_residual, order=2, points=points, data=given)
        ]
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


def reconstruct(field: nn.Module, height: int, width: int) -> Array:
    """The field at the pixel centres, [height, width, channels]."""
    pixels: Array = values(field, Geometry(height, width).pixel_centres()).numpy()
    return pixels.reshape(height, width, -1)
