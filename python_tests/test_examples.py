"""Each example runs as it stands and prints a true error that is as small as its README says."""

from __future__ import annotations

import ast
import re
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import dinfgrid_cuda as dg

FOLDER = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))
# The errors that each script printed on one core of an AMD EPYC with torch 2.13, in the order of
# its lines, and how many times as large they may be elsewhere. Rounding, other points and other
# starting features move all but the last; the image's error is that of its data, not of the solver.
REACHED = {
    "burgers_unknown_viscosity.py": ([6.1e-8, 2.7e-6], 10),
    "complex_wave.py": ([1.0e-6], 10),
    "corner.py": ([9.6e-8], 10),
    "first_steps.py": ([6.9e-11], 10),
    "heat_in_slabs.py": ([6.2e-9], 10),
    "own_matrix.py": ([4.8e-13], 10),
    "shape.py": ([7.9e-9], 10),
    "own_training_loop.py": ([1.5e-5], 10),
    "poisson_square.py": ([3.3e-7], 10),
    "image_from_gradient.py": ([2.2e-2], 1.1),
}
SLOW = {"image_from_gradient.py", "own_training_loop.py"}
MODULES = {
    "dinfgrid_cuda",
    "math",
    "matplotlib",
    "numpy",
    "scipy",
    "skimage",
    "sys",
    "torch",
    "trimesh",
}
ERROR = re.compile(r"error[^:\n]*: (\S+?),?(?:\s|$)")


@pytest.fixture
def defaults(one_thread: None) -> Iterator[None]:
    """The examples set torch's default precision and seed."""
    dtype, state = torch.get_default_dtype(), torch.get_rng_state()
    yield
    torch.set_default_dtype(dtype)
    torch.set_rng_state(state)


def run(script: Path, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """Runs a script, in which nothing may be deprecated; returns the errors that it prints."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        warnings.simplefilter("error", DeprecationWarning)
        warnings.filterwarnings("ignore", "solve: u is not determined up to a constant")
        runpy.run_path(str(script), run_name="__main__")
    return [float(error) for error in ERROR.findall(capsys.readouterr().out)]


@pytest.mark.parametrize(
    "script",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.name in SLOW)) for path in SCRIPTS],
    ids=lambda path: path.stem,
)
def test_an_example_prints_the_error_that_it_is_known_to_reach(
    script: Path,
    defaults: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)  # shape.py writes a picture
    monkeypatch.setattr(sys, "argv", [str(script)])
    if script.stem == "shape":
        for package in ("matplotlib", "trimesh", "igl"):
            pytest.importorskip(package)
        monkeypatch.setenv("MPLBACKEND", "agg")
    if script.stem == "image_from_gradient":
        pytest.importorskip("skimage")
    errors = run(script, capsys)
    reached, margin = REACHED[script.name]
    assert len(errors) == len(reached)
    for error, expected in zip(errors, reached, strict=True):
        assert 0 < error <= margin * expected


@pytest.mark.slow
def test_the_image_is_a_pattern_where_scikit_image_is_missing(
    defaults: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    (error,) = run(FOLDER / "image_from_gradient.py", capsys)
    assert 0 < error <= 1.1 * 4.6e-3


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_fits_a_screen_and_uses_public_names_only(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 45
    assert ast.get_docstring(ast.parse(text))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= MODULES
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.module.split(".")[0] in MODULES - {"dinfgrid_cuda"}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "dg" or node.attr in dg.__all__


def test_the_list_of_examples_names_each() -> None:
    listed = re.findall(r"^\| \[(\w+\.py)\]\((\w+\.py)\)", (FOLDER / "README.md").read_text(), re.M)
    assert all(shown == link for shown, link in listed)
    assert sorted(link for _, link in listed) == [path.name for path in SCRIPTS] == sorted(REACHED)
