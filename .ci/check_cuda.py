"""Looks at the machine code of the CUDA kernels in the shapes of the paper's problems.

None of them may spill registers or use local memory on sm_90, for which launch bounds are tuned,
nor more than a few registers elsewhere; and all must be there, for every architecture: one that was
renamed or left out is a failure, not a pass. Reads what `ptxas -v` said in the log of a build;
without a log it compiles the CUDA sources of the shapes itself, with warnings as errors.

    python .ci/check_cuda.py [--log FILE] [--jobs N] [--arch 80 --arch 90] [--table]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from build_tools.cuda import find_home  # noqa: E402

ARCHITECTURES = (80, 90, 120)
TUNED = 90
FEW = 32  # bytes of stack that a kernel may have on the other architectures
STRICT = ("-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra,-Werror")

# ptxas -v: one block of lines a kernel; build tools may indent them
ENTRY = re.compile(r"Compiling entry function '\w+' for ")
BLOCK = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for 'sm_(?P<arch>\d+)\w*'.*?"
    r"Function properties for (?P=name)\s+"
    r"(?P<stack>\d+) bytes stack frame, (?P<spill>\d+) bytes spill stores.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)
# Mangled names: kernel<Dim, Order, FastPath<Nodes, Ghost> or WindowPath<Nodes, Clamp>, [Count,]
# Scalar>
SHAPE = re.compile(
    r"\d(?P<kernel>[a-z_]+)_kernelILi(?P<dim>\d)ELi(?P<order>\d)E"
    r"NS\w*?_?(?:8(?P<path>Fast)|10Window)PathILi(?P<nodes>\d+)ELb(?P<flag>[01])EEE"
    r"(?:Li(?P<count>\d)E)?(?P<scalar>[fd])E"
)

# Path and flag of a kernel: what grids it is for.
GRIDS = {
    ("Window", "0"): "Gaussian on ghost grids",
    ("Window", "1"): "Gaussian on clamp grids",
    ("Fast", "1"): "B-spline on ghost grids",
    ("Fast", "0"): "any grid",
}


@dataclass(frozen=True, order=True)
class Shape:
    """A specialised float32 kernel on one architecture."""

    kernel: str
    dim: int
    order: int
    rho: int
    grid: str  # what the kernel is for
    count: int  # channels at a time; 0 where that is no parameter of the kernel
    arch: int

    def __str__(self) -> str:
        channels = f", {self.count} channels at a time" if self.count else ""
        return (
            f"sm_{self.arch:<3} {self.kernel} {self.dim}-D order {self.order} rho {self.rho}, "
            f"{self.grid}{channels}"
        )


@dataclass(frozen=True)
class Code:
    """What ptxas reports of a kernel."""

    stack: int  # bytes of local memory a thread
    spill: int  # bytes
    registers: int


def paper_shapes(arches: Sequence[int]) -> Iterator[Shape]:
    """What the paper's problems use: 1 to 3 dimensions, derivatives to order 2, rho 2 and 3.

    Of order 3 the cubic splines in 2-D, whose third derivatives stand in the Neumann term of the
    image that is reconstructed from its Laplacian.
    """
    orders = [(dim, order, rho) for dim, order, rho in product((1, 2, 3), (0, 1, 2), (2, 3))]
    for (dim, order, rho), arch in product([*orders, (2, 3, 2)], arches):
        for grid, count in product(GRIDS.values(), (1, 2)):
            if (dim, order, rho) == (3, 0, 3) and "Gaussian" in grid:
                continue  # goes the way of any grid
            if grid != GRIDS["Window", "1"] or order <= 2:
                yield Shape("gather", dim, order, rho, grid, count, arch)
        for count in (1, 2):
            yield Shape("scatter", dim, order, rho, GRIDS["Fast", "0"], count, arch)
        yield Shape("scatter_sorted", dim, order, rho, GRIDS["Fast", "0"], 0, arch)


def parse_shape(name: str, arch: int) -> Shape | None:
    """The shape that a mangled name tells; None for kernels that are not specialised float32."""
    found = SHAPE.search(name)
    if found is None or found["scalar"] != "f":
        return None
    return Shape(
        found["kernel"],
        int(found["dim"]),
        int(found["order"]),
        int(found["nodes"]) // 2,
        GRIDS[found["path"] or "Window", found["flag"]],
        int(found["count"] or 0),
        arch,
    )


def parse(messages: str) -> dict[Shape, Code]:
    """All specialised float32 kernels in the output of ptxas -v; exits where facts are missing."""
    codes = {}
    starts = [entry.start() for entry in ENTRY.finditer(messages)]
    for start, end in zip(starts, [*starts[1:], len(messages)], strict=False):
        block = BLOCK.match(messages, start, end)
        if block is None:
            sys.exit(f"check_cuda: ptxas -v has another form here:\n{messages[start:end][:1000]}")
        shape = parse_shape(block["name"], int(block["arch"]))
        if shape is not None:
            codes[shape] = Code(int(block["stack"]), int(block["spill"]), int(block["registers"]))
    return codes


def compile_source(nvcc: Path, source: Path, arches: Sequence[int], folder: Path) -> str:
    """Compiles one file for all architectures into `folder`; returns what the compiler said.

    Raises RuntimeError with the compiler's message on failure.
    """
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in arches]
    output = ["-Xptxas", "-v", "-c", str(source), "-o", str(folder / f"{source.stem}.o")]
    command = [str(nvcc), "-O3", *STRICT, *targets, *output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    messages = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile:\n{messages}")
    return messages


def compile_all(arches: Sequence[int], jobs: int) -> str:
    """What ptxas says about the paper's shapes; exits with the compiler's message on failure."""
    home = find_home(os.environ)
    if home is None:
        sys.exit("check_cuda: no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda")
    nvcc = home / "bin" / "nvcc"
    found = (ROOT / "csrc" / "cuda" / "instances").glob(
        "*_[123]d_float.cu"
    )  # of the paper's shapes
    sources = sorted(found, key=lambda path: -heaviness(path))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(compile_source, nvcc, source, arches, Path(folder)) for source in sources
        ]
        try:
            return "".join(future.result() for future in futures)
        except RuntimeError as error:
            pool.shutdown(cancel_futures=True)
            sys.exit(f"check_cuda: {error}")


def heaviness(source: Path) -> int:
    """Rank of compile time, so that the longest files do not come last."""
    return ("float" in source.name) + 2 * ("3d" in source.name) + ("2d" in source.name)


def report(codes: dict[Shape, Code], arches: Sequence[int], table: bool) -> bool:
    """Prints what was found; whether the paper's shapes are complete and as they should be."""
    expected = sorted(paper_shapes(arches))
    missing = [shape for shape in expected if shape not in codes]
    present = [(shape, codes[shape]) for shape in expected if shape in codes]
    bad = [(shape, code) for shape, code in present if code.stack or code.spill]
    for shape, code in present if table else bad:
        print(
            f"{code.registers:3} registers {code.stack:4} bytes of stack {code.spill:4} of spills  "
            f"{shape}"
        )
    for shape in missing[:20]:
        print(f"not found: {shape}")
    print(
        f"{len(codes)} specialised float32 kernels; of {len(expected)} in the paper's shapes "
        f"{len(missing)} are missing and {len(bad)} use local memory"
    )
    allowed = {arch: 0 if arch == TUNED else FEW for arch in arches}
    return not missing and all(code.stack <= allowed[shape.arch] for shape, code in bad)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, help="output of a build with -Xptxas -v")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--arch", type=int, action="append", help="such as 90; default: all")
    parser.add_argument("--table", action="store_true", help="list all of the paper's shapes")
    arguments = parser.parse_args()
    arches = arguments.arch or ARCHITECTURES
    start = time.monotonic()
    if arguments.log:
        messages = arguments.log.read_text(encoding="utf-8", errors="replace")
    else:
        messages = compile_all(arches, arguments.jobs)
    good = report(parse(messages), arches, arguments.table)
    print(f"{time.monotonic() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
