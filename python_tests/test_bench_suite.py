"""The table of `bench.suite`: what it says of runs that ended early, failed, or are missing."""

import json

import pytest

suite = pytest.importorskip("bench.suite")

ROW = suite.Row("heat: relative L2", "heat", "relative_l2", paper="none")


def report(model="grid", reason="took all steps", value=1.5e-3, unit="1", steps=40):
    return {
        "metrics": {"relative_l2": {"value": value, "unit": unit, "meaning": ""}},
        "steps": steps,
        "setup": {"steps": 5000},
        "reason": reason,
        "model": model,
        "seconds": {"solve": 12.34},
    }


def test_cell_tells_figure_and_seconds():
    assert suite.cell(report(), "relative_l2") == "0.0015 (12.3 s)"
    assert suite.cell(report(value=32.0, unit="dB"), "relative_l2") == "32 dB (12.3 s)"


def test_cell_tells_how_far_a_run_came_that_was_cut_short():
    early = report(reason="used 45 s")
    assert suite.cell(early, "relative_l2") == "0.0015 (40 of 5,000 steps, 12.3 s)"
    assert suite.cell(report(model="siren"), "relative_l2") == "0.0015 (40 steps, 12.3 s)"


def test_failed_and_infinite_results_are_named():
    assert suite.cell({"error": "diverged"}, "relative_l2") == "failed"
    assert suite.cell(report(value=None), "relative_l2").startswith("infinite")


def test_table_has_a_row_for_each_problem():
    reports = {f"{ROW.label}, {kind}": report() for kind in suite.RUNS}
    lines = suite.table([ROW], reports).splitlines()
    assert len(lines) == 3
    assert lines[2].count("|") == lines[0].count("|")
    assert lines[2].startswith("| heat: relative L2 | 0.0015")


def test_rows_name_problems_and_metrics_that_exist():
    from dinfgrid_cuda.suite.cases import PROBLEMS

    assert {row.problem for row in suite.ROWS} == set(PROBLEMS)
    assert len({row.label for row in suite.ROWS}) == len(suite.ROWS)


def test_earlier_rows_are_kept_and_damaged_tables_are_not(tmp_path):
    assert suite.earlier(tmp_path) == {}
    (tmp_path / "table.json").write_text(json.dumps({"a": {}}))
    assert suite.earlier(tmp_path) == {"a": {}}
    (tmp_path / "table.json").write_text("{")
    assert suite.earlier(tmp_path) == {}
