"""Poisson's equation on a unit cube of any dimension, with solutions of one's choice."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import dinfgrid_cuda as dg

Function = Callable[[Tensor], Tensor]

POINTS, SEED = 20_000, 12_345


def halves(x: Tensor) -> Tensor:
    """The sum of sin(pi x_i / 2); its Laplacian is -pi^2 / 4 times itself."""
    return torch.sin(math.pi / 2 * x).sum(dim=1, keepdim=True)


def sines(x: Tensor) -> Tensor:
    """The product of sin(pi x_i), one product of functions of one axis."""
    return torch.sin(math.pi * x).prod(dim=1, keepdim=True)


def oblique(x: Tensor) -> Tensor:
    """The wave cos(k . x), k_i from 3 pi / 4 to 3 pi / 2: 2^(d-1) products of one axis each."""
    k = torch.linspace(0.75, 1.5, x.shape[1], dtype=x.dtype, device=x.device) * math.pi
    return torch.cos(x @ k[:, None])


def hump(x: Tensor) -> Tensor:
    """The hump 1 / (1 + 4 |x - 0.3|^2), which is no finite sum of products."""
    return 1 / (1 + 4 * (x - 0.3).square().sum(dim=1, keepdim=True))


EXACT: dict[str, Function] = {"halves": halves, "sines": sines, "oblique": oblique, "hump": hump}


def laplacian(exact: Function, x: Tensor) -> Tensor:
    """The Laplacian [N, 1] of an exact solution, by automatic differentiation."""
    return dg.Jet.of(exact, x.detach(), order=2).laplacian.detach()


def poisson(dim: int, name: str) -> dg.Problem:
    """The problem with the Laplacian of an exact solution inside, and its values on all faces."""
    exact = EXACT[name]
    return dg.Problem(
        dg.Box((0.0,) * dim, (1.0,) * dim),
        [
            dg.Term(
                "equation",
                dg.Interior(),
                lambda x, u: u.laplacian - laplacian(exact, x),
                order=2,
            ),
            dg.Term("rim", dg.Boundary(), lambda x, u: u.value - exact(x)),
        ],
    )


@torch.no_grad()
def relative_error(field: nn.Module, dim: int, name: str) -> float:
    """The relative L2 error at random points of the cube that no solve has seen."""
    sample = next(field.parameters())
    random = torch.Generator().manual_seed(SEED)
    x = torch.rand(POINTS, dim, generator=random, dtype=torch.float64).to(sample)
    exact = EXACT[name](x)
    return float((field(x) - exact).norm() / exact.norm())


def peak() -> int:
    """The most bytes of memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Curve:
    """Measures errors on the way of a solve, as `Stop(when=...)`: at times that grow by a factor.

    Args:
        measure: gives the error.
        labels: goes into every row.
        every: measure at every step, whatever the time.
    """

    PACE, SHORTEST = 1.25, 0.2

    def __init__(
        self, measure: Callable[[], float], labels: dict[str, Any], every: bool = False
    ) -> None:
        self.measure, self.labels, self.every = measure, labels, every
        self.rows: list[dict[str, Any]] = []

    def __call__(self, step: int, seconds: float) -> None:
        last = self.rows[-1]["seconds"] if self.rows else 0.0
        if self.every or seconds >= max(self.PACE * last, last + self.SHORTEST):
            row = {"step": step, "seconds": seconds, "error": self.measure()}
            self.rows.append({**self.labels, **row})
