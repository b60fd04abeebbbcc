"""Sources and flags of the extension dinfgrid_cuda._C."""

from __future__ import annotations

import os
from pathlib import Path

import setuptools

ROOT = Path(__file__).resolve().parent.parent


def sources(with_cuda: bool) -> list[str]:
    """Files to compile, relative to the repository's root as setuptools wants them."""
    patterns = ["csrc/cpu/*.cpp", "csrc/torch/*.cpp"] + (["csrc/cuda/**/*.cu"] if with_cuda else [])
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path.relative_to(ROOT).as_posix() for path in found]


def compile_flags(include_paths: list[str], strict: bool) -> dict[str, list[str]]:
    """Flags per compiler. Language standard and architectures are torch's to choose.

    Args:
        include_paths: torch's header folders.
        strict: warnings are errors, except in torch's headers.
    """
    if os.name == "nt":
        return {"cxx": ["/O2"], "nvcc": []}
    cxx = ["-O3", "-g0"]  # Python's own flags ask for debug information, which triples the library
    nvcc = ["-O3"]
    if strict:
        system = [flag for path in include_paths for flag in ("-isystem", path)]
        cxx += ["-Wall", "-Wextra", "-Werror", *system]
        nvcc += ["-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra"]
    return {"cxx": cxx, "nvcc": nvcc}


def openmp_flags() -> list[str]:
    """What at::parallel_for, a header, needs to run in parallel; it is silently serial without."""
    import torch

    return ["-fopenmp"] if "backend: OpenMP" in torch.__config__.parallel_info() else []


def make(with_cuda: bool) -> setuptools.Extension:
    """The extension; torch must be importable, and CUDA_HOME set where `with_cuda`."""
    from torch.utils import cpp_extension

    kind = cpp_extension.CUDAExtension if with_cuda else cpp_extension.CppExtension
    headers = cpp_extension.include_paths("cuda" if with_cuda else "cpu")
    strict = os.environ.get("DINFGRID_WERROR", "") not in ("", "0")
    flags = compile_flags(headers, strict)
    openmp = openmp_flags()
    flags["cxx"] += openmp
    return kind(
        name="dinfgrid_cuda._C",
        sources=sources(with_cuda),
        define_macros=[("DINFGRID_WITH_CUDA", "1")] if with_cuda else [],
        extra_compile_args=flags,
        extra_link_args=openmp,
    )
