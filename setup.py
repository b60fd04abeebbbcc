"""Builds dinfgrid_cuda._C against the installed torch. All metadata stands in pyproject.toml.

Environment variables:
    DINFGRID_CUDA         0: no CUDA; 1: CUDA, or an error that says why not; unset: if possible
    TORCH_CUDA_ARCH_LIST  "9.0" or "8.0;9.0+PTX"; unset: that of the GPUs here, or the usual ones
    CUDA_HOME             the toolkit, where nvcc on PATH is not the right one
    MAX_JOBS              files compiled at a time
    DINFGRID_WERROR       1: warnings in this project's files are errors
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import setuptools

sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_tools import cuda, extension, requirements


def cuda_record(torch: Any, toolkit: cuda.Toolkit) -> dict[str, str]:
    """Sets the variables that torch's helper reads; returns what is going to be built."""
    os.environ["CUDA_HOME"] = str(toolkit.home)  # torch would trust an nvcc that is a mere script
    if os.environ.get("TORCH_CUDA_ARCH_LIST", "") in ("", "native"):
        gpus = [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())]
        os.environ["TORCH_CUDA_ARCH_LIST"] = cuda.architecture_list(toolkit, gpus)
    return {"toolkit": toolkit.version, "architectures": os.environ["TORCH_CUDA_ARCH_LIST"]}


def build_arguments() -> dict[str, Any]:
    """Arguments of setuptools.setup for a command that compiles."""
    torch = requirements.import_torch()
    requirements.check_torch(torch.__version__)
    decision = cuda.decide(os.environ, torch.__version__, torch.version.cuda)
    built = cuda_record(torch, decision.toolkit) if decision.toolkit else None
    print(f"dinfgrid_cuda: CUDA {built or f'is not built: {decision.reason}'}")

    from build_tools.command import BuildAndRecord  # needs torch and CUDA_HOME

    BuildAndRecord.cuda = built
    BuildAndRecord.cuda_reason = decision.reason
    return {
        "ext_modules": [extension.make(with_cuda=built is not None)],
        "cmdclass": {"build_ext": BuildAndRecord},
        # Of all that this prints pip shows the name of the wheel, and this in it.
        "options": {"bdist_wheel": {"build_number": cuda.build_tag(decision)}},
    }


try:
    arguments = build_arguments() if requirements.compiles(sys.argv[1:]) else {}
    requirements.check_setuptools(setuptools.__version__)
except requirements.BuildError as error:
    sys.exit(f"dinfgrid_cuda: {error}")

setuptools.setup(**arguments)
