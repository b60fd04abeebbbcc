"""Checkpoints: exact, atomic, and clear about what is wrong with a file or a folder."""

import errno
import json
import os

import pytest
import torch

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.problem import Problem, Term
from dinfgrid_cuda.solvers import LBFGS, Adam, CheckpointError, Output, load, solve
from dinfgrid_cuda.solvers.record import checkpoint as module
from dinfgrid_cuda.solvers.record.checkpoint import (
    FILE_NAME,
    pack,
    prepare_folder,
    unpack,
    write_atomically,
)

ROOT_IGNORES_MODES = hasattr(os, "geteuid") and os.geteuid() == 0


pytestmark = pytest.mark.usefixtures("one_thread")


def problem(name="fit"):
    box = Box((-1.0, -1.0), (1.0, 1.0))
    return Problem(box, [Term(name, Interior(), lambda x, u: u.value[:, 0] - x[:, 0], points=16)])


def make_field(cells=4, **settings):
    return Field(FeatureGrid(dim=2, cells=cells, seed=0, **settings))


def run(folder, steps=3, method="adam", **settings):
    settings.setdefault("field", make_field())
    field = settings.pop("field")
    terms = settings.pop("problem", problem())
    return solve(terms, field, method, steps=steps, out=folder, progress=False, **settings)


def no_space(*arguments, **keywords):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_pack_and_unpack_are_inverse_for_nested_state():
    tree = {
        0: {"a": torch.rand(3), "list": [None, 1, 0.1, torch.tensor(2.0)], "nan": float("inf")},
        "text": "x",
        "flag": True,
    }
    tensors = {}
    back = unpack(json.loads(json.dumps(pack(tree, "t", tensors))), tensors)
    assert back.keys() == tree.keys()
    assert torch.equal(back[0]["a"], tree[0]["a"])
    assert torch.equal(back[0]["list"][3], tree[0]["list"][3])
    assert back[0]["list"][:3] == [None, 1, 0.1]
    assert back[0]["nan"] == float("inf")


def test_pack_refuses_what_it_cannot_restore():
    with pytest.raises(TypeError, match="cannot store"):
        pack({"a": object()}, "t", {})


def test_checkpoint_holds_parameters_history_and_extra(tmp_path):
    field = make_field()
    solution = run(Output(tmp_path, extra={"problem": "mine"}), field=field)
    saved = load(tmp_path)
    assert solution.checkpoint == tmp_path / FILE_NAME
    assert torch.equal(saved.parameters["grid.features"], field.grid.features)
    assert saved.history.totals == solution.history.totals
    assert saved.step == 3
    assert saved.extra == {"problem": "mine"}


def test_checkpoint_is_a_plain_safetensors_file(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    run(tmp_path)
    tensors = safetensors.load_file(tmp_path / FILE_NAME)
    assert any(name.startswith("field/") for name in tensors)


def test_only_the_checkpoint_is_left_in_the_folder(tmp_path):
    run(tmp_path / "new" / "folder")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [FILE_NAME]


def test_files_follow_the_umask_without_changing_it(tmp_path, monkeypatch):
    change, before = os.umask, os.umask(0o022)
    monkeypatch.setattr(module.os, "umask", None)
    try:
        write_atomically(tmp_path / "a", b"x")
    finally:
        change(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failed_write_keeps_the_old_file_and_no_rubbish(call, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(module.os, call, no_space)
    with pytest.raises(CheckpointError, match="cannot write .*: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_ctrl_c_during_a_write_leaves_no_rubbish(call, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_at_the_end_is_one_line_and_leaves_the_field_trained(tmp_path, monkeypatch):
    field = make_field()
    start = field.grid.features.detach().clone()
    monkeypatch.setattr(module.os, "fsync", no_space)
    with pytest.raises(CheckpointError, match="No space left on device") as caught:
        run(tmp_path, field=field)
    assert "\n" not in str(caught.value)
    assert not torch.equal(start, field.grid.features)


def test_full_disk_on_the_way_warns_and_goes_on(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def fails_at_first(handle):
        calls.append(handle)
        return no_space() if len(calls) == 1 else real(handle)

    monkeypatch.setattr(module.os, "fsync", fails_at_first)
    with pytest.warns(RuntimeWarning, match="The solve goes on"):
        solution = run(Output(tmp_path, every=0.0))
    assert solution.steps == load(tmp_path).step == 3


def test_checkpoints_on_the_way_are_written(tmp_path, monkeypatch):
    steps = []
    real = module.save
    monkeypatch.setattr(
        "dinfgrid_cuda.solvers.record.recorder.save",
        lambda c, p: (steps.append(c.step), real(c, p)),
    )
    run(Output(tmp_path, every=0.0))
    assert steps == [1, 2, 3, 3]


def test_unwritable_folder_is_found_before_the_first_step(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("x")
    calls = []
    term = Term("fit", Interior(), lambda x, u: calls.append(1) or u.value, points=4)
    box = Box((-1.0, -1.0), (1.0, 1.0))
    with pytest.raises(CheckpointError, match="cannot write to the folder"):
        run(file, problem=Problem(box, [term]))
    with pytest.raises(CheckpointError, match="cannot write to the folder"):
        run(file / "below", problem=Problem(box, [term]))
    assert calls == []


@pytest.mark.skipif(ROOT_IGNORES_MODES, reason="root may write anywhere")
def test_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        prepare_folder(tmp_path)


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint at .*checkpoint"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_checkpoint_is_refused(keep, tmp_path):
    run(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="truncated or another kind of file") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_foreign_files_are_refused(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "foreign.safetensors"
    safetensors.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="is no checkpoint of dinfgrid_cuda"):
        load(path)
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="another kind of file"):
        load(path)


@pytest.mark.parametrize(
    "header",
    ["[]", "{}", '{"format": "x"}', "not json", '{"format": "dinfgrid_cuda checkpoint 1"}'],
)
def test_damaged_headers_are_refused(header, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "c.safetensors"
    safetensors.save_file({"a": torch.zeros(2)}, path, {"dinfgrid_cuda": header})
    with pytest.raises(CheckpointError):
        load(path)


def test_checkpoint_of_another_solve_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(CheckpointError, match="method='adam', this solve has method='lbfgs'"):
        run(tmp_path, method="lbfgs", resume=True)
    with pytest.raises(CheckpointError, match="seed"):
        run(tmp_path, seed=3, resume=True)
    with pytest.raises(CheckpointError, match="terms"):
        run(tmp_path, problem=problem("other"), resume=True)
    with pytest.raises(CheckpointError, match=r"grid.cells=\(4, 4\), this solve has grid.cells="):
        run(tmp_path, field=make_field(cells=8), resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"basis": BSpline(5)}, r"grid.basis=Gaussian\(.*has grid.basis=BSpline\(degree=5\)"),
        (
            {"lower": -2.0, "upper": 1.0},
            r"grid.lower=\(-1.0, -1.0\), this solve has .*\(-2.0, -2.0",
        ),
        (
            {"dtype": torch.float64},
            "belongs to another field: .* float32 there and .* float64 here",
        ),
        ({"channels": 2}, r"decoder.layer.bias is \(1,\) float32 there and absent"),
    ],
)
def test_checkpoint_of_another_field_is_refused(changes, message, tmp_path):
    run(tmp_path)
    other = make_field(**changes)
    start = other.grid.features.detach().clone()
    with pytest.raises(CheckpointError, match=message) as caught:
        run(tmp_path, field=other, resume=True)
    assert "\n" not in str(caught.value)
    assert torch.equal(other.grid.features, start)


@pytest.mark.parametrize(
    ("method", "other", "message"),
    [
        (Adam(), Adam(lr=1e-3), "with lr=0.005, this solve has lr=0.001"),
        (Adam(decay=(0.1, 5)), Adam(), r"with decay=\(0.1, 5\), this solve has decay=None"),
        (LBFGS(), LBFGS(memory=3), "with memory=10, this solve has memory=3"),
    ],
)
def test_checkpoint_of_another_optimizer_is_refused(method, other, message, tmp_path):
    run(tmp_path, method=method)
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path, method=other, resume=True)


def test_total_of_steps_may_change(tmp_path):
    run(tmp_path, method=Adam(decay=(1, 5)), steps=2)
    assert run(tmp_path, method=Adam(lr=0.005, decay=(1.0, 5)), steps=4, resume=True).steps == 4


def test_missing_safetensors_is_found_before_the_first_step(tmp_path, monkeypatch):
    calls = []
    term = Term("fit", Interior(), lambda x, u: calls.append(1) or u.value, points=4)
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(CheckpointError, match="pip install safetensors"):
        run(tmp_path, problem=Problem(Box((-1.0, -1.0), (1.0, 1.0)), [term]))
    assert calls == []
