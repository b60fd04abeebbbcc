"""Microbenchmarks of gather and scatter alone.

    python -m bench.kernels [--device cpu|cuda] [--points 262144] [--dtype float32]

For random points: time per call (median), points per second, and the compulsory traffic (points,
features and results, each once) per second, absolutely and as a share of what a plain copy reaches
on the same machine.
"""

from __future__ import annotations

import argparse

import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda import functional

from .timing import bandwidth, median

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=functional.KERNEL_DEVICES)
    parser.add_argument("--points", type=int, default=262_144)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    dtype = getattr(torch, args.dtype)
    copy = bandwidth(args.device, dtype)
    print(
        f"{args.device}, {args.dtype}, {args.points:,} random points, {torch.get_num_threads()} "
        f"threads; a copy moves {copy / 1e9:.1f} GB/s"
    )
    print("                                       gather                    scatter")
    print(" d cells levels rho  C order     ms  Mpoint/s GB/s share     ms  Mpoint/s GB/s share")
    for dim, cells, levels, rho, channels, orders in SHAPES:
        grid = dg.FeatureGrid(
            dim, cells, levels, channels, dg.Gaussian(rho=rho), dtype=dtype, seed=0
        ).to(args.device)
        x = torch.rand(args.points, dim, dtype=dtype, device=args.device) * 2 - 1
        features = grid.features.detach()
        for order in orders:
            y = functional.gather(x, features, grid.spec, order)
            traffic = sum(t.numel() * t.element_size() for t in (x, y, features))
            row = f"{dim:2d} {cells:5d} {levels:6d} {rho:3d} {channels:2d} {order:5d}"
            for call in (
                lambda: functional.gather(x, features, grid.spec, order),  # noqa: B023
                lambda: functional.scatter(x, y, grid.spec, order),  # noqa: B023
            ):
                time = median(call, args.device, args.repeats)
                rate = traffic / time
                row += (
                    f" {time * 1e3:6.1f} {args.points / time / 1e6:9.2f} {rate / 1e9:4.1f}"
                    f" {rate / copy:5.0%}"
                )
            print(row, flush=True)


if __name__ == "__main__":
    main()
