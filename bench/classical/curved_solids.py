"""Poisson's and Laplace's equations on solids by finite elements (NGSolve)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dinfgrid_cuda.suite.cases.shape.manufactured import HARMONIC_3D, WAVE_3D
from dinfgrid_cuda.suite.cases.shape.solids import BALL, TORUS, bumpy_sphere
from dinfgrid_cuda.suite.tools.packages import package

from .curved import (
    Clocks,
    Data,
    Meshed,
    coefficients,
    iterative_poisson,
    mesh_of,
    ngs,
    occ,
    poisson,
    relative_error,
    tasks,
)


def ball() -> Any:
    """The ball as a solid of netgen.occ."""
    return occ().Sphere((0, 0, 0), BALL)


def torus() -> Any:
    """The torus around the third axis as a solid of netgen.occ."""
    o, (ring, tube) = occ(), TORUS
    disk = o.WorkPlane(o.Axes((ring, 0, 0), n=o.Y, h=o.X)).Circle(tube).Face()
    return disk.Revolve(o.Axis((0, 0, 0), o.Z), 360)


# Rounds of improving tetrahedra, of netgen's three.
STEPS = 1
SOLIDS = {"ball": ball, "torus": torus}


def manufactured(solid: str, size: float, degree: int) -> Meshed:
    """Solves -Δu = f with u = sin(2 x) exp(y) cos(z), given on the boundary.

    Args:
        solid: "ball" or "torus".
        size: longest edge of an element.
        degree: of elements and curved faces.
    """
    clocks = Clocks()
    with clocks.mesh.timed(), tasks():
        mesh = mesh_of(SOLIDS[solid](), size, degree, 3)
    with clocks.solve.timed(), tasks():
        value, _, laplacian = coefficients(WAVE_3D)
        solution = poisson(mesh, degree, Data(-laplacian, value))
    error = relative_error(solution, WAVE_3D.value, mesh, 2 * degree + 2)
    return clocks.result(error, solution.space)


def bumpy(size: float, degree: int, halvings: int = 5) -> Meshed:
    """Solves Laplace's equation in a closed mesh of 20 4^halvings triangles.

    Args:
        size: longest edge of an inner element; the surface keeps its triangles.
        degree: of the elements, which are straight, as the surface is.
        halvings: see `bumpy_sphere`.
    """
    vertices, triangles = bumpy_sphere(halvings)
    clocks = Clocks()
    with clocks.mesh.timed(), tasks():
        mesh = filled(vertices, triangles, size)
    with clocks.solve.timed(), tasks():
        value, _, _ = coefficients(HARMONIC_3D)
        solution = iterative_poisson(mesh, degree, value)
    error = relative_error(solution, HARMONIC_3D.value, mesh, 2 * degree + 2)
    return clocks.result(error, solution.space)


def filled(vertices: np.ndarray, triangles: np.ndarray, size: float) -> Any:
    """The mesh of tetrahedra inside a closed surface of triangles [n, 3]."""
    meshing = package("netgen.meshing", "ngsolve")
    mesh = meshing.Mesh(dim=3)
    face = mesh.Add(meshing.FaceDescriptor(bc=1, domin=1, domout=0, surfnr=1))
    points = [mesh.Add(meshing.MeshPoint(meshing.Pnt(*row))) for row in vertices.tolist()]
    for row in triangles.tolist():
        mesh.Add(meshing.Element2D(face, [points[index] for index in row]))
    mesh.GenerateVolumeMesh(maxh=size, optsteps3d=STEPS)
    return ngs().Mesh(mesh)
