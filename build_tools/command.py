"""The command that compiles. Importing this imports torch's helper, which looks for CUDA_HOME."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import torch
from torch.utils.cpp_extension import BuildExtension, get_cxx_compiler

from . import facts


class BuildAndRecord(BuildExtension):
    """Compiles with torch's helper, then leaves the record of the build beside the extension."""

    cuda: dict[str, str] | None = None  # set by setup.py: toolkit and architectures
    cuda_reason = ""  # why there is no CUDA
    build_temp: str | None

    def finalize_options(self) -> None:
        if self.build_temp is None:
            # Objects are kept per torch, for installs of every kind: the next build compiles only
            # what changed, and two environments in one checkout do not overwrite each other's.
            kind = "cuda" if self.cuda else "cpu"
            python = sysconfig.get_config_var("SOABI")
            self.build_temp = str(Path("build", f"{python}-torch-{torch.__version__}-{kind}"))
        super().finalize_options()

    def build_extensions(self) -> None:
        super().build_extensions()
        self.record(Path(self.get_ext_fullpath("dinfgrid_cuda._C")).parent)

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        self.record(Path(self.get_finalized_command("build_py").get_package_dir("dinfgrid_cuda")))

    def record(self, folder: Path) -> None:
        """Writes the record into `folder`."""
        built = facts.collect(
            self.distribution.get_version(), torch, self.cuda, self.cuda_reason, get_cxx_compiler()
        )
        facts.write(built, folder)
