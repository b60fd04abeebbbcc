"""CoordinateNetwork: jets, initial weights, constraints, refusals."""

import math

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.jet_algebra import by_autograd

BOX = dg.Box([-1, 0], [1, 3])


@pytest.mark.parametrize("activation", ["sine", "tanh"])
@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_jet_is_what_automatic_differentiation_gives(activation, order):
    network = dg.CoordinateNetwork(
        BOX, 2, hidden=5, layers=2, activation=activation, omega=3.0, dtype=torch.float64
    )
    x = torch.rand(6, 2, dtype=torch.float64)
    expected = by_autograd(network, x, order)
    torch.testing.assert_close(network.jet(x, order).components, expected)


def test_constraint_holds_exactly():
    constraint = dg.BoxConstraint(2.5, faces=[(1, "lower")])
    network = dg.CoordinateNetwork(BOX, hidden=8, layers=1, constraint=constraint)
    x = torch.tensor([[0.3, 0.0], [-0.9, 0.0]])
    torch.testing.assert_close(network(x), torch.full((2, 1), 2.5))


def test_initial_sine_weights_are_sirens():
    network = dg.CoordinateNetwork(BOX, hidden=256, layers=2)
    first, second = (layer.weight.detach() for layer in network.network[:2])
    assert float(first.abs().max()) == pytest.approx(1 / 2, rel=0.02)
    assert float(second.abs().max()) == pytest.approx(math.sqrt(6 / 256) / 30, rel=0.02)


def test_long_batches_are_worked_on_in_blocks():
    network = dg.CoordinateNetwork(BOX, hidden=256, layers=1, dtype=torch.float64)
    x = torch.rand(1000, 2, dtype=torch.float64)
    parts = torch.cat([network.jet(part, 2).components for part in x.split(7)])
    torch.testing.assert_close(network.jet(x, 2).components, parts)


def test_same_seed_gives_the_same_network():
    a, b, c = (dg.CoordinateNetwork(BOX, hidden=8, layers=1, seed=s) for s in (3, 3, 4))
    assert torch.equal(a.network[0].weight, b.network[0].weight)
    assert not torch.equal(a.network[0].weight, c.network[0].weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"activation": "relu"}, "activation is 'relu'"), ({"hidden": 0}, "hidden is 0")],
)
def test_unusable_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        dg.CoordinateNetwork(BOX, **options)


def test_points_of_another_dimension_are_refused():
    network = dg.CoordinateNetwork(BOX, hidden=8, layers=1)
    with pytest.raises(ValueError, match="points have shape"):
        network(torch.rand(3, 3))
