"""What importing the package needs, and says where the extension is missing or unsuitable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import dinfgrid_cuda
from dinfgrid_cuda.kernels import native

PACKAGE = Path(dinfgrid_cuda.__file__).parent


def run_python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code with `folder` first on the module path."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def copy_package(folder: Path, *, extension: bool) -> Path:
    """A copy of the package, with or without what the build left in it."""
    built = () if extension else ("_C.*", "_build.json")
    ignored = shutil.ignore_patterns("__pycache__", *built)
    return Path(shutil.copytree(PACKAGE, folder / "dinfgrid_cuda", ignore=ignored))


def test_a_missing_extension_is_reported_with_the_command_that_builds_it(tmp_path: Path) -> None:
    copy_package(tmp_path, extension=False)
    done = run_python("import dinfgrid_cuda", tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: dinfgrid_cuda: ")
    assert "holds no compiled extension" in last
    assert "pip install --no-build-isolation" in last


@pytest.mark.slow
def test_an_extension_for_another_torch_is_reported_before_it_is_loaded(tmp_path: Path) -> None:
    package = copy_package(tmp_path, extension=True)
    record = package / "_build.json"
    facts = json.loads(record.read_text())
    facts["torch"] = "2.1.0+cpu"
    record.write_text(json.dumps(facts))
    for extension in package.glob("_C.*"):
        extension.write_bytes(b"not a library: loading it would fail otherwise than expected")
    done = run_python("import dinfgrid_cuda", tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "was built for PyTorch 2.1.0+cpu, but " in last
    assert f"{torch.__version__} is running" in last
    assert "pip install --no-build-isolation" in last


def test_an_extension_for_another_python_is_named(tmp_path: Path) -> None:
    (tmp_path / "_build.json").write_text("{}")
    (tmp_path / "_C.cpython-27-x86_64-linux-gnu.so").touch()
    with pytest.raises(ImportError, match="only _C.cpython-27-x86_64-linux-gnu.so for another Py"):
        native.read_record(tmp_path)


def test_the_advice_in_a_source_folder_is_an_editable_install(tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    expected = f"build it: pip install --no-build-isolation -e {tmp_path}"
    assert native.advice(tmp_path / "dinfgrid_cuda") == expected


CPU = {"torch": "2.14.1+cpu", "torch_cuda": None, "cuda": None, "cxx11_abi": True}
CUDA = {**CPU, "torch": "2.14.1+cu130", "torch_cuda": "13.0", "cuda": {"toolkit": "13.0"}}


@pytest.mark.parametrize(
    ("facts", "version", "cuda", "abi", "expected"),
    [
        (CPU, "2.14.1+cpu", None, True, ""),
        (CPU, "2.14.1+cu130", "13.0", True, ""),
        (CPU, "2.14.2+cpu", None, True, "built for PyTorch 2.14.1+cpu, but 2.14.2+cpu is running"),
        (CPU, "2.14.1+cpu", None, False, "another C++ ABI"),
        (CUDA, "2.14.1+cu130", "13.0", True, ""),
        (CUDA, "2.14.1+cpu", None, True, "built for CUDA 13.0, but PyTorch 2.14.1+cpu has no CUDA"),
        (CUDA, "2.14.1+cu126", "12.6", True, "but PyTorch 2.14.1+cu126 has CUDA 12.6"),
    ],
)
def test_only_a_torch_that_can_load_the_extension_is_accepted(
    facts: dict, version: str, cuda: str | None, abi: bool, expected: str
) -> None:
    differs = native.mismatch(facts, version, cuda, abi)
    assert expected in differs
    assert bool(differs) == bool(expected)


NO_NVCC = {**CPU, "cuda_reason": "no nvcc on PATH and no CUDA_HOME"}


def test_gpus_that_the_build_cannot_use_are_told_with_the_reason() -> None:
    told = "without CUDA .no nvcc on PATH and no CUDA_HOME., although PyTorch sees 2 GPUs"
    with pytest.warns(RuntimeWarning, match=told):
        native.warn_of_missing_cuda(NO_NVCC, 2)


@pytest.mark.parametrize(
    ("facts", "gpus"),
    [
        (NO_NVCC, 0),
        ({**CPU, "cuda_reason": "DINFGRID_CUDA=0"}, 1),
        ({**CUDA, "cuda_reason": ""}, 1),
    ],
)
def test_no_word_where_no_gpu_is_missed(facts: dict, gpus: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        native.warn_of_missing_cuda(facts, gpus)


def test_importing_touches_no_gpu_and_loads_no_plotting_or_image_library(tmp_path: Path) -> None:
    code = (
        "import sys, torch, dinfgrid_cuda as dg\n"
        "assert not torch.cuda.is_initialized()\n"
        "print([name for name in ('matplotlib', 'skimage', 'PIL') if name in sys.modules])\n"
        "print(dg.build_info())"
    )
    done = run_python(code, PACKAGE.parent, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[]"
    assert lines[1].split() == ["dinfgrid_cuda", dinfgrid_cuda.__version__]


def test_every_exported_name_exists() -> None:
    for name in dinfgrid_cuda.__all__:
        assert getattr(dinfgrid_cuda, name) is not None


def test_build_info_tells_versions_back_ends_and_processor() -> None:
    info = dinfgrid_cuda.build_info()
    assert info.package == dinfgrid_cuda.__version__
    assert info.torch_running == torch.__version__
    assert info.torch_built.split("+")[0] == torch.__version__.split("+")[0]
    assert info.backends[0] == "cpu"
    assert ("cuda" in info.backends) == bool(info.cuda_toolkit) == bool(info.cuda_architectures)
    assert bool(info.cuda_absent) != bool(info.cuda_toolkit)
    assert info.cpu_instruction_set in ("portable", "avx2")
    assert info.cpu_instruction_set == "portable" or "avx2" in info.cpu_features
    assert info.cpp_standard >= 201703


def test_build_info_prints_every_fact() -> None:
    text = str(dinfgrid_cuda.build_info())
    for word in ("PyTorch", "back ends", "CUDA", "compiler", "CPU kernels", "CPU features"):
        assert word in text
