"""CoordinateNetwork: SIREN and tanh networks of the coordinates, the models a grid is compared to.

They carry jets as a `Field` does, so that a `Problem` can be solved with either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import is_int
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.kernels.multi_index import jet_size

from . import jet_algebra
from .constraints import Constraint
from .jet import Jet
from .layers import layers_jet

ACTIVATIONS = ("sine", "tanh")
OMEGA = 30.0


class CoordinateNetwork(nn.Module):
    """The network u(x) = W tanh(... tanh(W x + b)) + b, or the same with sines: a SIREN.

    Coordinates are mapped from the box to [-1, 1] first. A sine layer is sin(omega (W x + b)), its
    initial weights those of SIREN (Sitzmann et al., 2020, section 3.2): uniform in +-1/in in the
    first layer, in +-sqrt(6/in)/omega after it. tanh layers are Xavier-uniform.

    Args:
        box: the domain.
        out_channels: channels of u.
        hidden, layers: width and number of hidden layers.
        activation: "sine" or "tanh".
        omega: frequency of the sine layers.
        constraint: hard boundary values, as for a `Field`.
        dtype: of the parameters.
        seed: of the initial weights.

    Raises:
        ValueError: for sizes below 1 or an unknown activation.
    """

    def __init__(
        self,
        box: Box,
        out_channels: int = 1,
        hidden: int = 256,
        layers: int = 3,
        activation: str = "sine",
        omega: float = OMEGA,
        constraint: Constraint | None = None,
        dtype: torch.dtype | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"network: activation is {activation!r}; pass one of {ACTIVATIONS}.")
        for name, size in (("out_channels", out_channels), ("hidden", hidden), ("layers", layers)):
            if not is_int(size) or size < 1:
                raise ValueError(f"network: {name} is {size!r}; pass a positive integer.")
        self.box = box
        self.out_channels = out_channels
        self.activation, self.omega = activation, float(omega)
        dtype = dtype or torch.get_default_dtype()
        widths = [box.dim, *[hidden] * layers, out_channels]
        random = torch.Generator().manual_seed(seed)
        self.network = nn.ModuleList(
            self._layer(a, b, index, dtype, random) for index, (a, b) in enumerate(pairwise(widths))
        )
        self.constraint = constraint
        if constraint is not None:
            constraint.bind(box.dim, box.lower, box.upper)
            constraint.to(dtype=dtype)

    def _layer(
        self, into: int, out: int, index: int, dtype: torch.dtype, random: torch.Generator
    ) -> nn.Linear:
        layer = nn.Linear(into, out, dtype=dtype, device="meta").to_empty(device="cpu")
        if self.activation == "tanh":
            nn.init.xavier_uniform_(layer.weight, generator=random)
            nn.init.zeros_(layer.bias)
            return layer
        reach = 1 / into if index == 0 else math.sqrt(6 / into) / self.omega
        nn.init.uniform_(layer.weight, -reach, reach, generator=random)
        nn.init.uniform_(layer.bias, -1 / math.sqrt(into), 1 / math.sqrt(into), generator=random)
        return layer

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.box.dim

    def forward(self, x: Tensor) -> Tensor:
        """Returns u [N, out] at points x [N, dim]."""
        return self.jet(x, 0).value

    def jet(self, x: Tensor, order: int) -> Jet:
        """u and its partial derivatives up to ``order`` at points x [N, dim].

        It takes memory for N * J * hidden numbers a layer.
        """
        if x.dim() != 2 or x.shape[1] != self.dim:
            raise ValueError(
                f"network: x has shape {tuple(x.shape)}, but points have shape [N, {self.dim}]."
            )
        y = layers_jet(self.network, self._coordinates(x, order), self._activation, self.dim, order)
        net = Jet(y, self.dim, order)
        return net if self.constraint is None else self.constraint.jet(x, net)

    def _coordinates(self, x: Tensor, order: int) -> Tensor:
        """The jet [N, J, dim] of the coordinates mapped to [-1, 1]."""
        middle = [(a + b) / 2 for a, b in zip(self.box.lower, self.box.upper, strict=True)]
        scales = [2 / length for length in self.box.lengths]
        value = torch.stack([(x[:, k] - middle[k]) * scales[k] for k in range(self.dim)], dim=1)
        rest = x.new_zeros(x.shape[0], jet_size(self.dim, order) - 1, self.dim)
        if order:
            for k, scale in enumerate(scales):
                rest[:, k, k] = scale
        return torch.cat([value[:, None], rest], dim=1)

    def _activation(self, u: Tensor, order: int) -> Sequence[Tensor]:
        if self.activation == "tanh":
            return jet_algebra.tanh_derivatives(u, order)
        sine, cosine = torch.sin(self.omega * u), torch.cos(self.omega * u)
        cycle = (sine, cosine, -sine, -cosine)
        return [cycle[m % 4] * self.omega**m for m in range(order + 1)]

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
