"""What this installation consists of, for bug reports and for `dinfgrid info`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dinfgrid_cuda._version import __version__

from .native import _C, facts


@dataclass(frozen=True)
class BuildInfo:
    """Holds the versions, back ends and processor features of an installation; `print` it."""

    package: str
    torch_built: str  # version compiled against
    torch_running: str
    backends: tuple[str, ...]  # "cpu", "cuda"
    cuda_toolkit: str  # "13.0"; empty without CUDA
    cuda_architectures: tuple[str, ...]  # "8.0", "9.0+PTX"; empty without CUDA
    cuda_absent: str  # why CUDA was not built; empty with CUDA
    cuda_devices: tuple[str, ...]  # GPUs that torch sees
    compiler: str
    cpp_standard: int  # 202002
    cpu_instruction_set: str  # of the CPU kernels in use
    cpu_features: tuple[str, ...]
    cpu_threads: int

    def __str__(self) -> str:
        cuda = f"not built: {self.cuda_absent}"
        if self.cuda_toolkit:
            cuda = f"toolkit {self.cuda_toolkit}, architectures {' '.join(self.cuda_architectures)}"
        lines = {
            "dinfgrid_cuda": self.package,
            "PyTorch": f"{self.torch_running}, built against {self.torch_built}",
            "back ends": ", ".join(self.backends),
            "CUDA": cuda,
            "GPUs": ", ".join(self.cuda_devices) or "none",
            "compiler": f"{self.compiler}, C++ {self.cpp_standard}",
            "CPU kernels": f"{self.cpu_instruction_set}, {self.cpu_threads} threads",
            "CPU features": " ".join(self.cpu_features),
        }
        return "\n".join(f"{name:<14} {text}" for name, text in lines.items())


def build_info() -> BuildInfo:
    """Returns what this installation consists of; needs no GPU."""
    compiled = _C.build_info()
    cuda = facts["cuda"] or {"toolkit": "", "architectures": ""}
    devices = range(torch.cuda.device_count())
    return BuildInfo(
        package=__version__,
        torch_built=facts["torch"],
        torch_running=str(torch.__version__),
        backends=("cpu", "cuda") if facts["cuda"] else ("cpu",),
        cuda_toolkit=cuda["toolkit"],
        cuda_architectures=tuple(cuda["architectures"].replace(";", " ").split()),
        cuda_absent=facts["cuda_reason"],
        cuda_devices=tuple(torch.cuda.get_device_name(index) for index in devices),
        compiler=compiled["compiler"],
        cpp_standard=compiled["cpp_standard"],
        cpu_instruction_set=compiled["cpu_instruction_set"],
        cpu_features=tuple(compiled["cpu_features"]),
        cpu_threads=torch.get_num_threads(),
    )
