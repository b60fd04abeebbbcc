"""Poisson image: find the image u whose gradient (or Laplacian) is given, and nothing else.

The image lies on a box whose longer side is [-1, 1]; coordinates are (down, right), and the
collocation points are the pixel centres. Cells are as large as pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dinfgrid_cuda import (
    Adam,
    Boundary,
    Box,
    BSpline,
    Jet,
    Lattice,
    LeastSquares,
    Points,
    Problem,
    Term,
)
from dinfgrid_cuda.suite.tools import metrics
from dinfgrid_cuda.suite.tools.case import DIRECT, Case, CaseError, Measure, Setup, option
from dinfgrid_cuda.suite.tools.evaluation import values
from dinfgrid_cuda.suite.tools.image_derivatives import five_point_laplacian, sobel_gradient
from dinfgrid_cuda.suite.tools.images import MAX_PIXELS, MIN_PIXELS, Array, Image, load_image

from . import image_plots
from .pixel_geometry import Geometry

SUPERVISION = ("gradient", "laplacian")
# A rim point's flux counts RIM_WEIGHT / spacing times as much as a pixel's Laplacian. After 100
# steps on the camera at 256 x 256: 31.2, 36.2, 33.2, 16.4 dB (rescaled) for 0.1, 0.4, 1.6, 6.4.
RIM_WEIGHT = 0.4

# The paper's setup for an image from its gradient; from its Laplacian it has 4 levels.
PAPER = Setup(
    config="paper",
    cells=512,
    levels=6,
    channels=2,
    boundary="clamp",
    method=Adam(lr=5e-3, decay=(0.1, 5000)),
    steps=10_000,
)
# One level whose nodes are the centres of the pixels: there the slope of a spline is a central
# difference, as Sobel's is. Cubic ones give the camera with 33.0 dB (rescaled), quintic ones 30.5.
GRADIENT = replace(DIRECT, cells=512, basis=BSpline(3))
# Degrees 3, 5 and 7 give 35.7, 37.7 and 38.2 dB.
LAPLACIAN = replace(DIRECT, cells=512, basis=BSpline(7), steps=1)


@dataclass(frozen=True)
class PoissonImage(Case):
    """Rebuilds an image from its gradient, or its Laplacian, alone."""

    name: ClassVar[str] = "poisson-image"

    image: Path | None = option(None, "Image file; by default the camera image of scikit-image.")
    supervise: str = option(
        "gradient",
        "What is known of the image: its gradient or its laplacian.",
        choices=SUPERVISION,
    )
    neumann: bool | None = option(
        None,
        "Continue the image by mirroring, which makes the Laplacian well posed; by default for "
        "--supervise laplacian --config default.",
    )
    size: int | None = option(
        None,
        "Longer side in pixels; by default the image's own, up to 1024.",
        span=(MIN_PIXELS, MAX_PIXELS),
    )

    @cached_property
    def picture(self) -> Image:
        """The image. Raises CaseError if it cannot be used."""
        return load_image(self.image, self.size)

    @property
    def out_channels(self) -> int:
        """The number of channels: 1 for grey, 3 for colour."""
        return self.picture.shape[2]

    @property
    def geometry(self) -> Geometry:
        """The places of the pixels."""
        return Geometry(*self.picture.shape[:2])

    def fingerprint(self) -> dict[str, Any]:
        """A hash of the image, and its shape."""
        pixels = self.picture.pixels
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
        return {"image": digest, "shape": list(pixels.shape)}

    def box(self) -> Box:
        """The image's rectangle."""
        return self.geometry.box

    def grid_box(self, setup: Setup) -> Box:
        """The grid's box, with nodes at the centres of the pixels; in the paper's at their corners.

        Where the image is no multiple of the coarsest cell, more below and to the right; where it
        is continued by mirroring, twice as much in both directions.
        """
        if not isinstance(setup.cells, tuple):
            raise CaseError("--cells follows from the pixels of an image; choose them by --size.")
        spacing, box = self.geometry.spacing, self.box()
        shift = 0.0 if setup.config == "paper" else 0.5 * spacing
        lower = tuple(low - shift for low in box.lower)
        upper = tuple(low + n * spacing for low, n in zip(lower, setup.cells, strict=True))
        return Box(lower, upper)

    @property
    def mirrored(self) -> bool:
        """Whether the default setup continues the image by mirroring."""
        return self.supervise == "laplacian" if self.neumann is None else self.neumann

    def setup(self, config: str) -> Setup:
        """Returns a setup whose cells are as large as pixels."""
        height, width, _ = self.picture.shape
        if config == "paper":
            setup = PAPER if self.supervise == "gradient" else replace(PAPER, levels=4)
            unit = 1 << (setup.levels - 1)
            cells = tuple(-(-pixels // unit) * unit for pixels in (height, width))
            return replace(setup, cells=cells, points=height * width)
        base = GRADIENT if self.supervise == "gradient" else LAPLACIAN
        if self.mirrored:
            doubled = (2 * height, 2 * width)
            return replace(base, cells=doubled, boundary="periodic", points=4 * height * width)
        return replace(base, cells=(height + 1, width + 1), points=height * width)

    def problem(self, setup: Setup) -> Problem:
        """Returns the image's derivatives at the pixel centres, all of them or some each step."""
        # A network, or a grid that is trained, has conditions at the rim in place of the mirror.
        if setup.boundary == "periodic" and isinstance(setup.method, LeastSquares):
            return make_mirrored_problem(self.picture, self.supervise)
        neumann = self.mirrored if setup.config != "paper" else bool(self.neumann)
        points = min(setup.points, self.picture.shape[0] * self.picture.shape[1])
        problem = make_problem(self.picture, self.supervise, neumann, points)
        if self.supervise == "gradient" and isinstance(setup.method, LeastSquares):
            return Problem(problem.domain, [*problem.terms, _flat(problem.terms[0], self.geometry)])
        return problem

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures PSNR and SSIM at the pixels, or at those of the image scaled."""
        image = self.picture
        if resolution is not None:
            image = load_image(self.image, resolution)
        height, width, _ = image.shape
        if Geometry(height, width).box != self.box() and resolution is not None:
            raise CaseError(
                f"the image at --resolution {resolution} has another shape ({width} x {height}); "
                "choose a multiple of its own, or none."
            )
        reconstruction = metrics.align_mean(reconstruct(field, height, width), image.pixels)
        return {
            "psnr_raw": Measure(
                metrics.psnr(reconstruction, image.pixels),
                "dB",
                "mean of each channel aligned, range 1",
            ),
            "psnr_rescaled": Measure(
                metrics.rescaled_psnr(reconstruction, image.pixels),
                "dB",
                "the paper's: both rescaled to [0, 1] by their extremes",
            ),
            "ssim": Measure(
                metrics.ssim(reconstruction, image.pixels),
                "1",
                "7 x 7 windows, range 1, mean aligned",
            ),
        }

    def pictures(self, field: nn.Module, title: str) -> dict[str, bytes]:
        """Input, reconstruction and error side by side."""
        image, pixels = self.picture, self.picture.pixels
        reconstruction = metrics.align_mean(reconstruct(field, *image.shape[:2]), pixels)
        raw = metrics.psnr(reconstruction, pixels)
        rescaled = metrics.rescaled_psnr(reconstruction, pixels)
        what = {"gradient": "Sobel gradient", "laplacian": "Laplacian"}[self.supervise]
        title = f"{image.source} from its {what} alone ({title})"
        caption = f"reconstruction, PSNR {raw:.2f} dB (rescaled {rescaled:.2f} dB)"
        return {"poisson-image.png": image_plots.comparison(pixels, reconstruction, title, caption)}


def make_problem(
    image: Image, supervise: str = "gradient", neumann: bool = False, points: int | None = None
) -> Problem:
    """Returns the problem whose terms are the image's derivatives at the pixel centres.

    Args:
        supervise: "gradient" (Sobel) or "laplacian" (five-point).
        neumann: asks also for an even continuation beyond the rim, as the stencils' mirrored
            borders have it: first and third normal derivatives are zero. It makes the Laplacian
            problem well posed; without it any harmonic function can be added to the solution.
        points: pixels per step; None means all.
    """
    height, width, _ = image.shape
    geometry = Geometry(height, width)
    spacing = geometry.spacing
    derivative = _per_pixel(_derivative(image, supervise))
    terms = [_term(supervise, geometry.pixel_centres(), derivative, points)]
    if neumann:
        weight = 1.0
        if supervise == "laplacian":
            rim = 2 * (height + width)
            weight = (RIM_WEIGHT / spacing) ** 2 * 2 * rim / (height * width)
        for axis, (name, count) in enumerate((("down", width), ("right", height))):
            faces = Boundary(((axis, "lower"), (axis, "upper")), Lattice((count,)))
            share = weight * count / (height + width)
            terms.append(Term(f"neumann {name}", faces, even(axis, spacing), order=3, weight=share))
    return Problem(geometry.box, terms)


def make_mirrored_problem(image: Image, supervise: str) -> Problem:
    """Returns the same on the image and its mirror images, one period of an even function."""
    derivative = _derivative(image, supervise)
    for axis in (0, 1):
        mirror = np.flip(derivative, axis)
        if supervise == "gradient":  # odd along the axis of the mirror
            mirror = mirror * np.where(np.arange(2) == axis, -1.0, 1.0)
        derivative = np.concatenate([derivative, mirror], axis)
    geometry = Geometry(*image.shape[:2])
    x = geometry.pixel_centres(2 * geometry.height, 2 * geometry.width)
    return Problem(geometry.box, [_term(supervise, x, _per_pixel(derivative), None)])


def _flat(gradient: Term, geometry: Geometry) -> Term:
    """A term that determines what alternates from pixel to pixel: no central difference sees it.

    On the camera the weights 0 and 1e-5 give 33.05 dB, 1e-3 gives 32.8; a 27 x 45 image needs it.
    """

    def residual(x: Tensor, u: Jet) -> Tensor:
        return geometry.spacing * u.laplacian

    return Term("flat", gradient.region, residual, order=2, weight=1e-5)


def even(axis: int, spacing: float) -> Callable[[Tensor, Jet], Tensor]:
    """The residual [N, 2 C] of an even continuation at the rim: odd normal derivatives are zero."""
    first, third = (tuple(m * (a == axis) for a in range(2)) for m in (1, 3))

    def residual(x: Tensor, u: Jet) -> Tensor:
        return torch.cat([u.derivative(first), spacing**2 * u.derivative(third)], dim=1)

    return residual


def _derivative(image: Image, supervise: str) -> Array:
    """The gradient [height, width, channels, 2] or the Laplacian [height, width, channels]."""
    spacing = Geometry(*image.shape[:2]).spacing
    if supervise == "gradient":
        return sobel_gradient(image.pixels, spacing)
    if supervise == "laplacian":
        return five_point_laplacian(image.pixels, spacing)
    raise ValueError(f"supervise is {supervise!r}, but it must be 'gradient' or 'laplacian'.")


def _term(supervise: str, x: Tensor, data: Tensor, points: int | None) -> Term:
    gradient = supervise == "gradient"
    residual = _gradient_residual if gradient else _laplacian_residual
    order = 1 if gradient else 2
    return Term(supervise, Points(x), residual, order=order, points=points, data=data)


def _per_pixel(array: Array) -> Tensor:
    return torch.from_numpy(array.reshape(-1, *array.shape[2:]))


def _gradient_residual(x: Tensor, u: Jet, gradient: Tensor) -> Tensor:
    return (u.gradient - gradient).flatten(1)


def _laplacian_residual(x: Tensor, u: Jet, laplacian: Tensor) -> Tensor:
    return u.laplacian - laplacian


def reconstruct(field: nn.Module, height: int, width: int) -> Array:
    """The field at the pixel centres, [height, width, channels]."""
    pixels: Array = values(field, Geometry(height, width).pixel_centres()).numpy()
    return pixels.reshape(height, width, -1)
