"""Field: grid, decoder and constraint together; autograd, jets and torch.compile agree."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import pytest
import solving
import torch
from solving import random_points
from torch import Tensor

from dinfgrid_cuda.fields.constraints import BoxConstraint
from dinfgrid_cuda.fields.decoders import LinearDecoder, MLPDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.fields.jet_algebra import by_autograd
from dinfgrid_cuda.kernels import reference
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian

FIELDS: dict[str, Any] = {
    "linear": lambda: LinearDecoder(2, seed=1),
    "mlp": lambda: MLPDecoder(2, hidden=8, seed=1),
}
CONSTRAINTS: dict[str, Any] = {
    "free": lambda: None,
    "zero": lambda: BoxConstraint(sigma=0.3),
    "sine": lambda: BoxConstraint(torch.sin, faces=((0, "lower"),), sigma=0.3),
}


def make_field(decoder: str = "linear", constraint: str = "free", **changes: Any) -> Field:
    """A field whose features are of order 1."""
    settings = {"cells": (8, 4), "levels": 2, "channels": 2, "basis": Gaussian(), "seed": 3}
    parts = {"decoder": FIELDS[decoder](), "constraint": CONSTRAINTS[constraint]()}
    return solving.make_field(**{**settings, **changes}, **parts, scale=1e4)


points = partial(random_points, seed=8)


@pytest.mark.parametrize(
    ("count", "grid", "decoder"),
    [
        (702_937, {"dim": 2, "cells": 512, "levels": 6, "channels": 2}, LinearDecoder(1)),
        (45_194, {"dim": 2, "cells": 128, "levels": 4, "channels": 2}, MLPDecoder(2)),
        (316_209, {"dim": 3, "cells": 64, "levels": 4}, LinearDecoder(1)),
        (4_371, {"dim": 2, "cells": 32, "levels": 1, "channels": 4}, LinearDecoder(3)),
        (315_479, {"dim": 3, "cells": 64, "levels": 3}, LinearDecoder(1)),
        (20_869, {"dim": 2, "cells": 128, "levels": 2}, LinearDecoder(1)),
    ],
    ids=["image", "helmholtz", "sdf", "cloth", "zalesak", "heat"],
)
def test_parameter_counts_are_those_of_the_paper(count: int, grid: Any, decoder: Any) -> None:
    assert Field(FeatureGrid(**grid, boundary="clamp"), decoder).parameter_count() == count


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("decoder", FIELDS)
def test_jet_is_what_autograd_makes_of_the_value(decoder: str, constraint: str) -> None:
    field, x = make_field(decoder, constraint), points()
    jet = field.jet(x, 3)
    expected = by_autograd(field, x, 3)
    assert jet.components.shape == (6, 10, 2)
    assert (jet.components - expected).abs().max() <= 1e-11 * expected.abs().max()


@pytest.mark.parametrize("decoder", FIELDS)
def test_field_is_decoder_of_reference(decoder: str) -> None:
    field, x = make_field(decoder), points()
    expected = field.decoder(reference.value(x, field.grid.features, field.grid.spec))
    torch.testing.assert_close(field(x), expected, rtol=1e-12, atol=1e-12)


def test_folding_the_decoder_changes_nothing_but_the_cost(monkeypatch: Any) -> None:
    field, x = make_field(), points()
    results = []
    for fold in (True, False):
        monkeypatch.setattr(Field, "_folds", lambda self, n, fold=fold: fold)
        loss = field.jet(x, 2).laplacian.square().sum()
        grads = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True)
        results.append((loss, *[g for g in grads if g is not None]))
    for folded, plain in zip(*results, strict=True):
        torch.testing.assert_close(folded, plain, rtol=1e-10, atol=1e-10)


def test_folding_is_chosen_where_it_is_cheaper() -> None:
    field = Field(FeatureGrid(2, 64, levels=4, channels=2), LinearDecoder(1))
    assert field._folds(65536)
    assert not field._folds(10)
    wide = Field(FeatureGrid(2, 64, channels=1), LinearDecoder(3))
    assert not wide._folds(65536)


@pytest.mark.parametrize("decoder", FIELDS)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_laplacian_loss_gradient_matches_nested_autograd(decoder: str, dim: int) -> None:
    field = make_field(decoder, "zero", dim=dim, cells=4)
    x = points(dim=dim)
    parameters = list(field.parameters())
    by_jet = torch.autograd.grad(
        field.jet(x, 2).laplacian.square().sum(), parameters, allow_unused=True
    )
    at = x.clone().requires_grad_()
    laplacian = []
    for u in field(at).unbind(1):
        (slope,) = torch.autograd.grad(u.sum(), at, create_graph=True)
        seconds = [
            torch.autograd.grad(slope[:, k].sum(), at, create_graph=True)[0][:, k]
            for k in range(dim)
        ]
        laplacian.append(sum(seconds))
    loss = torch.stack(laplacian, dim=1).square().sum()
    by_autograd_ = torch.autograd.grad(loss, parameters, allow_unused=True)
    for a, b in zip(by_jet, by_autograd_, strict=True):
        if b is None:
            assert a is None or a.abs().max() == 0
        else:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * b.abs().max().item())


@pytest.mark.parametrize("decoder", FIELDS)
def test_jet_passes_gradcheck_in_points_and_parameters(decoder: str) -> None:
    field = make_field(decoder, "zero", cells=2, levels=1, channels=1, basis=BSpline(5))
    x = points(2).requires_grad_()

    def laplacian(x: Tensor, *_: Tensor) -> Tensor:
        return field.jet(x, 2).laplacian

    weights = [p for name, p in field.named_parameters() if name != "grid.features"]
    assert torch.autograd.gradcheck(laplacian, (x, field.grid.features, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(laplacian, (x, field.grid.features), fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "constraint"), [("linear", "free"), ("linear", "zero"), ("mlp", "sine")]
)
def test_compiled_pde_loss_equals_the_eager_one(decoder: str, constraint: str) -> None:
    field, x = make_field(decoder, constraint), points(16)

    def loss(x: Tensor) -> Tensor:
        u = field.jet(x, order=2)
        source = torch.sin(x[:, :1])
        residual = (u * u - 2 * u + source * u).laplacian + u[0].gradient.sum(2) - source
        return residual.square().mean() + u.hessian.square().mean()

    expected = loss(x)
    eager = torch.autograd.grad(expected, list(field.parameters()))
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    result = compiled(x)
    torch.testing.assert_close(result, expected)
    for a, b in zip(torch.autograd.grad(result, list(field.parameters())), eager, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("decoder", FIELDS)
def test_copies_and_states_carry_everything(decoder: str) -> None:
    field, x = make_field(decoder, "zero"), points()
    for twin in (copy.deepcopy(field), pickle.loads(pickle.dumps(field))):
        assert torch.equal(twin.jet(x, 2).components, field.jet(x, 2).components)
    fresh = make_field(decoder, "zero", seed=11)
    assert not torch.equal(fresh(x), field(x))
    fresh.load_state_dict(field.state_dict())
    assert torch.equal(fresh(x), field(x))
    assert all(isinstance(entry, Tensor) for entry in field.state_dict().values())


def test_precision_of_all_parts_moves_together() -> None:
    field = Field(FeatureGrid(2, 4, dtype=torch.float64), MLPDecoder(1), BoxConstraint(2.0))
    assert {p.dtype for p in field.parameters()} == {torch.float64}
    assert field.jet(points(), 2).components.dtype == torch.float64
    assert field.float().jet(points().float(), 2).components.dtype == torch.float32


def test_decoder_with_channels_of_its_own_takes_the_dtype_of_the_grid() -> None:
    for decoder in (LinearDecoder(1, in_channels=4), MLPDecoder(1, in_channels=4)):
        field = Field(FeatureGrid(2, 8, 2, 2, dtype=torch.float64), decoder)
        assert field(points()).dtype == torch.float64


def test_wrong_points_are_refused() -> None:
    field = make_field()
    for call in (field, lambda x: field.jet(x, 1)):
        with pytest.raises(TypeError, match="x is a list; pass a tensor"):
            call([[0.0, 0.0]])
        with pytest.raises(TypeError, match="x is float32, but the field is float64"):
            call(points().float())
        with pytest.raises(ValueError, match=r"x has shape \(2,\).*\[N, 2\]"):
            call(points()[0])
        with pytest.raises(ValueError, match="x is on meta and the field on cpu"):
            call(points().to("meta"))


def test_constraint_of_another_box_is_refused() -> None:
    constraint = BoxConstraint(1.0, factor="polynomial")
    first = Field(FeatureGrid(2, 8, dtype=torch.float64), None, constraint)
    value = first(points())
    with pytest.raises(ValueError, match="holds the box .* of another field"):
        Field(FeatureGrid(2, 8, upper=5.0), None, constraint)
    Field(FeatureGrid(2, 4, dtype=torch.float64), None, constraint)
    assert torch.equal(first(points()), value)


def test_no_points_give_an_empty_jet() -> None:
    for decoder in FIELDS:
        field = make_field(decoder, "zero")
        jet = field.jet(points(0), 2)
        assert jet.components.shape == (0, 6, 2)
        jet.laplacian.sum().backward()
        assert field.grid.features.grad is not None
        assert field.grid.features.grad.abs().max() == 0


def test_non_finite_points_spoil_only_themselves() -> None:
    for decoder in FIELDS:
        field, x = make_field(decoder), points()
        bad = x.clone()
        bad[2, 0] = float("nan")
        clean, dirty = field.jet(x, 2).components, field.jet(bad, 2).components
        assert dirty[2].isnan().any()
        assert torch.equal(dirty[[0, 1, 3, 4, 5]], clean[[0, 1, 3, 4, 5]])


def test_a_few_steps_of_descent_solve_a_small_poisson_problem() -> None:
    grid = FeatureGrid(2, 8, basis=BSpline(5), dtype=torch.float64, seed=0)
    field = Field(grid, LinearDecoder(1, seed=0), BoxConstraint(factor="polynomial"))
    x = torch.rand(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    exact = torch.sin(torch.pi * x).prod(dim=1, keepdim=True)
    source = -2 * torch.pi**2 * exact
    optimizer = torch.optim.LBFGS(field.parameters(), max_iter=150, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (field.jet(x, 2).laplacian - source).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    # Quintic splines at h = 1/4 of a wave of length 2 reach 1e-3; the zero field has error 1.
    assert (field(x) - exact).norm() <= 0.02 * exact.norm()


def test_parts_of_the_wrong_type_are_refused() -> None:
    grid = FeatureGrid(2, 4)
    with pytest.raises(TypeError, match="grid is a str"):
        Field("grid")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="decoder is a Linear"):
        Field(grid, torch.nn.Linear(1, 1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="constraint is a function"):
        Field(grid, None, lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"levels \* channels = 1"):
        Field(grid, LinearDecoder(1, in_channels=2))


@pytest.mark.parametrize("order", [-1, 6, 2.0])
def test_orders_outside_the_build_are_refused(order: Any) -> None:
    with pytest.raises(ValueError, match="order"):
        make_field().jet(points(), order)


def test_default_basis_and_decoder_are_the_paper_ones() -> None:
    field = Field(FeatureGrid(2, 4))
    assert field.grid.spec.basis == Gaussian(1.0, 3)
    assert (field.out_channels, field.dim) == (1, 2)
    assert isinstance(field.decoder, LinearDecoder)
