"""What must be importable before anything is compiled."""

from __future__ import annotations

import importlib.util
from types import ModuleType

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
