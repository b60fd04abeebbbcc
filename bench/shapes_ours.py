"""Our side of `bench.shapes`: a function for each row, with its name and "_" for "-".

    def star(quick: bool) -> Result:  # error, seconds of points, assembly and solve, unknowns

A row without a function is shown as not written. Exact solutions and data are in
`dinfgrid_cuda.suite.cases.shape`. Cells are the fewest tried whose error is half the figure to
reach, or less. Errors are taken at points that the solve does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.cases.shape import four_holes as holes
from dinfgrid_cuda.suite.cases.shape.manufactured import HARMONIC_3D, WAVE_2D, WAVE_3D, Manufactured
from dinfgrid_cuda.suite.cases.shape.outlines import ANNULUS, STAR
from dinfgrid_cuda.suite.cases.shape.solids import BALL, TORUS, bumpy_sphere

from .ours_on_shapes import Bounded, Grid
from .ours_on_shapes import solved as solved_on
from .ours_plates import plate_energy, plate_simple, plate_strong, plate_wave
from .ours_waves import scattering_hard, scattering_soft

__all__ = [
    "plate_energy",
    "plate_simple",
    "plate_strong",
    "plate_wave",
    "scattering_hard",
    "scattering_soft",
]

ROBIN = 2.0
SIDES = ("lower 0", "upper 0", "lower 1", "upper 1")

Condition = Callable[[Tensor, dg.Jet], Tensor]


def solved(name: str, quick: bool) -> dict[str, Any]:
    """Solves a row and returns its cell: "value", "seconds", "unknowns"."""
    function = globals().get(name.replace("-", "_"))
    if function is None:
        raise NotImplementedError(f"{name} is not written yet")
    result = asdict(function(quick))
    return {"value": result.pop("error"), **result}


def four_holes(quick: bool) -> Bounded:
    """Laplace's equation in the square with four holes."""

    def problem() -> tuple[dg.Shape, list[dg.Term]]:
        half = holes.HALF
        shape: dg.Shape = dg.Rectangle((-half, -half), (half, half))
        for centre in holes.CENTRES:
            shape = shape - dg.Disk(centre, holes.RADIUS, name="hole")
        return shape, [
            dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian, order=2),
            dg.Term("square", dg.Boundary(SIDES), lambda x, u: u.value - 1),
            dg.Term("holes", dg.Boundary("hole"), lambda x, u: u.value),
        ]

    return solved_on(problem, Grid(88), quick, holes.value)


def _poisson(
    shape: Callable[[], dg.Shape], u: Manufactured, condition: Condition, order: int
) -> tuple[dg.Shape, list[dg.Term]]:
    """A shape and Poisson's equation on it with one condition on the whole boundary."""
    return shape(), [
        dg.Term("pde", dg.Interior(), lambda x, v: v.laplacian - u.laplacian(x)[:, None], order=2),
        dg.Term("wall", dg.Boundary(), condition, order=order),
    ]


def _given(u: Manufactured) -> Condition:
    return lambda x, v: v.value - u.value(x)[:, None]


def _dirichlet(shape: Callable[[], dg.Shape], u: Manufactured, grid: Grid, quick: bool) -> Bounded:
    return solved_on(partial(_poisson, shape, u, _given(u), 0), grid, quick, u.value)


def _star() -> dg.Shape:
    return dg.Implicit(STAR.level, (-1, -1), (1, 1), name="star")


def star(quick: bool) -> Bounded:
    """Poisson's equation on the star."""
    return _dirichlet(_star, WAVE_2D, Grid(28), quick)


def annulus(quick: bool) -> Bounded:
    """Poisson's equation on the disk with a hole."""

    def shape() -> dg.Shape:
        (centre, radius), (other, hole) = ANNULUS
        return dg.Disk(centre, radius, name="outer") - dg.Disk(other, hole, name="hole")

    return _dirichlet(shape, WAVE_2D, Grid(24), quick)


def star_robin(quick: bool) -> Bounded:
    """Poisson's equation on the star with u_n + 2 u given."""

    def robin(x: Tensor, u: dg.Jet) -> Tensor:
        data = WAVE_2D.robin(x, u.normal, ROBIN)[:, None]
        return u.normal_derivative + ROBIN * u.value - data

    make = partial(_poisson, _star, WAVE_2D, robin, 1)
    return solved_on(make, Grid(28), quick, WAVE_2D.value)


def star_neumann(quick: bool) -> Bounded:
    """Poisson's equation on the star with u_n given; the mean value of u is known."""

    def flux(x: Tensor, u: dg.Jet) -> Tensor:
        return u.normal_derivative - WAVE_2D.flux(x, u.normal)[:, None]

    make = partial(_poisson, _star, WAVE_2D, flux, 1)
    return solved_on(make, Grid(28), quick, WAVE_2D.value, free_constant=True)


def ball(quick: bool) -> Bounded:
    """Poisson's equation in the ball."""
    return _dirichlet(lambda: dg.Ball((0, 0, 0), BALL), WAVE_3D, Grid(6), quick)


def torus(quick: bool) -> Bounded:
    """Poisson's equation in the torus."""
    return _dirichlet(lambda: dg.Torus((0, 0, 0), *TORUS), WAVE_3D, Grid(8), quick)


def mesh(quick: bool) -> Bounded:
    """Laplace's equation in the mesh of 20,480 triangles."""
    vertices, triangles = bumpy_sphere()
    return _dirichlet(lambda: dg.Mesh((vertices, triangles)), HARMONIC_3D, Grid(12), quick)
