"""Field under what torch wraps around it: torch.func, forward mode, autocast."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import solving
import torch
from solving import random_points
from torch import Tensor
from torch.autograd import forward_ad

from dinfgrid_cuda.fields.constraints import BoxConstraint, Constraint, DistanceConstraint
from dinfgrid_cuda.fields.decoders import LinearDecoder, MLPDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.kernels.basis import Gaussian

FIELDS: dict[str, Any] = {
    "linear": lambda: LinearDecoder(2, seed=1),
    "mlp": lambda: MLPDecoder(2, hidden=8, seed=1),
}
SHAPES: dict[str, Any] = {
    "free": lambda: None,
    "value": lambda: BoxConstraint(lambda x: torch.sin(3 * x[:, :1]) * x[:, 1:]),
    "trained": lambda: BoxConstraint(torch.nn.Linear(2, 2)),
    "distance": lambda: DistanceConstraint(lambda x: x[:, 0] ** 2 + x[:, 1] - 1, 1.0, sigma=0.5),
}


def make_field(decoder: str, constraint: Constraint | None) -> Field:
    """A field whose features are of order 1."""
    settings = {"seed": 3, "scale": 1e4, "decoder": FIELDS[decoder]()}
    return solving.make_field(2, (8, 4), 2, 2, Gaussian(), constraint, **settings)


points = partial(random_points, seed=8)


@pytest.mark.slow
@pytest.mark.parametrize("half_points", [False, True])
@pytest.mark.parametrize("decoder", FIELDS)
def test_autocast_changes_nothing(decoder: str, half_points: bool) -> None:
    field = make_field(decoder, SHAPES["value"]()).float()
    x = points(300).bfloat16().float()
    value, jet = field(x), field.jet(x, 2).components
    compiled = torch.compile(lambda x: field.jet(x, 2), fullgraph=True, backend="aot_eager")
    torch._dynamo.reset()
    with torch.autocast("cpu", torch.bfloat16):
        at = x.bfloat16() if half_points else x
        assert torch.equal(field(at), value)
        assert torch.equal(field.jet(at, 2).components, jet)
        torch.testing.assert_close(compiled(at).components, jet)
    with pytest.raises(TypeError, match="x is bfloat16, but the field is float32"):
        field(x.bfloat16())


class LaplacianLoss(torch.nn.Module):
    def __init__(self, field: Field, x: Tensor) -> None:
        super().__init__()
        self.field, self.x = field, x

    def forward(self) -> Tensor:
        return self.field.jet(self.x, 2).laplacian.square().sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_differentiation_sees_the_constraint(shape: str) -> None:
    field, x = make_field("mlp", SHAPES[shape]()), points()
    third, ones = field.jet(x, 3), torch.ones_like(x)
    d = third.derivative
    slope = torch.stack([d((3, 0)) + d((1, 2)), d((2, 1)) + d((0, 3))], dim=2)[:, 0]
    bound = 1e-12 * third.components.abs().max()

    def laplacian(x: Tensor) -> Tensor:
        return field.jet(x, 2).laplacian[:, 0]

    with forward_ad.dual_level():
        made = laplacian(forward_ad.make_dual(x, ones))
        tangent = forward_ad.unpack_dual(made).tangent
    assert tangent is not None
    assert (tangent - slope.sum(1)).abs().max() <= bound
    _, moved = torch.func.jvp(laplacian, (x,), (ones,))
    assert (moved - slope.sum(1)).abs().max() <= bound
    by_func = torch.func.grad(lambda x: laplacian(x).sum())(x)
    assert (by_func - slope).abs().max() <= bound
    point_by_point = torch.vmap(torch.func.grad(lambda p: laplacian(p[None])[0]))(x)
    assert (point_by_point - slope).abs().max() <= bound
    alone = torch.vmap(lambda p: laplacian(p[None])[0])(x)
    assert (alone - third.laplacian[:, 0]).abs().max() <= bound


@pytest.mark.parametrize("shape", SHAPES)
def test_functional_parameters_get_the_gradient_of_the_module(shape: str) -> None:
    field = make_field("mlp", SHAPES[shape]())
    loss = LaplacianLoss(field, points())
    parameters = dict(loss.named_parameters())

    def call(given: dict[str, Tensor]) -> Tensor:
        made: Tensor = torch.func.functional_call(loss, given, ())
        return made

    expected = torch.autograd.grad(loss(), list(parameters.values()), materialize_grads=True)
    slopes = torch.func.grad(call)(parameters)
    for made, known in zip(slopes.values(), expected, strict=True):
        torch.testing.assert_close(made, known, rtol=1e-10, atol=1e-10)
    directions = {name: torch.ones_like(p) for name, p in parameters.items()}
    _, tangent = torch.func.jvp(call, (parameters,), (directions,))
    torch.testing.assert_close(tangent, torch.stack([g.sum() for g in expected]).sum())


def test_torch_func_hessian_of_the_field_is_the_one_of_the_jet() -> None:
    field, x = make_field("mlp", BoxConstraint(sigma=0.3)), points(3)
    jet = field.jet(x, 2)
    for n in range(3):
        hessian = torch.func.hessian(lambda p: field(p[None])[0, 1])
        jacrev_twice = torch.func.jacrev(torch.func.jacrev(lambda p: field(p[None])[0, 1]))
        torch.testing.assert_close(jacrev_twice(x[n]), jet.hessian[n, 1], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(hessian(x[n]), jet.hessian[n, 1], rtol=1e-9, atol=1e-9)
