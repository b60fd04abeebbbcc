"""Derivatives of images by stencils, and how close two images are."""

import math

import numpy as np
import pytest

from dinfgrid_cuda.suite.tools import metrics
from dinfgrid_cuda.suite.tools.image_derivatives import five_point_laplacian, sobel_gradient


def test_stencils_are_exact_on_low_polynomials():
    spacing = 0.25
    y, x = np.meshgrid(spacing * np.arange(9), spacing * np.arange(7), indexing="ij")
    gradient = sobel_gradient((2 * x - 3 * y)[:, :, None], spacing)[1:-1, 1:-1, 0]
    np.testing.assert_allclose(gradient[..., 0], -3, atol=1e-12)
    np.testing.assert_allclose(gradient[..., 1], 2, atol=1e-12)
    laplacian = five_point_laplacian((x**2 + 2 * y**2)[:, :, None], spacing)[1:-1, 1:-1, 0]
    np.testing.assert_allclose(laplacian, 6, atol=1e-10)


def test_stencils_are_scipys_scaled_to_derivatives():
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = np.random.default_rng(0).random((12, 10))
    gradient = sobel_gradient(pixels[:, :, None], 0.1)[:, :, 0]
    for axis in (0, 1):
        np.testing.assert_allclose(gradient[..., axis], ndimage.sobel(pixels, axis) / 0.8)
    laplacian = five_point_laplacian(pixels[:, :, None], 0.1)[:, :, 0]
    np.testing.assert_allclose(laplacian, ndimage.laplace(pixels) / 0.01, atol=1e-9)


def test_metrics_are_what_they_say():
    pytest.importorskip("skimage")
    image = np.zeros((8, 8, 1))
    image[4:] = 1.0
    assert metrics.psnr(image + 0.1, image) == pytest.approx(20.0)
    assert metrics.psnr(image, image) == math.inf
    np.testing.assert_allclose(metrics.align_mean(image + 7, image), image)
    assert metrics.rescaled_psnr(3 * image - 2, image) == math.inf
    assert metrics.ssim(image, image) == pytest.approx(1.0)
