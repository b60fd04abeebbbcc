"""Conjugate gradients for symmetric positive (semi)definite operators (Hestenes, Stiefel 1952)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.problem import deadline

Apply = Callable[[Tensor], Tensor]
# Iterations that gain less than this part of the loss are the last. The error may lie far below
# what the loss suggests: Helmholtz, 20 x 20 waves, 192 cells, ends at 7e-8 with 1e-10, at 5e-7 with
# 1e-9.
NOTHING = 1e-10
# Number of iterations whose gain tells what is left to gain (Z. Strakos, P. Tichy, ETNA 13, 2002).
DELAY = 4


@dataclass(frozen=True)
class Iterated:
    """The result of conjugate gradients.

    Attributes:
        x: the solution [n].
        residual: b - A x [n].
        iteration_count: number of iterations.
        reached: |residual| / |b| in the norm of the preconditioner.
        done: whether that is small enough.
        condition: of the preconditioned operator, from the Lanczos coefficients; a lower bound.
    """

    x: Tensor
    residual: Tensor
    iteration_count: int
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
    """Solves A x = b.

    Args:
        apply: v -> A v.
        b: right-hand side [n].
        precondition: r -> P^-1 r, symmetric and positive definite on the space that b lies in.
        tolerance: of |residual| / |b|, in the norm of the preconditioner.
        limit: largest number of iterations.
        loss: to be lowered; iterations that gain no more than `NOTHING` of what is left end it.
        floor: the square of the residual, in the norm of the preconditioner, that rounding leaves.
    """
    x, r = torch.zeros_like(b), b.clone()
    p = z = precondition(r)
    first = rho = float(r @ z)
    course, reached, done = _Course(loss), 1.0, first == 0.0
    for _ in range(limit):
        deadline.check()
        q = apply(p)
        if not (curvature := float(p @ q)) > 0:  # also for a NaN
            break
        alpha = rho / curvature
        x, r = x + alpha * p, r - alpha * q
        z = precondition(r)
        after = float(r @ z)
        course.add(alpha, rho, after)
        p, rho = z + (after / rho) * p, after
        reached = (max(rho, 0.0) / first) ** 0.5
        done = reached <= tolerance or rho <= floor or course.gains_nothing()
        if done or not rho > 0:
            break
    return Iterated(x, r, len(course.alphas), reached, done, course.condition())


class _Course:
    """The coefficients of the iterations so far, and how much each has gained.

    Args:
        loss: before the first iteration.
    """

    def __init__(self, loss: float) -> None:
        self.left = loss
        self.alphas: list[float] = []
        self.betas: list[float] = []
        self.gains: list[float] = []

    def add(self, alpha: float, rho: float, after: float) -> None:
        """Adds an iteration of step length alpha, with r' P^-1 r before and after it."""
        self.gains.append(0.5 * alpha * rho)
        self.left -= self.gains[-1]
        self.alphas.append(alpha)
        self.betas.append(after / rho)

    def gains_nothing(self) -> bool:
        """Whether the last iterations have gained next to nothing of the loss that is left."""
        return len(self.gains) >= DELAY and sum(self.gains[-DELAY:]) <= NOTHING * self.left

    def condition(self) -> float:
        """Returns the ratio of the extreme eigenvalues of Lanczos' tridiagonal matrix."""
        if not self.alphas:
            return 1.0
        a, b = torch.tensor(self.alphas).double(), torch.tensor(self.betas).double()
        diagonal = 1 / a
        diagonal[1:] += b[:-1] / a[:-1]
        off_diagonal = b[:-1].clamp(min=0).sqrt() / a[:-1]
        upper, lower = torch.diag(off_diagonal, 1), torch.diag(off_diagonal, -1)
        eigenvalues = torch.linalg.eigvalsh(torch.diag(diagonal) + upper + lower)
        return float(eigenvalues[-1] / eigenvalues[0].clamp(min=1e-300))
