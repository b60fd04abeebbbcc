"""Decoders: from interpolated features to the field's output channels, with derivatives.

A decoder is bound to its number of input channels by the `Field` it is given to, or by
``in_channels``; its parameters exist from then on. Weights are Xavier-uniform, biases zero.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import is_int, plain_int

from . import jet_algebra
from .layers import add_to_value, apply_linear, layers_jet, linear_layer

# Of the scalar products of weights: in float32 they are orthonormal to this.
ORTHONORMAL = 1e-5


def _positive(value: int, name: str) -> int:
    value = plain_int(value)
    if not is_int(value) or value < 1:
        raise ValueError(f"decoder: {name} is {value!r}; pass a positive integer.")
    return value


class Decoder(nn.Module):
    """Base of the decoders: a function of the features at a point, with its derivatives.

    Args:
        out_channels: channels of the field.
        in_channels: input channels; None leaves them to the `Field`.
        seed: for the weights; without it torch's global generator is used.
    """

    def __init__(
        self, out_channels: int = 1, in_channels: int | None = None, seed: int | None = None
    ) -> None:
        super().__init__()
        self.out_channels = _positive(out_channels, "out_channels")
        self.in_channels: int | None = None
        self.seed = seed
        self._requested = in_channels

    def bind(
        self,
        in_channels: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        """Creates the parameters for ``in_channels`` inputs, unless they exist, and moves them.

        Args:
            in_channels: levels * channels of the grid.
            dtype, device: of the grid's features; None leaves the parameters as they are.

        Raises:
            ValueError: if the decoder is bound to another number of channels already.
        """
        in_channels = _positive(in_channels, "in_channels")
        known = self.in_channels or self._requested
        if known is not None and known != in_channels:
            raise ValueError(
                f"decoder: it takes {known} input channels, but the grid has levels * channels = "
                f"{in_channels}; make a new decoder for this grid."
            )
        if self.in_channels is None:
            self.in_channels = in_channels
            random = None if self.seed is None else torch.Generator().manual_seed(self.seed)
            self._create(in_channels, random)
        self.to(dtype=dtype, device=device)

    def _create(self, in_channels: int, random: torch.Generator | None) -> None:
        raise NotImplementedError

    def jet(self, y: Tensor, dim: int, order: int) -> Tensor:
        """Derivatives [N, J, out] of the output from those of the input, y [N, J, in]."""
        raise NotImplementedError

    def _need_bound(self) -> None:
        if self.in_channels is None:
            raise RuntimeError(
                "decoder: it is not bound to a grid yet; pass it to Field(grid, decoder) or call "
                "bind(in_channels)."
            )

    def extra_repr(self) -> str:
        """Names the numbers of channels."""
        return f"in_channels={self.in_channels}, out_channels={self.out_channels}"


class LinearDecoder(Decoder):
    """out = W y + b, carried by jets of any order.

    Args:
        out_channels: channels of the field.
        bias: whether there is a b.
        in_channels, seed: as in `Decoder`.
    """

    layer: nn.Linear

    def __init__(
        self,
        out_channels: int = 1,
        bias: bool = True,
        in_channels: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(out_channels, in_channels, seed)
        self.has_bias = bool(bias)
        if in_channels is not None:
            self.bind(in_channels)

    def _create(self, in_channels: int, random: torch.Generator | None) -> None:
        self.layer = linear_layer(in_channels, self.out_channels, self.has_bias, random)

    def forward(self, y: Tensor) -> Tensor:
        """Returns the outputs [N, out] of features y [N, in]."""
        self._need_bound()
        output: Tensor = self.layer(y)
        return output

    def jet(self, y: Tensor, dim: int, order: int) -> Tensor:
        """Derivatives [N, J, out] of the output from those of the input, y [N, J, in]."""
        self._need_bound()
        return apply_linear(self.layer, y)

    def fold(self, features: Tensor, levels: list[int]) -> Tensor:
        """Returns a grid's features multiplied by the decoder's weights, level by level.

        Summed over levels, they interpolate to W y: the decoder and the interpolation commute.

        Args:
            features: [total nodes, channels].
            levels: nodes of each level, in order. Levels beyond those that the weights are for
                are local ones, and have the weights of the first.

        Returns:
            [total nodes, out_channels]; the bias is not in it (see `add_bias`).
        """
        self._need_bound()
        weights = torch.split(self.layer.weight, features.shape[1], dim=1)
        weights += (weights[0],) * (len(levels) - len(weights))
        pairs = zip(torch.split(features, levels), weights, strict=True)
        return torch.cat([level @ weight.T for level, weight in pairs])

    def add_bias(self, y: Tensor) -> Tensor:
        """Adds b to the value of a jet [N, J, out] of the folded grid."""
        return add_to_value(y, self.layer.bias)

    @torch.no_grad()
    def orthogonalise(self, features: Tensor, levels: list[int]) -> Tensor:
        """Makes each level's weights orthonormal and returns the features that give the same u.

        Random weights mix the outputs with a condition of up to 1e4, which a solver for the
        features inherits. Of a level W [out, C] and F [nodes, C]: with as many channels as outputs
        W' = 1 and F' = F W^T; with fewer W = Q R, W' = Q and F' = F R^T; with more W = L Q, W' = Q
        and F' = F + F Q^T (L^T - 1) Q, so that in each case F' W'^T = F W^T.

        Args:
            features: [total nodes, channels].
            levels: nodes of each level, in order, as of `fold`.

        Returns:
            [total nodes, channels]; ``features`` itself where the weights are orthonormal already.
        """
        self._need_bound()
        blocks = torch.split(self.layer.weight.double(), features.shape[1], dim=1)
        if all(_orthonormal(block) for block in blocks):
            return features
        pairs = [_orthonormalised(block) for block in blocks]
        changes = [change for _, change in pairs]
        changes += changes[:1] * (len(levels) - len(changes))
        parts = zip(torch.split(features.double(), levels), changes, strict=True)
        result = torch.cat([level @ change.T for level, change in parts]).to(features)
        # Last, since a change may be the old weights themselves.
        self.layer.weight.copy_(torch.cat([weight for weight, _ in pairs], dim=1))
        return result


def _orthonormal(block: Tensor) -> bool:
    """Whether the rows of weights [out, C] are orthonormal, or the columns if they are fewer."""
    short = block if block.shape[0] <= block.shape[1] else block.T
    unit = torch.eye(len(short), dtype=block.dtype, device=block.device)
    return bool(((short @ short.T - unit).abs() < ORTHONORMAL).all())


def _orthonormalised(block: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal weights W' [out, C] and a change T [C, C] with W' T = W [out, C]."""
    out, channels = block.shape
    unit = torch.eye(channels, dtype=block.dtype, device=block.device)
    if out == channels:
        return unit, block
    if out > channels:
        q, r = torch.linalg.qr(block)
        return q, r
    q, r = torch.linalg.qr(block.T)  # W = R' Q'
    return q.T, unit + q @ (r.T - unit[:out, :out]) @ q.T


class IdentityDecoder(LinearDecoder):
    """Channel i of u is channel i of the grid, summed over the levels: fixed weights, no bias.

    What a `Field` of several channels has without a decoder: its channels are the unknowns.

    Args:
        out_channels: channels of the grid.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__(out_channels, bias=False)

    def _create(self, in_channels: int, random: torch.Generator | None) -> None:
        if in_channels % self.out_channels:
            raise ValueError(
                f"decoder: {in_channels} features do not divide into {self.out_channels} channels "
                "a level; take a grid of as many channels, or a LinearDecoder."
            )
        super()._create(in_channels, random)
        unit = torch.eye(self.out_channels)
        with torch.no_grad():
            self.layer.weight.copy_(unit.repeat(1, in_channels // self.out_channels))
        self.layer.weight.requires_grad_(False)


class MLPDecoder(Decoder):
    """A tanh network, carried by jets of any order with the analytic derivatives of tanh.

    Args:
        out_channels: channels of the field.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
        in_channels, seed: as in `Decoder`.
    """

    network: nn.ModuleList

    def __init__(
        self,
        out_channels: int = 1,
        hidden: int = 64,
        layers: int = 1,
        in_channels: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(out_channels, in_channels, seed)
        self.hidden = _positive(hidden, "hidden")
        self.layers = _positive(layers, "layers")
        if in_channels is not None:
            self.bind(in_channels)

    def _create(self, in_channels: int, random: torch.Generator | None) -> None:
        widths = [in_channels, *[self.hidden] * self.layers, self.out_channels]
        pairs = pairwise(widths)
        self.network = nn.ModuleList(linear_layer(a, b, True, random) for a, b in pairs)

    def forward(self, y: Tensor) -> Tensor:
        """Returns the outputs [N, out] of features y [N, in]."""
        self._need_bound()
        for layer in self.network[:-1]:
            y = torch.tanh(layer(y))
        output: Tensor = self.network[-1](y)
        return output

    def jet(self, y: Tensor, dim: int, order: int) -> Tensor:
        """Derivatives [N, J, out] of the output from those of the input, y [N, J, in].

        It takes memory for N * J * hidden numbers a layer. On the CPU it works through blocks of
        points whose hidden layer fits the cache: at 65,536 points, order 2 and 64 hidden channels
        that is 2.7 times faster, backward pass included.
        """
        self._need_bound()
        return layers_jet(self.network, y, jet_algebra.tanh_derivatives, dim, order)

    def extra_repr(self) -> str:
        """Names the numbers of channels, and of hidden layers and their width."""
        return f"{super().extra_repr()}, hidden={self.hidden}, layers={self.layers}"
