"""Transport: what is carried by a given velocity, u_t + a . grad u = 0, in space and time.

Coordinates are (t, x) or (t, x, y). u is known at the beginning, and where the velocity points into
the box.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from dinfgrid_cuda import Constraint, Jet, Problem, Term
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.suite.tools.case import Case, Setup

from . import space_time
from .space_time import FromFaces, Samples

START: Face = (0, "lower")


@dataclass(frozen=True)
class Transport(Case):
    """A function carried by a velocity field."""

    default_conditions: ClassVar[str] = "polynomial"

    conditions: str | None = space_time.conditions_option()

    @abstractmethod
    def velocity(self, x: Tensor) -> Tensor:
        """The velocity a [N, dim of space] at points (t, x, ...)."""

    @abstractmethod
    def exact(self, x: Tensor) -> Tensor:
        """The exact u [N] at points (t, x, ...)."""

    @property
    def held_faces(self) -> list[Face]:
        """The faces where a constraint holds u."""
        return [START]

    def inflow_faces(self, setup: Setup) -> list[Face]:
        """The faces through which something may enter in places, where a term asks for u."""
        return []

    def constraint(self, setup: Setup) -> Constraint | None:
        """Holds u on faces; in between, values are blended from the faces alone."""
        boundary_values = FromFaces(self.box(), self.held_faces, self.exact)
        conditions = space_time.conditions_of(self.conditions, setup, self.default_conditions)
        return space_time.box_constraint(conditions, boundary_values, self.held_faces)

    def problem(self, setup: Setup) -> Problem:
        """Returns the equation, and given values where no constraint holds them."""
        conditions = space_time.conditions_of(self.conditions, setup, self.default_conditions)
        shape = space_time.lattice_shape(setup, self.box().dim)
        terms = [space_time.equation(self._residual, 1, shape, conditions, setup)]
        term_faces, weight = self.inflow_faces(setup), space_time.soft_weight(setup)
        if conditions == "soft":
            term_faces = [*self.held_faces, *term_faces]
        for axis, side in term_faces:
            others = tuple(n for other, n in enumerate(shape) if other != axis)
            region = space_time.faces([(axis, side)], others, setup)
            misfit = self._misfit if (axis, side) in self.held_faces else self._inflow(axis, side)
            terms.append(Term(_name(axis, side), region, misfit, weight=weight))
        return Problem(self.box(), terms)

    def _residual(self, x: Tensor, u: Jet) -> Tensor:
        gradient = u.gradient[:, 0]
        return gradient[:, :1] + (self.velocity(x) * gradient[:, 1:]).sum(1, keepdim=True)

    def _misfit(self, x: Tensor, u: Jet) -> Tensor:
        return u.value - self.exact(x)[:, None]

    def _inflow(self, axis: int, side: str) -> space_time.Residual:
        """The residual of given values where the velocity points inwards, zero elsewhere."""
        inward = 1.0 if side == "lower" else -1.0

        def misfit(x: Tensor, u: Jet) -> Tensor:
            enters = self.velocity(x)[:, axis - 1 : axis] * inward > 0
            return self._misfit(x, u) * enters

        return misfit

    def samples(self, field: nn.Module, shape: tuple[int, ...]) -> Samples:
        """The field and the exact solution on a lattice of (t, x, ...)."""
        return space_time.sample(field, self.exact, self.box(), shape)


def _name(axis: int, side: str) -> str:
    return "initial" if axis == 0 else f"{side} {'txy'[axis]}"
