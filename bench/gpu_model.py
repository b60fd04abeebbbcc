"""What the CUDA kernels cost on GPUs, by a model: their compiled code, executed by a simulator.

    python -m bench.gpu_model [--out bench/gpu_model.md] [--quick]

Needs nvcc and, next to the repository, the simulator of python_tests/test_ptxsim.py; no GPU. Writes
a table of counts (exact) and of lower bounds on the time (nominal figures of the cards; latency is
free and resources overlap, so that real kernels are slower).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dinfgrid_cuda import BSpline, Gaussian, GridSpec
from dinfgrid_cuda.kernels.multi_index import jet_size

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "python_tests"), str(ROOT.parent / "shared" / "ptxsim")]

import cuda_in_ptxsim as simulated  # noqa: E402

SAMPLE = 16_384  # points simulated of each shape

FLAGS = ("--pre-include", str(Path(__file__).with_name("gpu_model_shapes.h")))


@dataclass(frozen=True)
class Shape:
    """A task of the paper (its settings), and how many points a step has."""

    name: str
    spec: GridSpec
    channels: int
    order: int
    points: int


def shape(
    name: str,
    dim: int,
    cells: int,
    levels: int,
    channels: int,
    order: int,
    points: int,
    *,
    rho: int = 3,
    boundary: str = "ghost",
    spline: bool = False,
) -> Shape:
    box = ((-1.0,) * dim, (1.0,) * dim)
    basis = BSpline(2 * rho - 1) if spline else Gaussian(rho=rho)
    spec = GridSpec(dim, (cells,) * dim, levels, basis, (boundary,) * dim, *box)
    return Shape(name, spec, channels, order, points)


SHAPES = (
    shape("goal: 16,384 points, 4 levels to 128², C=2, order 2", 2, 128, 4, 2, 2, SAMPLE),
    shape("the same, clamp", 2, 128, 4, 2, 2, SAMPLE, boundary="clamp"),
    shape("the same, periodic", 2, 128, 4, 2, 2, SAMPLE, boundary="periodic"),
    shape("the same, quintic B-spline", 2, 128, 4, 2, 2, SAMPLE, spline=True),
    shape("image from gradient", 2, 512, 6, 2, 1, 512**2),
    shape("image from gradient, clamp as in the paper", 2, 512, 6, 2, 1, 512**2, boundary="clamp"),
    shape("image from Laplacian", 2, 512, 4, 2, 2, 512**2),
    shape("Helmholtz", 2, 128, 4, 2, 2, 256**2),
    shape("Eikonal, 3-D", 3, 64, 4, 1, 1, 2 * 64**3, rho=2),
    shape("cloth", 2, 32, 1, 4, 2, 64**2),
    shape("advection 1-D", 2, 64, 1, 1, 1, 256**2),
    shape("advection 2-D, Zalesak", 3, 64, 3, 1, 1, 64**3),
    shape("heat", 2, 128, 2, 1, 2, 256**2),
)


def sample(shape: Shape, ordered: bool) -> simulated.Array:
    """The points of some thread blocks: random ones, or a run of all points sorted by cell."""
    spec = shape.spec
    generator = np.random.default_rng(0)
    count = min(shape.points, SAMPLE)
    x = generator.uniform(-1, 1, (shape.points if ordered else count, spec.dim)).astype(np.float32)
    if not ordered:
        return x
    cell = ((x + 1) / 2 * spec.cells[0]).astype(np.int64)
    key = np.ravel_multi_index(tuple(cell.T), spec.cells)
    return x[np.argsort(key, kind="stable")][:count]


class Card:
    """The launchers for one GPU, and what their last launch cost there by the model."""

    def __init__(self, name: str) -> None:
        self.simulator = simulated.simulator()
        self.gpu = self.simulator.GPUS[name]
        self.arch = self.gpu.arch
        self.library = simulated.build(self.arch.replace("sm_", "compute_"), FLAGS)
        self.registers = self.library.module.resources(self.arch)

    def run(self, operation: str, shape: Shape, ordered: bool) -> list[Cost]:
        """Runs one operation and returns the costs of its launches."""
        simulated.library = lambda: self.library
        x = sample(shape, ordered)
        spec, done = shape.spec, len(self.library.launches)
        if operation == "gather":
            features = np.ones((spec.total_nodes, shape.channels), np.float32)
            simulated.gather(x, features, spec, shape.order, True)
        else:
            columns = spec.levels * shape.channels
            y = np.ones((len(x), jet_size(spec.dim, shape.order), columns), np.float32)
            simulated.scatter(x, y, spec, shape.order, True)
        return [
            self.cost(launch, shape, len(x), SHARED[launch.kernel])
            for launch in self.library.launches[done:]
        ]

    def cost(self, launch: Any, shape: Shape, points: int, shared: int) -> Cost:
        stats, code = launch.stats, self.registers[launch.kernel]
        work = points * shape.spec.levels
        estimate = self.simulator.roofline(stats, self.gpu)
        occupancy = self.simulator.occupancy(
            self.gpu, int(np.prod(stats.block)), code.registers, code.static_shared + shared
        )
        loads, stores = stats.memory("load.global"), stats.memory("store.global")
        atomics = stats.memory("atomic.global")
        moved = 32 * (loads.sectors + stores.sectors + atomics.sectors)
        plain = work * shape.spec.basis.nodes**shape.spec.dim * shape.channels
        return Cost(
            kernel=launch.kernel,
            instructions=stats.thread_instructions / work,
            fp32=stats.threads_in("fp32") / work,
            sectors=loads.sectors_per_request,
            useful=(loads.bytes + stores.bytes + atomics.bytes) / max(moved, 1),
            stores=stores.bytes / max(32 * stores.sectors, 1) if stores.requests else None,
            atomics=atomics.bytes / 4 / points,
            share=atomics.bytes / 4 / plain,
            local=stats.count("load.local") + stats.count("store.local") > 0 or code.stack > 0,
            registers=code.registers,
            occupancy=occupancy.fraction,
            bound=estimate.bound,
            microseconds=estimate.seconds * 1e6,
        )


@dataclass(frozen=True)
class Cost:
    """The modelled cost of one launch."""

    kernel: str
    instructions: float  # of a thread, per point and level
    fp32: float
    sectors: float  # of 32 bytes, per load request of a warp
    useful: float  # bytes asked for over bytes of the sectors; above 1 where lanes share
    stores: float | None
    atomics: float  # numbers added to global memory, per point
    share: float  # of one atomic per node and channel
    local: bool  # local memory
    registers: int
    occupancy: float
    bound: str
    microseconds: float


SHARED: dict[str, int] = {}  # dynamic shared memory of each kernel's last launch, bytes


def record_shared_memory() -> None:
    """Records the dynamic shared memory of launches, which limits occupancy."""
    module = simulated.simulator().module.Module
    launch = module.launch_packed

    def recorded(
        self: Any, kernel: Any, grid: Any, block: Any, values: Any, shared: int, *rest: Any
    ) -> Any:
        SHARED[kernel.name] = shared
        return launch(self, kernel, grid, block, values, shared, *rest)

    module.launch_packed = recorded


HEAD = """# The CUDA kernels on GPUs, modelled

**Modelled, not measured**: no GPU was used. The kernels' compiled PTX was executed by a simulator,
which counts instructions, memory sectors and atomics exactly, for up to {sample:,} points of each
of the paper's tasks (of a step's sorted points, the first {sample:,}). Times are lower bounds from
nominal figures of the cards, without latency and with perfect overlap: they rank variants and name
what binds. `python -m bench.gpu_model` writes this file.

* instructions: PTX instructions of a thread per point and level, in brackets those of float32
* sectors: 32-byte sectors a load request of a warp touches; useful: bytes that the lanes ask for
  over bytes of the sectors moved (above 100 % where lanes share data)
* atomics: numbers added to global memory per point, and as a share of one per node and channel
* occupancy: theoretical; time: for the points simulated, and what binds
"""

COLUMNS = (
    "| task | points | kernel | instructions | sectors | useful | atomics | registers | occupancy "
    "| time, bound |\n|---|---|---|---|---|---|---|---|---|---|"
)


def row(shape: Shape, order: str, operation: str, costs: list[Cost]) -> str:
    """One line of a table; the launches of an operation are one each."""
    cells = []
    for cost in costs:
        atomics = f"{cost.atomics:.1f} (1/{1 / cost.share:.1f})" if cost.atomics else ""
        stores = f", stores {cost.stores:.0%}" if cost.stores is not None else ""
        local = ", local memory" if cost.local else ""
        cells.append(
            f"| {shape.name} | {order} | {operation} | {cost.instructions:.0f} ({cost.fp32:.0f}) "
            f"| {cost.sectors:.1f} | {cost.useful:.0%}{stores} | {atomics} "
            f"| {cost.registers}{local} | {cost.occupancy:.0%} "
            f"| {cost.microseconds:.2f} µs, {cost.bound} |"
        )
    return "\n".join(cells)


def coarse_levels(card: Card) -> str:
    """A table of how often the busiest node of a coarse level is added to."""
    lines = [
        "| level | points | contributions of the busiest node | atomics on it | share |",
        "|---|---|---|---|---|",
    ]
    for cells in (16, 32):
        for ordered in (True, False):
            single = shape(f"{cells}²", 2, cells, 1, 2, 2, SAMPLE)
            card.run("scatter", single, ordered)
            most = card.library.launches[-1].stats.max_updates
            cell = ((sample(single, ordered) + 1) / 2 * cells).astype(np.int64)
            counts = np.zeros((cells + 5, cells + 5), np.int64)
            for i in range(6):
                for j in range(6):
                    np.add.at(counts, (cell[:, 0] + i, cell[:, 1] + j), 1)
            received = int(counts.max())
            order = "sorted" if ordered else "random"
            lines.append(
                f"| {cells}² cells | {order} | {received:,} | {most} | 1/{received / most:.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "gpu_model.md", help="file")
    parser.add_argument("--quick", action="store_true", help="only the first shape, on one card")
    args = parser.parse_args()
    record_shared_memory()
    cards = ("H100 SXM",) if args.quick else ("H100 SXM", "RTX 4090")
    text = [HEAD.format(sample=SAMPLE)]
    for name in cards:
        card = Card(name)
        text += [f"## {name} (nominal figures, compiled for {card.arch})\n", COLUMNS]
        for task in SHAPES[:1] if args.quick else SHAPES:
            for order, operation in (
                ("sorted", "gather"),
                ("random", "gather"),
                ("sorted", "scatter"),
                ("random", "scatter"),
            ):
                text.append(
                    row(task, order, operation, card.run(operation, task, order == "sorted"))
                )
                print(text[-1], flush=True)
        text.append("")
        if card.gpu.name == "H100 SXM":
            text += [
                f"Scatter of {SAMPLE:,} points to single coarse levels (C=2, order 2):\n",
                coarse_levels(card),
                "",
            ]
    if args.quick:
        return
    args.out.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
