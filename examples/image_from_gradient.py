"""An image from its gradient: ∇u = g at the pixels, and nothing else.

g is the Sobel gradient of the camera man of scikit-image; without scikit-image, of a pattern. The
coordinates are (row, column), so that the nodes of the grid are the pixels. A Sobel filter blurs an
image across the derivative; hence no u has these gradients exactly, and 33 dB is a good result.
"""

import numpy as np
import torch
from scipy.ndimage import sobel

import dinfgrid_cuda as dg

torch.set_default_dtype(torch.float64)
try:
    from skimage.data import camera

    image = camera() / 255
except ImportError:
    row, column = np.mgrid[:512, :512] / 512
    image = (2 + np.sin(40 * row * column) + (row > column)) / 4

n = len(image)
pixels = torch.from_numpy(np.indices((n, n)).reshape(2, -1).T.astype(float))
gradient = torch.from_numpy(np.stack([sobel(image, 0), sobel(image, 1)], axis=-1) / 8)


def slope(x, u, g):
    return u.gradient[:, 0] - g


box = dg.Box([0, 0], [n - 1, n - 1])
data = gradient.reshape(-1, 2)
term = dg.Term("gradient", dg.Points(pixels), slope, order=1, data=data)
grid = dg.FeatureGrid(2, n - 1, lower=0, upper=n - 1, basis=dg.BSpline(3))
field = dg.Field(grid)
dg.solve(dg.Problem(box, [term]), field)  # warns that the mean of u is open

restored = field(pixels).detach().numpy().reshape(n, n)
restored += image.mean() - restored.mean()
error = np.sqrt(np.mean((restored - image) ** 2))
print(f"error of u (rms): {error:.1e}, PSNR {-20 * np.log10(error):.1f} dB")
