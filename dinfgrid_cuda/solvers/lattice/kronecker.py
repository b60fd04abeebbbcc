"""Normal matrices of constant coefficients on lattices: sums of Kronecker products.

Where the points form a lattice and all share their slopes, A' A = sum over pairs of derivatives of
s_alpha s_beta G_1 x G_2 x ..., with small Gram matrices B_m' B_n along the axes. The cost of a
product does not depend on the number of points.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec

from .lattice_operator import LatticeOperator
from .sum_factorisation import along, axis_matrix

# From this many nodes of an axis on, a band matrix is faster in a sparse format than in a dense
# one: four times at 800.
SPARSE = 128
# The index of a set of positions on an axis, and the orders of both derivatives.
Key = tuple[int, int, int]


class Kronecker:
    """A sum of Kronecker products of one matrix per axis; zero until operators are added.

    Args:
        spec: the grid, of one level.
        channels: of the features.

    Attributes:
        coefficients: [channels, channels] each, by the keys of the matrices on all axes.
        grams: the matrices [nodes, nodes] by (axis, key).
    """

    def __init__(self, spec: GridSpec, channels: int) -> None:
        self.spec, self.channels = spec, channels
        self.node_counts = spec.level_nodes(0)
        self.coefficients: dict[tuple[Key, ...], Tensor] = {}
        self.grams: dict[tuple[int, Key], Tensor] = {}
        self._bands: dict[tuple[int, Key], Tensor] = {}
        self._positions: list[list[Tensor]] = [[] for _ in self.node_counts]

    @staticmethod
    def fits(operator: LatticeOperator, spec: GridSpec) -> bool:
        """Whether an operator is of this form, except that its coefficients may vary.

        A line has nothing to factorise, and its many thousands of nodes would be a dense matrix.
        """
        return (
            spec.dim > 1
            and operator.axes is not None
            and spec.levels == 1
            and not operator.columns.shape[1]
        )

    def add(self, operator: LatticeOperator) -> None:
        """Adds A' A of an operator that `fits`, its coefficients averaged over the points."""
        assert operator.axes is not None
        alphas, slopes = operator.alphas, operator.slopes
        places = [self._position_index(axis, t) for axis, t in enumerate(operator.axes)]
        matrices = [
            axis_matrix(t, self.spec, 0, axis, max((alpha[axis] for alpha in alphas), default=0))
            for axis, t in enumerate(operator.axes)
        ]
        products = torch.einsum("nkac,nkbe->abce", slopes, slopes) / len(slopes)
        for i, alpha in enumerate(alphas):
            for j, beta in enumerate(alphas):
                keys = tuple(zip(places, alpha, beta, strict=True))
                for axis, (key, matrix) in enumerate(zip(keys, matrices, strict=True)):
                    if (axis, key) not in self.grams:
                        self.grams[axis, key] = matrix[key[1]].t() @ matrix[key[2]]
                self.coefficients[keys] = self.coefficients.get(keys, 0) + products[i, j]

    def _position_index(self, axis: int, t: Tensor) -> int:
        """Returns the index of these positions among those of the axis; notes new ones."""
        positions = self._positions[axis]
        for index, earlier in enumerate(positions):
            if torch.equal(t, earlier):
                return index
        positions.append(t)
        return len(positions) - 1

    def extent(self, axis: int) -> tuple[float, float]:
        """Returns the least and largest position on an axis; on a periodic one a whole period."""
        if self.spec.boundary[axis] == "periodic":
            return self.spec.lower[axis], self.spec.upper[axis]
        positions = self._positions[axis]
        return min(float(t.min()) for t in positions), max(float(t.max()) for t in positions)

    def __call__(self, v: Tensor) -> Tensor:
        """Returns the product with features v [nodes, channels]."""
        dim = len(self.node_counts)
        partial: dict[tuple[Key, ...], Tensor] = {(): v.reshape(*self.node_counts, self.channels)}
        for axis in range(dim - 1):
            prefixes = sorted({keys[: axis + 1] for keys in self.coefficients})
            partial = {
                keys: self._along(axis, keys[axis], partial[keys[:axis]]) for keys in prefixes
            }
        sums: dict[Key, Tensor] = {}
        for keys, product in self.coefficients.items():
            values = partial[keys[:-1]]
            values = values * product.item() if self.channels == 1 else values @ product.t()
            last = keys[-1]
            sums[last] = sums[last] + values if last in sums else values
        result = torch.zeros_like(v).reshape(*self.node_counts, self.channels)
        for key, values in sums.items():
            result += self._along(dim - 1, key, values)
        return result.reshape(v.shape)

    def _along(self, axis: int, key: Key, values: Tensor) -> Tensor:
        """Applies the matrix of a key along an axis of values [*nodes, channels]."""
        gram = self.grams[axis, key]
        if len(gram) < SPARSE:
            return along(gram, values, axis)
        if (axis, key) not in self._bands:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that torch's format is new
                self._bands[axis, key] = gram.to_sparse_csr()
        moved = values.movedim(axis, 0)
        product = self._bands[axis, key] @ moved.reshape(len(gram), -1)
        return product.reshape(moved.shape).movedim(0, axis)

    def diagonal(self) -> Tensor:
        """Returns the diagonal of the matrix, [nodes, channels]."""
        return self.transformed_diagonal(None)

    def transformed_diagonal(self, bases: list[Tensor] | None) -> Tensor:
        """Returns the diagonal of V' N V for V = V_1 x V_2 x ..., [nodes, channels].

        Args:
            bases: V_a [nodes, nodes] of each axis; None for the identity.
        """
        total: Any = 0
        diagonals: dict[tuple[int, Key], Tensor] = {}
        for (axis, key), gram in self.grams.items():
            v = None if bases is None else bases[axis]
            diagonals[axis, key] = gram.diagonal() if v is None else ((gram @ v) * v).sum(dim=0)
        for keys, product in self.coefficients.items():
            summand = product.diagonal()
            for axis in reversed(range(len(keys))):
                column = diagonals[axis, keys[axis]]
                summand = column.reshape(-1, *[1] * summand.dim()) * summand
            total = total + summand
        if not self.coefficients:
            return torch.zeros(math.prod(self.node_counts), self.channels, dtype=torch.float64)
        diagonal: Tensor = total.reshape(-1, self.channels)
        return diagonal
