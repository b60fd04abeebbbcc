"""Poisson's equation on plane shapes by curved finite elements (NGSolve)."""

from __future__ import annotations

import math
from typing import Any

import torch

from dinfgrid_cuda.suite.cases.shape import four_holes as holes
from dinfgrid_cuda.suite.cases.shape.manufactured import WAVE_2D
from dinfgrid_cuda.suite.cases.shape.outlines import ANNULUS, STAR

from .curved import (
    Clocks,
    Data,
    Meshed,
    coefficients,
    mesh_of,
    ngs,
    occ,
    onto_circle,
    poisson,
    relative_error,
)

# Points of the star's outline for the spline from which its mesh is made; the mesh is carried from
# there onto the star itself.
OUTLINE = 200


def four_holes(size: float, degree: int) -> Meshed:
    """Solves Laplace's equation in the square with four holes; its reference is the series.

    Args:
        size: longest edge of an element.
        degree: of elements and curved edges.
    """
    clocks = Clocks()
    with clocks.mesh.timed():
        face, onto = _square_with_holes()
        mesh = mesh_of(face, size, degree, onto)
    with clocks.solve.timed():
        value = mesh.BoundaryCF({"square": 1}, default=0)
        solution = poisson(mesh, degree, Data(None, value))
    error = relative_error(solution, holes.value, mesh, 2 * degree + 4)
    return clocks.result(error, solution.space)


def _square_with_holes() -> tuple[Any, dict[str, Any]]:
    o, half = occ(), holes.HALF
    face = o.Rectangle(2 * half, 2 * half).Face().Move((-half, -half, 0))
    face.edges.name = "square"
    onto = {}
    for number, centre in enumerate(holes.CENTRES):
        hole = o.Circle(centre, holes.RADIUS).Face()
        hole.edges.name = f"hole{number}"
        face = face - hole
        onto[f"hole{number}"] = onto_circle(centre, holes.RADIUS)
    return face, onto


def star() -> tuple[Any, dict[str, Any]]:
    """The star as a face of netgen.occ, and the exact place of its boundary."""
    o, n = occ(), ngs()
    angle = torch.arange(OUTLINE, dtype=torch.float64) * (2 * math.pi / OUTLINE)
    points = [o.Pnt(*row, 0) for row in STAR.curve(angle).tolist()]
    face = o.Face(o.Wire([o.SplineInterpolation(points, periodic=True)]))
    face.edges.name = "star"
    radius = STAR.mean + STAR.height * n.cos(STAR.count * n.atan2(n.y, n.x))
    return face, {"star": radius / n.sqrt(n.x * n.x + n.y * n.y) * n.CF((n.x, n.y))}


def annulus() -> tuple[Any, dict[str, Any]]:
    """The disk with a hole as a face of netgen.occ, and the exact place of its boundary."""
    o = occ()
    outer, inner = (o.Circle(centre, radius).Face() for centre, radius in ANNULUS)
    outer.edges.name, inner.edges.name = "outer", "hole"
    return outer - inner, {"outer": onto_circle(*ANNULUS[0]), "hole": onto_circle(*ANNULUS[1])}


SHAPES = {"star": star, "annulus": annulus}


def manufactured(shape: str, size: float, degree: int, robin: float | None = None) -> Meshed:
    """Solves -Δu = f with u = sin(3 x) exp(y).

    Args:
        shape: "star" or "annulus".
        size: longest edge of an element.
        degree: of elements and curved edges.
        robin: the factor of u in Robin's condition, given everywhere in place of u.
    """
    clocks, n = Clocks(), ngs()
    with clocks.mesh.timed():
        face, onto = SHAPES[shape]()
        mesh = mesh_of(face, size, degree, onto)
    with clocks.solve.timed():
        value, gradient, laplacian = coefficients(WAVE_2D)
        if robin is None:
            data = Data(-laplacian, value)
        else:
            flux = gradient * n.specialcf.normal(2) + robin * value
            data = Data(-laplacian, held="", flux=flux, factor=robin)
        solution = poisson(mesh, degree, data)
    error = relative_error(solution, WAVE_2D.value, mesh, 2 * degree + 4)
    return clocks.result(error, solution.space)


def neumann(size: float, degree: int) -> Meshed:
    """Solves -Δu = f on the star with u_n given everywhere; the mean value of u is known.

    The gauge is a rank-one matrix, so that the condensed matrix stays as it is: one value is held
    at a corner of the mesh, and the mean is corrected afterwards.
    """
    clocks, n = Clocks(), ngs()
    with clocks.mesh.timed():
        face, onto = star()
        mesh = mesh_of(face, size, degree, onto)
    with clocks.solve.timed():
        value, gradient, laplacian = coefficients(WAVE_2D)
        solution = _pure_flux(mesh, degree, -laplacian, gradient * n.specialcf.normal(2))
        area = n.Integrate(n.CF(1), mesh)
        shift = n.Integrate(value - solution, mesh, order=2 * degree + 4) / area
        solution.vec.data += shift * _one(solution.space).vec
    error = relative_error(solution, WAVE_2D.value, mesh, 2 * degree + 4)
    return clocks.result(error, solution.space)


def _one(space: Any) -> Any:
    one = ngs().GridFunction(space)
    one.Set(1)
    return one


def _pure_flux(mesh: Any, degree: int, source: Any, flux: Any) -> Any:
    """A solution that vanishes at the first vertex."""
    n = ngs()
    space = n.H1(mesh, order=degree)
    u, v = space.TnT()
    form = n.BilinearForm(n.grad(u) * n.grad(v) * n.dx, symmetric=True, condense=True).Assemble()
    right = n.LinearForm(
        source * v * n.dx(bonus_intorder=2) + flux * v * n.ds(bonus_intorder=degree)
    ).Assemble()
    solution = n.GridFunction(space)
    # Rounding and quadrature leave the data a little incompatible: spread evenly, not at a vertex.
    even = n.LinearForm(v * n.dx).Assemble()
    one = _one(space)
    free = space.FreeDofs(True)
    free.Clear(0)
    rest = right.vec.CreateVector()
    rest.data = right.vec
    rest.data -= n.InnerProduct(rest, one.vec) / n.InnerProduct(even.vec, one.vec) * even.vec
    rest.data += form.harmonic_extension_trans * rest
    solution.vec.data = form.mat.Inverse(free, inverse="sparsecholesky") * rest
    solution.vec.data += form.harmonic_extension * solution.vec
    solution.vec.data += form.inner_solve * rest
    return solution
