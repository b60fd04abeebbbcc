"""Every kind of kernel under NVIDIA's compute-sanitizer, with each of its four tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import gpu
import pytest
from torch.utils.cpp_extension import CUDA_HOME

pytestmark = gpu.ON_GPU

SCRIPT = Path(__file__).with_name("gpu_smoke.py")
FOUND = 97  # exit status for an error that the tool reports


def find_sanitizer(home: str | None, path: str | None = None) -> str | None:
    """compute-sanitizer of the toolkit, or else of PATH."""
    own = Path(home or "", "bin", "compute-sanitizer")
    if home and os.access(own, os.X_OK):
        return str(own)
    return shutil.which("compute-sanitizer", path=path)


def command(sanitizer: str, tool: str) -> list[str]:
    """Checks this project's kernels only; torch's are not what is tested."""
    return [
        sanitizer,
        f"--tool={tool}",
        f"--error-exitcode={FOUND}",
        "--kernel-name=kernel_substring=dinfgrid",
        "--launch-timeout=300",
        "--print-limit=20",
        sys.executable,
        str(SCRIPT),
    ]


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_compute_sanitizer_finds_nothing(tool: str, tmp_path: Path) -> None:
    sanitizer = find_sanitizer(CUDA_HOME)
    if sanitizer is None:
        pytest.skip("needs compute-sanitizer of the CUDA toolkit")
    # Every tensor is an allocation of its own, so that an access beyond its end is seen.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    done = subprocess.run(
        command(sanitizer, tool),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "done" in done.stdout.splitlines()
