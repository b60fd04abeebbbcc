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
        mesh = mesh_of(_square_with_holes(), size, degree)
    with clocks.solve.timed():
        value = mesh.BoundaryCF({"square": 1}, default=0)
        solution = poisson(mesh, degree, Data(None, value))
    error = relative_error(solution, holes.value, mesh, 2 * degree + 4)
    return clocks.result(error, solution.space)


def _square_with_holes() -> Any:
    o, half = occ(), holes.HALF
    face = o.Rectangle(2 * half, 2 * half).Face().Move((-half, -half, 0))
    face.edges.name = "square"
    for centre in holes.CENTRES:
        hole = o.Circle(centre, holes.RADIUS).Face()
        hole.edges.name = "hole"
        face = face - hole
    return face


def star_mesh(size: float, degree: int) -> Any:
    """The star's mesh, from a spline through points of it, and carried onto it exactly."""
    o, n = occ(), ngs()
    angle = torch.arange(OUTLINE, dtype=torch.float64) * (2 * math.pi / OUTLINE)
    points = [o.Pnt(*row, 0) for row in STAR.curve(angle).tolist()]
    face = o.Face(o.Wire([o.SplineInterpolation(points, periodic=True)]))
    radius = STAR.mean + STAR.height * n.cos(STAR.count * n.atan2(n.y, n.x))
    onto = radius / n.sqrt(n.x * n.x + n.y * n.y) * n.CF((n.x, n.y))
    return mesh_of(face, size, degree, onto=onto)


def annulus_mesh(size: float, degree: int) -> Any:
    """The mesh of the disk with a hole."""
    outer, inner = (occ().Circle(centre, radius).Face() for centre, radius in ANNULUS)
    return mesh_of(outer - inner, size, degree)


MESHES = {"star": star_mesh, "annulus": annulus_mesh}


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
        mesh = MESHES[shape](size, degree)
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

    One vertex is held at 0, so that the matrix stays sparse, and the mean is corrected afterwards.
    """
    clocks, n = Clocks(), ngs()
    with clocks.mesh.timed():
        mesh = star_mesh(size, degree)
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
