"""Fast diagonalisation: a preconditioner made of one-dimensional eigenvectors.

R. E. Lynch, J. R. Rice, D. H. Thomas, Direct solution of partial difference equations by tensor
product methods, Numer. Math. 6 (1964). Along each axis, the generalised eigenvectors V_a of the
operator with respect to the Gram matrix of values diagonalise all one-dimensional matrices exactly
or nearly. The preconditioner is V D^-1 V' with V = V_1 x V_2 x ... and D the diagonal of V' N V. It
is exact on periodic axes, and close for operators of even order on a box.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .kronecker import Kronecker
from .sum_factorisation import along, axis_matrix

# Added to the diagonal of the scaled Gram matrix; the first that makes it definite is taken, since
# wide Gaussians are nearly dependent.
SHIFTS = (1e-13, 1e-11, 1e-9, 1e-6)
# Entries of D below this part of the largest belong to functions that the operator does not see;
# these are left alone.
UNSEEN = 1e-17


class FastDiagonal:
    """Applies P^-1 = V D^-1 V', with the same V for all channels.

    Args:
        kronecker: N, the matrix to precondition.
    """

    def __init__(self, kronecker: Kronecker) -> None:
        self.shape = (*kronecker.node_counts, kronecker.channels)
        masses = [_mass(kronecker, axis) for axis in range(len(kronecker.node_counts))]
        self.bases = [_basis(kronecker, axis, masses) for axis in range(len(kronecker.node_counts))]
        diagonal = kronecker.transformed_diagonal(self.bases).reshape(self.shape)
        seen = diagonal > UNSEEN * diagonal.max()
        self.inverse = torch.where(seen, 1 / diagonal.clamp(min=1e-300), 0.0)

    def __call__(self, r: Tensor) -> Tensor:
        """Returns P^-1 r of r [nodes * channels]."""
        z = r.reshape(self.shape)
        for axis, basis in enumerate(self.bases):
            z = along(basis.t(), z, axis)
        z = self.inverse * z
        for axis, basis in enumerate(self.bases):
            z = along(basis, z, axis)
        return z.reshape(-1)


def _mass(kronecker: Kronecker, axis: int) -> Tensor:
    """Returns the Gram matrix of values along an axis, by the trapezoidal rule from end to end.

    It takes at least two intervals per cell. On its points cosines and sines, the eigenvectors of
    constant coefficients, are orthogonal.
    """
    spec = kronecker.spec
    lower, upper = kronecker.extent(axis)
    like = next(iter(kronecker.grams.values()))
    # On a few cells, two intervals per cell would not tell all nodes apart.
    count = max(2 * spec.cells[axis], spec.level_nodes(0)[axis]) + 1
    at = torch.linspace(lower, upper, count, dtype=like.dtype).to(like.device)
    (values,) = axis_matrix(at, spec, 0, axis, 0)
    values[[0, -1]] *= 0.5**0.5
    return values.t() @ values


def _basis(kronecker: Kronecker, axis: int, masses: list[Tensor]) -> Tensor:
    """Returns eigenvectors [nodes, nodes] along an axis of N on what is constant on the others."""
    on_axis = torch.zeros_like(masses[axis])
    for keys, product in kronecker.coefficients.items():
        scale = float(product.diagonal().mean())
        for held_axis, key in enumerate(keys):
            if held_axis != axis:
                scale *= float(kronecker.grams[held_axis, key].sum() / masses[held_axis].sum())
        on_axis += scale * kronecker.grams[axis, keys[axis]]
    # The outermost nodes are hardly seen, hence the scaling to a unit diagonal.
    diagonal = masses[axis].diagonal()
    units = diagonal.clamp(min=1e-16 * float(diagonal.max())).rsqrt()
    root = _cholesky(units[:, None] * masses[axis] * units)
    inner = torch.linalg.solve_triangular(root, units[:, None] * on_axis * units, upper=False)
    inner = torch.linalg.solve_triangular(root, inner.t(), upper=False)
    _, vectors = torch.linalg.eigh((inner + inner.t()) / 2)
    basis: Tensor = torch.linalg.solve_triangular(root.t(), vectors, upper=True)
    return units[:, None] * basis


def _cholesky(matrix: Tensor) -> Tensor:
    """Returns the lower factor of a matrix with unit diagonal that is definite up to rounding."""
    one = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for shift in SHIFTS:
        root: Tensor
        root, failed = torch.linalg.cholesky_ex(matrix + shift * one)
        if not int(failed):
            break
    return root
