"""What must be importable before anything is compiled."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

# setuptools 77 is the first that reads the license expression in pyproject.toml.
OLDEST_SETUPTOOLS = 77

# Commands that compile; all others (sdist, egg_info, clean) work without torch. A PEP 517 front end
# asks for dist_info before a wheel, so that a build that cannot succeed stops there, in one line.
COMPILING_COMMANDS = frozenset(
    {"bdist_wheel", "build", "build_ext", "develop", "dist_info", "editable_wheel", "install"}
)


class BuildError(Exception):
    """The extension cannot be built; the message names what is missing and what to do."""


def compiles(arguments: list[str]) -> bool:
    """Whether a command line of setup.py (without the program) holds a command that compiles."""
    return not COMPILING_COMMANDS.isdisjoint(arguments)


def check_setuptools(version: str) -> None:
    """Raises BuildError if `version` of setuptools is too old to read pyproject.toml."""
    if int(version.split(".")[0]) < OLDEST_SETUPTOOLS:
        raise BuildError(
            f"setuptools {version} is too old; "
            f"run: pip install 'setuptools>={OLDEST_SETUPTOOLS}' ninja"
        )


def import_torch(name: str = "torch") -> ModuleType:
    """The torch to build against. Raises BuildError without one, as in an isolated build."""
    if importlib.util.find_spec(name) is None:
        raise BuildError(
            "this build does not see PyTorch, and must see the one that will load the extension; "
            "install torch, then run: pip install --no-build-isolation ."
        )
    return importlib.import_module(name)


def oldest_torch(project: Path = PROJECT) -> str:
    """The least version of torch among the dependencies in a pyproject.toml, such as "2.13"."""
    found = re.search(r'"torch>=([0-9.]+)"', project.read_text(encoding="utf-8"))
    if found is None:
        raise BuildError(f'{project} holds no dependency of the form "torch>=2.13"')
    return found.group(1)


def is_older(version: str, least: str) -> bool:
    """Whether a version is older than another; a pre-release is older than its release.

    Args:
        version: torch.__version__, such as "2.13.1+cu130" or "2.13.0.dev20260401".
        least: numbers and dots.
    """
    public = version.split("+")[0].replace(".dev", "dev")
    parts = re.match(r"([0-9.]*)(a|b|rc|dev)?", public)
    assert parts is not None  # both parts may be empty
    own, wanted = (
        [int(word) for word in text.split(".") if word] for text in (parts.group(1), least)
    )
    length = max(len(own), len(wanted))
    own += [0] * (length - len(own))
    wanted += [0] * (length - len(wanted))
    return own < wanted or (own == wanted and parts.group(2) is not None)


def check_torch(version: str) -> None:
    """Raises BuildError for a torch that pip would replace after compiling against it."""
    least = oldest_torch()
    if is_older(version, least):
        raise BuildError(
            f"PyTorch {version} is installed, but {least} or newer is needed; run: "
            f"pip install 'torch>={least}', then: pip install --no-build-isolation ."
        )
