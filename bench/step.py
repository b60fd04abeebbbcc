"""One training step against nested autograd through the paper's formulation, time and peak memory.

    python -m bench.step [--repeats 3] [--device cpu|cuda]

Both sides compute the same loss and the same gradients (checked first), in one run, in turn. The
reference is `dinfgrid_cuda.kernels.reference.value`, the (2 rho)^d weights of the paper,
differentiated by torch.autograd. Peak memory is the growth of each side's resident set in a process
of its own; on a GPU, where times are those of CUDA events, it is what torch has allocated.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels import reference

from .gpu_info import describe
from .timing import alternate, is_cuda


@dataclass(frozen=True)
class Case:
    """A case: grid, points and the derivative in the loss; ratios to reach on the CPU."""

    name: str
    dim: int
    cells: int
    levels: int
    channels: int
    rho: int
    points: int
    derivative: str
    goal: float
    memory_goal: float | None


CASES = (
    Case("2-D Laplacian", 2, 128, 4, 2, 3, 65_536, "laplacian", 60, 20),
    Case("3-D gradient", 3, 64, 4, 1, 2, 262_144, "gradient", 25, None),
)


def build(case: Case, device: str) -> tuple[dg.Field, Tensor]:
    """The field and its random points, the same on every device."""
    grid = dg.FeatureGrid(
        case.dim, case.cells, case.levels, case.channels, dg.Gaussian(rho=case.rho), seed=0
    )
    torch.manual_seed(0)
    field = dg.Field(grid, dg.LinearDecoder(1))
    with torch.no_grad():
        grid.features.normal_()
    x = torch.rand(case.points, case.dim) * 2 - 1
    return field.to(device), x.to(device)


def ours(case: Case, field: dg.Field, x: Tensor) -> Tensor:
    """The loss by the fused jet."""
    jet = field.jet(x, 2 if case.derivative == "laplacian" else 1)
    return (jet.laplacian if case.derivative == "laplacian" else jet.gradient).square().mean()


def nested(case: Case, field: dg.Field, x: Tensor) -> Tensor:
    """The same loss by nested autograd."""
    x = x.detach().requires_grad_()
    value = reference.value(x, field.grid.features, field.grid.spec)
    u = field.decoder(value)
    (gradient,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    if case.derivative == "gradient":
        return gradient.square().mean()
    second_derivatives = [
        torch.autograd.grad(gradient[:, axis].sum(), x, create_graph=True)[0][:, axis]
        for axis in range(case.dim)
    ]
    return sum(second_derivatives[1:], second_derivatives[0]).square().mean()


def step(loss: Callable[..., Tensor], case: Case, field: dg.Field, x: Tensor) -> list[Tensor]:
    """Takes a step forward and backward and returns the gradients (zero where unused)."""
    field.zero_grad(set_to_none=True)
    loss(case, field, x).backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in field.parameters()]


def memory(field: str) -> int:
    """Bytes in use by this process (VmRSS), or at most since the last reset (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def peak(case: Case, side: str, send: object) -> None:
    """Sends by how much one step raises the resident set of this process."""
    field, x = build(case, "cpu")
    small = Case(**{**case.__dict__, "points": 64})
    step(globals()[side], small, field, x[:64])  # loads code, starts threads
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = memory("VmRSS")
    step(globals()[side], case, field, x)
    send.send(memory("VmHWM") - before)  # type: ignore[attr-defined]


def peak_memory(case: Case, side: str) -> int:
    """The bytes by which one step on the CPU raises the resident set."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=peak, args=(case, side, send))
    process.start()
    result: int = receive.recv()
    process.join()
    return result


def peak_gpu_memory(case: Case, side: str, field: dg.Field, x: Tensor) -> int:
    """The most bytes that torch allocates during one step, above those allocated before."""
    field.zero_grad(set_to_none=True)
    torch.cuda.synchronize(x.device)
    torch.cuda.reset_peak_memory_stats(x.device)
    before = torch.cuda.memory_allocated(x.device)
    step(globals()[side], case, field, x)
    return int(torch.cuda.max_memory_allocated(x.device)) - before


def check_gradients(case: Case, field: dg.Field, x: Tensor) -> None:
    """Asserts that both sides compute the same; this also loads and warms up their code."""
    gradients = [step(loss, case, field, x) for loss in (ours, nested)]
    for a, b in zip(*gradients, strict=True):
        error = float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))
        assert error < 1e-3, f"the two sides differ by {error:.1e}"


def goal(number: float | None, device: str) -> str:
    """The ratio to reach on the CPU, as text."""
    return f"goal {number:.0f}" if number and not is_cuda(device) else ""


def run(case: Case, repeats: int, device: str) -> None:
    """Times and measures both sides of one case, and prints them."""
    field, x = build(case, device)
    check_gradients(case, field, x)
    times = alternate(
        lambda: step(ours, case, field, x),
        lambda: step(nested, case, field, x),
        repeats,
        11,
        device,
    )
    a, b = (statistics.median(t) for t in times)
    ratios = sorted(n / o for o, n in zip(*times, strict=True))
    print(
        f"{case.name}, {case.points:,} points, {case.levels} levels to {case.cells}^{case.dim}, "
        f"C={case.channels}, rho={case.rho}, linear decoder; {describe(device)[0]}"
    )
    print(f"  fused kernels    {a * 1e3:9.2f} ms per step (median)")
    print(f"  nested autograd  {b * 1e3:9.2f} ms per step (median)")
    spread = [f"{ratios[0]:.1f} to {ratios[-1]:.1f}", goal(case.goal, device)]
    print(
        f"  ratio            {statistics.median(ratios):9.1f}   ({'; '.join(filter(None, spread))})"
    )
    sides = ("ours", "nested")
    if is_cuda(device):
        peaks = [peak_gpu_memory(case, side, field, x) for side in sides]
    else:
        peaks = [peak_memory(case, side) for side in sides]
    print(f"  peak memory      {peaks[0] / 1e6:9.1f} MB against {peaks[1] / 1e6:.1f} MB")
    target = goal(case.memory_goal, device)
    print(
        f"  ratio            {peaks[1] / peaks[0]:9.1f}{f'   ({target})' if target else ''}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repeats", type=int, default=3, help="number of turns of each side (default 3)"
    )
    parser.add_argument("--device", default="cpu", choices=functional.KERNEL_DEVICES)
    args = parser.parse_args()
    for case in CASES:
        run(case, args.repeats, args.device)


if __name__ == "__main__":
    main()
