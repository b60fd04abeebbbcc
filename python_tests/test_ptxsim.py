"""The CUDA kernels, compiled by nvcc and executed by ptxsim, agree with the reference.

Every access is checked for bounds, initialisation and races, and barriers for missing threads.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dinfgrid_cuda.kernels import reference
from dinfgrid_cuda.kernels.basis import Basis, BSpline, Gaussian
from dinfgrid_cuda.kernels.multi_index import jet_size
from dinfgrid_cuda.kernels.spec import GridSpec

SIMULATOR = Path(__file__).resolve().parent.parent.parent / "shared" / "ptxsim"
if SIMULATOR.is_dir():
    sys.path.insert(0, str(SIMULATOR))


def missing() -> str:
    """What the simulation lacks here, or nothing."""
    homes = (os.environ.get("CUDA_HOME"), "/usr/local/cuda")
    nvcc = any(home and (Path(home) / "bin" / "nvcc").exists() for home in homes)
    found = SIMULATOR.is_dir() and (nvcc or shutil.which("nvcc"))
    if not found or sys.version_info < (3, 11):
        return "needs ptxsim beside the repository, nvcc and Python 3.11"
    if torch.version.cuda is not None:
        return "needs a torch without CUDA, whose runtime would take the place of the simulated one"
    return ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "runs"),
]

if not missing():
    import cuda_in_ptxsim as simulated

SCATTERS = ("scatter", "scatter_sorted")


def spec_of(
    dim: int,
    basis: Basis,
    boundary: str | tuple[str, ...] = "ghost",
    cells: int | tuple[int, ...] = 8,
    levels: int = 2,
) -> GridSpec:
    return GridSpec(
        dim=dim,
        cells=(cells,) * dim if isinstance(cells, int) else cells,
        levels=levels,
        basis=basis,
        boundary=(boundary,) * dim if isinstance(boundary, str) else boundary,
        lower=(-1.0,) * dim,
        upper=(1.5,) * dim,
    )


def points(spec: GridSpec, count: int, dtype: Any, seed: int = 0) -> simulated.Array:
    """Some inside, some outside, some on nodes and corners."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-1.3, 1.8, (count, spec.dim)).astype(dtype)
    on_nodes = generator.integers(0, 9, (count, spec.dim)) * (2.5 / 8) - 1
    rows = np.arange(count) % 5 == 0
    x[rows] = on_nodes[rows]
    return x


def assert_close(actual: simulated.Array, expected: torch.Tensor) -> None:
    """Within the rounding of a sum of products, relative to the largest number."""
    assert actual.dtype == expected.numpy().dtype
    tolerance = 64 * np.finfo(actual.dtype).eps * float(expected.abs().max())
    np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=tolerance)


def compare(
    spec: GridSpec, order: int, channels: int, reduce: str, count: int, dtype: Any = np.float32
) -> None:
    """Gather and both scatters against the reference."""
    generator = np.random.default_rng(1)
    x = points(spec, count, dtype)
    features = generator.standard_normal((spec.total_nodes, channels)).astype(dtype)
    concat = reduce == "concat"
    y = simulated.gather(x, features, spec, order, concat)
    to_torch = [torch.from_numpy(a) for a in (x, features)]
    assert_close(y, reference.gather(*to_torch, spec, order, reduce))
    grad_y = generator.standard_normal(y.shape).astype(dtype)
    expected = reference.scatter(to_torch[0], torch.from_numpy(grad_y), spec, order, reduce)
    for name in SCATTERS:
        assert_close(getattr(simulated, name)(x, grad_y, spec, order, concat), expected)


# (dim, order) as cuda_shim.cu builds them; fast paths exist for rho 1, 3, 2 in 1-D, 2-D, 3-D.
CASES = [
    (spec_of(2, Gaussian(rho=3)), 2, 2, "concat", 100),
    (spec_of(2, Gaussian(rho=3)), 2, 1, "sum", 65),
    (spec_of(2, Gaussian(rho=3), "clamp", levels=3), 2, 2, "concat", 40),
    (spec_of(2, BSpline(5), "periodic", 16), 2, 4, "concat", 33),
    (spec_of(2, BSpline(5), ("periodic", "ghost"), (4, 8)), 2, 3, "sum", 20),
    (spec_of(2, Gaussian(rho=3, window="smooth"), ("clamp", "ghost"), (2, 4)), 2, 1, "concat", 20),
    (spec_of(3, Gaussian(rho=2)), 1, 1, "concat", 33),
    (spec_of(3, Gaussian(rho=2), ("clamp", "periodic", "ghost")), 1, 2, "sum", 33),
    (spec_of(3, Gaussian(rho=1, normalize=False), "clamp", levels=1), 1, 1, "concat", 9),
    (spec_of(1, BSpline(1), "ghost", 16, 3), 1, 3, "concat", 300),
    (spec_of(1, Gaussian(rho=1), "periodic", 1, 1), 1, 2, "concat", 9),
    (spec_of(1, Gaussian(epsilon=0.7, rho=5), "clamp", 16, 4), 1, 2, "sum", 40),
    (spec_of(4, BSpline(1), ("ghost", "periodic", "periodic", "ghost"), 2, 2), 1, 1, "concat", 5),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_kernels_agree_with_the_reference(case: tuple[GridSpec, int, int, str, int]) -> None:
    compare(*case)


def test_double_precision_agrees_to_its_last_digits() -> None:
    compare(spec_of(2, Gaussian(rho=3), ("clamp", "periodic")), 1, 2, "concat", 40, np.float64)
    compare(spec_of(1, BSpline(7), "periodic", 4), 3, 1, "sum", 20, np.float64)


def atomics(spec: GridSpec, x: simulated.Array, order: int, channels: int) -> Any:
    """What a scatter counts: numbers added to global memory, a pair being two."""
    y = np.ones((len(x), jet_size(spec.dim, order), spec.levels * channels), np.float32)
    simulated.scatter(x, y, spec, order, True)
    stats = simulated.library().launches[-1].stats
    return stats.memory("atomic.global").bytes // x.itemsize, stats.max_updates


def test_coarse_levels_are_collected_in_shared_memory() -> None:
    spec = spec_of(1, Gaussian(rho=1), "ghost", 4, 1)
    compare(spec, 1, 2, "concat", 32 * 256)
    x = points(spec, 32 * 256, np.float32)
    added, most = atomics(spec, x, 1, 2)
    assert added <= len(x) * spec.basis.nodes * 2 / 16
    assert most <= len(x) / 16


def test_points_too_far_apart_for_shared_memory_are_added_one_by_one() -> None:
    spec = spec_of(3, Gaussian(rho=2), "ghost", 32, 1)
    added, _ = atomics(spec, points(spec, 128, np.float32), 1, 1)
    assert added == 128 * spec.basis.nodes**3
    compare(spec_of(3, Gaussian(rho=2), ("clamp", "periodic", "ghost"), 32), 1, 1, "sum", 128)


def test_points_sorted_by_cell_are_collected_in_shared_memory() -> None:
    spec = spec_of(2, Gaussian(rho=3), "ghost", 128, 1)
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1.5, (2048, 2)).astype(np.float32)
    x[:, 0] = -1 + (x[:, 0] + 1) / 8  # an eighth of the grid, one point a cell
    cell = np.floor((x + 1) / 2.5 * 128)
    x = x[np.argsort(cell[:, 0] * 128 + cell[:, 1], kind="stable")]
    added, _ = atomics(spec, x, 2, 2)
    assert added <= len(x) * spec.basis.nodes**2 * 2 / 8


@pytest.mark.parametrize("name", SCATTERS)
def test_a_scatter_adds_to_what_is_there(name: str) -> None:
    spec = spec_of(1, Gaussian(rho=1), "ghost", 4, 1)
    x, y = points(spec, 3, np.float32), np.ones((3, jet_size(1, 1), 1), np.float32)
    start = np.arange(spec.total_nodes, dtype=np.float32)[:, None]
    scatter = getattr(simulated, name)
    difference = scatter(x, y, spec, 1, True, start) - start
    np.testing.assert_allclose(difference, scatter(x, y, spec, 1, True), atol=1e-5)


def test_sorted_scatter_has_the_same_bits_whatever_the_lanes_do() -> None:
    spec = spec_of(2, Gaussian(rho=3), ("clamp", "periodic"))
    x = points(spec, 50, np.float32)
    y = np.random.default_rng(2).standard_normal((50, 6, 2)).astype(np.float32)
    first, again = (simulated.scatter_sorted(x, y, spec, 2, False) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    names = [launch.kernel for launch in simulated.library().launches[-1:]]
    assert "scatter_sorted_kernel" in names[0]
    assert simulated.library().launches[-1].stats.count("atomic.global") == 0


def test_no_points_launch_nothing() -> None:
    spec = spec_of(2, Gaussian(rho=3))
    before = len(simulated.library().launches)
    x, y = np.zeros((0, 2), np.float32), np.zeros((0, 6, 2), np.float32)
    features = np.zeros((spec.total_nodes, 1), np.float32)
    assert simulated.gather(x, features, spec, 2, True).shape == y.shape
    for name in SCATTERS:
        assert not getattr(simulated, name)(x, y, spec, 2, True).any()
    assert len(simulated.library().launches) == before


@pytest.mark.parametrize("boundary", ["ghost", "clamp", "periodic"])
def test_points_that_are_not_finite_stay_in_bounds_and_give_nan(boundary: str) -> None:
    spec = spec_of(2, Gaussian(rho=3), boundary)
    bad = [np.nan, np.inf, -np.inf]
    x = np.array([[0.1, 0.2], *([b, 0.3] for b in bad), *([0.3, b] for b in bad)], np.float32)
    features = np.ones((spec.total_nodes, 1), np.float32)
    y = simulated.gather(x, features, spec, 2, True)
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1:]).all()
    for name in SCATTERS:
        getattr(simulated, name)(x, y, spec, 2, True)


def test_finite_points_far_outside_stay_in_bounds() -> None:
    spec = spec_of(2, Gaussian(rho=3), ("clamp", "periodic"))
    x = np.array([[1e30, 1e30], [-1e30, -1e30], [3e38, -3e38]], np.float32)
    y = simulated.gather(x, np.ones((spec.total_nodes, 2), np.float32), spec, 2, True)
    for name in SCATTERS:
        getattr(simulated, name)(x, y, spec, 2, True)


def test_gather_stores_whole_sectors_and_uses_no_local_memory() -> None:
    spec = spec_of(2, Gaussian(rho=3), "ghost", 32, 4)
    x = points(spec, 256, np.float32)
    simulated.gather(x, np.ones((spec.total_nodes, 2), np.float32), spec, 2, True)
    stats = simulated.library().launches[-1].stats
    stores = stats.memory("store.global")
    assert stores.bytes >= 0.8 * 32 * stores.sectors
    assert stats.count("load.local") == stats.count("store.local") == 0
