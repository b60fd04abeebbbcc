"""The loss as a quadratic in the features, term by term: rows of a sparse least-squares problem.

At a point, u's jet and with it a residual r depend on the features F only through the jet y of the
interpolated features, which is linear in F. So dr/dF is dr/dy, a small dense matrix at each point,
times the table of the basis' derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import reference
from ..field import Field
from ..multi_index import jet_size
from .objective import Objective
from .problem import Term

# Entries of dense tables that are worked on at a time.
ENTRIES = 1 << 23


def rows(objective: Objective, index: int) -> Iterator[Any]:
    """Sparse matrices A of a term with loss ~ |A dF|^2 / 2 in the second order, chunk by chunk.

    For a residual they hold sqrt(2 weight / (N k)) dr/dF (Gauss-Newton's); for an energy density
    with Hessian Q L Q' by y, sqrt(weight L / N) Q' dy/dF for the eigenvalues L > 0 (projected
    Newton).

    Returns:
        scipy CSR arrays [N' k, total_nodes * channels], float64.
    """
    field, term = objective.field, objective.problem.terms[index]
    assert isinstance(field, Field)
    x, data, total = objective.points(index, 0)
    spec = field.grid.spec
    size = spec.levels * spec.basis.nodes**spec.dim * field.grid.channels
    chunk = max(64, ENTRIES // (size * jet_size(spec.dim, term.order)))
    for start in range(0, x.shape[0], chunk):
        part = slice(start, start + chunk)
        given = None if data is None else data[part]
        slopes = _slopes(field, term, x[part], given) * math.sqrt(term.weight / total)
        yield _sparse(field, x[part], term.order, slopes)


def _slopes(field: Field, term: Term, x: Tensor, data: Tensor | None) -> Tensor:
    """Rows by y, [N, k, J, levels * channels]; half the sum of their squares is the loss * N."""
    with torch.no_grad():
        y = field.grid.gather(x, term.order)
    y = y.detach().requires_grad_()
    residual = term.evaluate(x, field.decode(x, y, term.order), data)
    scale = math.sqrt(2 / max(1, math.prod(residual.shape[1:])))
    if residual.is_complex():
        residual = torch.view_as_real(residual)
    if term.loss == "mean":
        return _curved(residual.reshape(len(x), -1).mean(dim=1), y)
    columns = residual.reshape(len(x), -1).unbind(dim=1)
    return scale * torch.stack([_gradient(column, y) for column in columns], dim=1)


def _gradient(column: Tensor, y: Tensor, create_graph: bool = False) -> Tensor:
    """d column / dy [N, J, channels], each point's own."""
    if not column.requires_grad:
        return torch.zeros_like(y)
    slope: Tensor = torch.autograd.grad(
        column.sum(), y, retain_graph=True, create_graph=create_graph, materialize_grads=True
    )[0]
    return slope


def _curved(density: Tensor, y: Tensor) -> Tensor:
    """sqrt(L) Q' of the densities' Hessians Q L Q' by y, negative L as zero, [N, m, J, C]."""
    gradient = _gradient(density, y, create_graph=True).flatten(1)
    if not gradient.requires_grad:
        return y.new_zeros(y.shape[0], 0, *y.shape[1:])
    hessian = torch.stack([_gradient(g, y).flatten(1) for g in gradient.unbind(dim=1)], dim=1)
    active = (hessian != 0).any(dim=0).any(dim=0).nonzero()[:, 0]
    eigenvalues, vectors = torch.linalg.eigh(hessian[:, active][:, :, active])
    roots = eigenvalues.clamp(min=0).sqrt()
    result = y.new_zeros(y.shape[0], len(active), y[0].numel())
    result[:, :, active] = (vectors * roots[:, None, :]).transpose(1, 2)
    return result.reshape(*result.shape[:2], *y.shape[1:])


def _sparse(field: Field, x: Tensor, order: int, slopes: Tensor) -> Any:
    """The CSR matrix of slopes [N, k, J, levels * channels] times the basis' tables."""
    from scipy.sparse import csr_array

    spec, channels = field.grid.spec, field.grid.channels
    slopes = slopes.detach().cpu().double()
    x = x.detach().cpu().double()
    n, k = slopes.shape[:2]
    columns: list[Tensor] = []
    entries: list[Tensor] = []
    for level in range(spec.levels):
        table = reference.weights(x, spec, level, order)
        nodes = reference.neighbours(x, spec, level)
        for channel in range(channels):
            slope = slopes[:, :, :, level * channels + channel]
            used = (slope != 0).any(dim=0).any(dim=0).nonzero()[:, 0]
            if not len(used):
                continue
            entries.append(torch.bmm(slope[:, :, used], table[:, used]))
            columns.append((nodes * channels + channel)[:, None].expand(n, k, -1))
    shape = (n * k, spec.total_nodes * channels)
    if not entries:
        return csr_array(shape)
    data = torch.cat(entries, dim=2).reshape(-1).numpy()
    width = sum(part.shape[2] for part in entries)
    starts = np.arange(0, n * k * width + 1, width)
    matrix = csr_array((data, torch.cat(columns, dim=2).reshape(-1).numpy(), starts), shape)
    matrix.sum_duplicates()  # clamped neighbourhoods name a node more than once
    return matrix
