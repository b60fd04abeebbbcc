"""The record of a build, which `dinfgrid_cuda` reads before it loads the extension."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

FILE_NAME = "_build.json"  # beside the extension


def compiler_version(command: str) -> str:
    """First line of `command --version`, or the command where it does not tell."""
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return command
    return done.stdout.splitlines()[0]


def collect(
    package: str, torch: Any, cuda: dict[str, str] | None, reason: str, compiler: str
) -> dict[str, Any]:
    """What was built, from what.

    Args:
        package: version of this package.
        torch: the module built against.
        cuda: {"toolkit": "13.0", "architectures": "8.0;9.0+PTX"}, or None in a CPU-only build.
        reason: why CUDA was not built; empty where it was.
        compiler: command of the C++ compiler.
    """
    return {
        "package": package,
        "python": sysconfig.get_config_var("SOABI") or "",
        "torch": str(torch.__version__),
        "torch_cuda": torch.version.cuda,
        "cxx11_abi": bool(torch.compiled_with_cxx11_abi()),
        "cuda": cuda,
        "cuda_reason": reason,
        "compiler": compiler_version(compiler),
    }


def write(facts: dict[str, Any], folder: Path) -> None:
    """Writes the record into the folder that holds the extension."""
    (folder / FILE_NAME).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
