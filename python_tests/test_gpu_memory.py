"""Memory on a GPU: what a call takes, and sizes beyond 32-bit numbers."""

from __future__ import annotations

from collections.abc import Callable

import gpu
import pytest
import torch
from cases import ROUNDINGS, make_spec, normal
from torch import Tensor

from dinfgrid_cuda import functional
from dinfgrid_cuda.kernels.basis import Gaussian
from dinfgrid_cuda.kernels.spec import GridSpec

pytestmark = gpu.ON_GPU

LARGE = 2**31
FLOAT32 = ROUNDINGS * torch.finfo(torch.float32).eps


def peak_bytes(call: Callable[[], Tensor]) -> int:
    """Most bytes that a call asks for at a time, its result included."""
    call()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_stats()["requested_bytes.all.current"]
    result = call()
    peak: int = torch.cuda.memory_stats()["requested_bytes.all.peak"]
    del result
    return peak - before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_gather_and_scatter_take_no_more_memory_than_their_results(
    dim: int, dtype: torch.dtype
) -> None:
    spec = make_spec(dim, Gaussian(rho=2), "ghost")
    x = gpu.point_set("random", spec, 10_000).to(gpu.DEVICE, dtype)
    features = normal(spec.total_nodes, 2).to(gpu.DEVICE, dtype)
    y = functional.gather(x, features, spec, 2)
    assert peak_bytes(lambda: functional.gather(x, features, spec, 2)) == y.nbytes
    assert peak_bytes(lambda: functional.scatter(x, y, spec, 2)) == features.nbytes


def test_a_training_step_leaves_no_memory_behind() -> None:
    field = gpu.make_field(2, "mlp")
    x = gpu.point_set("random", field.grid.spec, 5_000).to(gpu.DEVICE)
    used = []
    for _ in range(4):
        gpu.loss_and_gradients(field, x)
        used.append(torch.cuda.memory_allocated())
    assert used[3] == used[1]


def windows(rows: int, middle: int, length: int = 500) -> list[slice]:
    """The first rows, those around `middle`, and the last."""
    return [
        slice(0, length),
        slice(middle - length // 2, middle + length // 2),
        slice(rows - length, rows),
    ]


def large_points(spec: GridSpec, n: int) -> Tensor:
    """Random points [n, dim] of a grid in units of its cells, made on the GPU."""
    torch.manual_seed(0)
    return torch.rand(n, spec.dim, device=gpu.DEVICE).mul_(spec.cells[0])


def check_windows(spec: GridSpec, n: int, channels: int, order: int, scatters: list[str]) -> None:
    """Rows of a large gather, and a scatter of rows among zeros, against the CPU kernels."""
    x = large_points(spec, n)
    features = normal(spec.total_nodes, channels).float()
    y = functional.gather(x, features.to(gpu.DEVICE), spec, order)
    rows = windows(n, LARGE // y[0].numel())
    assert y.numel() > LARGE
    at = [x[window].cpu().double() for window in rows]
    for window, points in zip(rows, at, strict=True):
        expected = functional.gather(points, features.double(), spec, order)
        gpu.assert_close([y[window]], [expected], FLOAT32)
    y.zero_()
    given = [normal(500, *y.shape[1:], seed=seed).float() for seed in range(3)]
    for window, values in zip(rows, given, strict=True):
        y[window].copy_(values)
    expected = functional.scatter(torch.cat(at), torch.cat(given).double(), spec, order)
    for name in scatters:
        gpu.assert_close([gpu.SCATTERS[name](x, y, spec, order)], [expected], FLOAT32)


@pytest.mark.parametrize("scatter", gpu.SCATTERS)
def test_jets_of_more_than_2_31_numbers(scatter: str) -> None:
    gpu.need_memory(11 if scatter == "atomic" else 16)
    spec = gpu.cell_spec(2, 64, 4, Gaussian())
    check_windows(spec, LARGE // (6 * 4 * 4) + 5_000, channels=4, order=2, scatters=[scatter])


def test_more_than_2_31_points() -> None:
    gpu.need_memory(19)
    spec = gpu.cell_spec(1, 65_536, 1, Gaussian())
    check_windows(spec, LARGE + 5_000, channels=1, order=0, scatters=["atomic"])


CORNERS = (0, 16_380, 32_760)


def near(corner: int) -> Tensor:
    """Points in the 8 x 8 cells from (corner, corner), exact in float32."""
    inside = normal(400, 2, seed=corner).frac().abs() * 7.99
    return (corner + inside).float().double()


def crop(features: Tensor, spec: GridSpec, corner: int) -> Tensor:
    """The nodes that points near a corner read, as a view [13, 13, channels]."""
    nodes = slice(corner, corner + 8 + 2 * spec.basis.rho - 1)
    return features.view(*spec.level_nodes(0), -1)[nodes, nodes]


def check_corners(scatter: str) -> None:
    """A grid of more than 2^31 features, against small grids on the CPU that are its corners."""
    spec = gpu.cell_spec(2, 32_768, 1, Gaussian())
    small = [gpu.cell_spec(2, 8, 1, Gaussian(), corner=corner) for corner in CORNERS]
    points = [near(corner) for corner in CORNERS]
    x = torch.cat(points).float().to(gpu.DEVICE)
    features = torch.empty(spec.total_nodes, 2, device=gpu.DEVICE)
    assert features.numel() > LARGE
    torch.manual_seed(0)
    features.uniform_(-1, 1)
    gathered = functional.gather(x, features, spec, 1).split(400)
    for corner, own, p, y in zip(CORNERS, small, points, gathered, strict=True):
        nodes = crop(features, spec, corner).reshape(-1, 2).cpu().double()
        gpu.assert_close([y], [functional.gather(p, nodes, own, 1)], FLOAT32)
    del features
    y = normal(len(x), 3, 2).float()
    added = gpu.SCATTERS[scatter](x, y.to(gpu.DEVICE), spec, 1)
    for corner, own, p, values in zip(CORNERS, small, points, y.double().split(400), strict=True):
        nodes = crop(added, spec, corner)
        expected = functional.scatter(p, values, own, 1)
        gpu.assert_close([nodes.reshape(-1, 2)], [expected], FLOAT32)
        nodes.zero_()
    assert not bool(added.any())


def test_grids_of_more_than_2_31_features() -> None:
    gpu.need_memory(20)
    check_corners("atomic")


def test_grids_of_more_than_2_31_features_scattered_deterministically() -> None:
    gpu.need_memory(50)
    check_corners("deterministic")
