"""Problems whose solutions are thin or singular somewhere: corners, a slit, a hole, layers.

    l          Δu = 0 on an L, u = r^(2/3) sin(2θ/3) at its inner corner
    l-source   -Δu = 1 on the L, u = 0 on its edges
    slit       -Δu = 1 on a square with a slit, u = 0 on edges and slit: r^(1/2)
    hole       Δu = 0 around a hole that is small against the square
    layers     -ε Δu + u_x + u_y = f, two exponential layers of width ε
    parabolic  -ε Δu + u_x = f, one of width ε, and two of width √ε

A uniform grid converges slowly on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import Jet, Problem, Shape, Term
from dinfgrid_cuda.suite.cases.shape.shape_case import (
    ShapeCase,
    condition,
    degree_option,
    direct,
    equation,
    outline_points,
    paper,
)
from dinfgrid_cuda.suite.tools.case import Measure, Setup, option
from dinfgrid_cuda.suite.tools.evaluation import values

from .variants import NAMES, Variant, variant

CELLS = 64
MEASURED = 150  # points along an axis at which errors are measured


@dataclass(frozen=True)
class Corner(ShapeCase):
    """Solves a problem that is singular at a corner, or has a small hole or layers."""

    name: ClassVar[str] = "corner"

    case: str = option(
        "l",
        "Problem: l (Δu = 0 on an L), l-source (-Δu = 1 on it), slit (-Δu = 1 beside a slit), hole "
        "(a small hole), layers or parabolic (convection with diffusion --epsilon).",
        choices=NAMES,
    )
    epsilon: float = option(
        1e-4, "Diffusion ε of layers and parabolic against a flow of 1.", span=(1e-6, 1.0)
    )
    degree: int = degree_option(5)

    @cached_property
    def variant(self) -> Variant:
        """The problem."""
        return variant(self.case, self.epsilon)

    @property
    def body(self) -> Shape:
        """The shape."""
        return self.variant.body

    @property
    def caption(self) -> str:
        """The equation."""
        return self.variant.caption

    def exact(self, x: Tensor) -> Tensor:
        """The solution [N] at points x [N, 2]."""
        return self.variant.value(x)

    def setup(self, config: str) -> Setup:
        """Returns quintic B-splines on squares, or what the paper might take."""
        return paper(2) if config == "paper" else direct(CELLS, self.degree, 2)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, and values, or fluxes where the solution is symmetric."""
        free = self.variant.free

        def value(x: Tensor, u: Jet) -> Tensor:
            return u.value - self.exact(x)[:, None]

        held = tuple(name for name in self.body.names if name not in free) if free else None
        terms: list[Term] = [
            equation(self.variant.residual, 2, setup, 2),
            condition("values", held, value, setup),
        ]
        if free:
            terms.append(condition("symmetry", free, lambda x, u: u.normal_derivative, setup, 1))
        return Problem(self.body, terms)

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors at points that are dense where the solution is singular or thin."""
        x, weights = self.variant.points(resolution or MEASURED)
        u, exact = values(field, x)[:, 0], self.exact(x)
        edge = outline_points(self.body)
        on_edge = self.exact(edge)
        wrong = torch.cat([u - exact, values(field, edge)[:, 0] - on_edge]).abs().max()
        most = torch.cat([exact, on_edge]).abs().max()
        relative = ((weights * (u - exact) ** 2).sum() / (weights * exact**2).sum()).sqrt()
        where = f"by quadrature at {len(x):,} points, dense where u is singular or thin"
        return {
            "relative_l2": Measure(float(relative), "1", f"|u - exact| / |exact|, {where}"),
            "relative_max": Measure(
                float(wrong / most), "1", "max |u - exact| / max |exact|, there and on the outline"
            ),
        }
