"""The command `dinfgrid`: what it prints, writes and returns."""

import errno
import os
import re
import signal
import subprocess
import sys
import time

import pytest

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

from dinfgrid_cuda.suite.cli.main import app  # noqa: E402 - needs typer

SMALL = ["--size", "24", "--steps", "3", "--method", "lbfgs", "--no-progress"]


def invoke(*arguments):
    return typer_testing.CliRunner().invoke(app, [str(argument) for argument in arguments])


def one_line(result, code=1):
    """The only line on stderr of a command that failed with ``code``."""
    assert result.exit_code == code, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_list_names_the_problems():
    result = invoke("list")
    assert result.exit_code == 0
    assert "poisson-image" in result.output


def test_info_tells_versions_and_back_ends():
    result = invoke("info")
    assert result.exit_code == 0
    assert "PyTorch" in result.output
    assert "cpu" in result.output


def test_solve_prints_the_result_and_where_it_is(tmp_path):
    result = invoke("solve", "poisson-image", "--out", tmp_path / "a", *SMALL)
    assert result.exit_code == 0, result.output
    assert "dB" in result.output
    assert f"results in {tmp_path / 'a'}: poisson-image.png" in result.output
    assert (tmp_path / "a" / "metrics.json").is_file()


@pytest.mark.parametrize(
    "options", [["--supervise", "laplacian"], ["--config", "paper"], ["--neumann"]]
)
def test_options_choose_problem_and_method(options, tmp_path):
    result = invoke("solve", "poisson-image", "--out", tmp_path, *SMALL, *options)
    assert result.exit_code == 0, result.output


def test_resume_continues(tmp_path):
    first = invoke("solve", "poisson-image", "--out", tmp_path, *SMALL)
    assert first.exit_code == 0
    more = ["--size", "24", "--steps", "5", "--method", "lbfgs", "--no-progress", "--resume"]
    result = invoke("solve", "poisson-image", "--out", tmp_path, *more)
    assert result.exit_code == 0, result.output
    assert "5 steps" in result.output


def test_results_are_measured_drawn_and_refused_again(tmp_path):
    solved = invoke("solve", "poisson-image", "--out", tmp_path / "a", *SMALL)
    assert solved.exit_code == 0, solved.output
    again = invoke("evaluate", tmp_path / "a")
    assert again.exit_code == 0, again.output
    assert again.output.splitlines()[1] == solved.output.splitlines()[0]
    finer = invoke("evaluate", tmp_path / "a" / "checkpoint.safetensors", "--resolution", 48)
    assert finer.exit_code == 0, finer.output
    drawn = invoke("plot", tmp_path / "a", "--out", tmp_path / "b")
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "b" / "poisson-image.png").stat().st_size > 1000
    assert "has no files to export" in one_line(invoke("export", tmp_path / "a"))
    other = invoke("evaluate", tmp_path / "a", "--problem", "plate")
    assert "is of the problem 'poisson-image', not 'plate'" in one_line(other)
    assert "there is no checkpoint" in one_line(invoke("plot", tmp_path / "none"))


@pytest.mark.parametrize("command", [["--help"], ["solve", "--help"], ["evaluate", "--help"]])
def test_help_is_there(command):
    result = invoke(*command)
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_help_names_every_command():
    listed = invoke("--help").output
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert re.search(rf"^\W*{name} ", listed, re.MULTILINE), name
    assert re.search(r"^\W*solve ", listed, re.MULTILINE)


def test_options_of_a_problem_are_in_its_help():
    result = invoke("solve", "poisson-image", "--help")
    assert result.exit_code == 0, result.output
    for option in ("--supervise", "--no-neumann", "--model", "--max-seconds", "--resume"):
        assert option in result.output


def test_unknown_problem_gets_a_suggestion():
    result = invoke("solve", "poison-image")
    assert "did you mean 'poisson-image'?" in one_line(result)


def test_missing_image_is_one_line(tmp_path):
    result = invoke("solve", "poisson-image", "--image", tmp_path / "no.png", "--out", tmp_path)
    assert "there is no image" in one_line(result)


def test_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    result = invoke("solve", "poisson-image", "--out", tmp_path / "file", *SMALL)
    assert "cannot write to the folder" in one_line(result)


def test_missing_checkpoint_is_one_line(tmp_path):
    result = invoke("solve", "poisson-image", "--out", tmp_path, "--resume", *SMALL)
    assert "there is no checkpoint" in one_line(result)


def test_unusable_device_is_one_line(tmp_path):
    result = invoke("solve", "poisson-image", "--out", tmp_path, "--device", "gpu", *SMALL)
    assert "--device gpu cannot be used" in one_line(result)


@pytest.mark.parametrize("seed", [10**23, -1])
def test_seed_out_of_range_is_one_line(seed, tmp_path):
    result = invoke("solve", "poisson-image", "--out", tmp_path, "--seed", seed, *SMALL)
    assert f"--seed is {seed}, but it must lie in 0..4294967295" in one_line(result)


def test_missing_package_is_one_line_before_the_solve(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.solve", None)
    result = invoke("solve", "poisson-image", "--out", tmp_path, *SMALL)
    assert "pip install 'dinfgrid_cuda[app]'" in one_line(result)


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("a bug"),
        TypeError("a bug"),
        ImportError("cannot import name 'x'"),
        ModuleNotFoundError("a bug", name="dinfgrid_cuda.absent"),
    ],
)
def test_bugs_are_shown_whole(bug, tmp_path, monkeypatch):
    def breaks(request):
        raise bug

    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.run", breaks)
    result = invoke("solve", "poisson-image", "--out", tmp_path, *SMALL)
    assert result.exception is bug


def test_full_disk_is_one_line(tmp_path, monkeypatch):
    def no_space(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dinfgrid_cuda.solvers.record.checkpoint.os.fsync", no_space)
    result = invoke("solve", "poisson-image", "--out", tmp_path, *SMALL)
    assert "No space left on device" in one_line(result)


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_the_command_that_resumes(tmp_path):
    command = [sys.executable, "-m", "dinfgrid_cuda", "solve", "poisson-image", "--config", "paper"]
    command += ["--size", "64", "--out", str(tmp_path / "a b")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    started = time.monotonic()
    line = process.stderr.readline()  # before the first step
    assert re.match(
        r"about [\d,]+ unknowns and 4,096 points; up to about .* GB and .* minutes", line
    )
    line = process.stderr.readline()  # the first step has been taken
    assert line.startswith("step 1/"), line
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    last = rest.strip().splitlines()[-1]
    found = re.fullmatch(r"dinfgrid: interrupted at step (\d+); resume with (dinfgrid .*)", last)
    assert found, last
    assert f"--out '{tmp_path}/a b' --resume" in found[2]
    assert (tmp_path / "a b" / "checkpoint.safetensors").is_file()
    assert time.monotonic() - started < 60
