"""Layers of a network on jets: linear ones, and an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from . import jet_algebra

# Elements of a hidden layer's jet that are worked on at a time, on the CPU.
BLOCK = 1 << 19

# (u, order) -> derivatives 0..order of the activation at u.
Activation = Callable[[Tensor, int], Sequence[Tensor]]


def linear_layer(
    in_channels: int, out_channels: int, bias: bool, random: torch.Generator | None
) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and a bias of zero, on the CPU."""
    layer = nn.Linear(in_channels, out_channels, bias=bias, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=random)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def apply_linear(layer: nn.Module, y: Tensor) -> Tensor:
    """The jet [N, J, out] of a linear layer's output from that of its input, y [N, J, in]."""
    assert isinstance(layer, nn.Linear)
    return add_to_value(nn.functional.linear(y, layer.weight), layer.bias)


def add_to_value(y: Tensor, bias: Tensor | None) -> Tensor:
    """A jet [N, J, out] plus a constant [out], which changes the value only."""
    if bias is None:
        return y
    return y + torch.cat([bias[None], bias.new_zeros(y.shape[1] - 1, bias.shape[0])])


def layers_jet(
    layers: nn.ModuleList, y: Tensor, activation: Activation, dim: int, order: int
) -> Tensor:
    """Jet [N, J, out] of linear layers with an activation between them, from that of the input.

    On the CPU it works through blocks of points whose hidden layer fits the cache.

    Args:
        layers: of `nn.Linear`; no activation follows the last.
        y: jet [N, J, in] of the input.
        activation: gives its derivatives.
    """
    first = layers[0]
    assert isinstance(first, nn.Linear)
    size = max(1, BLOCK // (y.shape[1] * first.out_features))
    if y.device.type != "cpu" or torch.compiler.is_compiling() or y.shape[0] <= size:
        return _layers_jet(layers, y, activation, dim, order)
    blocks = torch.split(y, size)
    return torch.cat([_layers_jet(layers, block, activation, dim, order) for block in blocks])


def _layers_jet(
    layers: nn.ModuleList, y: Tensor, activation: Activation, dim: int, order: int
) -> Tensor:
    for layer in layers[:-1]:
        u = apply_linear(layer, y).unbind(dim=1)
        y = torch.stack(jet_algebra.compose(u, activation(u[0], order), dim, order), dim=1)
    return apply_linear(layers[-1], y)
