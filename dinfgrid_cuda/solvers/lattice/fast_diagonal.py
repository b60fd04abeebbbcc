"""Fast diagonalisation: a preconditioner from one-dimensional eigenvectors.

R. E. Lynch, J. R. Rice, D. H. Thomas, Direct solution of partial difference equations by tensor
product methods, Numer. Math. 6 (1964). Along each axis the eigenvectors V_a of what the operator
does there, against the Gram matrix of values, diagonalise all factors at once or nearly; the
preconditioner is V D^-1 V' with V = V_1 x V_2 x ... and D the diagonal of V' N V. It is exact on
periodic axes, and close for operators of even order on a box.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .kronecker import Kronecker
from .sum_factorisation import along, axis_matrix

# Of the scaled Gram matrix, against rounding: the first that makes it definite. Wide Gaussians are
# nearly dependent.
SHIFTS = (1e-13, 1e-11, 1e-9, 1e-6)
# Relative to the largest entry of D: functions that the operator does not see are left alone.
UNSEEN = 1e-17


class FastDiagonal:
    """P^-1 = V D^-1 V', the same V for all channels.

    Args:
        normal: N.
    """

    def __init__(self, normal: Kronecker) -> None:
        self.shape = (*normal.nodes, normal.channels)
        masses = [_mass(normal, axis) for axis in range(len(normal.nodes))]
        self.bases = [_basis(normal, axis, masses) for axis in range(len(normal.nodes))]
        diagonal = normal.transformed_diagonal(self.bases).reshape(self.shape)
        seen = diagonal > UNSEEN * diagonal.max()
        self.inverse = torch.where(seen, 1 / diagonal.clamp(min=1e-300), 0.0)

    def __call__(self, r: Tensor) -> Tensor:
        """P^-1 r of r [nodes * channels]."""
        z = r.reshape(self.shape)
        for axis, basis in enumerate(self.bases):
            z = along(basis.t(), z, axis)
        z = self.inverse * z
        for axis, basis in enumerate(self.bases):
            z = along(basis, z, axis)
        return z.reshape(-1)


def _mass(normal: Kronecker, axis: int) -> Tensor:
    """Gram matrix of values along an axis, two intervals a cell or more, from end to end.

    By the trapezoidal rule: there cosines and sines, the eigenvectors of constant coefficients, are
    orthogonal.
    """
    spec = normal.spec
    lower, upper = normal.extent(axis)
    like = next(iter(normal.grams.values()))
    # On a few cells so many points would not tell all the nodes apart.
    count = max(2 * spec.cells[axis], spec.level_nodes(0)[axis]) + 1
    at = torch.linspace(lower, upper, count, dtype=like.dtype).to(like.device)
    (values,) = axis_matrix(at, spec, 0, axis, 0)
    values[[0, -1]] *= 0.5**0.5
    return values.t() @ values


def _basis(normal: Kronecker, axis: int, masses: list[Tensor]) -> Tensor:
    """Eigenvectors [nodes, nodes] along an axis of N applied to what is constant on the others."""
    part = torch.zeros_like(masses[axis])
    for keys, product in normal.coefficients.items():
        scale = float(product.diagonal().mean())
        for other, key in enumerate(keys):
            if other != axis:
                scale *= float(normal.grams[other, key].sum() / masses[other].sum())
        part += scale * normal.grams[axis, keys[axis]]
    # Scaled to a unit diagonal: the outermost nodes are hardly seen.
    diagonal = masses[axis].diagonal()
    units = diagonal.clamp(min=1e-16 * float(diagonal.max())).rsqrt()
    root = _cholesky(units[:, None] * masses[axis] * units)
    inner = torch.linalg.solve_triangular(root, units[:, None] * part * units, upper=False)
    inner = torch.linalg.solve_triangular(root, inner.t(), upper=False)
    _, vectors = torch.linalg.eigh((inner + inner.t()) / 2)
    basis: Tensor = torch.linalg.solve_triangular(root.t(), vectors, upper=True)
    return units[:, None] * basis


def _cholesky(matrix: Tensor) -> Tensor:
    """Lower factor of a matrix with unit diagonal that is definite up to rounding."""
    one = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for shift in SHIFTS:
        root: Tensor
        root, failed = torch.linalg.cholesky_ex(matrix + shift * one)
        if not int(failed):
            break
    return root
