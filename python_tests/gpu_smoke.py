"""Calls every kind of kernel once, small: what test_gpu_sanitizer.py runs under compute-sanitizer.

python gpu_smoke.py [device]
"""

from __future__ import annotations

import math
import sys
from contextlib import nullcontext

import torch
from cases import make_spec, normal, points_in
from gpu import deterministic

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec


def run(spec: GridSpec, device: str, dtype: torch.dtype, channels: int, order: int) -> None:
    """A gather and both scatters, with points outside the box and one that is not a number."""
    n = 131  # four warps and three points
    x = points_in(spec, n, outside=0.1).to(dtype)
    x[5] = math.nan
    x = x.to(device)
    features = normal(spec.total_nodes, channels).to(device, dtype)
    for reduce in ("concat", "sum"):
        columns = channels * (spec.levels if reduce == "concat" else 1)
        y = normal(n, jet_size(spec.dim, order), columns).to(device, dtype)
        functional.gather(x, features, spec, order, reduce)
        for context in (nullcontext(), deterministic()):
            with context:
                functional.scatter(x, y, spec, order, reduce)


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
    for dim in (1, 2, 3, 4):
        for dtype in (torch.float32, torch.float64):
            for basis in (Gaussian(rho=2), BSpline(1), Gaussian(rho=3, window="smooth")):
                for boundary in ("ghost", "periodic"):
                    run(make_spec(dim, basis, boundary), device, dtype, channels=2, order=1)
            run(make_spec(dim, Gaussian(rho=2), "clamp"), device, dtype, channels=3, order=0)
            run(make_spec(dim, Gaussian(rho=1), "ghost"), device, dtype, channels=1, order=3)
    run(make_spec(2, Gaussian(0.6, rho=12), "ghost"), device, torch.float32, channels=5, order=2)
    if device == "cuda":
        torch.cuda.synchronize()
    print("done")


if __name__ == "__main__":
    main()
