"""Microbenchmarks of gather and scatter alone.

    python -m bench.kernels [--device cpu|cuda] [--points 262144] [--dtype float32]

For points in random order and in the order of their cells: time per call (median), points per
second, and the compulsory traffic (points, features and results, each once) per second: absolutely,
as a share of what a plain copy reaches on the same machine, and on a GPU of its nominal bandwidth.
GPU times are those of CUDA events, with the L2 cache emptied before each call. The last rows have
local levels, of B-splines: "1+8" are 8 levels nested about the middle of the box, each on half as
large a box as the one before, "1+64" 64 blocks apart from each other, which hold a quarter of the
box; "1+0" is the same grid without them.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.local_level import LocalLevel

from .gpu_info import describe
from .timing import bandwidth, cache_flush, is_cuda, median

SHAPES = (
    # dim, cells, levels, rho, channels, orders
    (1, 4096, 1, 3, 1, (0, 2)),
    (2, 512, 1, 3, 1, (0,)),
    (2, 512, 1, 3, 2, (0,)),  # FINUFFT's interpolation and spreading of complex numbers, by size
    (2, 128, 4, 3, 1, (0, 1, 2, 4)),
    (2, 128, 4, 3, 2, (0, 1, 2)),
    (2, 128, 4, 3, 4, (0, 2)),
    (2, 128, 4, 2, 2, (2,)),
    (2, 128, 4, 6, 2, (2,)),
    (2, 512, 6, 3, 2, (1,)),
    (3, 64, 4, 2, 1, (0, 1, 2)),
    (3, 64, 3, 3, 1, (1,)),
    (4, 16, 2, 1, 1, (0, 1)),
)
NESTED = tuple(
    # start, cells and halvings of every axis of a grid with 64 cells
    (((64 << k) // 2 - 16,) * 2, (32, 32), (k, k))
    for k in range(1, 9)
)
APART = tuple(
    ((16 * i + 4, 16 * j + 4), (8, 8), (1, 1)) for i, j in itertools.product(range(8), repeat=2)
)
COLUMNS = "       ms Mpoint/s   GB/s copy DRAM"
HEAD = " d cells levels rho  C order points"


def global_grids() -> Iterator[tuple[dg.GridSpec, int, tuple[int, ...]]]:
    """Grids without local levels, their channels and the orders of their derivatives."""
    for dim, cells, levels, rho, channels, orders in SHAPES:
        grid = dg.FeatureGrid(dim, cells, levels, channels, dg.Gaussian(rho=rho), device="meta")
        yield grid.spec, channels, orders


def local_grids() -> Iterator[tuple[dg.GridSpec, int, tuple[int, ...]]]:
    """Grids with local levels, and the one without them."""
    box = ((-1.0, -1.0), (1.0, 1.0))
    for boxes in ((), NESTED, APART):
        local = tuple(LocalLevel(*entries) for entries in boxes)
        spec = dg.GridSpec(
            2, (64, 64), 1 + len(local), dg.BSpline(5), ("ghost",) * 2, *box, local=local
        )
        yield spec, 1, (0, 2)


def grids_of(device: str) -> list[tuple[dg.GridSpec, int, tuple[int, ...]]]:
    """All grids that a device has kernels for."""
    return [*global_grids(), *(() if is_cuda(device) else local_grids())]


def by_cell(x: Tensor, spec: dg.GridSpec) -> Tensor:
    """The points [N, dim] in the order of their cells of the finest level, row-major."""
    number = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
    for axis, cells in enumerate(spec.cells):
        unit = (x[:, axis] - spec.lower[axis]) / (spec.upper[axis] - spec.lower[axis])
        number = number * cells + (unit * cells).long().clamp(0, cells - 1)
    return x[number.argsort()].contiguous()


def point_orders(n: int, spec: dg.GridSpec, like: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The same points in the box [-1, 1]^dim, in random order and by cell."""
    x = torch.rand(n, spec.dim, dtype=like.dtype, device=like.device) * 2 - 1
    yield "random", x
    yield "sorted", by_cell(x, spec)


def columns(points: int, traffic: int, time: float, copy: float, nominal: float | None) -> str:
    """The columns of one call in a line, under COLUMNS."""
    rate = traffic / time
    share = f"{rate / nominal:5.0%}" if nominal else "    -"
    return (
        f" {time * 1e3:8.3f} {points / time / 1e6:8.1f} {rate / 1e9:6.1f} {rate / copy:4.0%}{share}"
    )


def head(spec: dg.GridSpec) -> str:
    """The first columns of a line, under HEAD."""
    own = f"+{len(spec.local)}" if spec.basis.kind == dg.BSpline(1).kind else ""
    levels = f"{spec.global_levels}{own}"
    return f"{spec.dim:2d} {spec.cells[0]:5d} {levels:>6s} {spec.basis.rho:3d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=functional.KERNEL_DEVICES)
    parser.add_argument("--points", type=int, default=262_144, help="points of each call")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--repeats", type=int, help="number of timed calls; 5, on a GPU 20")
    parser.add_argument(
        "--deterministic", action="store_true", help="scatter without atomics (CUDA)"
    )
    args = parser.parse_args()
    torch.use_deterministic_algorithms(args.deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # torch would write results twice
    dtype = getattr(torch, args.dtype)
    repeats = args.repeats or (20 if is_cuda(args.device) else 5)
    copy, flush = bandwidth(args.device, dtype), cache_flush(args.device)
    name, nominal = describe(args.device)
    print(
        f"{name}, {args.dtype}, {args.points:,} points; a copy moves {copy / 1e9:.1f} GB/s"
        + (f" of nominally {nominal / 1e9:.0f} GB/s" if nominal else "")
        + ("; L2 emptied before each call" if flush else "; caches warm")
    )
    print(" " * len(HEAD) + f"{'gather':^{len(COLUMNS)}}{'scatter':^{len(COLUMNS)}}".rstrip())
    print(HEAD + COLUMNS + COLUMNS)
    for spec, channels, orders in grids_of(args.device):
        values = torch.rand(spec.total_nodes, channels, dtype=dtype, device=args.device)
        for order, (points, x) in itertools.product(
            orders, point_orders(args.points, spec, values)
        ):
            y = functional.gather(x, values, spec, order)
            traffic = sum(t.numel() * t.element_size() for t in (x, y, values))
            row = f"{head(spec)} {channels:2d} {order:5d} {points}"
            for call in (
                lambda: functional.gather(x, values, spec, order),  # noqa: B023
                lambda: functional.scatter(x, y, spec, order),  # noqa: B023
            ):
                time = median(call, args.device, repeats, flush)
                row += columns(args.points, traffic, time, copy, nominal)
            print(row, flush=True)


if __name__ == "__main__":
    main()
