"""Ends of a solve that saves: a checkpoint that cannot be written, killed runs, SIGTERM."""

import os
import platform
import shutil
import signal
import subprocess
import sys

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.solvers import Stop, load
from dinfgrid_cuda.solvers.record import atomic
from dinfgrid_cuda.solvers.record.checkpoint import FILE_NAME

pytest.importorskip("safetensors")
pytestmark = pytest.mark.usefixtures("one_thread")

BOX = dg.Box([0.0], [1.0])
# More than any system gives a process.
NO_PROCESS = 2**22 + 1


def problem():
    return dg.Problem(BOX, [dg.Term("fit", dg.Interior(), lambda x, u: u.value - x, points=16)])


def make_field():
    return dg.Field(dg.FeatureGrid(1, 8, lower=0.0, upper=1.0, seed=0), dg.LinearDecoder(1, seed=0))


def run(folder, field=None, steps=4, **options):
    options = {"progress": False, "steps": steps, "out": folder, **options}
    return dg.solve(problem(), field or make_field(), "adam", **options)


def test_folder_that_is_gone_at_the_end_costs_nothing(tmp_path):
    folder, field = tmp_path / "mine", make_field()

    def remove(step, seconds):
        if step == 2:
            shutil.rmtree(folder)

    with pytest.raises(dg.CheckpointError, match="No such file or directory; it was saved") as got:
        run(folder, field, stop=Stop(when=remove))
    solution = got.value.solution
    assert "\n" not in str(got.value)
    assert solution.field is field
    assert solution.steps == 4
    assert len(solution.history.totals) == 4
    assert solution.checkpoint.parent.parent == tmp_path
    assert str(solution.checkpoint) in str(got.value)
    assert torch.equal(load(solution.checkpoint).parameters["grid.features"], field.grid.features)
    # And it goes on from there.
    assert run(tmp_path / "other", steps=6, resume=solution.checkpoint).steps == 6


def test_parent_that_is_gone_too_leaves_the_folder_for_temporary_files(tmp_path, monkeypatch):
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(atomic.tempfile, "gettempdir", lambda: str(spare))
    folder = tmp_path / "gone" / "mine"
    gone = tmp_path / "gone"
    with pytest.raises(dg.CheckpointError, match="it was saved as") as caught:
        run(folder, stop=Stop(when=lambda *_: shutil.rmtree(gone, ignore_errors=True)))
    assert caught.value.solution.checkpoint.parent.parent == spare


def test_nothing_is_left_where_nothing_can_be_saved(tmp_path, monkeypatch):
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(atomic.tempfile, "gettempdir", lambda: str(spare))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    folder, field = tmp_path / "mine", make_field()
    start = field.grid.features.detach().clone()
    with pytest.raises(dg.CheckpointError, match="No space left on device; it was not saved") as e:
        run(folder, field)
    assert e.value.solution.checkpoint is None
    assert e.value.solution.field is field
    assert not torch.equal(field.grid.features, start)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "spare"]


def test_other_checkpoint_errors_have_no_solution(tmp_path):
    with pytest.raises(dg.CheckpointError) as caught:
        run(tmp_path, resume=True)
    assert caught.value.solution is None


def signalling(number, at=2):
    """A callback during which a signal arrives: the step that follows is still finished."""

    def callback(steps, seconds):
        if steps == at:
            signal.raise_signal(number)

    return callback


def test_sigterm_ends_as_ctrl_c_does_and_the_run_goes_on_exactly(tmp_path):
    whole = make_field()
    run(None, whole, steps=8)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(dg.Interrupted, match="interrupted by SIGTERM at step 3; resume with") as e:
        run(tmp_path, steps=8, stop=Stop(when=signalling(signal.SIGTERM)))
    assert signal.getsignal(signal.SIGTERM) is before
    assert e.value.solution.steps == load(tmp_path).step == 3
    resumed = make_field()
    assert run(tmp_path, resumed, steps=8, resume=True).steps == 8
    assert torch.equal(resumed.grid.features, whole.grid.features)


def test_second_signal_ends_at_once():
    def twice(steps, seconds):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt) as caught:
        run(None, stop=Stop(when=twice))
    assert not isinstance(caught.value, dg.Interrupted)


def test_sigterm_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        solution = run(None, stop=Stop(when=signalling(signal.SIGTERM)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert solution.steps == 4


def test_ctrl_c_whose_checkpoint_fails_names_the_place_where_it_was_saved(tmp_path):
    folder = tmp_path / "mine"
    send = signalling(signal.SIGINT)

    def callback(steps, seconds):
        send(steps, seconds)
        shutil.rmtree(folder, ignore_errors=True)

    with pytest.raises(dg.Interrupted, match="interrupted at step 3; .*it was saved as") as caught:
        run(folder, stop=Stop(when=callback))
    assert load(caught.value.solution.checkpoint).step == 3
    assert "No such file or directory" in caught.value.trouble


def test_command_names_the_place_where_an_interrupted_run_was_saved(capsys):
    typer = pytest.importorskip("typer")
    from dinfgrid_cuda.suite.cli.errors import one_line_errors

    with pytest.raises(typer.Exit), one_line_errors("dinfgrid solve --resume"):
        raise dg.Interrupted("interrupted at step 3; it was saved as b", None, "disk full")
    assert capsys.readouterr().err == "dinfgrid: interrupted at step 3; it was saved as b\n"


def temporary(folder, pid, host=None):
    host = atomic._host() if host is None else host
    path = folder / f".{FILE_NAME}.{host}-{pid}.0123456789abcdef"
    path.write_bytes(b"half")
    return path


def test_what_killed_runs_have_left_is_cleared_and_nothing_else(tmp_path):
    kept = [temporary(tmp_path, os.getpid()), temporary(tmp_path, 1, host="0" * 8)]
    for name in (f".{FILE_NAME}.notes", "notes.txt", f"{FILE_NAME}.old"):
        kept.append(tmp_path / name)
        kept[-1].write_text("x")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lost = [temporary(tmp_path, ended.pid), temporary(tmp_path, NO_PROCESS)]
    lost.append(tmp_path / f".{FILE_NAME}.fedcba9876543210")
    lost[-1].write_bytes(b"of an older version")
    stale = temporary(tmp_path, 2, host="0" * 8)
    os.utime(stale, (0, 0))
    run(tmp_path, steps=1)
    assert [path.name for path in kept if not path.exists()] == []
    assert [path.name for path in [*lost, stale] if path.exists()] == []
    assert (tmp_path / FILE_NAME).exists()


def test_run_killed_in_the_middle_of_a_write_is_cleared_by_the_next(tmp_path):
    code = (
        "import os, pathlib\n"
        "from dinfgrid_cuda.solvers import atomic\n"
        "atomic.os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        f"atomic.write_atomically(pathlib.Path({str(tmp_path / FILE_NAME)!r}), b'half')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert len(list(tmp_path.iterdir())) == 1
    run(tmp_path, steps=1)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_host_is_told_apart_by_its_name(monkeypatch):
    here = atomic._host()
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert atomic._host() != here


def test_empty_folder_name_is_refused():
    with pytest.raises(ValueError, match="folder is ''; name a folder"):
        run("")
