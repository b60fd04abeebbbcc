"""Images that several test files share."""

import numpy as np

from dinfgrid_cuda.suite.tools.images import Image


def smooth_image(height, width, channels=1):
    """Blobs that a pixel grid resolves, so that stencils are accurate."""
    y, x = np.meshgrid(np.linspace(0, 3, height), np.linspace(0, 4, width), indexing="ij")
    planes = [0.5 + 0.4 * np.sin(x + 0.3 * c) * np.cos(1.3 * y + c) for c in range(channels)]
    return np.stack(planes, axis=-1)


def as_image(pixels):
    return Image(pixels, "test", pixels.shape[:2])
