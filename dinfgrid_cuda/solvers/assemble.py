"""Rows of the least-squares matrix as sparse matrices, from the basis' tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import reference
from ..domain import Box
from ..field import Field
from ..multi_index import MultiIndex, multi_indices
from ..spec import GridSpec
from . import deadline
from .collocation import fitted
from .coupled import CoupledOperator
from .objective import Objective
from .operator import ENTRIES, TermOperator
from .problem import Problem, Term
from .term_operators import term_operators


def rows(term: TermOperator, spec: GridSpec, channels: int) -> Iterator[Any]:
    """The rows of a term by the features, chunk by chunk; points in their order, k rows each.

    Of a `CoupledOperator` what each point itself contributes. scipy CSR
    [rows, total_nodes * channels], float64.
    """
    n = len(term.x)
    slopes = term.slopes.expand(n, -1, -1, -1)
    entries = spec.levels * spec.basis.nodes**spec.dim * channels
    size = max(64, ENTRIES // (entries * max(1, len(term.alphas))))
    for start in range(0, n, size):
        deadline.check()
        part = slice(start, start + size)
        yield sparse_rows(term.alphas, term.x[part], slopes[part], spec, channels)


def term_matrix(field: Field, term: Term, domain: Box | None = None, seed: int = 0) -> Any:
    """The derivative of a term's residuals by the features of a field, at its present features.

    Args:
        field: with any decoder and constraint.
        term: of squares; without a sampler its points are as for least squares (`solve`).
        domain: of the term; by default the box of the grid.
        seed: of random points.

    Returns:
        scipy CSR [N * k, total_nodes * channels], float64: row i * k + j is residual j at point i,
        column node * channels + channel. Neither weighted nor scaled, but for the roots of the
        weights that points of a quadrature (`GaussPoints`) have.

    Raises:
        TypeError, ValueError: for a term that does not fit the field, or an energy.
    """
    from scipy.sparse import vstack

    if term.loss != "square":
        raise ValueError(f"term {term.name!r} is an energy; only residuals have rows.")
    spec = field.grid.spec
    problem = fitted(Problem(domain or Box(spec.lower, spec.upper), [term]), spec)
    objective = Objective(problem, field, seed, resample=False)
    objective.weights = [1.0]
    parts = term_operators(objective, 0)
    blocks = [block for part in parts for block in _exact_rows(part, spec, field.grid.channels)]
    points = sum(len(part.x) for part in parts)
    x, data, _ = objective.points(0, 0)
    with torch.no_grad():
        given = None if data is None else data[:2]
        some = term.evaluate(x[:2], field.jet(x[:2], term.order), given)
    k = math.prod(some.shape[1:])  # a complex residual has two rows for each
    return vstack(blocks, format="csr") * (points * k / 2) ** 0.5


def _exact_rows(part: TermOperator, spec: GridSpec, channels: int) -> Iterator[Any]:
    """`rows`, also of residuals that couple points."""
    if isinstance(part, CoupledOperator):
        yield part.matrix()
    else:
        yield from rows(part, spec, channels)


def sparse_rows(
    alphas: Sequence[MultiIndex], x: Tensor, slopes: Tensor, spec: GridSpec, channels: int
) -> Any:
    """Slopes [N, k, A, levels * channels] by derivatives alphas, times the basis' tables.

    scipy CSR [N * k, total_nodes * channels], float64.
    """
    from scipy.sparse import csr_array

    slopes = slopes.cpu().double()
    x = x.detach().cpu().double()
    n, k = slopes.shape[:2]
    shape = (n * k, spec.total_nodes * channels)
    if not alphas:
        return csr_array(shape)
    order = max(map(sum, alphas))
    every = multi_indices(spec.dim, order)
    places = [every.index(alpha) for alpha in alphas]
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
