"""Burgers' equation with u(0, x) = -sin(pi x): the exact solution.

By the transformation of Cole (1951) and Hopf (1950), u is a quotient of two integrals of the heat
kernel (Basdevant et al., Computers & Fluids 14, 1986),

    u(t, x) = - int sin(pi y) f(y) exp(-(x - y)^2 / (4 nu t)) dy / int f(y) exp(...) dy,

f(y) = exp(-cos(pi y) / (2 pi nu)); with y = x - 2 sqrt(nu t) s, weighted by exp(-s^2).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# Small viscosities push the integrand away from s = 0, large ones make it oscillate: in between 160
# nodes are exact to rounding.
NODES = 160
SMALLEST, LARGEST = 1e-3, 0.1
CHUNK = 1 << 13  # points evaluated at a time


def solution(x: Tensor, viscosity: float, nodes: int = NODES) -> Tensor:
    """The exact u [N] at points (t, x) [N, 2], t >= 0; differentiable by x where t > 0.

    Args:
        x: the points; the quadrature is done in float64.
        viscosity: nu, from `SMALLEST` to `LARGEST`.
        nodes: of the Gauss-Hermite quadrature.
    """
    places, weights = np.polynomial.hermite.hermgauss(nodes)
    s = torch.from_numpy(places).to(x.device)
    # The outermost weights underflow; their nodes contribute nothing.
    logs = torch.from_numpy(np.log(np.maximum(weights, 1e-300))).to(x.device)

    def quotient(chunk: Tensor) -> Tensor:
        t, at = chunk[:, :1].double(), chunk[:, 1:].double()
        angle = math.pi * (at - 2 * (viscosity * t).sqrt() * s)
        shares = torch.softmax(logs - angle.cos() / (2 * math.pi * viscosity), dim=1)
        return -(shares * angle.sin()).sum(dim=1)

    return torch.cat([quotient(chunk) for chunk in x.split(CHUNK)]).to(x.dtype)
