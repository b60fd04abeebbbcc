"""What a direct solve is going to take, from the grid: before any matrix is formed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.solvers.errors import SolveError

from .dissection import LEAF, FrontSize, dissect, factor_size
from .factors import AT_ONCE, Need, band_need, better, fronts_need
from .memory import BYTES_PER_ENTRY, matrix_bytes
from .normal_operator import NormalOperator
from .places import intervals_of_supports
from .taking_part import nodes_taking_part
from .unknown_nodes import unknown_nodes

Flags = npt.NDArray[np.bool_]
# Nodes that are not dissected any more, since a factor for so many takes hours by any order.
MANY = 1_000_000
# Grids whose factors are remembered.
KEPT = 16


@dataclass(frozen=True)
class Size:
    """The memory and work that a direct solve will take.

    Attributes:
        unknown_count: number of features.
        bytes: at the peak, for the factor and the matrix that it is made of.
        work: multiplications of the factorisation, or of a band's that takes as long.
    """

    unknown_count: int
    bytes: float
    work: float


def estimate(spec: GridSpec, channels: int) -> Size:
    """Estimates the size of the factor of a grid's matrix, of the order that takes less time.

    With unknowns sorted along the longest axis, a band reaches over the 2 rho - 1 planes of the
    coarsest level that a basis function touches, on a periodic axis over twice as many. Where that
    is much, supports are dissected, see `dissection`.

    Raises:
        SolveError: if scipy is not installed.
    """
    try:
        import scipy.linalg  # noqa: F401
    except ImportError as error:
        raise SolveError(
            "solve: least-squares needs the package scipy; install it with: pip install scipy"
        ) from error
    nodes = _node_count(spec)
    planes = (2 * spec.basis.rho - 1) << (spec.global_levels - 1)
    folds = [1 + (boundary == "periodic") for boundary in spec.boundary]
    # With several levels the coarse ones' nodes beyond the ends make it wider there.
    along = spec.level_nodes(0) if spec.global_levels == 1 else spec.cells
    longest = max(count / fold for count, fold in zip(along, folds, strict=True))
    # Local levels lie close together, and no order makes a narrow band.
    part = 1.0 if spec.local else min(1.0, planes / longest)
    need = band_need(nodes * channels, nodes * channels * part)
    if need.work > AT_ONCE and nodes < MANY:
        need = better(need, _fronts_of_grid(spec, channels))
    return Size(nodes * channels, need.bytes + _matrix_bytes(spec, channels), need.work)


def _matrix_bytes(spec: GridSpec, channels: int) -> float:
    """Returns the bytes that the matrix takes at the peak.

    Unknowns of a truncated basis have neighbours as those of one level have.
    """
    if not spec.local:
        return matrix_bytes(spec, channels)
    nodes, neighbours = _node_count(spec), float(4 * spec.basis.rho - 1) ** spec.dim
    return BYTES_PER_ENTRY * channels**2 * nodes * min(nodes, neighbours)


def estimate_of(normal: NormalOperator) -> Size:
    """Estimates the size of the factor of a linearised problem, whose features may not all matter.

    On a shape the band reaches over the features of as many planes as differences of the extension
    do, where these are most.
    """
    spec, channels = normal.spec, normal.channels
    whole = estimate(spec, channels)
    if normal.extension is None:
        return whole
    part = nodes_taking_part(normal)
    free = unknown_nodes(spec)
    if free is not None:
        part &= free.numpy()
    nodes = int(part.sum())
    width = float(nodes if spec.levels > 1 else _width_on_shape(spec, part)) * channels
    need = band_need(nodes * channels, width)
    if need.work > AT_ONCE and nodes < MANY:
        # Differences reach one node beyond those whose supports overlap.
        start, end = intervals_of_supports(spec)
        need = better(need, fronts_of(start[:, part], end[:, part] + 1, channels))
    share = nodes * channels / whole.unknown_count
    matrix = min(1.0, share) * _matrix_bytes(spec, channels)
    return Size(nodes * channels, need.bytes + matrix, need.work)


def _width_on_shape(spec: GridSpec, taking_part: Flags) -> int:
    """Returns the half-bandwidth in nodes of one level of which some take part [nodes]."""
    longest = max(range(spec.dim), key=lambda axis: spec.cells[axis])
    others = tuple(axis for axis in range(spec.dim) if axis != longest)
    planes = taking_part.reshape(spec.level_nodes(0)).sum(axis=others)
    reach = min(len(planes), spec.basis.nodes)
    return int(np.convolve(planes, np.ones(reach, dtype=np.int64), mode="valid").max())


def _node_count(spec: GridSpec) -> int:
    """Number of nodes that are solved for."""
    free = unknown_nodes(spec)
    return spec.total_nodes if free is None else int(free.sum())


@lru_cache(maxsize=KEPT)
def _fronts_of_grid(spec: GridSpec, channels: int) -> Need:
    """Returns what fronts take where points are seen everywhere."""
    start, end = intervals_of_supports(spec)
    free = unknown_nodes(spec)
    if free is not None:
        start, end = start[:, free.numpy()], end[:, free.numpy()]
    return fronts_of(start, end, channels)


def fronts_of(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], channels: int) -> Need:
    """Returns what fronts take for nodes that couple where their intervals overlap."""
    sizes = [
        FrontSize(channels * len(part.pivots), channels * part.reached, part.children)
        for part in dissect(start, end, max(1, LEAF // channels))
    ]
    return fronts_need(factor_size(sizes))
