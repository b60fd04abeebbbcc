"""The memory that a process may take: the least of machine, control groups and shell limits."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import dinfgrid_cuda
from dinfgrid_cuda.solvers.linear.memory import free_memory

GB = 10**9


def write(root: Path, files: dict[str, object]) -> Path:
    """A folder that looks like the top of a file system with these files."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


HOST = {"proc/meminfo": f"MemTotal:  99999999 kB\nMemAvailable:  {20 * GB // 1024} kB"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 20),
        # version 2: the limit of a container, whose own group is mounted at the top
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": 3 * GB // 2}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/memory.max": 3 * GB,
                "sys/fs/cgroup/memory.current": 2 * GB,
            },
            1,
        ),
        # pages of files that nobody uses are given back
        (
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/memory.max": 3 * GB,
                "sys/fs/cgroup/memory.current": 2 * GB,
                "sys/fs/cgroup/memory.stat": f"anon {GB}\ninactive_file {GB}",
            },
            2,
        ),
        # memory.high, and no limit at the innermost group
        (
            {
                "proc/self/cgroup": "0::/user/job",
                "sys/fs/cgroup/user/job/memory.max": "max",
                "sys/fs/cgroup/user/job/memory.current": GB,
                "sys/fs/cgroup/user/memory.high": 5 * GB,
                "sys/fs/cgroup/user/memory.current": 2 * GB,
            },
            3,
        ),
        # the path is that on the host, which is not visible here
        (
            {
                "proc/self/cgroup": "0::/system.slice/docker-1234.scope",
                "sys/fs/cgroup/memory.max": 2 * GB,
            },
            2,
        ),
        # version 1, with version 2 beside it for other controllers
        (
            {
                "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/a/b\n0::/",
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": 4 * GB,
                "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": 3 * GB,
                "sys/fs/cgroup/memory/a/b/memory.stat": f"total_inactive_file {GB}",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": 2**63 - 4096,
            },
            2,
        ),
        # more in use than a lowered limit allows
        (
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/memory.max": GB,
                "sys/fs/cgroup/memory.current": 2 * GB,
            },
            0,
        ),
        # files that hold something else
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "?"}, 20),
    ],
)
def test_least_of_machine_and_groups_is_free(tmp_path: Path, files: dict, expected: float) -> None:
    free = free_memory(write(tmp_path, {**HOST, **files}))
    assert free == pytest.approx(expected * GB, rel=1e-6)


def test_memory_that_nobody_limits_or_tells_is_infinite(tmp_path: Path) -> None:
    assert free_memory(tmp_path) == math.inf


@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_shell_less_what_is_used_are_kept(tmp_path: Path, monkeypatch, kind) -> None:
    status = f"Name:\tpython\nVmSize:\t{GB // 1024} kB\nVmData:\t{GB // 1024} kB"
    root = write(tmp_path, {**HOST, "proc/self/status": status})
    unlimited = resource.RLIM_INFINITY
    limited = getattr(resource, kind)
    monkeypatch.setattr(
        resource, "getrlimit", lambda given: (4 * GB if given == limited else unlimited, unlimited)
    )
    assert free_memory(root) == pytest.approx(3 * GB, rel=1e-6)


def run_python(code: str, kilobytes: int | None = None) -> str:
    """What code prints, under ``ulimit -v`` where kilobytes are given."""
    limit = "true" if kilobytes is None else f"ulimit -v {kilobytes}"
    done = subprocess.run(
        ["sh", "-c", f'{limit} && exec "$0" -c "$1"', sys.executable, code],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(dinfgrid_cuda.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_ulimit_is_kept() -> None:
    code = "from dinfgrid_cuda.solvers.memory import free_memory; print(free_memory())"
    kilobytes = 8_000_000
    assert 0 < float(run_python(code, kilobytes)) < 1024 * kilobytes


SOLVE = """
import resource, scipy.linalg, scipy.sparse.linalg, torch, dinfgrid_cuda as dg
from dinfgrid_cuda.solvers.factor import estimate
problem = dg.Problem(dg.Box([0.0] * {dim}, [1.0] * {dim}), [
    dg.Term("pde", dg.Interior(), lambda x, u: x[:, :1].exp() * u.laplacian - 1, order=2),
    dg.Term("rim", dg.Boundary(), lambda x, u: u.value),
])
grid = dg.FeatureGrid(
    {dim}, {cells}, lower=0.0, upper=1.0, basis=dg.BSpline({degree}), dtype=torch.float64
)
if {spare}:
    used = [line for line in open("/proc/self/status") if line.startswith("VmSize")][0].split()[1]
    resource.setrlimit(resource.RLIMIT_AS, (1024 * int(used) + {spare},) * 2)
# Not ru_maxrss, which begins with what the parent process had.
peak = lambda: 1024 * int(
    [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]
)
before = peak()
report = dg.solve(problem, dg.Field(grid), "least-squares", progress=False).report
print(report.findings.route, peak() - before, estimate(grid.spec, 1).bytes)
"""


def solve(dim: int, cells: int, degree: int, spare: int = 0) -> tuple[str, float, float]:
    """Route, bytes at the peak above those before the solve, and the estimate for the factor.

    Args:
        spare: bytes that RLIMIT_AS leaves; 0 is no limit.
    """
    code = SOLVE.format(dim=dim, cells=cells, degree=degree, spare=spare)
    route, peak, estimated = run_python(code).split()
    return route, float(peak), float(estimated)


# What a solve takes that is no part of the matrix: points, residuals, modules imported late.
SMALL = 60e6


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "cells", "degree"), [(2, 128, 5), (3, 16, 5), (3, 20, 3)])
def test_direct_route_takes_no_more_than_estimated(dim: int, cells: int, degree: int) -> None:
    route, peak, estimated = solve(dim, cells, degree)
    assert route == "direct"
    assert 0.4 * estimated < peak < estimated + SMALL


@pytest.mark.slow
def test_memory_on_a_line_grows_with_its_cells_and_not_with_their_square() -> None:
    _, peak, _ = solve(1, 20_000, 5)
    assert peak < 300e6


@pytest.mark.slow
def test_a_factor_that_the_limit_leaves_no_room_for_is_not_tried() -> None:
    """Half a gigabyte at its peak, 350 MB left."""
    route, peak, estimated = solve(2, 192, 5, spare=350_000_000)
    assert route == "matrix-free"
    assert peak < 350e6 < estimated
