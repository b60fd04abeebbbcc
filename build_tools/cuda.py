"""Whether the CUDA back end is built, with which toolkit, and for which architectures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .requirements import BuildError

# Code for x.0 runs on every x.y, so one entry a generation serves all data centre and desktop GPUs
# since 2020. Each entry costs one more compilation of every kernel.
DEFAULT_ARCHITECTURES = ("8.0", "9.0", "10.0", "12.0")


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit on disk."""

    home: Path
    version: str  # "13.0"
    architectures: frozenset[str]  # what its nvcc compiles for: "8.0", "9.0", ...


@dataclass(frozen=True)
class Decision:
    """Outcome of `decide`: a toolkit to build with, or the reason why there is none."""

    toolkit: Toolkit | None
    reason: str


def run_nvcc(nvcc: Path, *arguments: str) -> str:
    """Standard output and error of nvcc together; empty where it cannot be run."""
    try:
        done = subprocess.run([str(nvcc), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout + done.stderr


def real_home(nvcc: Path) -> Path:
    """Toolkit folder of an nvcc, which may be a link or a script elsewhere: ask it then."""
    home = nvcc.resolve().parent.parent
    if not (home / "include" / "cuda_runtime.h").is_file():
        plan = run_nvcc(nvcc, "--dryrun", "-E", "-x", "cu", os.devnull)
        here = re.search(r"^#\$ _HERE_=(.+)$", plan, re.MULTILINE)
        if here:
            home = Path(here.group(1)).parent
    return home


def find_home(environment: Mapping[str, str]) -> Path | None:
    """Folder of the toolkit: CUDA_HOME or CUDA_PATH, or that of nvcc on PATH, or the usual one."""
    named = environment.get("CUDA_HOME") or environment.get("CUDA_PATH")
    if named:
        return Path(named)
    nvcc = shutil.which("nvcc", path=environment.get("PATH"))
    if nvcc:
        return real_home(Path(nvcc))
    usual = Path("/usr/local/cuda")
    return usual if usual.is_dir() else None


def read_toolkit(home: Path) -> Toolkit:
    """The toolkit in a folder. Raises BuildError naming what the folder lacks."""
    nvcc = home / "bin" / ("nvcc.exe" if os.name == "nt" else "nvcc")
    for needed in (nvcc, home / "include" / "cuda_runtime.h"):
        if not needed.is_file():
            raise BuildError(f"the CUDA toolkit folder {home} has no {needed.relative_to(home)}")
    release = re.search(r"release (\d+\.\d+)", run_nvcc(nvcc, "--version"))
    if release is None:
        raise BuildError(f"{nvcc} does not run")
    listed = re.findall(r"compute_(\d+)(\d)\b", run_nvcc(nvcc, "--list-gpu-arch"))
    return Toolkit(home, release.group(1), frozenset(f"{major}.{minor}" for major, minor in listed))


def usable_toolkit(
    environment: Mapping[str, str], torch_version: str, torch_cuda: str | None
) -> Toolkit:
    """The toolkit to build with. Raises BuildError naming what is missing."""
    if torch_cuda is None:
        raise BuildError(f"PyTorch {torch_version} is built without CUDA")
    home = find_home(environment)
    if home is None:
        raise BuildError("no nvcc on PATH and no CUDA_HOME")
    toolkit = read_toolkit(home)
    if toolkit.version.split(".")[0] != torch_cuda.split(".")[0]:
        raise BuildError(
            f"the CUDA toolkit in {home} is {toolkit.version}, but PyTorch {torch_version} is "
            f"built with CUDA {torch_cuda}; install toolkit {torch_cuda} or point CUDA_HOME at it"
        )
    return toolkit


def decide(environment: Mapping[str, str], torch_version: str, torch_cuda: str | None) -> Decision:
    """Whether CUDA is built.

    DINFGRID_CUDA=0 and 1 force it; otherwise CUDA is built where everything for it is found.

    Args:
        environment: the environment variables.
        torch_version: torch.__version__.
        torch_cuda: torch.version.cuda, the CUDA version torch is built with, or None.

    Raises:
        BuildError: DINFGRID_CUDA=1 and something is missing, or DINFGRID_CUDA is neither 0 nor 1.
    """
    wish = environment.get("DINFGRID_CUDA", "")
    if wish not in ("", "0", "1"):
        raise BuildError(f"DINFGRID_CUDA is '{wish}'; it may be 0 (no CUDA), 1 (CUDA) or unset")
    if wish == "0":
        return Decision(None, "DINFGRID_CUDA=0")
    try:
        return Decision(usable_toolkit(environment, torch_version, torch_cuda), "")
    except BuildError as error:
        if wish == "1":
            raise BuildError(f"DINFGRID_CUDA=1, but {error}") from None
        return Decision(None, str(error))


def build_tag(decision: Decision) -> str:
    """What the name of the wheel says of the back ends: "0cpu", or "0cu130" for toolkit 13.0."""
    toolkit = decision.toolkit
    return f"0cu{toolkit.version.replace('.', '')}" if toolkit else "0cpu"


def architecture_list(toolkit: Toolkit, visible: list[tuple[int, int]]) -> str:
    """Architectures to compile for where TORCH_CUDA_ARCH_LIST is not set, in that variable's form.

    The last entry keeps its intermediate code, from which a driver compiles for newer GPUs.

    Args:
        toolkit: the toolkit that compiles.
        visible: compute capability of every GPU in this machine; empty is a build for any GPU.
    """
    wanted = [f"{major}.{minor}" for major, minor in sorted(set(visible))] or DEFAULT_ARCHITECTURES
    known = [wish for wish in wanted if wish in toolkit.architectures]
    if not known:  # GPUs newer than the toolkit: intermediate code is all that can reach them
        known = [max(toolkit.architectures, key=lambda name: tuple(map(int, name.split("."))))]
    return ";".join(known) + "+PTX"
