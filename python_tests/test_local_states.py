"""Copies, files, states and compiled forms of grids with local levels; training on them."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from cases_of_local_levels import CORNER, LEFT, grid_with, interval

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.record.resuming import grid_settings, pairs, saved_local

APART = dg.Box((0.5, 0.5), (1.0, 1.0))
POINTS = torch.rand(60, 2, generator=torch.Generator().manual_seed(6)).double()


def field_with(*boxes: Any, **options: Any) -> dg.Field:
    return dg.Field(grid_with(*boxes, **options), dg.LinearDecoder(1, seed=2))


def by_pickle(field: dg.Field) -> dg.Field:
    loaded: dg.Field = pickle.loads(pickle.dumps(field))
    return loaded


def by_file(field: dg.Field) -> dg.Field:
    file = io.BytesIO()
    torch.save(field, file)
    file.seek(0)
    loaded: dg.Field = torch.load(file, weights_only=False)
    return loaded


def by_state(field: dg.Field) -> dg.Field:
    other = field_with(LEFT, CORNER, APART)
    with torch.no_grad():
        other.grid.features.zero_()
    other.load_state_dict(field.state_dict())
    return other


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle, by_file, by_state])
def test_a_copy_of_a_refined_field_is_the_same(copied: Any) -> None:
    field = field_with(LEFT, CORNER).grid.refined([APART])
    whole = dg.Field(field, dg.LinearDecoder(1, seed=2))
    other = copied(whole)
    assert other.grid.spec == whole.grid.spec
    assert torch.equal(other.grid.mask, whole.grid.mask)
    assert torch.equal(other.jet(POINTS, 2).components, whole.jet(POINTS, 2).components)
    with torch.no_grad():
        other.grid.features.add_(1.0)
    assert not torch.equal(other(POINTS), whole(POINTS))


def test_a_change_of_type_changes_the_mask_too() -> None:
    field = field_with(LEFT, CORNER)
    before = field(POINTS)
    field.float()
    assert field.grid.mask is not None
    assert field.grid.mask.dtype == field.grid.features.dtype == torch.float32
    after = field(POINTS.float())
    # Rounding of the features and of each sum of 48 products of numbers of size 1.
    assert (after - before).abs().max() < 200 * 6e-8 * before.abs().max()
    assert field.double().grid.mask.dtype == torch.float64


def test_a_state_of_another_grid_is_refused() -> None:
    one, other = field_with(LEFT), field_with(APART)
    with pytest.raises(ValueError, match="features of other local levels than this grid"):
        other.load_state_dict(one.state_dict())
    for state, field in ((one, field_with()), (field_with(), one), (field_with(LEFT, CORNER), one)):
        with pytest.raises(ValueError, match=r"the state holds features .*, but this grid has"):
            field.load_state_dict(state.state_dict())
    state = one.state_dict()
    del state["grid.local"]
    with pytest.raises(ValueError, match="features of other local levels"):
        one.load_state_dict(state)
    assert set(field_with().state_dict()) == {"grid.features", *_of_decoder()}


def _of_decoder() -> list[str]:
    return [name for name in field_with().state_dict() if name.startswith("decoder")]


@pytest.mark.slow
def test_a_refined_field_is_compiled_and_exported() -> None:
    field = field_with(LEFT, CORNER)

    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.field = field

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            jet = self.field.jet(x, order=2)
            return jet.value, jet.laplacian

    model = Both()
    expected = model(POINTS)
    for found, own in zip(torch.compile(model, backend="eager")(POINTS), expected, strict=True):
        torch.testing.assert_close(found, own)
    program = torch.export.export(
        model, (POINTS,), dynamic_shapes={"x": {0: torch.export.Dim("n")}}
    )
    for found, own in zip(program.module()(POINTS[:17]), model(POINTS[:17]), strict=True):
        torch.testing.assert_close(found, own)


def line_problem() -> dg.Problem:
    return dg.Problem(
        dg.Box((0.0,), (1.0,)),
        [
            dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian[:, 0] - x[:, 0], order=2),
            dg.Term("bc", dg.Boundary(), lambda x, u: u.value[:, 0], order=0),
        ],
    )


def line_field(*boxes: Any) -> dg.Field:
    return dg.Field(grid_with(*boxes, dim=1, cells=16), dg.LinearDecoder(1, seed=2))


def test_adam_trains_on_a_refined_grid_and_leaves_held_features_alone() -> None:
    field = line_field(interval(0.25, 0.75))
    mask, before = field.grid.mask, field.grid.features.detach().clone()
    assert mask is not None
    held = mask[:, 0] == 0
    value = field.jet(torch.rand(50, 1).double(), 2).components.square().sum()
    value.backward()
    assert field.grid.features.grad is not None
    assert field.grid.features.grad[held].count_nonzero() == 0
    assert field.grid.features.grad[~held].count_nonzero() > 0
    solution = dg.solve(line_problem(), field, dg.Adam(lr=1e-3), steps=30, progress=False)
    assert solution.history.totals[-1] < solution.history.totals[0]
    assert torch.equal(field.grid.features[held], before[held])
    assert not torch.equal(field.grid.features[~held], before[~held])


@pytest.mark.parametrize("method", ["adam", "least-squares"])
def test_a_solve_on_a_refined_grid_resumes(tmp_path: Path, method: str) -> None:
    box = interval(0.25, 0.75)
    options: dict[str, Any] = {"method": method, "progress": False}
    whole = dg.solve(line_problem(), line_field(box), steps=2, **options).field
    dg.solve(line_problem(), line_field(box), steps=1, out=tmp_path, **options)
    resumed = line_field(box)
    dg.solve(line_problem(), resumed, steps=2, out=tmp_path, resume=True, **options)
    x = torch.linspace(0, 1, 50).double()[:, None]
    torch.testing.assert_close(resumed(x), whole(x), rtol=1e-9, atol=1e-9)
    for others in ((), (interval(0.0, 0.5),), (box, interval(0.25, 0.5))):
        with pytest.raises(dg.CheckpointError, match=r"was made with .*local=.LocalLevel.*, this"):
            dg.solve(line_problem(), line_field(*others), out=tmp_path, resume=True, **options)


def test_a_checkpoint_of_a_refined_grid_loads_into_the_grid_it_began_with(tmp_path: Path) -> None:
    boxes = interval(0.25, 0.75), interval(0.375, 0.625)
    solved = line_field(*boxes)
    dg.solve(line_problem(), solved, "least-squares", out=tmp_path, progress=False)
    x = torch.linspace(0, 1, 50).double()[:, None]
    for began in (line_field(), line_field(interval(0.0, 0.5)), line_field(*boxes)):
        dg.load(tmp_path, began)
        assert began.grid.spec == solved.grid.spec
        assert torch.equal(began(x), solved(x))
    other = dg.Field(grid_with(dim=1, cells=16), dg.LinearDecoder(2, seed=2))
    before = other.grid
    with pytest.raises(dg.CheckpointError, match="belongs to another field"):
        dg.load(tmp_path, other)
    assert other.grid is before
    coarser = dg.Field(grid_with(dim=1, cells=8), dg.LinearDecoder(1, seed=2))
    with pytest.raises(dg.CheckpointError, match="cells="):
        dg.load(tmp_path, coarser)


def test_settings_of_a_grid_are_those_of_before_there_were_local_levels() -> None:
    settings = grid_settings(line_field())
    assert settings["grid.local"] == "()"
    older = {name: value for name, value in settings.items() if name != "grid.local"}
    older |= {"grid.ints": "(1, 2)", "grid.floats": "()", "grid._offsets": "(0, 3)"}
    assert all(own == saved for _, own, saved in pairs(settings, older))
    refined = line_field(interval(0.25, 0.75))
    own = grid_settings(refined)
    assert [name for name, a, b in pairs(own, older) if a != b] == ["grid.local"]
    spec = field_with(LEFT, CORNER, APART).grid.spec
    assert saved_local(repr(spec.local), 2) == spec.local
    assert saved_local("()", 2) == ()
