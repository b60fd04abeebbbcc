"""Order and arithmetic of multi-indices."""

from __future__ import annotations

import itertools

import pytest

from dinfgrid_cuda.kernels.multi_index import index_of, jet_size, multi_indices, shift

DIMS_AND_ORDERS = list(itertools.product((1, 2, 3, 4), range(6)))


def test_two_dimensional_order_is_the_documented_one() -> None:
    assert multi_indices(2, 2) == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]


@pytest.mark.parametrize(("dim", "order"), DIMS_AND_ORDERS)
def test_indices_are_all_of_them_in_graded_lexicographic_order(dim: int, order: int) -> None:
    every = [a for a in itertools.product(range(order + 1), repeat=dim) if sum(a) <= order]
    expected = sorted(every, key=lambda a: (sum(a), tuple(-entry for entry in a)))
    assert multi_indices(dim, order) == expected
    assert jet_size(dim, order) == len(expected)


@pytest.mark.parametrize(("dim", "order"), DIMS_AND_ORDERS)
def test_index_of_inverts_the_order(dim: int, order: int) -> None:
    positions = [index_of(alpha) for alpha in multi_indices(dim, order)]
    assert positions == list(range(jet_size(dim, order)))


@pytest.mark.parametrize(("dim", "order"), DIMS_AND_ORDERS)
def test_shift_points_at_the_raised_index(dim: int, order: int) -> None:
    above = multi_indices(dim, order + 1)
    for k in range(dim):
        for alpha, position in zip(multi_indices(dim, order), shift(dim, order, k), strict=True):
            raised = list(alpha)
            raised[k] += 1
            assert above[position] == tuple(raised)


@pytest.mark.parametrize("alpha", [(), (-1, 0), (0.5, 1)])
def test_index_of_refuses_what_is_no_multi_index(alpha: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no multi-index"):
        index_of(alpha)


def test_lists_handed_out_can_be_changed_without_harm() -> None:
    multi_indices(2, 1).clear()
    assert len(multi_indices(2, 1)) == 3
