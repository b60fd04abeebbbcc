"""What the command says to options at and beyond what numbers, memory and time can bear."""

from __future__ import annotations

import dataclasses
import math
import re
import typing

import pytest

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

from test_cli import SMALL, invoke, one_line  # noqa: E402 - needs typer

from dinfgrid_cuda.suite.cases import PROBLEMS, case_class  # noqa: E402
from dinfgrid_cuda.suite.run.forecast import duration, forecast  # noqa: E402
from dinfgrid_cuda.suite.run.run import Request  # noqa: E402
from dinfgrid_cuda.suite.tools.case import CaseError  # noqa: E402


class Reached(Exception):  # noqa: N818 - no error
    """The solve would begin."""


@pytest.fixture
def no_solve(monkeypatch):
    """Ends a command where the solve begins: what comes before is looked at."""

    def reached(*_, **__):
        raise Reached

    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.solve", reached)


EXTREME = [
    ("wave", "--speed", "1e300", r"--speed is 1e\+300; it must lie in 1e-06..1e\+06"),
    ("wave", "--end", "1e-300", "--end is 1e-300; it must lie in"),
    ("convection", "--speed", "-1e300", r"--speed is -1e\+300; it must lie in -1e\+06..1e\+06"),
    ("convection", "--end", "inf", "--end is inf; it must lie in"),
    ("flow-mixing", "--end", "1e5", "--end is 100000.0; it must lie in 1e-06..100"),
    ("helmholtz-box", "--wavenumber", "1e300", r"--wavenumber is 1e\+300; it must lie in 0..3000"),
    ("helmholtz-box", "--a1", "1000000000", "--a1 is 1000000000; it must lie in 1..500"),
    ("plate", "--side", "1e-300", "--side is 1e-300; it must lie in"),
    ("plate", "--pressure", "nan", "--pressure is nan; it must lie in"),
    ("cloth", "--density", "1e300", r"--density is 1e\+300; it must lie in"),
    ("advection", "--sigma", "1e-300", "--sigma is 1e-300; it must lie in"),
    ("zalesak", "--revolutions", "1e30", r"--revolutions is 1e\+30; it must lie in"),
    ("heat", "--left", "-1000000000", "--left is -1000000000; it must lie in -1000..0"),
    ("burgers", "--measurements", "1000000000", "--measurements is 1000000000; it must lie in"),
    ("poisson-image", "--size", "1000000000", "--size is 1000000000; it must lie in 8..8192"),
    ("plate", "--cells", "1000000000", r"1e\+18 unknowns and .* points need about .* GB, but"),
    ("ode", "--cells", "1000000000", r"1e\+09 unknowns and 4e\+09 points need about 2,496 GB, but"),
    ("heat", "--cells", "1" + "0" * 400, "--cells is 10.*, but it can be at most 1073741824"),
    ("cloth", "--points", "1000000000", r"1e\+09 points need about 600 GB, but"),
    ("heat", "--points", "1" + "0" * 22, "--points is 10.*, but it can be at most 1000000000000"),
    ("heat", "--steps", "1" + "0" * 22, "--steps is 10.*, but it can be at most 1000000000"),
    ("heat", "--out", "", "--out is empty; name a folder"),
    ("heat", "--out", " ", "--out is empty; name a folder"),
]


@pytest.mark.parametrize(("problem", "option", "value", "message"), EXTREME)
def test_extreme_options_are_one_line(problem, option, value, message, tmp_path, no_solve):
    out = [] if option == "--out" else ["--out", tmp_path]
    result = invoke("solve", problem, *out, option, value)
    assert re.search(message, one_line(result))


NUMBERS = [
    (name, field.name, field.metadata["span"])
    for name in PROBLEMS
    for field in dataclasses.fields(case_class(name))
    if field.metadata["span"]
]


# Options that others must go with.
PARTNERS = {"velocity_y": {"dim": 2}, "gravity": {"hold": "edges"}}


@pytest.mark.parametrize(("name", "field", "span"), NUMBERS)
def test_both_ends_of_a_range_can_be_set_up_and_nothing_beyond_them(name, field, span):
    kind, others = case_class(name), PARTNERS.get(field, {})
    hint = typing.get_type_hints(kind)[field]
    whole = int in (hint, *typing.get_args(hint))
    for value in span:
        case = kind(**others, **{field: int(value) if whole else value})
        if field != "size":  # an image that large takes seconds
            Request(case).setup()
    below, above = (
        math.nextafter(end, to) for end, to in zip(span, (-math.inf, math.inf), strict=True)
    )
    if whole:
        below, above = int(span[0]) - 1, int(span[1]) + 1
    for value in (below, above, math.nan):
        with pytest.raises(CaseError, match=f"--{field.replace('_', '-')} is"):
            kind(**others, **{field: value})


@pytest.mark.parametrize("folder", ["", "  "])
@pytest.mark.parametrize("command", [["plot", "x"], ["export", "x"], ["study", "helmholtz"]])
def test_an_empty_folder_is_one_line_everywhere(command, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if command[0] != "study":
        solved = invoke("solve", "poisson-image", "--out", tmp_path / "x", *SMALL)
        assert solved.exit_code == 0, solved.output
    assert "--out is empty" in one_line(invoke(*command, "--out", folder))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("Unable to allocate 6.94 EiB for an array"), "out of memory with --end 7.0"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "out of memory with",
        ),
        (
            OverflowError("int too big to convert"),
            "too large to be computed with --end 7.0",
        ),
        (ZeroDivisionError("float division by zero"), "too small to be computed with --end 7.0"),
    ],
)
def test_what_no_range_has_caught_is_one_line_that_names_the_options(
    error, message, tmp_path, monkeypatch
):
    def fails(request):
        raise error

    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.run", fails)
    line = one_line(invoke("solve", "heat", "--end", "7", "--out", tmp_path, "--no-progress"))
    assert re.search(message, line)
    assert f"--out {tmp_path} --no-progress; choose" in line


def test_an_overflow_without_any_option_is_a_bug_and_shown_whole(monkeypatch, tmp_path):
    bug = OverflowError("a bug")

    def fails(request):
        raise bug

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.run", fails)
    assert invoke("solve", "heat").exception is bug


def test_memory_beyond_the_limit_is_refused_before_anything_is_formed(tmp_path, monkeypatch):
    monkeypatch.setattr("dinfgrid_cuda.suite.run.forecast.free_memory", lambda: 30e6)
    monkeypatch.setattr("dinfgrid_cuda.suite.cases.in_time.heat.Heat.problem", None)
    line = one_line(invoke("solve", "heat", "--out", tmp_path, "--cells", 256))
    assert "68,121 unknowns and 262,144 points need about 0.16 GB, but 0.03 GB may be used" in line


@pytest.mark.slow
@pytest.mark.parametrize("resolution", ["1000000000", "1" + "0" * 60])
def test_a_resolution_that_no_memory_holds_is_one_line(resolution, tmp_path):
    solved = invoke("solve", "ode", "--out", tmp_path, "--no-progress")
    assert solved.exit_code == 0, solved.output
    line = one_line(invoke("evaluate", tmp_path, "--resolution", resolution))
    assert re.search(r"--resolution 10+ makes 1e\+\d+ points, which need about .* GB, but", line)


def test_more_waves_in_three_dimensions_than_figures_can_show_are_one_line(tmp_path, no_solve):
    line = one_line(invoke("solve", "helmholtz-box", "--a1", 41, "--a3", 1, "--out", tmp_path))
    assert "--a1 41 --a2 1 --a3 1 are too many wavelengths; with z each can be at most 40" in line


def test_a_long_run_is_told_before_it_starts_with_and_without_progress(tmp_path, no_solve):
    long = ["solve", "heat", "--config", "paper", "--steps", "100000", "--out", tmp_path]
    for more in ([], ["--no-progress"]):
        result = invoke(*long, *more)
        assert isinstance(result.exception, Reached)
        told = r"about 20,866 unknowns and 65,536 points; up to about 0.12 GB and [\d.]+ \w+\n"
        assert re.fullmatch(told, result.stderr), result.stderr


def test_a_short_run_is_not_announced(tmp_path, no_solve):
    assert invoke("solve", "heat", "--out", tmp_path).stderr == ""


@pytest.mark.parametrize(
    ("options", "unit"),
    [
        ({"config": "paper", "max_seconds": 30.0}, "30 s"),
        ({"config": "paper", "model": "siren"}, "4 minutes"),
        ({"cells": 512}, "if the equation is not linear"),
    ],
)
def test_time_is_bounded_by_the_limit_and_steps_of_least_squares_by_their_number(options, unit):
    case = case_class("heat")()
    request = Request(case, **options)
    assert str(forecast(case, request.setup(), request.model, order=2)).endswith(unit)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.14, "3.1 s"),
        (80.0, "80 s"),
        (150.0, "2.5 minutes"),
        (7200.0, "2 hours"),
        (1e20, "2.8e+16 hours"),
    ],
)
def test_durations_are_told_to_two_digits(seconds, text):
    assert duration(seconds) == text
