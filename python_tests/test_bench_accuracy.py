"""The table of `bench.accuracy`: verdicts, rows that fail, what is kept; and one row, run."""

import importlib
import inspect
import json
import os
import sys

import pytest

pytest.importorskip("bench.accuracy")

from bench import accuracy, accuracy_bases, accuracy_runs, accuracy_table
from bench.accuracy_row import Goal, Rival, Row
from bench.accuracy_rows import ROWS
from dinfgrid_cuda.suite.tools import own_process

GOAL = Goal(1e-6, 5)
RIVAL = Rival("sine series", "fourier.sine_series", {"problem": "heat", "count": 8})
ROW = Row(
    "heat", "heat", "heat", "relative_l2", "8.5e-4", GOAL, rivals=(RIVAL,), reason="A reason."
)
RACE = Row("cloth", "cloth", "cloth", "energy", "-", None, adam={"config": "paper"})


def cell(value=1e-7, seconds=1.0, unknowns=1000):
    return {"value": value, "seconds": seconds, "unknowns": unknowns}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (cell(), "met"),
        (cell(value=2e-6), "missed: error"),
        (cell(seconds=6.0), "missed: time"),
        (cell(value=2e-6, seconds=6.0), "missed: error and time"),
        (cell(value=None), "missed: error"),
        ({"failed": "diverged"}, "missed"),
    ],
)
def test_verdict_names_what_is_missed(found, expected):
    assert accuracy_table.verdict(ROW, {"ours": found}) == expected


def test_a_higher_psnr_is_better():
    goal = Goal(32.2, 2, higher=True)
    assert goal.reached(32.3)
    assert not goal.reached(32.1)
    assert goal.better(33.0, 32.0)
    assert str(goal) == "≥ 32.2 dB in 2 s"


def test_a_race_is_met_in_a_fifth_of_adam_s_time():
    cells = {"Adam": cell(-2.4, 10.0), "ours": cell(-2.5, 1.9)}
    assert accuracy_table.verdict(RACE, cells) == "met"
    cells["ours"] = cell(-2.5, 2.1)
    assert accuracy_table.verdict(RACE, cells) == "missed: time"
    assert accuracy_table.verdict(RACE, {"ours": cell(-2.5, 1.9)}) == "missed"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (cell(1e-9, 0.1), "better and faster than ours"),
        (cell(1e-9, 2.0), "better"),
        (cell(1e-5, 0.1), "faster"),
        (cell(1e-5, 2.0), ""),
        ({"failed": "not installed: pip install pyamg"}, ""),
    ],
)
def test_table_says_where_a_classical_solver_wins(other, expected):
    assert accuracy_table.wins(ROW, cell(), other) == expected


def test_table_has_equal_columns_and_explains_what_is_missed():
    found = {"heat": {"ours": cell(2e-6), RIVAL.label: {"failed": "not installed: pip install x"}}}
    text = accuracy_table.table([ROW, RACE], found, "a machine")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4  # rows that were not run are left out
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert "| 2.0e-6 | 1 | 1,000 |" in lines[2]
    assert "not installed: pip install x" in lines[3]
    assert "0 of 1 rows met." in text
    assert "* heat: missed: error. A reason." in text


def test_rows_name_problems_metrics_and_solvers_that_exist():
    from dinfgrid_cuda.suite.cases import PROBLEMS
    from dinfgrid_cuda.suite.run.results import make_case

    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        if row.problem not in PROBLEMS:
            pytest.fail(f"{row.name} names the problem {row.problem}, which does not exist.")
        make_case(row.problem, row.options)
        assert (row.goal is None) == (row.adam is not None)
        for rival in row.rivals:
            module, name = rival.function.split(".")
            function = getattr(importlib.import_module(f"bench.classical.{module}"), name)
            inspect.signature(function).bind(**{**rival.arguments, **rival.quick})


def test_function_in_a_process_of_its_own_reports_errors_in_one_line():
    assert own_process._measured(json.loads, ("{",))["failed"].startswith("JSONDecodeError: ")
    missing = own_process._measured(importlib.import_module, ("no_such_module",))
    assert missing["failed"] == "No module named 'no_such_module'"
    assert own_process._measured(dict, ({"value": 1},))["peak_bytes"] > 1 << 20


@pytest.mark.slow
def test_process_that_dies_is_a_failed_run():
    assert "without a result" in own_process.in_own_process(os._exit, 1)["failed"]


@pytest.fixture
def here(monkeypatch):
    """Runs in this process: starting others takes seconds."""
    for module in (accuracy, accuracy_bases):
        monkeypatch.setattr(
            module, "in_own_process", lambda function, *rest: own_process._measured(function, rest)
        )


def called(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
    module.main()


def test_interrupted_table_keeps_what_it_has_and_goes_on(tmp_path, monkeypatch, capsys, here):
    monkeypatch.setattr(accuracy, "ROWS", [ROW])

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy_runs, "ours", lambda *_: cell())
    monkeypatch.setattr(accuracy_runs, "rival", interrupted)
    with pytest.raises(KeyboardInterrupt):
        called(monkeypatch, accuracy, "--out", tmp_path)
    kept = json.loads((tmp_path / "accuracy.json").read_text())["rows"]["heat"]
    assert kept["ours"]["value"] == 1e-7
    monkeypatch.setattr(accuracy_runs, "ours", interrupted)
    monkeypatch.setattr(accuracy_runs, "rival", lambda *_: cell(1e-9))
    called(monkeypatch, accuracy, "--out", tmp_path, "--missing")
    assert "1 of 1 rows met." in (tmp_path / "table.md").read_text()
    assert "better" in capsys.readouterr().out


@pytest.mark.slow
def test_row_runs_with_its_rivals(tmp_path, monkeypatch, capsys, here):
    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.draw", lambda *_: {})  # takes seconds
    called(monkeypatch, accuracy, "--only", "plate-simple", "--quick", "--out", tmp_path)
    found = json.loads((tmp_path / "quick" / "accuracy.json").read_text())["rows"]["plate-simple"]
    ours, series = found.values()
    assert max(ours["value"], series["value"]) < 1e-4
    assert ours["seconds_with_setup"] >= ours["seconds"]
    assert "| plate, simple, strong form | **dinfgrid_cuda** |" in capsys.readouterr().out


def test_race_ends_when_the_figure_is_reached_or_time_is_up(tmp_path):
    row = next(row for row in ROWS if row.name == "cloth")
    won = accuracy_runs.race(row, True, tmp_path, 1.0, 60.0)
    assert won["reason"] == "as good as Adam"
    assert won["value"] <= 1.0
    lost = accuracy_runs.race(row, True, tmp_path, -1e9, 1e-3)
    assert lost["reason"] == "took all steps"


def test_unknown_row_is_refused_with_those_there_are(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        called(monkeypatch, accuracy, "--only", "no-such-row")
    assert "helmholtz-box-4-1" in capsys.readouterr().err


def test_damaged_results_are_left_aside(tmp_path):
    path = tmp_path / "accuracy.json"
    assert accuracy.earlier(path) == {}
    path.write_text("{")
    assert accuracy.earlier(path) == {}
    path.write_text('{"rows": 1}')
    assert accuracy.earlier(path) == {}


def test_bases_are_compared_on_the_same_cells(tmp_path, monkeypatch, capsys, here):
    monkeypatch.setattr(accuracy_bases, "COLUMNS", accuracy_bases.COLUMNS[5:])
    called(monkeypatch, accuracy_bases, "--only", "plate", "--cells", 8, "--out", tmp_path)
    found = json.loads((tmp_path / "bases.json").read_text())["rows"]["plate"]
    assert found["B-spline 7"]["value"] < found["B-spline 5"]["value"]
    assert "order 4" in found["B-spline 3"]["failed"]
    text = (tmp_path / "bases.md").read_text()
    assert "| plate, 8 | failed, see below |" in text
    assert "* plate, B-spline 3: CaseError" in text
