"""FactorizedGrid: features in many dimensions as sums of products of plane and axis features.

A full grid of n nodes per axis has n^d of them. Products of features of two axes and of one,

    f_t(x) = P_ij(x_i, x_j) a_k(x_k) a_l(x_l) ...,

take n^2 and n a factor, whatever d is; a linear decoder adds the terms t up. (The plane-and-line
products are those of TensoRF, Chen et al. 2022, section 4.2.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import is_int, plain_int
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.kernels.multi_index import index_of, multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec, per_axis

from .grid import FeatureGrid
from .model import Extent

Group = tuple[int, ...]
Product = tuple[Group, ...]
PRODUCTS = ("planes", "pairs", "axes")
# How much the features that start near 1 vary, so that channels and products differ.
VARIATION = 0.5


def products(dim: int, kind: str = "planes") -> tuple[Product, ...]:
    """The terms of a factorized grid, each a tuple of groups of axes that share none.

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
        raise ValueError(f"factorized grid: terms is {kind!r}; pass one of {PRODUCTS} or a list.")
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
            rest = tuple(other for other in axes if other != axis)
            for pairing in _pairings(rest, alone=False):
                yield (*pairing, (axis,))
        return
    if not axes:
        yield ()
        return
    first, *others = axes
    for partner in others:
        rest = tuple(other for other in others if other != partner)
        for pairing in _pairings(rest, alone=False):
            yield ((first, partner), *pairing)


class FactorizedGrid(nn.Module):
    """Products of features on planes and lines, with all derivatives, in two dimensions and more.

    Each factor is a `FeatureGrid` of its own axes. Groups of a product share no axis, so that the
    product rule has one summand: D^alpha of a product is the product of its factors' derivatives
    by their own axes, exact to the factors' highest order.

    The first factor of each product starts as a `FeatureGrid` does, within 1e-4 of zero; the others
    start near 1, as waves of half that size, one frequency for two channels: zero everywhere would
    be a saddle point, where no factor has a gradient.

    Args:
        dim: number of axes, at least 2; not limited to 4.
        cells, boundary, lower, upper: as for `FeatureGrid`, one for all axes or one per axis.
        levels, channels, basis, dtype, device: of every factor, as for `FeatureGrid`.
        terms: "planes", "pairs" or "axes" (see `products`), or the products themselves, such as
            ``[[(0, 1), (2,)], [(0, 2), (1,)]]``; an axis that a product leaves out does not enter
            it.
        seed: of the initial features.

    Attributes:
        terms: the products, tuples of groups of axes.
        factors: for each product its grids, in the order of its groups.

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
        MemoryError: if the features cannot be allocated.
    """

    def __init__(
        self,
        dim: int,
        cells: int | Sequence[int],
        levels: int = 1,
        channels: int = 1,
        terms: str | Sequence[Sequence[Sequence[int]]] = "planes",
        basis: Basis | None = None,
        boundary: str | Sequence[str] = "ghost",
        lower: float | Sequence[float] = -1.0,
        upper: float | Sequence[float] = 1.0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.terms = products(dim, terms) if isinstance(terms, str) else _checked(dim, terms)
        self.dim = plain_int(dim)
        self.lower = tuple(float(v) for v in per_axis(lower, dim, "lower"))
        self.upper = tuple(float(v) for v in per_axis(upper, dim, "upper"))
        counts = per_axis(cells, dim, "cells")
        sides: tuple[str, ...] = per_axis(boundary, dim, "boundary")
        drawn = int(torch.randint(2**31, ())) if seed is None else seed
        random = torch.Generator().manual_seed(drawn)

        def factor(group: Group, first: bool) -> FeatureGrid:
            grid = FeatureGrid(
                len(group),
                [counts[axis] for axis in group],
                levels,
                channels,
                basis,
                [sides[axis] for axis in group],
                [self.lower[axis] for axis in group],
                [self.upper[axis] for axis in group],
                dtype,
                device,
                seed=int(torch.randint(2**31, (), generator=random)),
            )
            if not first:
                _wave(grid, random)
            return grid

        self.factors = nn.ModuleList(
            nn.ModuleList(factor(group, first=not k) for k, group in enumerate(product))
            for product in self.terms
        )

    @property
    def extent(self) -> Extent:
        """Where the grid lies, and along which axes it repeats."""
        repeats: dict[int, bool] = {}
        for index, product in enumerate(self.terms):
            for position, group in enumerate(product):
                sides = self.factor(index, position).spec.boundary
                pairs = zip(group, sides, strict=True)
                repeats.update({axis: side == "periodic" for axis, side in pairs})
        periodic = tuple(repeats.get(axis, False) for axis in range(self.dim))
        return Extent(self.lower, self.upper, periodic)

    @property
    def levels(self) -> int:
        """Resolutions of every factor."""
        return self.factor(0, 0).spec.levels

    @property
    def channels(self) -> int:
        """Features per node and level of every factor."""
        return self.factor(0, 0).channels

    @property
    def out_channels(self) -> int:
        """Channels of `forward`, products * levels * channels, products outermost."""
        return len(self.terms) * self.levels * self.channels

    def factor(self, term: int, position: int) -> FeatureGrid:
        """One factor of a product."""
        product = self.factors[term]
        assert isinstance(product, nn.ModuleList)
        grid = product[position]
        assert isinstance(grid, FeatureGrid)
        return grid

    def gather(self, x: Tensor, order: int = 0) -> Tensor:
        """All partial derivatives up to ``order`` at points x [N, dim], in units of the box.

        Returns [N, J, products * levels * channels], J = jet_size(dim, order).
        """
        made = []
        for term in range(len(self.terms)):
            parts = self.factor_jets(term, x, order)
            made.append(self.covered(term, x, order) * math.prod(parts[1:], start=parts[0]))
        return torch.cat(made, dim=2)

    def factor_jets(self, term: int, x: Tensor, order: int) -> list[Tensor]:
        """For each factor of a product its derivatives [N, J, levels * channels] by its own axes.

        At the place of alpha stands the derivative by the part of alpha on the factor's axes.
        """
        return [
            self.factor(term, k).gather(x[:, list(group)], order)[:, self.places(group, order)]
            for k, group in enumerate(self.terms[term])
        ]

    def places(self, group: Group, order: int) -> list[int]:
        """For each alpha of the jet the place of its part on a group's axes in that group's jet."""
        alphas = multi_indices(self.dim, order)
        return [index_of(tuple(alpha[axis] for axis in group)) for alpha in alphas]

    def covered(self, term: int, x: Tensor, order: int) -> Tensor:
        """[J, 1]: 1, but 0 for derivatives by axes that a product does not depend on."""
        axes = {axis for group in self.terms[term] for axis in group}
        zero = [
            any(count and axis not in axes for axis, count in enumerate(alpha))
            for alpha in multi_indices(self.dim, order)
        ]
        return torch.tensor([[0.0 if no else 1.0] for no in zero], dtype=x.dtype, device=x.device)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, products * levels * channels] at points x [N, dim]."""
        return self.gather(x).squeeze(1)

    def extra_repr(self) -> str:
        """One line: products, box."""
        text = " + ".join(
            " ".join("".join(str(axis) for axis in group) for group in product)
            for product in self.terms
        )
        box = " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.lower, self.upper, strict=True))
        return f"axes {text}, channels={self.channels}, levels={self.levels}, box={box}"


def _checked(dim: int, terms: Sequence[Sequence[Sequence[int]]]) -> tuple[Product, ...]:
    products(dim, "axes")  # checks dim
    found = tuple(tuple(tuple(group) for group in product) for product in terms)
    if not found or any(not product or not all(product) for product in found):
        raise ValueError("factorized grid: terms holds an empty product or group; name its axes.")
    for product in found:
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
    return found


@torch.no_grad()
def _wave(grid: FeatureGrid, random: torch.Generator) -> None:
    """Features as products of 1 + cos(2 pi (m t + phase)) / 2 an axis, t in [0, 1] over the box."""
    features = grid.features
    for level in range(grid.spec.levels):
        values = torch.ones_like(grid.level(level), device="cpu", dtype=torch.float64)
        for axis, t in enumerate(_positions(grid.spec, level)):
            phase = torch.rand(grid.channels, generator=random, dtype=torch.float64)
            frequency = (torch.arange(grid.channels) + 1) // 2
            wave = 1 + VARIATION * torch.cos(2 * math.pi * (t[:, None] * frequency + phase))
            shape = [1] * grid.spec.dim + [grid.channels]
            shape[axis] = len(t)
            values *= wave.reshape(shape)
        grid.level(level).copy_(values.to(features))


def _positions(spec: GridSpec, level: int) -> list[Tensor]:
    """Positions of a level's nodes along each axis, the box being [0, 1]."""
    found = []
    for cells, nodes, side in zip(
        spec.level_cells(level), spec.level_nodes(level), spec.boundary, strict=True
    ):
        first = 1 - spec.basis.rho if side == "ghost" else 0
        found.append((torch.arange(nodes, dtype=torch.float64) + first) / cells)
    return found
