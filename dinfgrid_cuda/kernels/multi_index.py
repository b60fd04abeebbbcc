"""Multi-indices: which partial derivative stands at which position of a jet.

A jet of order n holds all partial derivatives of total order 0..n in graded lexicographic order; in
two dimensions 00; 10 01; 20 11 02; and so on.
"""

from __future__ import annotations

from functools import cache
from math import comb

import torch

MultiIndex = tuple[int, ...]


def jet_size(dim: int, order: int) -> int:
    """Number of partial derivatives of total order 0..order in ``dim`` variables."""
    return comb(order + dim, dim)


def _of_degree(dim: int, degree: int) -> list[MultiIndex]:
    if dim == 1:
        return [(degree,)]
    return [
        (first, *rest)
        for first in range(degree, -1, -1)
        for rest in _of_degree(dim - 1, degree - first)
    ]


@cache
def _ordered(dim: int, order: int) -> tuple[MultiIndex, ...]:
    if dim < 1 or order < 0:
        raise ValueError(
            f"multi_indices: dim is {dim} and order is {order}, but dim must be at least 1 and "
            "order at least 0."
        )
    return tuple(alpha for degree in range(order + 1) for alpha in _of_degree(dim, degree))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def multi_indices(dim: int, order: int) -> list[MultiIndex]:
    """All multi-indices of ``dim`` entries with sum at most ``order``, graded lexicographic."""
    return list(_ordered(dim, order))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def index_of(alpha: MultiIndex) -> int:
    """Position of ``alpha`` in every jet that holds it; it does not depend on the jet's order."""
    alpha = tuple(alpha)
    if not alpha or any(not isinstance(a, int) or a < 0 for a in alpha):
        raise ValueError(
            f"index_of: {alpha!r} is no multi-index; pass one non-negative integer per axis."
        )
    position, remaining, dim = jet_size(len(alpha), sum(alpha) - 1), sum(alpha), len(alpha)
    for axis, entry in enumerate(alpha[:-1]):
        rest = dim - axis - 1
        # Entries larger than this one come first: they leave less than remaining - entry behind.
        position += jet_size(rest, remaining - entry - 1) if remaining > entry else 0
        remaining -= entry
    return position


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def shift(dim: int, order: int, k: int) -> tuple[int, ...]:
    """Positions, in the jet of order + 1, of alpha + e_k for each alpha of the jet of order."""
    return _shift(dim, order, k)


@cache
def _shift(dim: int, order: int, k: int) -> tuple[int, ...]:
    return tuple(
        index_of((*alpha[:k], alpha[k] + 1, *alpha[k + 1 :])) for alpha in _ordered(dim, order)
    )
