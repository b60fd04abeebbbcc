"""Compiles every CUDA source for the architectures in use and looks at the machine code.

Warnings are errors. In the shapes of the paper's problems (1 to 3 dimensions, derivatives to order
2, rho 2 and 3, float32, ghost and clamped grids) no kernel may spill registers or use local memory.

    python .ci/check_cuda.py [--jobs N] [--arch 80 --arch 90] [--table]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURES = (80, 90, 120)
STRICT = ("-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra,-Werror")

# ptxas -v: one block of lines a kernel
KERNEL = re.compile(
    r"Compiling entry function '(?P<name>\S+)' for 'sm_(?P<arch>\d+)\w*'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<spill>\d+) bytes spill stores.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)
# Mangled names: kernel<Dim, Order, FastPath<Nodes, Ghost>, [Count,] Scalar>
SHAPE = re.compile(
    r"(?P<kernel>gather|scatter|scatter_coarse|scatter_sorted)_kernelILi(?P<dim>\d)ELi(?P<order>\d)E"
    r"NS\w*?_?8FastPathILi(?P<nodes>\d)ELb(?P<ghost>[01])EEE(?:Li(?P<count>\d)E)?(?P<scalar>[fd])E"
)


@dataclass(frozen=True)
class Kernel:
    """What ptxas reports of a kernel compiled for one architecture."""

    name: str
    arch: int
    stack: int  # bytes of local memory a thread
    spill: int  # bytes
    registers: int

    def paper_shape(self) -> str | None:
        """A description where the paper's problems use this kernel, else None."""
        shape = SHAPE.search(self.name)
        if shape is None or shape["scalar"] != "f":
            return None
        if int(shape["order"]) > 2 or shape["nodes"] not in "46":
            return None
        grid = "ghost" if shape["ghost"] == "1" else "any boundary"
        channels = f", {shape['count']} channels at a time" if shape["count"] else ""
        return (
            f"{shape['kernel']} {shape['dim']}-D order {shape['order']} "
            f"rho {int(shape['nodes']) // 2}, {grid}{channels}"
        )


def find_nvcc() -> str:
    """nvcc of CUDA_HOME, on PATH, or in the usual place; exits where there is none."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    candidates = [str(Path(home) / "bin" / "nvcc") for home in homes if home]
    found = next((path for path in candidates if os.access(path, os.X_OK)), shutil.which("nvcc"))
    if found is None:
        sys.exit("check_cuda: no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda")
    return found


def compile_source(nvcc: str, source: Path, arches: Sequence[int], folder: Path) -> list[Kernel]:
    """Compiles one file for all architectures; exits with the compiler's message on failure.

    Args:
        folder: where the object file goes.
    """
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in arches]
    output = ["-Xptxas", "-v", "-c", str(source), "-o", str(folder / f"{source.stem}.o")]
    command = [nvcc, "-O3", *STRICT, *targets, *output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    messages = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile:\n{messages}")
    return [
        Kernel(m["name"], int(m["arch"]), int(m["stack"]), int(m["spill"]), int(m["registers"]))
        for m in KERNEL.finditer(messages)
    ]


def compile_all(nvcc: str, arches: Sequence[int], jobs: int) -> list[Kernel]:
    sources = sorted((ROOT / "csrc" / "cuda").glob("*.cu"), key=lambda path: -heaviness(path))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(compile_source, nvcc, source, arches, Path(folder)) for source in sources
        ]
        try:
            return [kernel for future in futures for kernel in future.result()]
        except RuntimeError as error:
            pool.shutdown(cancel_futures=True)
            sys.exit(f"check_cuda: {error}")


def heaviness(source: Path) -> int:
    """Rank of compile time, so that the longest files do not come last."""
    return ("float" in source.name) + 2 * ("3d" in source.name) + ("2d" in source.name)


def report(kernels: Sequence[Kernel], table: bool) -> bool:
    """Prints what was found; whether the paper's shapes are free of spills and local memory."""
    used = [(kernel, shape) for kernel in kernels if (shape := kernel.paper_shape()) is not None]
    bad = [(kernel, shape) for kernel, shape in used if kernel.stack or kernel.spill]
    for kernel, shape in sorted(used if table else bad, key=lambda item: (item[1], item[0].arch)):
        print(
            f"sm_{kernel.arch:<4} {kernel.registers:3} registers {kernel.stack:4} bytes of stack "
            f"{kernel.spill:4} of spills  {shape}"
        )
    print(f"{len(kernels)} kernels, {len(used)} in the paper's shapes, {len(bad)} of those bad")
    return bool(used) and not bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--arch", type=int, action="append", help="such as 90; default: all")
    parser.add_argument("--table", action="store_true", help="list all of the paper's shapes")
    arguments = parser.parse_args()
    start = time.monotonic()
    kernels = compile_all(find_nvcc(), arguments.arch or ARCHITECTURES, arguments.jobs)
    good = report(kernels, arguments.table)
    print(f"{time.monotonic() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
