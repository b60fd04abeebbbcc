"""Poisson's equation on a shape, in the plane or in space, with a solution that is known.

    -Δu = f,  u = sin(3 x) exp(y) in the plane, sin(2 x) exp(y) cos(z) in space

On the square with four holes it is Laplace's equation, with values of a benchmark: 1 on the square,
0 on the holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from dinfgrid_cuda import Jet, Problem, Shape, Term
from dinfgrid_cuda.suite.tools.case import CaseError, Setup, option

from . import four_holes, named
from .manufactured import WAVE_2D, WAVE_3D, Manufactured, Scaled
from .shape_case import ShapeCase, condition, degree_option, direct, equation, paper

CONDITIONS = ("dirichlet", "robin", "mixed")
# Of Robin's condition u_n + factor u = g, times half the longest edge of the box.
FACTOR = 2.0
CELLS = {2: 32, 3: 14}
# The gaps between the four holes and the square are 0.1 wide: at 32 cells the error is 8e-5.
FINE = 96


class FourHoles(Manufactured):
    """The reference solution in the square with four holes."""

    def value(self, x: Tensor) -> Tensor:
        """Returns u, [N]."""
        return four_holes.value(x).to(x)

    def gradient(self, x: Tensor) -> Tensor:
        """Returns the gradient, [N, 2]."""
        return four_holes.gradient(x).to(x)

    def laplacian(self, x: Tensor) -> Tensor:
        """Returns zeros, [N]."""
        return torch.zeros_like(x[:, 0])


@dataclass(frozen=True)
class PoissonShape(ShapeCase):
    """Solves Poisson's equation on a shape: a name, or a drawing or mesh of your own."""

    name: ClassVar[str] = "poisson-shape"

    shape: str = option("star", f"Shape: {named.HELP}")
    conditions: str = option(
        "dirichlet",
        "On the boundary: dirichlet (u), robin (u_n + 2 u), or mixed (u on the first half of its "
        "pieces, u_n on the others).",
        choices=CONDITIONS,
    )
    degree: int = degree_option(7)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "shape", named.absolute(self.shape))
        pieces = self.body.names
        if self.conditions == "mixed" and len(pieces) < 2:
            raise CaseError(
                f"--conditions mixed needs a boundary of several pieces, but that of "
                f"--shape {self.shape} is one, {pieces[0]!r}; take dirichlet or robin."
            )

    @cached_property
    def given(self) -> named.Given:
        """The shape, and where it is."""
        return named.given(self.shape)

    @property
    def body(self) -> Shape:
        """The shape."""
        return self.given.shape

    def fingerprint(self) -> dict[str, Any]:
        """A hash of the user's file."""
        return {"shape": self.given.digest} if self.given.digest else {}

    @cached_property
    def solution(self) -> Manufactured:
        """The solution with its derivatives."""
        if self.shape == "four-holes":
            return FourHoles()
        wave = {2: WAVE_2D, 3: WAVE_3D}[self.body.dim]
        return Scaled(wave, self.given.centre, self.given.size)

    def exact(self, x: Tensor) -> Tensor:
        """The solution [N] at points x [N, dim]."""
        return self.solution.value(x)

    @property
    def caption(self) -> str:
        """The shape and the conditions."""
        return f"{self.given.label}, {self.conditions}"

    def setup(self, config: str) -> Setup:
        """Returns B-splines on cells that are squares or cubes, or what the paper might take."""
        dim = self.body.dim
        cells = FINE if self.shape == "four-holes" else CELLS[dim]
        return paper(dim) if config == "paper" else direct(cells, self.degree, dim)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, in units of u per size of the shape squared, and conditions."""
        scale = self.given.size**2

        def residual(x: Tensor, u: Jet) -> Tensor:
            return (u.laplacian - self.solution.laplacian(x)[:, None]) * scale

        terms = [equation(residual, 2, setup, self.body.dim), *self._conditions(setup)]
        return Problem(self.body, terms)

    def _conditions(self, setup: Setup) -> list[Term]:
        """The terms on the boundary."""
        pieces, size = self.body.names, self.given.size

        def value(x: Tensor, u: Jet) -> Tensor:
            return u.value - self.solution.value(x)[:, None]

        def flux(x: Tensor, u: Jet) -> Tensor:
            return (u.normal_derivative - self.solution.flux(x, u.normal)[:, None]) * size

        def robin(x: Tensor, u: Jet) -> Tensor:
            given = self.solution.robin(x, u.normal, FACTOR / size)[:, None]
            return (u.normal_derivative + FACTOR / size * u.value - given) * size

        if self.conditions == "dirichlet":
            return [condition("values", None, value, setup)]
        if self.conditions == "robin":
            return [condition("robin", None, robin, setup, 1)]
        half = len(pieces) // 2
        return [
            condition("values", pieces[:half], value, setup),
            condition("fluxes", pieces[half:], flux, setup, 1),
        ]
