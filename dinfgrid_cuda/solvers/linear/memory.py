"""The memory that the process may still take, and that the normal matrix of a grid needs."""

from __future__ import annotations

import math
import resource
from collections.abc import Iterator
from pathlib import Path

from dinfgrid_cuda.kernels.spec import GridSpec

# Bytes per entry of the normal matrix while it is assembled, scaled and ordered: five copies of a
# number and a place. Besides the factor, 128, 192 and 320 cells a side took 57, 50 and 55 on a
# square (degrees 5, 5 and 3), 16 and 20 cells 37 and 53 in a cube (degrees 5 and 3).
BYTES_PER_ENTRY = 60.0
ROOT = Path("/")
# Folders in which the memory controller is mounted, by its place in /proc/self/cgroup: version 2
# alone or together with version 1, and version 1.
UNIFIED = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
LEGACY = ("sys/fs/cgroup/memory",)


def free_memory(root: Path = ROOT) -> float:
    """Returns the bytes of main memory that this process can have without swapping.

    This is the least of what the machine has available, what the limits of the control groups
    around the process leave (those of containers, batch systems and services), and what `ulimit`
    leaves; infinite where none of these can be read.

    Args:
        root: folder that holds proc and sys.
    """
    return max(0.0, min(_available(root), _in_groups(root), _under_limits(root)))


def matrix_bytes(spec: GridSpec, channels: int) -> float:
    """Returns the bytes that the normal matrix of a grid takes at the peak, without its factor."""
    return (
        BYTES_PER_ENTRY
        * channels**2
        * sum(
            (1 if fine == coarse else 2) * _entries(spec, fine, coarse)
            for fine in range(spec.levels)
            for coarse in range(fine, spec.levels)
        )
    )


def _entries(spec: GridSpec, fine: int, coarse: int) -> float:
    """Returns how many pairs of nodes of two levels have basis functions that overlap."""
    rho, total = spec.basis.rho, 1.0
    both = zip(spec.level_nodes(fine), spec.level_nodes(coarse), spec.boundary, strict=True)
    for fine_nodes, coarse_nodes, boundary in both:
        # On the same level a node has 2 rho - 1 neighbours to either side, fewer next to the ends.
        reach = 2 * rho - 1 + math.ceil(2 * rho / 2 ** (coarse - fine))
        missing = 2 * rho * (2 * rho - 1) if fine == coarse and boundary != "periodic" else 0
        total *= (
            fine_nodes * coarse_nodes if coarse_nodes <= reach else fine_nodes * reach - missing
        )
    return total


def _available(root: Path) -> float:
    """Returns the bytes that the kernel says are available without swapping."""
    return _kilobytes(root / "proc/meminfo", "MemAvailable", math.inf)


def _in_groups(root: Path) -> float:
    """Returns the least that a control group of the process, or one around it, leaves."""
    return min((_left(folder) for folder in _groups(root)), default=math.inf)


def _groups(root: Path) -> Iterator[Path]:
    """Yields the folders of the groups, from the innermost outwards, as far as they are visible.

    In a container the path that the kernel gives may be that on the host, while the container's own
    group is mounted at the top. So the top is read whatever the path is.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        for mount in LEGACY if controllers else UNIFIED:
            top = root / mount
            inner = top / path.lstrip("/")
            yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _left(group: Path) -> float:
    """Returns the limit less the use of one group; unused file pages can be given back."""
    limits = ("memory.max", "memory.high", "memory.limit_in_bytes")
    limit = min(_number(group / name, math.inf) for name in limits)
    used = _number(group / "memory.current", _number(group / "memory.usage_in_bytes", 0.0))
    statistics = dict(
        line.split(" ", 1) for line in _text(group / "memory.stat").splitlines() if " " in line
    )
    files = statistics.get("total_inactive_file", statistics.get("inactive_file", "0"))
    return limit - max(0.0, used - _parsed(files, 0.0))


def _under_limits(root: Path) -> float:
    """Returns the bytes that `ulimit -v` and `ulimit -d` leave."""
    status = root / "proc/self/status"
    limits = {resource.RLIMIT_AS: "VmSize", resource.RLIMIT_DATA: "VmData"}
    return min(
        (
            soft - _kilobytes(status, used, 0.0)
            for kind, used in limits.items()
            if (soft := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY
        ),
        default=math.inf,
    )


def _kilobytes(path: Path, name: str, otherwise: float) -> float:
    """Returns the bytes of an entry "Name:  123 kB" of a file."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024.0 * _parsed(value.removesuffix("kB"), otherwise)
    return otherwise


def _number(path: Path, otherwise: float) -> float:
    """Returns the number that a file holds; ``otherwise`` where it holds "max" or is absent."""
    return _parsed(_text(path), otherwise)


def _parsed(text: str, otherwise: float) -> float:
    """Returns the number in a text; ``otherwise`` where it is none."""
    try:
        return float(text)
    except ValueError:
        return otherwise


def _text(path: Path) -> str:
    """Returns the content of a file; an empty string where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
