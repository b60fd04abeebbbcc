"""Conjugate gradients for symmetric positive (semi)definite operators (Hestenes, Stiefel 1952)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.problem import deadline

Apply = Callable[[Tensor], Tensor]
# Part of the loss. The error may lie far below what the loss suggests: Helmholtz, 20 x 20
# waves, 192 cells, ends at 7e-8 with 1e-10, at 5e-7 with 1e-9.
NOTHING = 1e-10
# Iterations whose gain tells what is left to gain (Z. Strakos, P. Tichy, ETNA 13, 2002).
DELAY = 4


@dataclass(frozen=True)
class Iterated:
    """What conjugate gradients have found.

    Attributes:
        x: the solution [n].
        residual: b - A x [n].
        iterations: taken.
        reached: |residual| / |b| in the norm of the preconditioner.
        done: whether that is enough.
        condition: of the preconditioned operator, from the Lanczos coefficients; a lower bound.
    """

    x: Tensor
    residual: Tensor
    iterations: int
    reached: float
    done: bool
    condition: float


def conjugate_gradients(
    apply: Apply,
    b: Tensor,
    precondition: Apply,
    tolerance: float,
    limit: int,
    loss: float = 0.0,
    floor: float = 0.0,
) -> Iterated:
    """x with A x = b.

    Args:
        apply: v -> A v.
        b: [n].
        precondition: r -> P^-1 r, symmetric and positive definite on what b lies in.
        tolerance: of |residual| / |b|, in the norm of the preconditioner.
        limit: of iterations.
        loss: of which the quadratic is a part: also stops where the last `DELAY` iterations have
            gained no more than `NOTHING` of what is left of it.
        floor: of the residual's square in the norm of the preconditioner: what rounding leaves.
    """
    x, r = torch.zeros_like(b), b.clone()
    z = precondition(r)
    p, rho = z, float(r @ z)
    first, alphas, betas = rho, [], []
    left, gains = loss, []
    reached, done = 1.0, first == 0.0
    for _ in range(limit):
        deadline.check()
        q = apply(p)
        curvature = float(p @ q)
        if not curvature > 0:  # also for a NaN
            break
        alpha = rho / curvature
        x, r = x + alpha * p, r - alpha * q
        z = precondition(r)
        after = float(r @ z)
        gains.append(0.5 * alpha * rho)
        left -= gains[-1]
        alphas.append(alpha)
        betas.append(after / rho)
        p, rho = z + (after / rho) * p, after
        reached = (max(rho, 0.0) / first) ** 0.5
        small = len(gains) >= DELAY and sum(gains[-DELAY:]) <= NOTHING * left
        done = reached <= tolerance or rho <= floor or small
        if done or not rho > 0:
            break
    return Iterated(x, r, len(alphas), reached, done, _condition(alphas, betas))


def _condition(alphas: list[float], betas: list[float]) -> float:
    """Ratio of the extreme eigenvalues of Lanczos' tridiagonal matrix."""
    if not alphas:
        return 1.0
    a, b = torch.tensor(alphas).double(), torch.tensor(betas).double()
    diagonal = 1 / a
    diagonal[1:] += b[:-1] / a[:-1]
    beside = b[:-1].clamp(min=0).sqrt() / a[:-1]
    matrix = torch.diag(diagonal) + torch.diag(beside, 1) + torch.diag(beside, -1)
    values = torch.linalg.eigvalsh(matrix)
    return float(values[-1] / values[0].clamp(min=1e-300))
