"""load(): the solution of a checkpoint in a field, to be evaluated."""

import dataclasses
import math

import pytest
import torch
from torch import nn

import dinfgrid_cuda as dg

pytest.importorskip("scipy")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.usefixtures("one_thread")

BOX = dg.Box([0.0], [1.0])


def unknown(start=1.0):
    return nn.Parameter(torch.tensor(start, dtype=torch.float64))


def problem(nu):
    """u'' + nu u = 0 and values of cos 3x: nu = 9."""
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    terms = [
        dg.Term("equation", dg.Interior(), lambda x, u: u.laplacian + nu * u.value, order=2),
        dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=torch.cos(3 * x)),
    ]
    return dg.Problem(BOX, terms, {"nu": nu})


def make_field(seed=0, cells=12, basis=None, dtype=torch.float64, lower=0.0, channels=1):
    grid = dg.FeatureGrid(
        1,
        cells,
        lower=lower,
        upper=1.0,
        basis=basis or dg.BSpline(7),
        dtype=dtype,
        seed=seed,
        channels=channels,
    )
    return dg.Field(grid, dg.LinearDecoder(1, seed=seed))


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder, field, nu = tmp_path_factory.mktemp("solved"), make_field(), unknown()
    solution = dg.solve(
        problem(nu), field, out=dg.Output(folder, extra={"name": "a"}), progress=False
    )
    return folder, field, nu, solution


def test_loaded_field_is_the_solution(solved):
    folder, field, nu, solution = solved
    other, mu = make_field(seed=5), unknown(7.0)
    loaded = dg.load(folder, other, parameters={"nu": mu})
    x = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]
    assert torch.equal(other(x), field(x))
    assert torch.equal(mu, nu)
    assert math.isclose(float(mu.detach()), 9.0, rel_tol=1e-5)
    assert (loaded.method, loaded.steps) == ("least-squares", solution.steps)
    assert loaded.seconds > 0
    assert loaded.extra == {"name": "a"}
    assert torch.equal(loaded.parameters["nu"], nu.detach())
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.steps = 3


def test_file_and_folder_load_the_same_and_parameters_may_be_left_out(solved):
    _, field, _, solution = solved
    other = make_field(seed=5)
    dg.load(solution.checkpoint, other)
    assert torch.equal(other.grid.features, field.grid.features)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": 24}, r"grid.cells=\(12,\), this field has grid.cells=\(24,\)"),
        ({"basis": dg.BSpline(5)}, "grid.basis=BSpline.*build the field as for the solve"),
        ({"lower": -1.0}, "grid.lower"),
        ({"dtype": torch.float32}, "float64 there and .* float32 here"),
        ({"channels": 2}, "belongs to another field"),
    ],
)
def test_other_fields_are_refused_unchanged(changes, message, solved):
    other, nu = make_field(seed=5, **changes), unknown(7.0)
    start = other.grid.features.detach().clone()
    with pytest.raises(dg.CheckpointError, match=message) as caught:
        dg.load(solved[0], other, parameters={"nu": nu})
    assert "\n" not in str(caught.value)
    assert torch.equal(other.grid.features, start)
    assert float(nu.detach()) == 7.0


def test_other_parameters_are_refused(solved):
    field = make_field()
    with pytest.raises(dg.CheckpointError, match="holds no parameter 'mu'; it holds nu"):
        dg.load(solved[0], field, parameters={"mu": unknown()})
    with pytest.raises(dg.CheckpointError, match=r"holds 'nu' as \[\], not \[2\]"):
        dg.load(solved[0], field, parameters={"nu": nn.Parameter(torch.zeros(2))})
    with pytest.raises(TypeError, match="pass the nn.Parameter"):
        dg.load(solved[0], field, parameters={"nu": 0.1})


def test_what_is_no_field_or_no_file_is_refused(solved, tmp_path):
    with pytest.raises(TypeError, match="pass the field to fill"):
        dg.load(solved[0], {})
    with pytest.raises(dg.CheckpointError, match="there is no checkpoint at"):
        dg.load(tmp_path, make_field())
