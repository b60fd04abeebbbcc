"""A harmonic function inside a closed surface of triangles, from its values on the surface.

    Δu = 0 inside,  u = sin(3 x) cos(4 y) exp(5 z) on the triangles

The surface is a sphere with bumps of 20,480 triangles, or that of a file. For a file, x, y, z are
measured from the middle of the box around it, in units of half its longest edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from dinfgrid_cuda import Jet, Mesh, Problem, Shape
from dinfgrid_cuda.suite.tools.case import Setup, option

from . import named
from .manufactured import HARMONIC_3D, Manufactured, Scaled
from .shape_case import ShapeCase, condition, degree_option, direct, equation, paper
from .solids import bumpy_sphere

CELLS = 12


@dataclass(frozen=True)
class PoissonMesh(ShapeCase):
    """Finds a harmonic function inside a closed mesh, from its values on the triangles."""

    name: ClassVar[str] = "poisson-mesh"
    packages: ClassVar[tuple[str, ...]] = ("igl", "trimesh")

    mesh: Path | None = option(
        None, "A closed mesh: STL, OBJ, PLY, ...; by default a sphere with bumps."
    )
    halvings: int = option(
        5, "Of the default's edges: 5 makes 20,480 triangles, 6 four times as many.", span=(2, 7)
    )
    degree: int = degree_option(7)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mesh is not None:
            _ = self.given  # a file that cannot be used is told of now

    @cached_property
    def given(self) -> named.Given:
        """The mesh, and where it is."""
        if self.mesh is not None:
            return named.of_file(self.mesh, "--mesh")
        return named.Given(
            Mesh(bumpy_sphere(self.halvings)), (0.0, 0.0, 0.0), 1.0, "sphere with bumps"
        )

    @property
    def body(self) -> Shape:
        """The inside of the mesh."""
        return self.given.shape

    def fingerprint(self) -> dict[str, Any]:
        """A hash of the user's file."""
        return {"mesh": self.given.digest} if self.given.digest else {}

    @cached_property
    def solution(self) -> Manufactured:
        """The solution with its derivatives."""
        return Scaled(HARMONIC_3D, self.given.centre, self.given.size)

    def exact(self, x: Tensor) -> Tensor:
        """The solution [N] at points x [N, 3]."""
        return self.solution.value(x)

    @property
    def caption(self) -> str:
        """The mesh and the number of its triangles."""
        faces = len(self.body.faces) if isinstance(self.body, Mesh) else 0
        return f"{self.given.label}, {faces:,} triangles"

    def setup(self, config: str) -> Setup:
        """Returns B-splines on cubes, or what the paper might take."""
        return paper(3) if config == "paper" else direct(CELLS, self.degree, 3)

    def problem(self, setup: Setup) -> Problem:
        """Returns Laplace's equation, in units of u per size of the mesh squared, and values."""
        scale = self.given.size**2

        def value(x: Tensor, u: Jet) -> Tensor:
            return u.value - self.solution.value(x)[:, None]

        return Problem(
            self.body,
            [
                equation(lambda x, u: u.laplacian * scale, 2, setup, 3),
                condition("values", None, value, setup),
            ],
        )
