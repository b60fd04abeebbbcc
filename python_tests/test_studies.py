"""The record of a study: its files, what a resumed run keeps; `dinfgrid study`; and one, run."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("dinfgrid_cuda.suite.studies")
pytest.importorskip("matplotlib")
pytest.importorskip("typer")

import dinfgrid_cuda
from dinfgrid_cuda.solvers import CheckpointError
from dinfgrid_cuda.suite.studies import STUDIES, run_study
from dinfgrid_cuda.suite.studies.record import Record
from dinfgrid_cuda.suite.tools import plots

ROOT = Path(__file__).parent.parent


def never():
    raise AssertionError("made again")


def test_rows_of_different_columns_end_in_one_table(tmp_path):
    record = Record("one", tmp_path)
    record.part("a", lambda: [{"error": 0.5}])
    record.part("b", lambda: [{"seconds": 2.0, "error": float("inf")}])
    picture, table, data = record.finish(plots.figure(2, 2))
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(table.open()))
    assert rows[0] == {"part": "a", "error": "0.5", "seconds": ""}
    assert rows[1]["part"] == "b"
    content = json.loads(data.read_text())
    assert content["rows"][1]["error"] is None  # JSON has no infinity
    assert content["quick"] is False


def test_resumed_study_keeps_its_parts(tmp_path):
    Record("one", tmp_path).part("a", lambda: [{"error": 0.5}])
    again = Record("one", tmp_path, resume=True)
    assert again.part("a", never) == [{"part": "a", "error": 0.5}]
    assert again.part("b", lambda: [{"error": 0.1}])[0]["error"] == 0.1
    with pytest.raises(AssertionError, match="made again"):
        Record("one", tmp_path).part("a", never)


def test_resume_refuses_another_run(tmp_path):
    Record("one", tmp_path, quick=True).part("a", lambda: [{"error": 0.5}])
    with pytest.raises(CheckpointError, match="made with --quick; use another --out"):
        Record("one", tmp_path, resume=True)
    (tmp_path / "one.json").write_text("[]")
    with pytest.raises(CheckpointError, match="no record of a study"):
        Record("one", tmp_path, resume=True)


def test_command_lists_studies_and_names_them_for_an_unknown_one():
    from typer.testing import CliRunner

    from dinfgrid_cuda.suite.cli.main import app

    runner = CliRunner()
    listed = runner.invoke(app, ["study"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in STUDIES)
    wrong = runner.invoke(app, ["study", "nothing"])
    assert wrong.exit_code == 1
    assert f"there is no study 'nothing'; there are {', '.join(STUDIES)}." in wrong.output


@pytest.mark.slow
def test_helmholtz_study_finds_least_squares_closer_than_adam(tmp_path, monkeypatch):
    from dinfgrid_cuda.suite.studies import helmholtz

    monkeypatch.setattr(helmholtz, "ADAM_QUICK_SECONDS", 0.5)
    files = run_study("helmholtz", tmp_path, quick=True)
    content = json.loads(files[2].read_text())
    solved = {row["method"]: row for row in content["rows"] if "far" in row}
    assert solved["least squares"]["far"] < 5e-3 < 0.3 < solved["Adam"]["far"]
    assert solved["least squares"]["near"] > solved["least squares"]["far"]


def built_package(folder):
    """The package as `pip install` leaves it in a folder, with the extension of this one."""
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    package = Path(dinfgrid_cuda.__file__).parent
    for file in (*package.glob("_C.*"), package / "_build.json"):
        shutil.copy(file, folder / "dinfgrid_cuda")
    return folder / "dinfgrid_cuda"


@pytest.mark.slow
def test_studies_run_from_an_installed_package_in_an_empty_folder(tmp_path):
    package = built_package(tmp_path / "installed")
    sources = ROOT / "dinfgrid_cuda"
    modules = {path.relative_to(sources) for path in sources.rglob("*.py")}
    assert {path.relative_to(package) for path in package.rglob("*.py")} == modules
    empty = tmp_path / "empty"
    empty.mkdir()

    def dinfgrid(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "dinfgrid_cuda", *arguments],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(package.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = dinfgrid("study").splitlines()
    assert [line.split()[0] for line in listed] == list(STUDIES)
    written = dinfgrid("study", "epsilon-rho", "--quick").splitlines()[-3:]
    assert all((empty / name).stat().st_size for name in written)
