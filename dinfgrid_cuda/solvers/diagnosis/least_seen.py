"""The function of a grid that residuals see least, relative to its size, by LOBPCG on the rows.

A. V. Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned
conjugate gradient method, SIAM J. Sci. Comput. 23 (2001). The Rayleigh-Ritz step works on A v and u
themselves, not on their Gram matrices, so that it finds a function that is seen 1e-13 times as much
as others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.unknown_nodes import free_nodes

from .values import Values

Precondition = Callable[[Tensor], Tensor]
# Number of vectors of the block, and of iterations.
BLOCK, ITERATIONS = 3, 20
# An iteration that leaves more than this part of the least quotient is the last: of a healthy one,
# or of a smaller one.
SETTLED, STILL = 0.9, 0.98
# Directions of the search whose u is less than this part of the largest one are dropped.
DEPENDENT = 1e-10


@dataclass(frozen=True)
class LeastSeen:
    """The function that residuals see least.

    Attributes:
        quotient: its loss / mean square of u, without data.
        v: its features [nodes * channels].
    """

    quotient: float
    v: Tensor


class _Block:
    """Vectors v [n, m] with A v / sqrt(2) [row_count, m] and u [points * out, m]."""

    def __init__(self, v: Tensor, seen: Tensor, u: Tensor) -> None:
        self.v, self.seen, self.u = v, seen, u

    def times(self, c: Tensor) -> _Block:
        """Returns linear combinations of the vectors, with coefficients c [m, k]."""
        return _Block(self.v @ c, self.seen @ c, self.u @ c)

    @staticmethod
    def joined(blocks: list[_Block]) -> _Block:
        """Returns all vectors of some blocks as one block."""
        return _Block(
            torch.cat([b.v for b in blocks], dim=1),
            torch.cat([b.seen for b in blocks], dim=1),
            torch.cat([b.u for b in blocks], dim=1),
        )


@torch.no_grad()
def least_seen(
    values: Values, normal: NormalOperator, precondition: Precondition, healthy: float
) -> LeastSeen:
    """Minimises loss / mean square of u over the features, the parameters held.

    Args:
        values: u at points of the equations.
        normal: the problem, linearised.
        precondition: r [n] -> about N^-1 r.
        healthy: a quotient above which a rough value is good enough.
    """
    n = normal.feature_count
    like = normal.operators[0].slopes
    random = torch.Generator().manual_seed(0)
    start = torch.randn(n, BLOCK, generator=random, dtype=torch.float64).to(like)
    start[:, 0] = 1.0
    free = free_nodes(normal.spec)
    if free is not None:  # features that are held at zero are no part of any u
        start *= free.to(start).repeat_interleave(normal.channels)[:, None]
    start[:, 1:] = _each(precondition, _each(values.product, start[:, 1:]))
    block, _ = _ritz(_images(start, values, normal))
    search: _Block | None = None
    last = float("inf")
    for _ in range(ITERATIONS):
        quotients = block.seen.square().sum(dim=0)
        slopes = 0.5 * _each(normal.by_rows, block.v)
        pulled = _each(values.product, block.v)
        directions = _each(precondition, slopes - quotients * pulled)
        blocks = [block, _images(_unit(directions), values, normal)]
        if search is not None:
            blocks.append(search)
        whole = _Block.joined(blocks)
        block, c = _ritz(whole)
        moved = c.clone()
        moved[:BLOCK] = 0
        search = whole.times(moved)
        search = search.times(torch.diag(1 / search.v.norm(dim=0).clamp(min=1e-300)))
        now = float(block.seen[:, 0].square().sum())
        if now > (SETTLED if now > healthy else STILL) * last:
            break
        last = now
    quotients = block.seen.square().sum(dim=0)
    return LeastSeen(float(quotients[0]), block.v[:, 0])


def _images(v: Tensor, values: Values, normal: NormalOperator) -> _Block:
    """Returns the block of vectors v [n, m]."""
    seen = [0.5**0.5 * normal.forward(column) for column in v.unbind(dim=1)]
    u = [values.unit(column) for column in v.unbind(dim=1)]
    return _Block(v, torch.stack(seen, dim=1), torch.stack(u, dim=1))


def _each(apply: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
    """Applies a function of vectors [n] to each column of v [n, m]."""
    return torch.stack([apply(column) for column in v.unbind(dim=1)], dim=1)


def _unit(v: Tensor) -> Tensor:
    """Scales the columns of v [n, m] to norm 1."""
    unit: Tensor = v / v.norm(dim=0).clamp(min=1e-300)
    return unit


def _ritz(whole: _Block) -> tuple[_Block, Tensor]:
    """Returns the `BLOCK` combinations with least |A v| for |u| = 1, and their coefficients."""
    scale = whole.u.norm(dim=0)
    keep = scale > 0
    scaled = whole.u[:, keep] / scale[keep]
    _, sizes, right = torch.linalg.svd(scaled, full_matrices=False)
    good = sizes > DEPENDENT * sizes[0]
    to_unit = (right[good].t() / sizes[good]) / scale[keep][:, None]
    seen = whole.seen[:, keep] @ to_unit
    _, _, vectors = torch.linalg.svd(seen, full_matrices=False)
    chosen = to_unit @ vectors.flip(0)[:BLOCK].t()
    c = whole.v.new_zeros(whole.v.shape[1], chosen.shape[1])
    c[keep] = chosen
    return whole.times(c), c
