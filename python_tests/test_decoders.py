"""Decoders: binding, initial weights, and derivatives carried through."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dinfgrid_cuda.fields import layers
from dinfgrid_cuda.fields.decoders import Decoder, LinearDecoder, MLPDecoder
from dinfgrid_cuda.fields.jet_algebra import by_autograd
from dinfgrid_cuda.kernels.multi_index import jet_size

MAKERS = [
    lambda **kw: LinearDecoder(3, seed=1, **kw),
    lambda **kw: LinearDecoder(1, bias=False, seed=1, **kw),
    lambda **kw: MLPDecoder(3, hidden=8, seed=1, **kw),
    lambda **kw: MLPDecoder(2, hidden=5, layers=3, seed=1, **kw),
]


def inner(x: Tensor) -> Tensor:
    """Four features of x whose derivatives are all different."""
    phase = x @ torch.linspace(1, 2, x.shape[1]).to(x)
    return torch.stack([torch.sin(phase), torch.exp(-phase), x[:, 0] ** 3, phase**2], dim=1)


def perturbed(decoder: Decoder) -> Decoder:
    """Biases start at zero, where a bias added to every derivative would not show."""
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.3)
    return decoder


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("dim", "order"), [(1, 5), (2, 0), (2, 2), (2, 4), (3, 2), (4, 3)])
def test_jet_is_the_derivative_of_the_forward_pass(make: Any, dim: int, order: int) -> None:
    decoder = perturbed(make(in_channels=4).double())
    x = torch.rand(6, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
    jet = decoder.jet(by_autograd(inner, x, order), dim, order)
    expected = by_autograd(lambda s: decoder(inner(s)), x, order)
    assert jet.shape == (6, jet_size(dim, order), decoder.out_channels)
    assert (jet - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("make", MAKERS)
def test_jet_passes_gradcheck_twice_in_inputs_and_weights(make: Any) -> None:
    module = _Jet(perturbed(make(in_channels=2).double()))
    names, weights = zip(*module.named_parameters(), strict=True)
    random = torch.Generator().manual_seed(0)
    y = torch.randn(2, 6, 2, dtype=torch.float64, generator=random).requires_grad_()

    def run(y: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(names, weights, strict=True))
        result: Tensor = torch.func.functional_call(module, named, (y,))
        return result

    assert torch.autograd.gradcheck(run, (y, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (y, *weights), fast_mode=True)


class _Jet(torch.nn.Module):
    """Makes `jet` the forward pass, for functional_call."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.d = decoder

    def forward(self, y: Tensor) -> Tensor:
        return self.d.jet(y, 2, 2)


def test_weights_start_xavier_uniform_and_biases_zero() -> None:
    decoder = MLPDecoder(2, hidden=300, in_channels=200, seed=3)
    for layer in decoder.network:
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound
        assert layer.bias.abs().max() == 0


@pytest.mark.parametrize("make", MAKERS)
def test_seed_decides_the_weights(make: Any) -> None:
    first = make(in_channels=4)
    torch.rand(3)
    for a, b in zip(first.parameters(), make(in_channels=4).parameters(), strict=True):
        assert torch.equal(a, b)


def test_parameters_exist_once_bound_and_are_kept() -> None:
    decoder = LinearDecoder(2)
    assert list(decoder.parameters()) == []
    decoder.bind(6, torch.float64)
    weight = decoder.layer.weight
    assert (weight.shape, weight.dtype) == ((2, 6), torch.float64)
    decoder.bind(6)
    assert decoder.layer.weight is weight


def test_binding_to_another_grid_is_refused() -> None:
    decoder = LinearDecoder(2, in_channels=6)
    with pytest.raises(ValueError, match=r"takes 6 input channels.*levels \* channels = 4"):
        decoder.bind(4)


@pytest.mark.parametrize("decoder", [LinearDecoder(1), MLPDecoder(1)])
def test_using_an_unbound_decoder_is_refused(decoder: Decoder) -> None:
    with pytest.raises(RuntimeError, match="not bound to a grid yet"):
        decoder(torch.zeros(3, 4))
    with pytest.raises(RuntimeError, match="not bound to a grid yet"):
        decoder.jet(torch.zeros(3, 6, 4), 2, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinearDecoder(0),
        lambda: LinearDecoder(1.0),
        lambda: MLPDecoder(1, hidden=0),
        lambda: MLPDecoder(1, layers=0),
        lambda: LinearDecoder(1, in_channels=0),
    ],
)
def test_bad_sizes_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="pass a positive integer"):
        make()


def test_blocks_of_points_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = perturbed(MLPDecoder(2, hidden=8, in_channels=4, seed=1).double())
    y = torch.randn(11, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    whole = decoder.jet(y, 2, 2)
    for rows in (1, 3, 11):
        monkeypatch.setattr(layers, "BLOCK", rows * 6 * 8)
        torch.testing.assert_close(decoder.jet(y, 2, 2), whole, rtol=1e-13, atol=1e-13)


def test_folding_commutes_with_interpolation() -> None:
    decoder = LinearDecoder(3, in_channels=4, seed=1).double()
    features = torch.randn(10, 2, dtype=torch.float64)
    folded = decoder.fold(features, [7, 3])
    first, second = decoder.layer.weight.split(2, dim=1)
    torch.testing.assert_close(folded[:7], features[:7] @ first.T)
    torch.testing.assert_close(folded[7:], features[7:] @ second.T)
