"""What a plain install brings along is all that the README's first examples need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import dinfgrid_cuda

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")
packaging = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).resolve().parent.parent

# Hides modules as if they were not installed, from imports and from questions after them.
HIDE = """
import sys
hidden = set({hidden!r})
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            return None
        return self.finder.find_spec(name, path, target)
assert not hidden & set(sys.modules)
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


def canonical(name: str) -> str:
    """The name of a distribution as packages are compared by."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> list[str]:
    """The dependencies in pyproject.toml, without extras."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["dependencies"]


def closure(requirements: list[str]) -> set[str]:
    """Names of the distributions that an install of these brings along."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        wanted = packaging.Requirement(waiting.pop())
        needed = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if needed and canonical(wanted.name) not in found:
            found.add(canonical(wanted.name))
            waiting += metadata.requires(wanted.name) or []
    return found


def foreign_modules() -> set[str]:
    """Modules that are installed here but do not come with the dependencies."""
    own = closure(declared())
    return {
        module
        for module, distributions in metadata.packages_distributions().items()
        if module.isidentifier()
        and module != "dinfgrid_cuda"
        and own.isdisjoint(map(canonical, distributions))
    }


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code where only the dependencies can be imported."""
    folder = str(Path(dinfgrid_cuda.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=sorted(foreign_modules())) + code],
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        text=True,
        check=False,
    )


def first_examples() -> str:
    """The Python blocks of the README up to the first that solves."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    last = next(i for i, block in enumerate(blocks) if "dg.solve(" in block)
    return "\n".join(blocks[: last + 1])


def test_dependencies_suffice_for_the_readmes_first_solve() -> None:
    done = run_without_extras(first_examples())
    assert done.returncode == 0, done.stderr
    assert "method: least-squares" in done.stdout
    assert "converged" in done.stdout


@pytest.mark.slow
def test_an_extra_is_not_seen_where_only_the_dependencies_are() -> None:
    assert {"safetensors", "pytest"} <= foreign_modules()
    done = run_without_extras("import dinfgrid_cuda, safetensors")
    assert done.returncode == 1
    assert "No module named 'safetensors'" in done.stderr


@pytest.mark.slow
def test_a_folder_for_checkpoints_asks_for_the_package_that_it_needs(tmp_path: Path) -> None:
    done = run_without_extras(
        f"{first_examples()}\ndg.solve(problem, field, out={str(tmp_path)!r})"
    )
    assert done.returncode == 1
    assert "pip install safetensors" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_command_without_its_packages_is_one_line() -> None:
    done = run_without_extras("import dinfgrid_cuda.__main__")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "dinfgrid: the command needs extra packages: pip install 'dinfgrid_cuda[app]'"
    ]
