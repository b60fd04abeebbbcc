"""A loss that is not finite: what is said, and that field and checkpoint stay usable."""

import math

import pytest
import torch

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import CheckpointError, DivergedError, load, solve
from dinfgrid_cuda.solvers.methods.adam import Adam

BOX = Box((-1.0, -1.0), (1.0, 1.0))


def make_field():
    return Field(FeatureGrid(2, 4, seed=0), LinearDecoder(1, seed=0))


def breaking(at, factor=math.nan):
    """A problem whose loss is not finite from evaluation number ``at`` on, counted from 0.

    `solve` tries each residual once before the first step; that evaluation does not count.
    """

    def residual(x, u):
        residual.calls += 1
        return (u.value[:, 0] - x[:, 0]) * (factor if residual.calls > at else 1.0)

    residual.calls = -1
    return Problem(BOX, [Term("pde", Interior(), residual, points=16)])


def features_of(field):
    return field.grid.features.detach().clone()


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_adam_keeps_and_saves_the_last_finite_parameters(factor, tmp_path):
    whole, field = make_field(), make_field()
    solve(breaking(10), whole, "adam", steps=3, progress=False)
    with pytest.raises(
        DivergedError, match=r"at step 3 \(term 'pde'\).*smaller learning"
    ) as caught:
        solve(breaking(3, factor), field, "adam", steps=10, out=tmp_path, progress=False)
    assert "holds its last finite parameters, those after 3 steps, as does" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert torch.equal(features_of(field), features_of(whole))
    saved = load(tmp_path)
    assert saved.step == len(saved.history.totals) == 3
    assert torch.equal(saved.parameters["grid.features"], features_of(whole))


@pytest.mark.parametrize("at", [0, 4])
def test_lbfgs_keeps_finite_parameters(at, tmp_path):
    field = make_field()
    with pytest.raises(DivergedError, match="last finite parameters"):
        solve(breaking(at), field, "lbfgs", steps=10, out=tmp_path, progress=False)
    assert features_of(field).isfinite().all()
    assert torch.equal(load(tmp_path).parameters["grid.features"], features_of(field))


def test_gradient_that_is_not_finite_stops_adam_before_the_update(tmp_path):
    field = make_field()
    before = features_of(field)

    def residual(x, u):
        return (u.value[:, 0] * 0).abs().sqrt()

    problem = Problem(BOX, [Term("root", Interior(), residual, points=16)])
    with pytest.raises(DivergedError, match="finite at step 0, but its gradient is not"):
        solve(problem, field, "adam", steps=10, out=tmp_path, progress=False)
    assert torch.equal(features_of(field), before)


def test_parameters_that_are_not_finite_are_not_saved(tmp_path):
    field = make_field()
    solve(breaking(10), field, "adam", steps=1, out=tmp_path, progress=False)
    with torch.no_grad():
        field.grid.features[0] = math.nan
    with pytest.raises(CheckpointError, match=r"grid.features holds NaN or infinite values"):
        solve(breaking(10), field, "adam", steps=0, out=tmp_path, progress=False)
    assert load(tmp_path).parameters["grid.features"].isfinite().all()


def test_without_the_check_the_checkpoint_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(Adam, "keeps_finite", lambda method, objective: False)
    solve(breaking(10), make_field(), "adam", steps=1, out=tmp_path, progress=False)
    with pytest.raises(DivergedError, match="checkpoint written before it is unchanged"):
        solve(breaking(2), make_field(), "adam", steps=9, out=tmp_path, progress=False)
    assert load(tmp_path).step == 1
