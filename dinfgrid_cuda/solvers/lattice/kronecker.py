"""Normal matrices of constant coefficients on lattices: sums of Kronecker products.

Where the points are a lattice and all share their slopes, A' A = sum over pairs of derivatives
of s_alpha s_beta G_1 x G_2 x ..., with small Gram matrices B_m' B_n along the axes. What it costs
does not depend on the number of points.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec

from .sum_factorisation import along, axis_matrix
from .term import LatticeTerm

# Nodes of an axis from which on a band is faster in a sparse format than as a dense matrix: four
# times at 800.
SPARSE = 128
# Positions on an axis, by their place in a list, and the orders of both derivatives.
Key = tuple[int, int, int]


class Kronecker:
    """A sum of Kronecker products, one factor an axis; zero until terms are added.

    Args:
        spec: the grid, of one level.
        channels: of the features.

    Attributes:
        coefficients: [channels, channels] by the keys of the factors.
        grams: factors by (axis, key), [nodes, nodes] each.
    """

    def __init__(self, spec: GridSpec, channels: int) -> None:
        self.spec, self.channels = spec, channels
        self.nodes = spec.level_nodes(0)
        self.coefficients: dict[tuple[Key, ...], Tensor] = {}
        self.grams: dict[tuple[int, Key], Tensor] = {}
        self._bands: dict[tuple[int, Key], Tensor] = {}
        self._positions: list[list[Tensor]] = [[] for _ in self.nodes]

    @staticmethod
    def fits(term: LatticeTerm, spec: GridSpec) -> bool:
        """Whether a term is of this form, up to coefficients that vary.

        On a line there is nothing to factorise, and many thousands of nodes would be dense.
        """
        return (
            spec.dim > 1
            and term.axes is not None
            and spec.levels == 1
            and not term.columns.shape[1]
        )

    def add(self, term: LatticeTerm) -> None:
        """Adds A' A of a term that `fits`; its coefficients are averaged over the points."""
        assert term.axes is not None
        places = [self._place(axis, t) for axis, t in enumerate(term.axes)]
        tables = [
            axis_matrix(t, self.spec, 0, axis, max((a[axis] for a in term.alphas), default=0))
            for axis, t in enumerate(term.axes)
        ]
        products = torch.einsum("nkac,nkbe->abce", term.slopes, term.slopes) / len(term.slopes)
        for i, alpha in enumerate(term.alphas):
            for j, beta in enumerate(term.alphas):
                keys = tuple(zip(places, alpha, beta, strict=True))
                for axis, (key, table) in enumerate(zip(keys, tables, strict=True)):
                    if (axis, key) not in self.grams:
                        self.grams[axis, key] = table[key[1]].t() @ table[key[2]]
                self.coefficients[keys] = self.coefficients.get(keys, 0) + products[i, j]

    def _place(self, axis: int, t: Tensor) -> int:
        """Of these positions among those known on the axis."""
        known = self._positions[axis]
        for place, other in enumerate(known):
            if torch.equal(t, other):
                return place
        known.append(t)
        return len(known) - 1

    def extent(self, axis: int) -> tuple[float, float]:
        """Least and largest position on an axis; of a periodic one a whole period."""
        if self.spec.boundary[axis] == "periodic":
            return self.spec.lower[axis], self.spec.upper[axis]
        known = self._positions[axis]
        return min(float(t.min()) for t in known), max(float(t.max()) for t in known)

    def __call__(self, v: Tensor) -> Tensor:
        """The product with features v [nodes, channels]."""
        dim = len(self.nodes)
        parts: dict[tuple[Key, ...], Tensor] = {(): v.reshape(*self.nodes, self.channels)}
        for axis in range(dim - 1):
            wanted = sorted({keys[: axis + 1] for keys in self.coefficients})
            parts = {keys: self._along(axis, keys[axis], parts[keys[:axis]]) for keys in wanted}
        sums: dict[Key, Tensor] = {}
        for keys, product in self.coefficients.items():
            part = parts[keys[:-1]]
            part = part * product.item() if self.channels == 1 else part @ product.t()
            last = keys[-1]
            sums[last] = sums[last] + part if last in sums else part
        result = torch.zeros_like(v).reshape(*self.nodes, self.channels)
        for key, part in sums.items():
            result += self._along(dim - 1, key, part)
        return result.reshape(v.shape)

    def _along(self, axis: int, key: Key, values: Tensor) -> Tensor:
        """A factor applied along an axis of values [*nodes, channels]."""
        gram = self.grams[axis, key]
        if len(gram) < SPARSE:
            return along(gram, values, axis)
        if (axis, key) not in self._bands:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that torch's format is new
                self._bands[axis, key] = gram.to_sparse_csr()
        moved = values.movedim(axis, 0)
        found = self._bands[axis, key] @ moved.reshape(len(gram), -1)
        return found.reshape(moved.shape).movedim(0, axis)

    def diagonal(self) -> Tensor:
        """[nodes, channels]."""
        return self.transformed_diagonal(None)

    def transformed_diagonal(self, bases: list[Tensor] | None) -> Tensor:
        """Diagonal of V' N V for V = V_1 x V_2 x ..., [nodes, channels].

        Args:
            bases: V_a [nodes, nodes] of each axis; None for the identity.
        """
        total: Any = 0
        diagonals: dict[tuple[int, Key], Tensor] = {}
        for (axis, key), gram in self.grams.items():
            v = None if bases is None else bases[axis]
            diagonals[axis, key] = gram.diagonal() if v is None else ((gram @ v) * v).sum(dim=0)
        for keys, product in self.coefficients.items():
            part = product.diagonal()
            for axis in reversed(range(len(keys))):
                column = diagonals[axis, keys[axis]]
                part = column.reshape(-1, *[1] * part.dim()) * part
            total = total + part
        if not self.coefficients:
            return torch.zeros(math.prod(self.nodes), self.channels, dtype=torch.float64)
        diagonal: Tensor = total.reshape(-1, self.channels)
        return diagonal
