"""How close a reconstruction is to an image, both [height, width, channels]."""

from __future__ import annotations

import math

import numpy as np

from .images import Array


def align_mean(reconstruction: Array, image: Array) -> Array:
    """The reconstruction with each channel's mean set to the image's: a derivative has none."""
    shift = image.mean(axis=(0, 1)) - reconstruction.mean(axis=(0, 1))
    aligned: Array = reconstruction + shift
    return aligned


def psnr(reconstruction: Array, image: Array) -> float:
    """The PSNR 10 log10(1 / mean square error), in dB; infinite for equal arrays."""
    error = float(np.mean((reconstruction - image) ** 2))
    return -10 * math.log10(error) if error > 0 else math.inf


def rescale(array: Array) -> Array:
    """The array mapped to [0, 1] by its own smallest and largest value."""
    low, high = float(array.min()), float(array.max())
    return (array - low) / (high - low) if high > low else np.zeros_like(array)


def rescaled_psnr(reconstruction: Array, image: Array) -> float:
    """The paper's PSNR in dB: both arrays are rescaled to [0, 1] by their own extremes first.

    It does not see a wrong contrast, and one outlying pixel changes it.
    """
    return psnr(rescale(reconstruction), rescale(image))


def ssim(reconstruction: Array, image: Array) -> float:
    """The structural similarity of scikit-image, 7 x 7 windows, range 1; 1 for equal images."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(image, reconstruction, data_range=1.0, channel_axis=2))
