"""Jet: names of the derivatives, arithmetic by Leibniz' rule, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.jet_algebra import by_autograd, compose, tanh_derivatives
from dinfgrid_cuda.kernels.multi_index import jet_size

Function = Callable[[Tensor], Tensor]


def points(dim: int, n: int = 5) -> Tensor:
    return torch.rand(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))


def smooth(x: Tensor) -> Tensor:
    """Two channels whose derivatives are all different."""
    phase = x @ torch.arange(1, x.shape[1] + 1).to(x)
    return torch.stack([torch.sin(phase) + x[:, 0] ** 3, torch.exp(0.5 * phase)], dim=1)


def other(x: Tensor) -> Tensor:
    return torch.stack([1.5 + torch.cos(x[:, 0] * x[:, -1]), 2 + x.sum(1) ** 2], dim=1)


def same(jet: Jet, function: Function, x: Tensor) -> None:
    expected = by_autograd(function, x, jet.order)
    scale = expected.abs().max()
    assert (jet.components - expected).abs().max() <= 1e-12 * scale


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_jet_of_a_polynomial_holds_its_derivatives(dim: int) -> None:
    x = points(dim)
    powers = (2, 1, 3, 1)[:dim]
    jet = Jet.of(
        lambda at: torch.stack([at[:, k] ** p for k, p in enumerate(powers)]).prod(0), x, 4
    )
    assert jet.components.shape == (5, jet_size(dim, 4), 1)
    alpha = (2, *[0] * (dim - 1))
    rest = torch.stack([x[:, k] ** powers[k] for k in range(1, dim)]) if dim > 1 else torch.ones(1)
    torch.testing.assert_close(jet.derivative(alpha)[:, 0], 2 * rest.prod(0).expand(5).double())
    # Zero but for rounding: a product of values in [0, 1] differentiated three times.
    assert jet.derivative((3, *alpha[1:])).abs().max() <= 1e-14


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_named_derivatives_match_autograd(dim: int) -> None:
    x = points(dim)
    jet = Jet.of(smooth, x, 4)
    for channel in range(2):
        for n in range(5):
            point = x[n]
            scalar = lambda p, c=channel: smooth(p[None])[0, c]  # noqa: E731
            gradient = torch.func.grad(scalar)(point)
            hessian = torch.func.hessian(scalar)(point)
            torch.testing.assert_close(jet.gradient[n, channel], gradient)
            torch.testing.assert_close(jet.hessian[n, channel], hessian)
            torch.testing.assert_close(jet.laplacian[n, channel], hessian.trace())
            laplacian = lambda p, s=scalar: torch.func.hessian(s)(p).trace()  # noqa: E731
            twice = torch.func.hessian(laplacian)(point).trace()
            torch.testing.assert_close(jet.bilaplacian[n, channel], twice)
    assert jet.value.shape == (5, 2)
    assert jet.gradient.shape == (5, 2, dim)
    assert jet.hessian.shape == (5, 2, dim, dim)


@pytest.mark.parametrize(("dim", "order"), [(1, 5), (2, 4), (3, 2), (4, 3)])
def test_arithmetic_is_that_of_the_functions(dim: int, order: int) -> None:
    x = points(dim)
    a, b = Jet.of(smooth, x, order), Jet.of(other, x, order)
    same(a + b, lambda s: smooth(s) + other(s), x)
    same(a - b, lambda s: smooth(s) - other(s), x)
    same(a * b, lambda s: smooth(s) * other(s), x)
    same(a / b, lambda s: smooth(s) / other(s), x)
    same(a**3, lambda s: smooth(s) ** 3, x)
    same(2 - 3 * a / 4 + 1, lambda s: 3 - 0.75 * smooth(s), x)
    same(1 / b, lambda s: 1 / other(s), x)
    same(-a, lambda s: -smooth(s), x)


def test_tensors_count_as_constants_on_either_side() -> None:
    x = points(2)
    jet = Jet.of(smooth, x, 2)
    for factor in (x[:, 0], x[:, :1], x, torch.tensor(3.0, dtype=torch.float64)):
        column = factor[:, None] if factor.dim() == 1 else factor
        for made, value in [
            (factor * jet, column * jet.value),
            (jet * factor, column * jet.value),
            (factor + jet, column + jet.value),
            (jet - factor, jet.value - column),
            (factor - jet, column - jet.value),
            (jet / (1 + factor), jet.value / (1 + column)),
            (factor / jet, column / jet.value),
        ]:
            torch.testing.assert_close(made.value, value)
    torch.testing.assert_close((x[:, 0] * jet).laplacian, x[:, :1] * jet.laplacian)
    torch.testing.assert_close((x[:, 0] + jet).laplacian, jet.laplacian)


def test_result_has_the_lower_order() -> None:
    x = points(2)
    product = Jet.of(smooth, x, 3) * Jet.of(other, x, 1)
    assert product.order == 1
    same(product, lambda s: smooth(s) * other(s), x)


def test_channels_can_be_chosen() -> None:
    jet = Jet.of(smooth, points(2), 2)
    assert jet[1].value.shape == (5, 1)
    torch.testing.assert_close(jet[1].hessian, jet.hessian[:, 1:])
    torch.testing.assert_close(jet[-1].components, jet[1].components)
    torch.testing.assert_close(jet[0:2].value, jet.value)
    assert [channel.value.shape for channel in jet] == [(5, 1), (5, 1)]
    with pytest.raises(IndexError, match="channel 2 does not exist"):
        jet[2]
    with pytest.raises(TypeError, match="integer or a slice"):
        jet["u"]  # type: ignore[index]


def test_too_high_an_order_is_refused_with_the_way_out() -> None:
    jet = Jet.of(smooth, points(2), 1)
    for ask in ("hessian", "laplacian"):
        with pytest.raises(ValueError, match=rf"{ask} needs order 2.*field.jet\(x, order=2\)"):
            getattr(jet, ask)
    with pytest.raises(ValueError, match="bilaplacian needs order 4"):
        _ = jet.bilaplacian
    with pytest.raises(ValueError, match=r"derivative\(\(1, 1\)\) needs order 2"):
        jet.derivative((1, 1))
    with pytest.raises(ValueError, match="truncate"):
        jet.truncate(2)


def test_misfits_are_refused() -> None:
    jet = Jet.of(smooth, points(2), 1)
    with pytest.raises(ValueError, match="has 3 entries"):
        jet.derivative((1, 0, 0))
    with pytest.raises(ValueError, match="no multi-index"):
        jet.derivative((-1, 1))
    with pytest.raises(ValueError, match="needs"):
        Jet(torch.zeros(5, 4, 1), 2, 1)
    with pytest.raises(ValueError, match="2-D and 3-D"):
        _ = jet * Jet.of(smooth, points(3), 1)
    with pytest.raises(ValueError, match="does not fit"):
        _ = jet * torch.ones(4)
    with pytest.raises(ValueError, match="positive integers"):
        _ = jet**-1
    with pytest.raises(TypeError, match=r"torch\.sin does not take a Jet"):
        torch.sin(jet)  # type: ignore[call-overload]
    column: Any = jet.value
    with pytest.raises(TypeError, match=r"torch\.sub with alpha does not take a Jet"):
        torch.sub(column, jet, alpha=2)
    with pytest.raises(TypeError, match=r"torch\.div with rounding_mode does not"):
        torch.div(jet, column, rounding_mode="floor")


def test_square_shapes_are_not_guessed() -> None:
    jet = Jet.of(smooth, points(2, n=2), 1)
    with pytest.raises(ValueError, match="does not fit 2 points with 2 channels"):
        _ = jet * torch.ones(2, dtype=torch.float64)


def test_jet_of_a_wrongly_shaped_function_is_refused() -> None:
    with pytest.raises(ValueError, match="must return"):
        Jet.of(lambda x: x.sum(), points(2), 1)


def test_jet_of_a_constant_is_zero_past_the_value() -> None:
    x = points(2)
    for function in (lambda s: torch.ones_like(s), lambda s: 0 * s + 1):
        jet = Jet.of(function, x, 3)
        assert jet.components[:, 1:].abs().max() == 0
    assert Jet.constant(x, 2, 3).components[:, 1:].abs().max() == 0


def test_jet_of_a_function_stays_differentiable_in_its_parameters() -> None:
    x, scale = points(2), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    jet = Jet.of(lambda s: torch.sin(scale * s[:, 0]), x, 2)
    (slope,) = torch.autograd.grad(jet.laplacian.sum(), scale)
    phase = 2 * x[:, 0]
    expected = (-4 * torch.sin(phase) - 4 * x[:, 0] * torch.cos(phase)).sum()
    torch.testing.assert_close(slope, expected)


def test_jet_of_works_without_gradients() -> None:
    x = points(2)
    expected = Jet.of(smooth, x, 2).components
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            jet = Jet.of(smooth, x, 2)
        assert not jet.components.requires_grad
        torch.testing.assert_close(jet.components, expected.detach())


@pytest.mark.parametrize("order", range(6))
def test_tanh_derivatives_match_autograd(order: int) -> None:
    u = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    expected = by_autograd(torch.tanh, u, order)
    for m, row in enumerate(tanh_derivatives(u, order)):
        torch.testing.assert_close(row, expected[:, m], rtol=1e-12, atol=1e-12)


def test_composition_is_the_chain_rule() -> None:
    x = points(3)
    inner = by_autograd(smooth, x, 4)
    outer = tanh_derivatives(inner[:, 0], 4)
    made = torch.stack(compose(inner.unbind(1), outer, 3, 4), dim=1)
    expected = by_autograd(lambda s: torch.tanh(smooth(s)), x, 4)
    assert (made - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.slow
def test_jet_passes_third_order_gradcheck() -> None:
    x = points(2, n=3)
    components = by_autograd(smooth, x, 2).detach().requires_grad_()

    def loss(c: Tensor) -> Tensor:
        jet = Jet(c, 2, 2)
        return (jet * jet / (jet + 7) - x[:, 0] * jet).laplacian

    def slope(c: Tensor) -> Tensor:
        return torch.autograd.grad((loss(c) ** 2).sum(), c, create_graph=True)[0]

    assert torch.autograd.gradcheck(loss, components)
    assert torch.autograd.gradgradcheck(slope, components)
