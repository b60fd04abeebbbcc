"""Derivatives of gather and scatter: every mode and order that torch offers, or a clear error."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from cases import ROUNDINGS, error, make_local_spec, make_spec, normal, points_in
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels import autograd, reference
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec

SMALL = {"cells": (4, 2, 2, 2), "levels": 2}
SPECS = [
    make_spec(1, Gaussian(rho=2), "ghost", cells=(4,), levels=2),
    make_spec(2, Gaussian(rho=2), ("clamp", "ghost"), cells=(4, 2), levels=2),
    make_spec(2, Gaussian(window="smooth", rho=2), ("periodic", "ghost"), cells=(4, 2), levels=1),
    make_spec(3, BSpline(5), ("ghost", "periodic", "ghost"), cells=(2, 1, 1), levels=1),
    make_spec(4, Gaussian(rho=1), "ghost", cells=(1, 2, 1, 1), levels=1),
    make_local_spec(1, BSpline(7), "periodic", levels=4),
]


def leaf(tensor: Tensor) -> Tensor:
    return tensor.clone().requires_grad_()


def inputs(spec: GridSpec, order: int = 1, n: int = 2, channels: int = 1) -> tuple[Tensor, ...]:
    x, features = points_in(spec, n), normal(spec.total_nodes, channels)
    y = normal(n, jet_size(spec.dim, order), spec.global_levels * channels, seed=2)
    return leaf(x), leaf(features), leaf(y)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_gradients_of_first_and_second_order_pass_gradcheck(spec: GridSpec) -> None:
    x, features, y = inputs(spec)
    for function, second in ((functional.gather, features), (functional.scatter, y)):
        call = lambda p, v, f=function: f(p, v, spec, 1)  # noqa: E731
        assert gradcheck(call, (x, second), check_forward_ad=True, check_batched_grad=True)
        assert gradgradcheck(call, (x, second))


@pytest.mark.slow
@pytest.mark.parametrize("spec", [*SPECS[:4], SPECS[-1]], ids=str)
def test_third_order_gradients_pass_gradcheck_cotangents_included(spec: GridSpec) -> None:
    """The second derivatives, as functions of x, features and both cotangents, by gradgradcheck."""
    x, features, y = inputs(spec, order=0, n=1)

    def first(p: Tensor, v: Tensor, grad_y: Tensor) -> tuple[Tensor, ...]:
        out = functional.gather(p, v, spec)
        return torch.autograd.grad(out, (p, v), grad_y, create_graph=True)

    assert gradcheck(first, (x, features, y))
    assert gradgradcheck(first, (x, features, y))


@pytest.mark.parametrize("wanted", list(itertools.product((False, True), repeat=2)), ids=str)
def test_only_asked_for_gradients_are_given(wanted: tuple[bool, bool]) -> None:
    spec = SPECS[1]
    x, features, _ = (t.detach() for t in inputs(spec))
    x.requires_grad_(wanted[0])
    features.requires_grad_(wanted[1])
    y = functional.gather(x, features, spec, 1)
    assert y.requires_grad == any(wanted)
    if any(wanted):
        y.sum().backward()
    assert (x.grad is not None, features.grad is not None) == wanted


def test_gradient_of_a_laplacian_loss_matches_the_reference() -> None:
    """Both with autograd twice through the field and with the jet."""
    for spec in SPECS[1:4]:
        x, features, _ = inputs(spec, n=20, channels=2)
        squares = [2 if a == b else 1 for a in range(spec.dim) for b in range(a, spec.dim)]
        unmixed = [1 + spec.dim + i for i, s in enumerate(squares) if s == 2]

        def by_autograd(
            function: Callable[..., Tensor], spec: GridSpec, v: Tensor, p: Tensor
        ) -> Tensor:
            u = function(p, v, spec).sum()
            (gradient,) = torch.autograd.grad(u, p, create_graph=True)
            parts = [
                torch.autograd.grad(gradient[:, a].sum(), p, create_graph=True)[0][:, a]
                for a in range(spec.dim)
            ]
            return sum(parts).square().mean()

        jet = functional.gather(x, features, spec, 2)[:, unmixed].sum((1, 2))
        losses = {
            "jet": jet.square().mean(),
            "autograd": by_autograd(functional.gather, spec, features, x),
            "reference": by_autograd(reference.gather, spec, features, x),
        }
        gradients = {k: torch.autograd.grad(v, (features, x)) for k, v in losses.items()}
        for which in ("jet", "autograd"):
            for actual, expected in zip(gradients[which], gradients["reference"], strict=True):
                assert error(actual[None], expected[None], dim=0) < ROUNDINGS


def test_five_derivatives_by_autograd_are_right_and_the_sixth_is_refused() -> None:
    spec = make_spec(1, BSpline(7), "ghost")
    x, features, _ = inputs(spec, n=6)
    u = functional.gather(x, features, spec)[:, 0].sum(1)
    for order in range(1, 6):
        (u,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        u = u[:, 0]
        expected = reference.gather(x.detach(), features.detach(), spec, order)[:, order].sum(1)
        assert error(u.detach()[None], expected[None], dim=0) < ROUNDINGS
    with pytest.raises(ValueError, match="derivatives of order 6 .* holds orders 0 to 5"):
        torch.autograd.grad(u.sum(), x)
    four = make_spec(4, Gaussian(rho=1), "ghost")
    with pytest.raises(ValueError, match="order 4 .* orders 0 to 3 in 4-D"):
        functional.gather(points_in(four, 2), normal(four.total_nodes, 1), four, 4)


def test_torch_func_agrees_with_the_jet() -> None:
    spec = SPECS[1]
    x, features = points_in(spec, 7), normal(spec.total_nodes, 2)
    jet = functional.gather(x, features, spec, 2).sum(2)
    u = lambda p: functional.gather(p[None], features, spec).sum()  # noqa: E731
    gradient = torch.func.vmap(torch.func.grad(u))(x)
    assert error(gradient, jet[:, 1:3]) < ROUNDINGS
    for outer, inner in (
        (torch.func.jacfwd, torch.func.jacrev),
        (torch.func.jacrev, torch.func.jacrev),
        (torch.func.jacrev, torch.func.jacfwd),
    ):
        hessian = torch.func.vmap(outer(inner(u)))(x)
        assert error(hessian.flatten(1)[:, [0, 1, 3]], jet[:, 3:]) < ROUNDINGS
    assert torch.equal(
        torch.func.vmap(torch.func.hessian(u))(x),
        torch.func.vmap(torch.func.jacfwd(torch.func.jacrev(u)))(x),
    )
    third = torch.func.vmap(torch.func.jacfwd(torch.func.jacrev(torch.func.jacrev(u))))(x)
    expected = functional.gather(x, features, spec, 3).sum(2)[:, 6:]
    assert error(third.flatten(1)[:, [0, 1, 3, 7]], expected) < ROUNDINGS


def test_gradients_by_the_features_work_through_vmap() -> None:
    spec = SPECS[1]
    x, features = points_in(spec, 5), normal(spec.total_nodes, 2)

    def loss(v: Tensor) -> Tensor:
        u = lambda p: functional.gather(p[None], v, spec).sum()  # noqa: E731
        hessians = torch.func.vmap(torch.func.hessian(u))(x)
        return hessians.diagonal(dim1=1, dim2=2).sum(1).square().mean()

    jet = lambda v: functional.gather(x, v, spec, 2)[:, [3, 5]].sum((1, 2)).square().mean()  # noqa: E731
    actual, expected = torch.func.grad(loss)(features), torch.func.grad(jet)(features)
    assert error(actual[None], expected[None], dim=0) < ROUNDINGS


@pytest.mark.parametrize("in_dims", [(0, None), (None, 0), (0, 0), (1, None), (None, 2), (2, 1)])
def test_vmap_is_a_loop(in_dims: tuple[int | None, int | None]) -> None:
    spec, batch = SPECS[1], 3
    for function, shape in (
        (functional.gather, (spec.total_nodes, 2)),
        (functional.scatter, (4, 3, 4)),
    ):
        xs = [points_in(spec, 4, seed=s) for s in range(batch)]
        values = [normal(*shape, seed=s) for s in range(batch)]
        arguments = [
            stack[0] if at is None else torch.stack(stack, dim=at)
            for stack, at in zip((xs, values), in_dims, strict=True)
        ]
        call = lambda p, v, f=function: f(p, v, spec, 1)  # noqa: E731
        looped = torch.stack(
            [
                call(xs[0 if in_dims[0] is None else b], values[0 if in_dims[1] is None else b])
                for b in range(batch)
            ]
        )
        mapped = torch.func.vmap(call, in_dims=in_dims)(*arguments)
        assert torch.allclose(mapped, looped, rtol=1e-13, atol=1e-13)


def test_nested_forward_mode_is_refused_instead_of_zero() -> None:
    spec = SPECS[0]
    features = normal(spec.total_nodes, 1)
    u = lambda p: functional.gather(p[None], features, spec).sum()  # noqa: E731
    with pytest.raises(NotImplementedError, match=r"forward mode inside forward mode.*jacrev"):
        torch.func.jacfwd(torch.func.jacfwd(u))(points_in(spec, 1)[0])


def test_the_registered_operators_refuse_forward_mode_instead_of_giving_zero() -> None:
    spec = SPECS[0]
    x, features, _ = (t.detach() for t in inputs(spec))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="silently return zero"):
            torch.ops.dinfgrid.gather(dual, features, spec.ints, spec.floats, 0, True)


def test_forward_mode_inside_compile_is_refused_instead_of_zero() -> None:
    spec = SPECS[0]
    x, features, y = (t.detach() for t in inputs(spec))

    def by_points(p: Tensor) -> Tensor:
        return torch.func.jvp(lambda q: functional.gather(q, features, spec), (p,), (p,))[1]

    def by_values(v: Tensor) -> Tensor:
        return torch.func.jvp(lambda w: functional.scatter(x, w, spec, 1), (v,), (v,))[1]

    for function, argument in ((by_points, x), (by_values, y)):
        with pytest.raises(Exception, match="silently return zero"):
            torch.compile(function, fullgraph=True, backend="aot_eager")(argument)


@pytest.mark.slow
@pytest.mark.parametrize(("order", "concat"), [(0, True), (1, True), (2, False)])
def test_operators_pass_opcheck(order: int, concat: bool) -> None:
    spec = SPECS[1]
    x, features, y = inputs(spec, order=order)
    y = y if concat else leaf(y.detach()[:, :, :1])
    for operator, second in (
        (torch.ops.dinfgrid.gather.default, features),
        (torch.ops.dinfgrid.scatter.default, y),
    ):
        torch.library.opcheck(operator, (x, second, spec.ints, spec.floats, order, concat))


def test_lazily_negated_tensors_are_read_with_their_sign() -> None:
    spec = SPECS[0]
    x, features, _ = (t.detach() for t in inputs(spec))
    negated = torch._neg_view(features)
    assert torch.equal(functional.gather(x, negated, spec), -functional.gather(x, features, spec))


def test_torch_compile_takes_a_whole_loss_in_one_graph() -> None:
    spec = SPECS[1]
    x, features, _ = inputs(spec, n=8, channels=2)
    f = normal(8)

    def loss(p: Tensor, v: Tensor) -> Tensor:
        jet = functional.gather(p, v, spec, 2)
        return ((jet[:, 3] + jet[:, 5]).sum(1) - f).square().mean()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    actual = torch.autograd.grad(compiled(x, features), (x, features))
    expected = torch.autograd.grad(loss(x, features), (x, features))
    for a, e in zip(actual, expected, strict=True):
        assert error(a[None], e[None], dim=0) < ROUNDINGS


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_float32(half: torch.dtype) -> None:
    spec = SPECS[1]
    x, features = points_in(spec, 5).float(), normal(spec.total_nodes, 2).to(half)
    with torch.autocast("cpu", dtype=half if half == torch.bfloat16 else torch.float16):
        y = functional.gather(x, features.requires_grad_(), spec, 1)
    assert y.dtype == torch.float32
    assert torch.equal(y, functional.gather(x, features.float(), spec, 1))
    y.sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == half
    with pytest.raises(TypeError, match="features is .*float16.*float32 and float64"):
        functional.gather(x, features, spec)


def test_devices_without_kernels_use_the_reference_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(autograd, "KERNEL_DEVICES", ())
    spec = SPECS[1]
    x, features, y = inputs(spec)
    with pytest.warns(UserWarning, match="no kernels for cpu"):
        gathered = functional.gather(x, features, spec, 1)
    assert torch.equal(gathered, reference.gather(x, features, spec, 1))
    with pytest.warns(UserWarning, match="reference"):
        assert torch.equal(functional.scatter(x, y, spec, 1), reference.scatter(x, y, spec, 1))


def test_meta_tensors_have_the_right_shapes() -> None:
    spec = SPECS[1]
    x, features, y = (t.detach().to("meta") for t in inputs(spec, channels=2))
    assert functional.gather(x, features, spec, 2).shape == (2, 6, 4)
    assert functional.gather(x, features, spec, 2, "sum").shape == (2, 6, 2)
    assert functional.scatter(x, y, spec, 1).shape == (spec.total_nodes, 2)


def test_a_graph_survives_a_deepcopy_of_its_spec() -> None:
    spec = copy.deepcopy(SPECS[1])
    assert spec == SPECS[1]
    assert spec.ints == SPECS[1].ints
