"""The benchmarks: their arithmetic anywhere, and that they run on a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gpu
import pytest
import torch
from cases import points_in

import dinfgrid_cuda as dg

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # last, so that an installed dinfgrid_cuda stays the one that is tested

from bench import gpu_info, kernels, timing  # noqa: E402


@pytest.mark.parametrize(
    ("name", "clock", "width", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", 2_619_000, 5120, 3.352e12),  # as its driver tells it
        ("NVIDIA H100 80GB HBM3", None, None, 3.35e12),
        ("NVIDIA H100 80GB HBM3", 0, 0, 3.35e12),
        ("NVIDIA L40S", None, None, 0.864e12),  # and not the L4
        ("NVIDIA Something New", None, None, None),
    ],
)
def test_nominal_bandwidth_is_the_one_of_the_data_sheet(
    name: str, clock: int | None, width: int | None, expected: float | None
) -> None:
    properties = SimpleNamespace(name=name)
    if clock is not None:
        properties.memory_clock_rate, properties.memory_bus_width = clock, width
    nominal = gpu_info.nominal_bandwidth(properties)
    assert nominal == (expected and pytest.approx(expected, rel=1e-3))


def test_rows_of_the_table_stand_under_their_heads() -> None:
    for nominal in (None, 4e12):
        row = kernels.columns(262_144, 10**9, 1e-3, 2e12, nominal)
        assert len(row) == len(kernels.COLUMNS)
        assert row.split() == ["1.000", "262.1", "1000.0", "50%", "25%" if nominal else "-"]


def test_points_by_cell_are_the_same_points_cell_after_cell() -> None:
    grid = dg.FeatureGrid(2, (8, 4), lower=(-1, 0), upper=(1, 2))
    x = points_in(grid.spec, 200)
    ordered = kernels.by_cell(x, grid.spec)
    corner, width = torch.tensor([-1.0, 0.0]), torch.tensor([0.25, 0.5])
    cell = ((ordered - corner) / width).long()
    number = cell[:, 0] * 4 + cell[:, 1]
    assert (number.diff() >= 0).all()
    assert torch.equal(ordered[ordered[:, 0].argsort()], x[x[:, 0].argsort()])


def test_times_on_the_cpu_count_the_calls_and_not_what_goes_before() -> None:
    calls: list[str] = []
    measured = timing.times(lambda: calls.append("call"), "cpu", 3, lambda: calls.append("before"))
    assert calls == ["before", "call"] * 3
    assert all(0 <= one < 1 for one in measured)
    assert timing.cache_flush("cpu") is None


RUN = """
import runpy, sys
sys.path.append({root!r})
sys.argv = ["bench", *{arguments!r}]
runpy.run_module({module!r}, run_name="__main__")
"""


def run(module: str, *arguments: str) -> list[str]:
    """Lines that a benchmark prints, in a process of its own."""
    code = RUN.format(root=str(ROOT), arguments=arguments, module=module)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def rows_of(lines: list[str], device: str = "cuda") -> list[list[str]]:
    cases = sum(len(orders) for _, _, orders in kernels.grids_of(device))
    assert len(lines) == 3 + 2 * cases  # random and sorted
    return [line.split() for line in lines[3:]]


@pytest.mark.slow
def test_the_kernel_benchmark_runs_on_the_cpu() -> None:
    lines = run("bench.kernels", "--points", "64", "--repeats", "1")
    assert "caches warm" in lines[0]
    assert {row[6] for row in rows_of(lines, "cpu")} == {"random", "sorted"}


@pytest.mark.gpu
@pytest.mark.skipif(not gpu.HAS_GPU, reason=gpu.NO_GPU)
@pytest.mark.parametrize("scatter", ["atomic", "deterministic"])
def test_the_kernel_benchmark_runs_on_the_gpu(scatter: str) -> None:
    options = ["--deterministic"] if scatter == "deterministic" else []
    lines = run("bench.kernels", "--device", "cuda", "--points", "65536", *options)
    assert torch.cuda.get_device_name() in lines[0]
    assert "L2 emptied" in lines[0]
    for row in rows_of(lines):
        assert float(row[7]) > 0
        assert float(row[12]) > 0


@pytest.mark.gpu
@pytest.mark.skipif(not gpu.HAS_GPU, reason=gpu.NO_GPU)
def test_the_step_benchmark_runs_on_the_gpu() -> None:
    lines = run("bench.step", "--device", "cuda", "--repeats", "1")
    ratios = [float(line.split()[1]) for line in lines if line.startswith("  ratio")]
    assert len(ratios) == 4
    assert min(ratios) > 1
