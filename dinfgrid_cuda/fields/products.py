"""Which products of features on groups of axes a factorized grid adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from dinfgrid_cuda.checks import is_int, plain_int

Group = tuple[int, ...]
Product = tuple[Group, ...]
PRODUCTS = ("planes", "pairs", "axes")


def products(dim: int, kind: str = "planes") -> tuple[Product, ...]:
    """The products of a factorized grid, each a tuple of groups of axes that share none.

    Args:
        dim: number of axes, at least 2.
        kind: "planes": for each pair of axes their plane times a line for every other axis;
            "pairs": for each way to sort the axes into pairs the product of their planes (and of a
            line for the axis that is left over); "axes": one product of a line for each axis.
    """
    dim = plain_int(dim)
    if not is_int(dim) or dim < 2:
        raise ValueError(f"factorized grid: dim is {dim!r}; pass an integer from 2.")
    if kind not in PRODUCTS:
        raise ValueError(
            f"factorized grid: products is {kind!r}; pass one of {PRODUCTS} or a list."
        )
    if kind == "axes":
        return (tuple((axis,) for axis in range(dim)),)
    if kind == "pairs":
        return tuple(_pairings(tuple(range(dim))))
    lines = {axis: (axis,) for axis in range(dim)}
    return tuple(
        (pair, *(line for axis, line in lines.items() if axis not in pair))
        for pair in combinations(range(dim), 2)
    )


def _pairings(axes: Group, alone: bool = True) -> Iterator[Product]:
    """All ways to sort axes into pairs; ``alone``: of an odd number each is left over in turn."""
    if len(axes) % 2 and alone:
        for axis in axes:
            rest = tuple(a for a in axes if a != axis)
            for pairing in _pairings(rest, alone=False):
                yield (*pairing, (axis,))
        return
    if not axes:
        yield ()
        return
    first, *later = axes
    for partner in later:
        rest = tuple(axis for axis in later if axis != partner)
        for pairing in _pairings(rest, alone=False):
            yield ((first, partner), *pairing)


def checked_products(
    dim: int, wanted: str | Sequence[Sequence[Sequence[int]]]
) -> tuple[Product, ...]:
    """The products of a kind, or those of a list, checked."""
    if isinstance(wanted, str):
        return products(dim, wanted)
    products(dim, "axes")  # checks dim
    listed = tuple(tuple(tuple(group) for group in product) for product in wanted)
    if not listed or any(not product or not all(product) for product in listed):
        raise ValueError(
            "factorized grid: products holds an empty product or group; name its axes."
        )
    for product in listed:
        axes = [axis for group in product for axis in group]
        bad = [axis for axis in axes if not is_int(axis) or not 0 <= axis < dim]
        if bad:
            raise ValueError(
                f"factorized grid: the product {product} has axis {bad[0]!r}, but axes are 0 to "
                f"{dim - 1}."
            )
        if len(set(axes)) < len(axes):
            raise ValueError(
                f"factorized grid: the product {product} has an axis twice; its groups must share "
                "none."
            )
    return listed
