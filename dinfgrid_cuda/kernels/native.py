"""Loads the compiled extension, or says in one line why it cannot be loaded and what to do.

The record that the build left next to the extension is compared with the running torch first: an
extension built for another torch fails in the dynamic linker with an undefined symbol, or crashes.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from dinfgrid_cuda.warn import warn_user

FOLDER = Path(__file__).resolve().parents[1]


def advice(folder: Path) -> str:
    """The command that builds the extension of the package in `folder` for the running torch."""
    if (folder.parent / "setup.py").is_file():
        return f"build it: pip install --no-build-isolation -e {folder.parent}"
    command = "pip install --no-build-isolation --no-deps --force-reinstall ."
    return f"rebuild it in its source folder: {command}"


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the build in `folder`. Raises ImportError without extension for this Python."""
    built = [folder / f"_C{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    record = folder / "_build.json"
    if not record.is_file() or not any(path.is_file() for path in built):
        others = sorted(path.name for path in folder.glob("_C.*.so"))
        only = f", only {others[0]} for another Python" if others else ""
        raise ImportError(
            f"dinfgrid_cuda: {folder} holds no compiled extension{only}; {advice(folder)}"
        )
    facts: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return facts


def release(version: str) -> str:
    """The version without the build's label, "2.14.1" of "2.14.1+cu130"."""
    return version.split("+")[0]


def mismatch(facts: dict[str, Any], version: str, cuda: str | None, cxx11_abi: bool) -> str:
    """How the running torch differs from the one built against; empty where it does not matter.

    Args:
        facts: the record of the build.
        version: torch.__version__ of the running torch.
        cuda: its torch.version.cuda.
        cxx11_abi: its torch.compiled_with_cxx11_abi().
    """
    if release(facts["torch"]) != release(version):
        return f"was built for PyTorch {facts['torch']}, but {version} is running"
    if facts["cuda"] and facts["torch_cuda"] != cuda:
        running = f"CUDA {cuda}" if cuda else "no CUDA"
        return f"was built for CUDA {facts['torch_cuda']}, but PyTorch {version} has {running}"
    if facts["cxx11_abi"] != cxx11_abi:
        return "was built for a PyTorch with another C++ ABI"
    return ""


def load(folder: Path = FOLDER) -> tuple[ModuleType, dict[str, Any]]:
    """The extension and the record of its build. Raises ImportError with the way out."""
    facts = read_record(folder)
    differs = mismatch(
        facts, torch.__version__, torch.version.cuda, torch.compiled_with_cxx11_abi()
    )
    if differs:
        raise ImportError(f"dinfgrid_cuda: the compiled extension {differs}; {advice(folder)}")
    try:
        return importlib.import_module("dinfgrid_cuda._C"), facts
    except ImportError as error:
        raise ImportError(
            f"dinfgrid_cuda: the compiled extension cannot be loaded; {advice(folder)}"
        ) from error


def warn_of_missing_cuda(facts: dict[str, Any], gpus: int) -> None:
    """Warns of GPUs that torch can use and this build cannot, unless that was asked for.

    pip hides what a build prints, so that this is the first that its user sees of it.

    Args:
        facts: the record of the build.
        gpus: devices that torch sees.
    """
    if gpus and not facts["cuda"] and facts["cuda_reason"] != "DINFGRID_CUDA=0":
        warn_user(
            f"dinfgrid_cuda was built without CUDA ({facts['cuda_reason']}), although PyTorch sees "
            f"{gpus} GPU{'s' if gpus > 1 else ''}: fields must stay on the CPU. With nvcc on PATH, "
            f"{advice(FOLDER)}; DINFGRID_CUDA=0 at the build silences this.",
            RuntimeWarning,
        )


_C, facts = load()
# Counting devices starts no CUDA context.
warn_of_missing_cuda(facts, torch.cuda.device_count() if torch.version.cuda else 0)
