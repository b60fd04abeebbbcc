"""FeatureGrid as a torch module: parameters, views, copies, states, errors."""

from __future__ import annotations

import copy
import io
import pickle
from functools import partial
from typing import Any

import pytest
import torch
from solving import random_points

from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.kernels import reference
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian

GOOD: dict[str, Any] = {"dim": 2, "cells": (8, 4), "levels": 2, "channels": 3, "seed": 1}


points = partial(random_points, seed=5)


def test_features_start_uniform_in_the_small_range_of_the_paper() -> None:
    features = FeatureGrid(dim=2, cells=64, channels=2, seed=0).features.detach()
    assert features.abs().max() <= 1e-4
    # Uniform on (-a, a): mean 0 +- 5 a / sqrt(3 n), variance a^2 / 3.
    assert features.mean().abs() <= 5e-4 / (3 * features.numel()) ** 0.5
    assert abs(features.var().item() * 3e8 - 1) < 0.05


def test_seed_decides_the_features_and_nothing_else_does() -> None:
    first = FeatureGrid(**GOOD)
    torch.rand(3)
    assert torch.equal(first.features, FeatureGrid(**GOOD).features)
    assert not torch.equal(first.features, FeatureGrid(**{**GOOD, "seed": 2}).features)
    torch.manual_seed(4)
    unseeded = FeatureGrid(**{**GOOD, "seed": None})
    torch.manual_seed(4)
    assert torch.equal(unseeded.features, FeatureGrid(**{**GOOD, "seed": None}).features)


def test_value_and_jet_are_those_of_the_reference() -> None:
    grid = FeatureGrid(**GOOD, dtype=torch.float64)
    x = points(7)
    torch.testing.assert_close(grid(x), reference.value(x, grid.features, grid.spec))
    for reduce in ("concat", "sum"):
        expected = reference.gather(x, grid.features, grid.spec, 2, reduce)
        torch.testing.assert_close(grid.gather(x, 2, reduce), expected)
    assert grid(x).shape == (7, grid.out_channels) == (7, 6)


def test_levels_are_views_of_the_one_parameter() -> None:
    grid = FeatureGrid(**GOOD, boundary="clamp")
    assert [grid.level(s).shape for s in range(2)] == [(9, 5, 3), (5, 3, 3)]
    assert [name for name, _ in grid.named_parameters()] == ["features"]
    with torch.no_grad():
        grid.level(1)[2, 1, 0] = 7.0
    assert grid.features[9 * 5 + 2 * 3 + 1, 0] == 7.0
    grid.level(1).sum().backward()
    assert grid.features.grad is not None
    assert grid.features.grad.sum() == 45
    with pytest.raises(IndexError, match="level 2 does not exist"):
        grid.level(2)


def test_a_feature_moves_the_field_where_its_node_is() -> None:
    grid = FeatureGrid(2, (4, 2), basis=BSpline(1), dtype=torch.float64, upper=(3.0, 1.0))
    with torch.no_grad():
        grid.features.zero_()
        grid.level(0)[3, 1, 0] = 1.0
    at_node = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    assert grid(at_node).item() == 1.0
    assert grid(at_node - 1.0).item() == 0.0


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "save"])
def test_copies_are_equal_and_independent(way: str) -> None:
    grid = FeatureGrid(**GOOD, basis=Gaussian(window="smooth"), boundary=("ghost", "periodic"))
    if way == "deepcopy":
        twin = copy.deepcopy(grid)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(grid))
    else:
        buffer = io.BytesIO()
        torch.save(grid, buffer)
        buffer.seek(0)
        twin = torch.load(buffer, weights_only=False)
    x = points().float()
    assert twin.spec == grid.spec
    assert torch.equal(twin(x), grid(x))
    with torch.no_grad():
        twin.features.add_(1.0)
    assert grid.features.abs().max() <= 1e-4


def test_state_loads_without_executing_code() -> None:
    grid, twin = FeatureGrid(**GOOD), FeatureGrid(**{**GOOD, "seed": 9})
    buffer = io.BytesIO()
    torch.save(grid.state_dict(), buffer)
    buffer.seek(0)
    twin.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(twin.features, grid.features)


def test_state_of_another_grid_is_refused_in_one_line() -> None:
    state = FeatureGrid(**{**GOOD, "channels": 2}).state_dict()
    with pytest.raises(
        ValueError, match=r"state holds features \(180, 2\).*has \(180, 3\)"
    ) as caught:
        FeatureGrid(**GOOD).load_state_dict(state)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="build the grid with the settings"):
        torch.nn.Sequential(FeatureGrid(**{**GOOD, "levels": 1})).load_state_dict(
            {"0.features": state["features"]}
        )


def test_moving_changes_the_parameter_only() -> None:
    grid = FeatureGrid(**GOOD)
    spec = grid.spec
    grid.to(torch.float64)
    assert grid.features.dtype == torch.float64
    assert grid.spec is spec
    assert grid(points()).dtype == torch.float64
    assert FeatureGrid(**GOOD, device="meta").features.device.type == "meta"


def test_repr_tells_the_grid() -> None:
    text = repr(FeatureGrid(**GOOD, boundary=("clamp", "ghost"), lower=(0, -2)))
    for piece in ("8x4 cells", "levels=2", "channels=3", "epsilon=1.0", "('clamp', 'ghost')"):
        assert piece in text
    assert "[0, 1] x [-2, 1]" in text


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dim": 5}, ValueError, "dim is 5"),
        ({"dim": "2"}, ValueError, "dim is '2'"),
        ({"cells": -4}, ValueError, "cells is -4"),
        ({"cells": 6, "levels": 3}, ValueError, "6 cells cannot be halved 2 times"),
        ({"cells": (4, 4, 4)}, ValueError, "cells has 3 entries"),
        ({"channels": 0}, ValueError, "channels is 0"),
        ({"channels": 1.5}, ValueError, "channels is 1.5"),
        ({"dtype": torch.float16}, TypeError, "float16"),
        ({"boundary": "wrap"}, ValueError, "boundary is 'wrap'"),
        ({"basis": 3}, TypeError, "basis is 3"),
        ({"lower": 1.0}, ValueError, "from 1.0 to 1.0"),
        ({"upper": (1.0,)}, ValueError, "upper has 1 entries"),
        ({"lower": float("nan")}, ValueError, "lower is nan"),
    ],
)
def test_impossible_grids_are_refused_in_one_line(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        FeatureGrid(**{**GOOD, **change})
    assert "\n" not in str(caught.value)


def test_grid_larger_than_the_memory_is_refused_with_its_size() -> None:
    sizes = r"7.38e\+19 nodes with 1 channels take 2.95e\+11 GB.*fewer cells than"
    with pytest.raises(MemoryError, match=sizes) as caught:
        FeatureGrid(3, 2**22)
    assert "\n" not in str(caught.value)
    with pytest.raises(MemoryError, match="GB, more than the memory can hold"):
        FeatureGrid(3, 2**20)


def test_integers_of_numpy_are_integers() -> None:
    numpy = pytest.importorskip("numpy")
    eight, two = numpy.int64(8), numpy.int32(2)
    grid = FeatureGrid(two, (eight, 8), two, two, basis=BSpline(numpy.int64(3)))
    assert grid.spec == FeatureGrid(2, 8, 2, 2, basis=BSpline(3)).spec
    assert all(type(entry) is int for entry in grid.spec.ints)
    assert FeatureGrid(2, eight).spec.cells == (8, 8)
    for wrong in (numpy.float64(8.0), numpy.bool_(True), "8"):
        with pytest.raises(ValueError, match="cells is"):
            FeatureGrid(2, wrong)


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (torch.zeros(3, 3), ValueError),
        (torch.zeros(3), ValueError),
        (torch.zeros(3, 2, dtype=torch.float64), TypeError),
        (torch.zeros(3, 2, dtype=torch.long), TypeError),
    ],
)
def test_points_that_do_not_fit_are_refused(x: torch.Tensor, error: type[Exception]) -> None:
    with pytest.raises(error):
        FeatureGrid(**GOOD)(x)
