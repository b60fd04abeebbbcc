"""Rows of the least-squares matrix as sparse matrices, from the basis' tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .. import reference
from ..multi_index import multi_indices
from ..spec import GridSpec
from .operator import ENTRIES, TermOperator


class Rows(NamedTuple):
    """Rows of the least-squares matrix.

    Attributes:
        features: scipy CSR [M, total_nodes * channels], float64.
        parameters: [M, parameters of the problem].
    """

    features: Any
    parameters: npt.NDArray[np.float64]


def rows(term: TermOperator, spec: GridSpec, channels: int) -> Iterator[Rows]:
    """The rows of a term, chunk by chunk; points in their order, k rows each."""
    n, k = len(term.x), term.slopes.shape[1]
    slopes = term.slopes.expand(n, -1, -1, -1)
    columns = term.columns.cpu().double().numpy()
    entries = spec.levels * spec.basis.nodes**spec.dim * channels
    size = max(64, ENTRIES // (entries * max(1, len(term.alphas))))
    for start in range(0, n, size):
        part = slice(start, start + size)
        matrix = _sparse(term, term.x[part], slopes[part], spec, channels)
        yield Rows(matrix, columns[start * k : (start + size) * k])


def _sparse(term: TermOperator, x: Tensor, slopes: Tensor, spec: GridSpec, channels: int) -> Any:
    """The CSR matrix of slopes [N, k, A, levels * channels] times the basis' tables."""
    from scipy.sparse import csr_array

    slopes = slopes.cpu().double()
    x = x.detach().cpu().double()
    n, k = slopes.shape[:2]
    shape = (n * k, spec.total_nodes * channels)
    if not term.alphas:
        return csr_array(shape)
    order = max(map(sum, term.alphas))
    every = multi_indices(spec.dim, order)
    places = [every.index(alpha) for alpha in term.alphas]
    columns, entries = [], []
    for level in range(spec.levels):
        table = reference.weights(x, spec, level, order)[:, places]
        nodes = reference.neighbours(x, spec, level)
        for channel in range(channels):
            slope = slopes[:, :, :, level * channels + channel]
            if not bool((slope != 0).any()):
                continue
            entries.append(slope @ table)
            columns.append((nodes * channels + channel)[:, None].expand(n, k, -1))
    width = sum(part.shape[2] for part in entries)
    starts = np.arange(0, n * k * width + 1, width)
    data = np.concatenate([part.numpy() for part in entries], axis=2).reshape(-1)
    index = np.concatenate([part.numpy() for part in columns], axis=2).reshape(-1)
    matrix = csr_array((data, index, starts), shape)
    matrix.sum_duplicates()  # clamped neighbourhoods name a node more than once
    return matrix
