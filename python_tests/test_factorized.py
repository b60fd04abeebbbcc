"""FactorizedGrid and FactorizedField: products, exact jets, and what they refuse."""

from functools import partial

import pytest
import torch
from solving import random_points

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.jet_algebra import by_autograd
from dinfgrid_cuda.fields.products import products


def grid(dim, products="planes", **settings):
    settings = {"cells": 4, "channels": 2, "basis": dg.BSpline(5), "seed": 0, **settings}
    made = dg.FactorizedGrid(dim, products=products, dtype=torch.float64, **settings)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for features in made.parameters():
            features += 0.3 * torch.randn(features.shape, generator=random, dtype=torch.float64)
    return made


points = partial(random_points, seed=2)


def test_products_of_planes_and_lines():
    assert products(3) == (((0, 1), (2,)), ((0, 2), (1,)), ((1, 2), (0,)))
    assert products(4, "axes") == (((0,), (1,), (2,), (3,)),)
    assert products(4, "pairs") == (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
    assert len(products(5)) == 10
    five = products(5, "pairs")
    assert len(five) == len(set(five)) == 15
    assert all(
        sorted(axis for group in product for axis in group) == list(range(5)) for product in five
    )


@pytest.mark.parametrize(
    ("dim", "groups"),
    [(2, "planes"), (3, "planes"), (4, "pairs"), (5, "axes"), (3, [[(0, 1), (2,)], [(1,)]])],
)
def test_jets_are_those_of_automatic_differentiation(dim, groups):
    boundary = ["ghost", "periodic"] + ["ghost"] * (dim - 2)
    made = grid(dim, groups, levels=2, boundary=boundary, cells=[4, 8] + [4] * (dim - 2))
    field = dg.FactorizedField(made, dg.LinearDecoder(2, seed=0))
    x = points(dim=dim)
    jet, exact = field.jet(x, 3).components, by_autograd(field, x, 3)
    torch.testing.assert_close(
        jet, exact, rtol=1e-11, atol=1e-11 * float(exact.detach().abs().max())
    )


def test_products_are_sums_of_products_of_their_factors():
    made = grid(3)
    x = points(dim=3)
    y = made(x)
    assert y.shape == (6, made.out_channels) == (6, 3 * 2)
    second = made.factor(1, 0)(x[:, [0, 2]]) * made.factor(1, 1)(x[:, [1]])
    torch.testing.assert_close(y[:, 2:4], second)


def test_derivatives_by_features_and_points_pass_gradcheck():
    made = grid(3, [[(0, 1), (2,)]], cells=1, channels=1, basis=dg.BSpline(3))
    x = points(2, 3).requires_grad_()

    def jet(x, *features):
        names = [name for name, _ in made.named_parameters()]
        return torch.func.functional_call(made, dict(zip(names, features, strict=True)), (x,))

    assert torch.autograd.gradcheck(jet, (x, *made.parameters()))
    assert torch.autograd.gradgradcheck(jet, (x, *made.parameters()))


def test_an_axis_that_no_group_names_does_not_enter():
    field = dg.FactorizedField(grid(3, [[(0,), (2,)]]))
    jet = field.jet(points(dim=3), 2)
    assert not jet.derivative((0, 1, 0)).any()
    assert jet.derivative((1, 0, 0)).any()


def test_same_seed_same_features_and_first_factors_near_zero():
    one, other = (dg.FactorizedGrid(4, 4, channels=3, seed=7) for _ in range(2))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert float(one.factor(0, 0).features.detach().abs().max()) <= 1e-4
    second = one.factor(0, 1).features.detach()
    assert 0.5 <= float(second.min()) < float(second.max()) <= 1.5
    assert float(second[:, 0].std()) == 0  # the first channel starts as a constant


def test_memory_of_products_grows_with_planes_only():
    full = dg.FeatureGrid(4, 13, basis=dg.BSpline(3)).features.numel()
    factored = sum(p.numel() for p in dg.FactorizedGrid(4, 13, basis=dg.BSpline(3)).parameters())
    assert full == 16**4
    assert factored == 6 * (16**2 + 2 * 16)


def test_hard_boundary_values_hold():
    box = dg.BoxConstraint(value=3.0)
    field = dg.FactorizedField(grid(3), constraint=box)
    x = points(dim=3)
    x[:, 1] = 1.0
    torch.testing.assert_close(field(x), torch.full((6, 1), 3.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1}, "dim is 1; pass an integer from 2"),
        ({"products": "lines"}, r"products is 'lines'; pass one of \('planes', 'pairs', 'axes'\)"),
        ({"products": [[(0, 1), (1, 2)]]}, "has an axis twice"),
        ({"products": [[(0, 3)]]}, "has axis 3, but axes are 0 to 2"),
        ({"products": [[]]}, "an empty product or group"),
        ({"products": []}, "an empty product or group"),
        ({"cells": (4, 4)}, "cells has 2 entries, but the grid has 3 axes"),
        ({"boundary": "open"}, "boundary is 'open'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        dg.FactorizedGrid(**{"dim": 3, "cells": 4, **arguments})


def test_fields_name_the_grid_that_they_need():
    with pytest.raises(TypeError, match="make a FactorizedField of it"):
        dg.Field(grid(3))
    with pytest.raises(TypeError, match="grid is a FeatureGrid; pass a FactorizedGrid"):
        dg.FactorizedField(dg.FeatureGrid(2, 4))
    with pytest.raises(ValueError, match=r"points of this field have shape \[N, 3\]"):
        dg.FactorizedField(grid(3)).jet(points(2), 1)


def test_the_former_name_of_the_products_works_with_a_warning():
    with pytest.warns(FutureWarning, match="terms=.... is now products="):
        old = dg.FactorizedGrid(3, 4, terms="axes")
    with pytest.warns(FutureWarning, match="FactorizedGrid.terms is now"):
        assert old.terms == old.products == products(3, "axes")
