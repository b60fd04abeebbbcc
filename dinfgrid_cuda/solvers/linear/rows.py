"""The rows of the least-squares matrix as sparse matrices, from the basis' tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.kernels import tables
from dinfgrid_cuda.kernels.multi_index import MultiIndex
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline

from .coupled import CoupledOperator
from .scattered_table import ENTRIES
from .term_operator import TermOperator
from .unknown_nodes import free_nodes


def rows(operator: TermOperator, spec: GridSpec, channels: int) -> Iterator[Any]:
    """Yields the rows of an operator by the features, some points at a time, k rows for each point.

    Of a `CoupledOperator` they hold what each point itself contributes.

    Yields:
        scipy CSR [points * k, total_nodes * channels], float64.
    """
    n = len(operator.x)
    slopes = operator.slopes.expand(n, -1, -1, -1)
    levels = spec.levels if not spec.local else spec.global_levels + 3
    entries = levels * spec.basis.nodes**spec.dim * channels
    size = max(64, ENTRIES // (entries * max(1, len(operator.alphas))))
    for start in range(0, n, size):
        deadline.check()
        chunk = slice(start, start + size)
        yield sparse_rows(operator.alphas, operator.x[chunk], slopes[chunk], spec, channels)


def exact_rows(operator: TermOperator, spec: GridSpec, channels: int) -> Iterator[Any]:
    """Yields `rows`, and the whole rows of a `CoupledOperator`."""
    if isinstance(operator, CoupledOperator):
        yield operator.matrix()
    else:
        yield from rows(operator, spec, channels)


def sparse_rows(
    alphas: Sequence[MultiIndex], x: Tensor, slopes: Tensor, spec: GridSpec, channels: int
) -> Any:
    """Multiplies slopes [N, k, A, global levels * channels] by derivatives alphas of the basis.

    Features of local levels that are held at zero have no entries.

    Returns:
        scipy CSR [N * k, total_nodes * channels], float64.
    """
    from scipy.sparse import csr_array

    slopes = slopes.cpu().double()
    x = x.detach().cpu().double()
    n, k = slopes.shape[:2]
    shape = (n * k, spec.total_nodes * channels)
    if not alphas:
        return csr_array(shape)
    if spec.local:
        return _local_rows(alphas, x, slopes, spec, channels)
    columns, entries = [], []
    for level in range(spec.levels):
        table = tables.derivatives(x, spec, level, alphas)
        nodes = tables.neighbours(x, spec, level)
        for channel in range(channels):
            slope = slopes[:, :, :, level * channels + channel]
            if not bool((slope != 0).any()):
                continue
            entries.append(slope @ table)
            columns.append((nodes * channels + channel)[:, None].expand(n, k, -1))
    width = sum(block.shape[2] for block in entries)
    starts = np.arange(0, n * k * width + 1, width)
    data = np.concatenate([block.numpy() for block in entries], axis=2).reshape(-1)
    index = np.concatenate([block.numpy() for block in columns], axis=2).reshape(-1)
    matrix = csr_array((data, index, starts), shape)
    matrix.sum_duplicates()  # clamped neighbourhoods name a node more than once
    return matrix


def _local_rows(
    alphas: Sequence[MultiIndex], x: Tensor, slopes: Tensor, spec: GridSpec, channels: int
) -> Any:
    """Returns `sparse_rows` of a grid with local levels, whose points see few of the levels."""
    from scipy.sparse import coo_array

    n, k = slopes.shape[:2]
    free = free_nodes(spec)
    assert free is not None
    rows, columns, data = [], [], []
    for level in range(spec.levels):
        inside = tables.within(x, spec, level)
        here = torch.arange(n) if inside is None else inside.nonzero()[:, 0]
        if not len(here):
            continue
        table = tables.derivatives(x[here], spec, level, alphas)
        nodes = tables.neighbours(x[here], spec, level)
        kept = free[nodes]
        point, place = kept.nonzero(as_tuple=True)
        row = here[point][:, None] * k + torch.arange(k)
        for channel in range(channels):
            slope = slopes[here][:, :, :, spec.column(level) * channels + channel]
            values = (slope @ table).transpose(1, 2)[point, place]
            rows.append(row.reshape(-1).numpy())
            columns.append((nodes[point, place] * channels + channel).repeat_interleave(k).numpy())
            data.append(values.reshape(-1).numpy())
    shape = (n * k, spec.total_nodes * channels)
    if not data:
        return coo_array(shape).tocsr()
    places = np.concatenate(rows), np.concatenate(columns)
    return coo_array((np.concatenate(data), places), shape).tocsr()
