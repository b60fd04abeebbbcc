"""FastLSQ: least squares over random Fourier features (the package of arXiv 2602.10541)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda.suite.tools.measuring import Watch
from dinfgrid_cuda.suite.tools.packages import package

from .result import Result

# Weight of the boundary rows in FastLSQ's own problems.
BOUNDARY = 100.0


class HelmholtzBox:
    """The problem Delta u + k^2 u = q on [-1, 1]^d in the form that FastLSQ takes.

    Args:
        waves: a_i of u = product of sin(a_i pi x_i).
        wavenumber: k.
    """

    def __init__(self, waves: Sequence[float], wavenumber: float = 1.0) -> None:
        self.name, self.dim = "Helmholtz on a box", len(waves)
        self.waves, self.wavenumber = tuple(waves), wavenumber
        largest = max(waves)
        self.scale_multipliers = [a / largest for a in waves]

    def exact(self, x: Tensor) -> Tensor:
        """The exact u [N, 1] at points x [N, d]."""
        frequencies = np.pi * x.new_tensor(self.waves)
        return torch.sin(frequencies * x).prod(dim=1, keepdim=True)

    def get_train_data(self, n_pde: int, n_bc: int) -> tuple[Tensor, list[Any], Tensor]:
        """Random points inside and on the faces, and q there."""
        inside, edge = 2 * torch.rand(n_pde, self.dim) - 1, 2 * torch.rand(n_bc, self.dim) - 1
        face = torch.arange(n_bc) % (2 * self.dim)
        edge[torch.arange(n_bc), face // 2] = 2.0 * (face % 2) - 1
        amplitude = self.wavenumber**2 - np.pi**2 * sum(a * a for a in self.waves)
        return inside, [(edge, self.exact(edge))], amplitude * self.exact(inside)

    def build(self, solver: Any, x: Tensor, bcs: list[Any], f: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of the equation and of the boundary, and their right-hand sides."""
        basis = solver.basis
        cache = basis.cache(x)
        rows = [
            basis.laplacian(x, cache=cache) + self.wavenumber**2 * basis.evaluate(x, cache=cache)
        ]
        right = [f]
        for points, values in bcs:
            rows.append(BOUNDARY * basis.evaluate(points))
            right.append(BOUNDARY * values)
        return torch.cat(rows), torch.cat(right)


def solve(
    problem: str, features: int = 1500, scale: float = 8.0, waves: Sequence[float] = (4.0, 1.0)
) -> Result:
    """Solves a problem by FastLSQ with one bandwidth, without a search for it.

    Args:
        problem: "wave" (FastLSQ's own, the same as the suite's) or "helmholtz-box".
        features: in all.
        scale: bandwidth, in units of 1 / length.
        waves: of helmholtz-box.
    """
    kept = torch.get_default_dtype()  # importing FastLSQ changes it
    try:
        api = package("fastlsq.api", "fastlsq")
        torch.manual_seed(0)
        torch.set_default_dtype(torch.float64)
        case: Any = HelmholtzBox(waves)
        if problem == "wave":
            case = package("fastlsq.problems.linear", "fastlsq").Wave1D()
        watch = Watch()
        with watch.timed():
            fit = api.solve_linear(
                case,
                scale=scale,
                n_blocks=3,
                hidden_size=features // 3,
                return_metrics=False,
                verbose=False,
            )
        x = torch.rand(20_000, case.dim)
        x = x if problem == "wave" else 2 * x - 1
        value, exact = fit["u_fn"](x), case.exact(x)
        return Result(float((value - exact).norm() / exact.norm()), watch.seconds, features)
    finally:
        torch.set_default_dtype(kept)
