"""Compiles csrc/cuda/**/*.cu with the C++ compiler into a library that runs the kernels on the CPU.

Two flavours: "checked", in which every access of a kernel to memory is checked for races, for bytes
nobody has written, and for its bounds; "sanitized", under AddressSanitizer and UBSan. Ninja
compiles what has changed since the last time.

    python python_tests/cuda_on_host/build.py [checked | sanitized]
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CSRC = ROOT / "csrc"

COMMON = ["-fPIC", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Wno-unknown-pragmas"]
# nvcc's macros; device code is what runs.
KERNEL = ["-D__CUDACC__", "-D__CUDA_ARCH__=900", "-include", "cuda_runtime.h", "-x", "c++"]
# -O1 costs half the time of -O2 to compile; contraction would depend on the machine.
FLAVOURS = {
    # Only the calls of the instrumentation are wanted: the library has hooks of its own, and
    # libtsan is not linked.
    "checked": {"kernel": ["-O1", "-ffp-contract=off", "-fsanitize=thread"], "all": [], "link": []},
    "sanitized": {
        "kernel": ["-O0", "-ffp-contract=off"],
        "all": ["-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
        "link": ["-fsanitize=address,undefined"],
    },
}

NINJA = """\
rule kernel
  command = $compiler $common $all $kernel -MMD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
  description = $in
rule plain
  command = $compiler $common $all -O2 -MMD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
  description = $in
rule link
  command = $compiler -shared $in -o $out $link -ldl
  description = $out
"""


class BuildError(Exception):
    """Holds what the compiler says."""


def compiler() -> str:
    """$CXX, or what the package itself would be compiled with."""
    return os.environ.get("CXX") or "c++"


def rules(flavour: str, csrc: Path) -> str:
    chosen = FLAVOURS[flavour]
    include = [f"-I{HERE / 'include'}", f"-I{csrc}"]
    variables = {
        "compiler": [compiler()],
        "common": [*COMMON, *include],
        "kernel": [*chosen["kernel"], *KERNEL],
        "all": chosen["all"],
        "link": chosen["link"],
    }
    lines = [f"{name} = {' '.join(value)}" for name, value in variables.items()]
    run_time = sorted((HERE / "run_time").glob("*.cpp"))
    if flavour != "checked":
        run_time = [source for source in run_time if source.name != "hooks.cpp"]
    libraries = {
        "kernels": [*sorted((csrc / "cuda").rglob("*.cu")), HERE / "kernels.cpp"],
        "probes": sorted((HERE / "probes").glob("*.cu")),
    }

    def compile_all(sources: Iterable[Path]) -> list[str]:
        objects = []
        for source in sources:
            target = f"{source.parent.name}.{source.name}.o"
            rule = "kernel" if source.suffix == ".cu" else "plain"
            lines.append(f"build {target}: {rule} {source}")
            objects.append(target)
        return objects

    shared = compile_all(run_time)
    for name, sources in libraries.items():
        lines.append(f"build lib{name}.so: link {' '.join(compile_all(sources) + shared)}")
    return "\n".join([*lines[:5], NINJA, *lines[5:], ""])


def ninja() -> str:
    """Ninja of this Python environment, or on PATH."""
    own = Path(sysconfig.get_path("scripts")) / "ninja"
    found = str(own) if own.is_file() else shutil.which("ninja")
    if found is None:
        raise BuildError("no ninja in this environment or on PATH: pip install ninja")
    return found


def build(flavour: str = "checked", csrc: Path = CSRC, name: str = "kernels") -> Path:
    """libkernels.so or libprobes.so of the present sources."""
    folder = ROOT / "build" / "cuda_on_host" / flavour
    folder.mkdir(parents=True, exist_ok=True)
    jobs = os.environ.get("MAX_JOBS") or str(os.cpu_count() or 1)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text, file = rules(flavour, csrc), folder / "build.ninja"
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)
        command = [ninja(), "-C", str(folder), "-j", jobs, f"lib{name}.so"]
        # A compiler under the sanitizers of `make test-sanitized` would take several times as long.
        variables = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
        )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stdout[-6000:]}")
    return folder / f"lib{name}.so"


if __name__ == "__main__":
    print(build(*sys.argv[1:2]))
