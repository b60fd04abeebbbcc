"""A pure flux problem on a shape: the flux is given all around, and a gauge fixes the constant.

    -Δu = f inside,  u_n = g on the boundary,  the mean of u (or u at one point) given

There is a solution only where f and g are compatible: ∫ f + ∮ g = 0, what is made leaves through
the boundary. Then u is determined up to a constant, which the gauge, a term of its own, fixes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dinfgrid_cuda import GaussPoints, Interior, Jet, LeastSquares, Points, Problem, Shape, Term
from dinfgrid_cuda.suite.tools.case import Measure, Setup, option
from dinfgrid_cuda.suite.tools.evaluation import relative_l2, values

from . import named
from .manufactured import WAVE_2D, Manufactured, Scaled
from .shape_case import (
    MEASURED,
    TRAINED_WEIGHT,
    ShapeCase,
    condition,
    degree_option,
    direct,
    equation,
    inside,
    paper,
)

GAUGES = ("mean", "point")
CELLS = 40
# Cells along the longest axis, and Gauss points per cell and axis, of the mean; and of integrals
# that tell whether the data are compatible.
MEAN, PER_CELL, FINE = 16, 4, 192


@dataclass(frozen=True)
class NeumannShape(ShapeCase):
    """Solves a pure flux problem on a shape, with its mean or its value at one point given."""

    name: ClassVar[str] = "neumann-shape"

    shape: str = option("gear", f"Shape in the plane: {named.HELP_IN_PLANE}")
    gauge: str = option(
        "mean",
        "What fixes the constant: the mean of u over the shape, by Gauss points with weights, or "
        "u at one point, the one farthest from the boundary.",
        choices=GAUGES,
    )
    degree: int = degree_option(7)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "shape", named.absolute(self.shape))
        named.check_plane(self.given, self.shape)

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
        return Scaled(WAVE_2D, self.given.centre, self.given.size)

    def exact(self, x: Tensor) -> Tensor:
        """The solution [N] at points x [N, 2]; its constant is that of the gauge."""
        return self.solution.value(x)

    @property
    def caption(self) -> str:
        """The shape and the gauge."""
        what = "its mean" if self.gauge == "mean" else "one value"
        return f"{self.given.label}, fluxes and {what}"

    def setup(self, config: str) -> Setup:
        """Returns B-splines on squares, or what the paper might take."""
        return paper(2) if config == "paper" else direct(CELLS, self.degree, 2)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, the fluxes, and the gauge."""
        size = self.given.size

        def residual(x: Tensor, u: Jet) -> Tensor:
            return (u.laplacian - self.solution.laplacian(x)[:, None]) * size**2

        def flux(x: Tensor, u: Jet) -> Tensor:
            return (u.normal_derivative - self.solution.flux(x, u.normal)[:, None]) * size

        terms = [
            equation(residual, 2, setup, 2),
            condition("fluxes", None, flux, setup, 1),
            self._gauge(1.0 if isinstance(setup.method, LeastSquares) else TRAINED_WEIGHT),
        ]
        return Problem(self.body, terms)

    def _gauge(self, weight: float) -> Term:
        """The term that fixes the constant."""
        if self.gauge == "point":
            at = self.place
            value = self.exact(at)[:, None]
            return Term("gauge", Points(at), lambda x, u: u.value - value.to(u.value), 0, weight)
        region = Interior(GaussPoints(cells=MEAN, per_cell=PER_CELL))
        share = region.weights(1, self.body, torch.float64, torch.device("cpu"))
        assert share is not None
        x = region.sample(1, self.body, dtype=torch.float64)
        mean = float((share * self.exact(x)).mean())

        def residual(x: Tensor, u: Jet) -> Tensor:
            found = (share.to(u.value)[:, None] * u.value).mean()
            return (found - mean).expand(len(x))

        return Term("gauge", region, residual, 0, weight)

    @cached_property
    def place(self) -> Tensor:
        """The point of a lattice that is farthest inside, by the level of the shape, [1, 2]."""
        x = inside(self.body, MEASURED[2])
        return x[self.body.level(x).argmin()][None]

    @cached_property
    def integrals(self) -> tuple[Tensor, Tensor]:
        """Points and weights over the shape by which means are measured."""
        rule = self.body.inside_points(self._spacing)
        return rule.x, rule.weights

    @property
    def _spacing(self) -> float:
        return max(self.body.lengths) / FINE

    def measure(self, field: nn.Module, resolution: int | None = None) -> dict[str, Measure]:
        """Measures errors, with the constant as the gauge left it and without it."""
        measures = super().measure(field, resolution)
        x = inside(self.body, resolution or MEASURED[2])
        u, exact = values(field, x)[:, 0], self.exact(x)
        shifted = u - (u - exact).mean()
        x, weights = self.integrals
        volume = float(weights.sum())
        error = values(field, x)[:, 0] - self.exact(x)
        size = float((weights * self.exact(x).square()).sum() / volume) ** 0.5
        constant = abs(float((weights * error).sum())) / volume / size
        return {
            "relative_l2": measures["relative_l2"],
            "relative_l2_up_to_a_constant": Measure(
                relative_l2(shifted, exact), "1", "the same after u is shifted by its mean error"
            ),
            "relative_max": measures["relative_max"],
            "constant": Measure(
                constant, "1", "|mean of u - exact| / root mean square of exact, over the shape"
            ),
            "incompatibility": Measure(
                self.incompatibility,
                "1",
                "of the data: |∫ f + ∮ g| / (∫ |f| + ∮ |g|), by quadrature",
            ),
        }

    @cached_property
    def incompatibility(self) -> float:
        """How far the data are from having a solution; 0 up to the error of the quadrature."""
        x, weights = self.integrals
        rim = self.body.boundary_points(self._spacing)
        source = -weights * self.solution.laplacian(x)
        flux = rim.weights * self.solution.flux(rim.x, rim.normals)
        total = math.fsum([float(source.sum()), float(flux.sum())])
        return abs(total) / float(source.abs().sum() + flux.abs().sum())
