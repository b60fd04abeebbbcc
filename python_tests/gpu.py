"""What the tests on a real GPU share: when they are skipped, points, captured graphs, a loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import solving
import torch
from cases import normal, points_in
from conftest import HAS_GPU
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.fields.constraints import BoxConstraint
from dinfgrid_cuda.fields.decoders import LinearDecoder, MLPDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.kernels.basis import Basis, Gaussian
from dinfgrid_cuda.kernels.spec import GridSpec

DEVICE = "cuda"
NO_GPU = "needs a CUDA build and a GPU"
ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason=NO_GPU)]
# Under deterministic algorithms torch refuses cuBLAS without this, which it reads at the start.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

POINT_SETS = ("random", "sorted", "clustered")


def cell_spec(
    dim: int, cells: int, levels: int, basis: Basis, boundary: str = "ghost", corner: int = 0
) -> GridSpec:
    """A grid whose unit of length is a cell, so that float32 points lie where float64 ones do."""
    return GridSpec(
        dim=dim,
        cells=(cells,) * dim,
        levels=levels,
        basis=basis,
        boundary=(boundary,) * dim,
        lower=(float(corner),) * dim,
        upper=(float(corner + cells),) * dim,
    )


def point_set(kind: str, spec: GridSpec, n: int, seed: int = 0) -> Tensor:
    """Points [n, dim] on the CPU in float64: anywhere, in the order of their cells, or in one cell.

    Points in one cell all add to the same nodes: the worst case for atomic additions.
    """
    x = points_in(spec, n, seed=seed)
    lower, upper = (torch.tensor(c, dtype=torch.float64) for c in (spec.lower, spec.upper))
    cells = torch.tensor(spec.cells)
    width = (upper - lower) / cells
    if kind == "clustered":
        return lower + width * (cells // 2) + (x - lower) / cells
    if kind == "sorted":
        cell = ((x - lower) / width).long().minimum(cells - 1)
        number = torch.zeros(n, dtype=torch.int64)
        for axis in range(spec.dim):
            number = number * spec.cells[axis] + cell[:, axis]
        return x[number.argsort(stable=True)]
    return x


@contextmanager
def deterministic() -> Iterator[None]:
    """torch's switch for results that repeat bit for bit."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def sorted_scatter(x: Tensor, y: Tensor, spec: GridSpec, order: int) -> Tensor:
    """The scatter without atomics."""
    with deterministic():
        return functional.scatter(x, y, spec, order)


SCATTERS: dict[str, Callable[[Tensor, Tensor, GridSpec, int], Tensor]] = {
    "atomic": functional.scatter,
    "deterministic": sorted_scatter,
}


def make_field(
    dim: int = 2,
    decoder: str = "linear",
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float64,
    constrained: bool = False,
) -> Field:
    """A field whose features are of order 1; the same numbers on every device."""
    chosen = LinearDecoder(1, seed=1) if decoder == "linear" else MLPDecoder(1, hidden=8, seed=1)
    constraint = BoxConstraint() if constrained else None
    field: Field = solving.make_field(
        dim,
        (64, 16, 8, 4)[dim - 1],
        2,
        2,
        Gaussian(),
        constraint,
        decoder=chosen,
        dtype=dtype,
    )
    with torch.no_grad():
        field.grid.features.copy_(normal(*field.grid.features.shape))
    return field.to(device or DEVICE)


def laplacian_loss(field: Field, x: Tensor) -> Tensor:
    """Mean square of a residual of second order, by the jet."""
    return (field.jet(x, 2).laplacian - 1).square().mean()


def loss_and_gradients(field: Field, x: Tensor) -> list[Tensor]:
    """The loss, then its gradient by every parameter that it depends on."""
    loss = laplacian_loss(field, x)
    gradients = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True)
    return [loss.detach(), *(g for g in gradients if g is not None)]


def assert_close(actual: list[Tensor], expected: list[Tensor], bound: float = 1e-11) -> None:
    """Each tensor to within ``bound`` of the largest number that is expected in it."""
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        difference = (a.cpu().double() - e.cpu().double()).abs().max()
        assert difference <= bound * e.abs().max().cpu(), f"{difference} in {tuple(e.shape)}"


def capture(call: Callable[[], list[Tensor]]) -> tuple[Callable[[], None], list[Tensor]]:
    """Captures a call in a CUDA graph, after three calls outside; its replay and its results."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = call()
    return graph.replay, results


def need_second_gpu() -> None:
    """Skips a test that needs two."""
    if torch.cuda.device_count() < 2:
        pytest.skip("needs a second GPU")


def need_memory(gigabytes: float) -> None:
    """Skips a test whose tensors do not fit into what is free on the GPU."""
    torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info()[0] / 1e9
    if free < gigabytes:
        pytest.skip(f"needs {gigabytes:.0f} GB of free GPU memory, found {free:.0f} GB")
