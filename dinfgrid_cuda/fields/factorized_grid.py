"""FactorizedGrid: features in many dimensions as sums of products of plane and axis features.

A full grid of n nodes per axis has n^d of them. Products of features of two axes and of one,

    f_t(x) = P_ij(x_i, x_j) a_k(x_k) a_l(x_l) ...,

take n^2 and n a factor, whatever d is; a linear decoder adds the products t up. (The plane-and-line
products are those of TensoRF, Chen et al. 2022, section 4.2.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import plain_int
from dinfgrid_cuda.kernels.basis import Basis
from dinfgrid_cuda.kernels.multi_index import index_of, multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec, per_axis
from dinfgrid_cuda.warn import warn_user

from .grid import FeatureGrid
from .model import Extent
from .products import Group, Product, checked_products

# How much the features that start near 1 vary, so that channels and products differ.
VARIATION = 0.5


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
        products: "planes", "pairs" or "axes" (see `products.products`), or the products
            themselves, such as ``[[(0, 1), (2,)], [(0, 2), (1,)]]``; an axis that a product leaves
            out does not enter it.
        seed: of the initial features.
        terms: the former name of ``products``.

    Attributes:
        products: tuples of groups of axes.
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
        products: str | Sequence[Sequence[Sequence[int]]] = "planes",
        basis: Basis | None = None,
        boundary: str | Sequence[str] = "ghost",
        lower: float | Sequence[float] = -1.0,
        upper: float | Sequence[float] = 1.0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        seed: int | None = None,
        *,
        terms: str | Sequence[Sequence[Sequence[int]]] | None = None,
    ) -> None:
        super().__init__()
        if terms is not None:
            warn_user("FactorizedGrid(terms=...) is now products=...", FutureWarning)
            products = terms
        self.products = checked_products(dim, products)
        self.dim = plain_int(dim)
        self.lower = tuple(float(v) for v in per_axis(lower, dim, "lower"))
        self.upper = tuple(float(v) for v in per_axis(upper, dim, "upper"))
        settings = {
            "levels": levels,
            "channels": channels,
            "basis": basis,
            "dtype": dtype,
            "device": device,
        }
        axes: dict[str, tuple[Any, ...]] = {
            "cells": per_axis(cells, dim, "cells"),
            "boundary": per_axis(boundary, dim, "boundary"),
            "lower": self.lower,
            "upper": self.upper,
        }
        drawn = int(torch.randint(2**31, ())) if seed is None else seed
        random = torch.Generator().manual_seed(drawn)
        self.factors = nn.ModuleList(
            nn.ModuleList(
                _factor(group, axes, settings, random, near_zero=not position)
                for position, group in enumerate(product)
            )
            for product in self.products
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes up a pickled grid, also one whose products were called terms."""
        if "terms" in state:
            state = {**state, "products": state["terms"]}
            del state["terms"]
        super().__setstate__(state)  # type: ignore[no-untyped-call]

    @property
    def terms(self) -> tuple[Product, ...]:
        """The former name of ``products``."""
        warn_user("FactorizedGrid.terms is now FactorizedGrid.products.", FutureWarning)
        return self.products

    @property
    def extent(self) -> Extent:
        """Where the grid lies, and along which axes it repeats."""
        repeats: dict[int, bool] = {}
        for index, product in enumerate(self.products):
            for position, group in enumerate(product):
                sides = self.factor(index, position).spec.boundary
                pairs = zip(group, sides, strict=True)
                repeats.update({axis: side == "periodic" for axis, side in pairs})
        periodic = tuple(repeats.get(axis, False) for axis in range(self.dim))
        return Extent(self.lower, self.upper, periodic)

    @property
    def levels(self) -> int:
        """Number of resolutions of every factor."""
        return self.factor(0, 0).spec.levels

    @property
    def channels(self) -> int:
        """Features per node and level of every factor."""
        return self.factor(0, 0).channels

    @property
    def out_channels(self) -> int:
        """Channels of `forward`, products * levels * channels, products outermost."""
        return len(self.products) * self.levels * self.channels

    def factor(self, product: int, position: int) -> FeatureGrid:
        """The grid of one factor, by the index of its product and its position there."""
        grids = self.factors[product]
        assert isinstance(grids, nn.ModuleList)
        grid = grids[position]
        assert isinstance(grid, FeatureGrid)
        return grid

    def gather(self, x: Tensor, order: int = 0) -> Tensor:
        """All partial derivatives up to ``order`` at points x [N, dim], in units of the box.

        Returns [N, J, products * levels * channels], J = jet_size(dim, order).
        """
        jets = []
        for product in range(len(self.products)):
            first, *others = self.factor_jets(product, x, order)
            jets.append(self.covered(product, x, order) * math.prod(others, start=first))
        return torch.cat(jets, dim=2)

    def factor_jets(self, product: int, x: Tensor, order: int) -> list[Tensor]:
        """For each factor of a product its derivatives [N, J, levels * channels] by its own axes.

        At the place of alpha stands the derivative by the entries of alpha for the factor's axes.
        """
        return [
            self.factor(product, k).gather(x[:, list(group)], order)[:, self.places(group, order)]
            for k, group in enumerate(self.products[product])
        ]

    def places(self, group: Group, order: int) -> list[int]:
        """For each alpha of the jet the place of its entries for a group's axes in its jet."""
        alphas = multi_indices(self.dim, order)
        return [index_of(tuple(alpha[axis] for axis in group)) for alpha in alphas]

    def covered(self, product: int, x: Tensor, order: int) -> Tensor:
        """A mask [J, 1]: 1, but 0 for derivatives by axes that a product does not depend on."""
        axes = {axis for group in self.products[product] for axis in group}
        zero = [
            any(count and axis not in axes for axis, count in enumerate(alpha))
            for alpha in multi_indices(self.dim, order)
        ]
        return torch.tensor([[0.0 if no else 1.0] for no in zero], dtype=x.dtype, device=x.device)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, products * levels * channels] at points x [N, dim]."""
        return self.gather(x).squeeze(1)

    def extra_repr(self) -> str:
        """Names products, channels, levels and box in one line."""
        text = " + ".join(
            " ".join("".join(str(axis) for axis in group) for group in product)
            for product in self.products
        )
        box = " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.lower, self.upper, strict=True))
        return f"axes {text}, channels={self.channels}, levels={self.levels}, box={box}"


def _factor(
    group: Group,
    axes: dict[str, tuple[Any, ...]],
    settings: dict[str, Any],
    random: torch.Generator,
    near_zero: bool,
) -> FeatureGrid:
    """The grid of a group of axes, with features near zero or, as a wave, near 1.

    Args:
        axes: settings of `FeatureGrid` with one entry per axis of the whole.
        settings: its other settings.
    """
    own: dict[str, Any] = {
        name: [entries[axis] for axis in group] for name, entries in axes.items()
    }
    seed = int(torch.randint(2**31, (), generator=random))
    grid = FeatureGrid(len(group), **own, **settings, seed=seed)
    if not near_zero:
        _wave(grid, random)
    return grid


@torch.no_grad()
def _wave(grid: FeatureGrid, random: torch.Generator) -> None:
    """Sets features to products of 1 + cos(2 pi (m t + phase)) / 2 on each axis, t in [0, 1]."""
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
    positions = []
    for cells, nodes, side in zip(
        spec.level_cells(level), spec.level_nodes(level), spec.boundary, strict=True
    ):
        first = 1 - spec.basis.rho if side == "ghost" else 0
        positions.append((torch.arange(nodes, dtype=torch.float64) + first) / cells)
    return positions
