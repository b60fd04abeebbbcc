"""The hard constraint that holds the upper corners of a hanging sheet."""

from __future__ import annotations

import torch
from torch import Tensor

from dinfgrid_cuda import Constraint, Jet
from dinfgrid_cuda.fields.constraints import bell_derivatives
from dinfgrid_cuda.kernels.multi_index import multi_indices

Corners = tuple[tuple[float, float], tuple[float, float]]
CORNERS: Corners = ((-1.0, 1.0), (1.0, 1.0))
# The paper's width of the factor, in m^2.
SIGMA = 0.01


def bell(x: Tensor, corner: tuple[float, float], sigma: float, order: int) -> Jet:
    """The jet of exp(-|x - corner|^2 / sigma), a product over the axes."""
    axes = [bell_derivatives(x[:, axis] - corner[axis], sigma, order) for axis in (0, 1)]
    components = [axes[0][i] * axes[1][j] for i, j in multi_indices(2, order)]
    return Jet(torch.stack(components, dim=1)[:, :, None], 2, order)


class Squeeze:
    """The values g(xi) = (-inward xi_1, 0, 0), which move points at xi_1 = -1 and 1 inwards."""

    def __init__(self, inward: float) -> None:
        self.inward = inward

    def __call__(self, x: Tensor) -> Tensor:
        """The values g [N, 3], in m."""
        return self.jet(x, 0).value

    def jet(self, x: Tensor, order: int) -> Jet:
        """The jet of g."""
        value = x.new_zeros(len(x), 3)
        value[:, 0] = -self.inward * x[:, 0]
        jet = Jet.constant(value, 2, order)
        if order:
            jet.components[:, 1, 0] = -self.inward  # by xi_1
        return jet


class HeldCorners(Constraint):
    """Holds u = g in both corners: B is the product over them of 1 - exp(-dist^2 / sigma).

    Args:
        inward: how far each moves, in m.
        corners: at (-c, d) and (c, d), in m.
        sigma: in m^2.
    """

    def __init__(self, inward: float, corners: Corners = CORNERS, sigma: float = SIGMA) -> None:
        super().__init__(Squeeze(inward / corners[1][0]))
        self.corners, self.sigma = corners, sigma

    def factor(self, x: Tensor) -> Tensor:
        """The factor B, [N, 1]."""
        return self.factor_jet(x, 0).value

    def factor_jet(self, x: Tensor, order: int) -> Jet:
        """The jet of the factor B."""
        first, second = (1 - bell(x, corner, self.sigma, order) for corner in self.corners)
        return first * second
