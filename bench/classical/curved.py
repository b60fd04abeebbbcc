"""Finite elements on curved meshes with NGSolve: meshes, Poisson's equation, errors.

Elements of degree p are curved with degree p, inner unknowns are eliminated element by element
(static condensation), and the rest is solved by a sparse Cholesky factor: what NGSolve is best at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dinfgrid_cuda.suite.cases.shape.manufactured import Product
from dinfgrid_cuda.suite.tools.measuring import Watch
from dinfgrid_cuda.suite.tools.packages import package

from .result import Result

Exact = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Meshed(Result):
    """What a solver on a mesh reached: ``error`` by quadrature, ``seconds`` with the mesh's.

    Attributes:
        meshing: seconds of making the mesh and curving it.
        elements: of the mesh.
    """

    meshing: float = 0.0
    elements: int = 0


class Clocks:
    """The seconds of the mesh and of the rest."""

    def __init__(self) -> None:
        self.mesh, self.solve = Watch(), Watch()

    def result(self, error: float, space: Any) -> Meshed:
        """The figures of a run on a finite element space."""
        seconds = self.mesh.seconds + self.solve.seconds
        unknowns = int(sum(space.FreeDofs()))
        return Meshed(error, seconds, unknowns, self.mesh.seconds, space.mesh.ne)


def ngs() -> Any:
    """The module ngsolve."""
    return package("ngsolve")


def occ() -> Any:
    """The module of geometry, netgen.occ."""
    return package("netgen.occ", "ngsolve")


@contextmanager
def tasks() -> Iterator[None]:
    """As many of NGSolve's threads as OMP_NUM_THREADS says, for the block.

    Only for problems of seconds: its threads wait busily, and where they share their cores with
    other programs, a plane problem of 20 ms takes 1 s.
    """
    count = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    if count == 1:
        yield
        return
    ngs().SetNumThreads(count)
    with ngs().TaskManager():
        yield


def mesh_of(shape: Any, size: float, degree: int, dim: int = 2, onto: Any = None) -> Any:
    """The curved mesh of a shape of netgen.occ.

    Args:
        shape: a face, or in three dimensions a solid.
        size: longest edge of an element.
        degree: of the curved edges.
        dim: 2 or 3.
        onto: the place on the exact boundary of a point close to it, a vector coefficient function,
            by which the whole boundary is curved. By default netgen curves it, exactly enough for
            circles; the star it misses by 1e-8, and with degree 8 the error of the solution is 30
            to 1000 times larger.
    """
    n = ngs()
    mesh = n.Mesh(occ().OCCGeometry(shape, dim=dim).GenerateMesh(maxh=size))
    if onto is None:
        mesh.Curve(degree)
        return mesh
    move = n.GridFunction(n.VectorH1(mesh, order=degree))
    move.Set(onto - n.CF((n.x, n.y, n.z)[:dim]), definedon=mesh.Boundaries(".*"))
    mesh.SetDeformation(move)
    return mesh


@dataclass(frozen=True)
class Data:
    """-Δu = source with data on the boundary, as coefficient functions of NGSolve.

    Attributes:
        source: None for 0.
        value: u where it is given.
        held: regular expression of the boundary's names where u is given.
        flux: u_n + factor u elsewhere.
        factor: of Robin's condition.
    """

    source: Any
    value: Any = None
    held: str = ".*"
    flux: Any = None
    factor: float = 0.0


def poisson(mesh: Any, degree: int, data: Data) -> Any:
    """Solves by continuous elements and returns the grid function."""
    n = ngs()
    space = n.H1(mesh, order=degree, dirichlet=data.held)
    u, v = space.TnT()
    form = n.BilinearForm(space, symmetric=True, condense=True)
    form += n.grad(u) * n.grad(v) * n.dx
    right = n.LinearForm(space)
    if data.source is not None:
        right += data.source * v * n.dx(bonus_intorder=2)
    if data.flux is not None:
        # the normal of a curved edge is no polynomial
        right += data.flux * v * n.ds(bonus_intorder=degree)
        if data.factor:
            form += data.factor * u * v * n.ds
    form.Assemble()
    right.Assemble()
    solution = n.GridFunction(space)
    if data.held:
        solution.Set(data.value, definedon=mesh.Boundaries(data.held))
    condensed_solve(form, right.vec, solution)
    return solution


def condensed_solve(form: Any, right: Any, solution: Any) -> None:
    """Adds to a grid function that holds the given values the rest of the solution."""
    rest = right.CreateVector()
    rest.data = right - form.mat * solution.vec
    rest.data += form.harmonic_extension_trans * rest
    factor = form.mat.Inverse(solution.space.FreeDofs(True), inverse="sparsecholesky")
    solution.vec.data += factor * rest
    solution.vec.data += form.harmonic_extension * solution.vec
    solution.vec.data += form.inner_solve * rest


def iterative_poisson(mesh: Any, degree: int, value: Any, tolerance: float = 1e-10) -> Any:
    """Solves Δu = 0 with u given on the boundary by conjugate gradients, for large meshes.

    The preconditioner is BDDC: exact on each element, and on what vertices and edges share.
    """
    n = ngs()
    space = n.H1(mesh, order=degree, dirichlet=".*")
    u, v = space.TnT()
    form = n.BilinearForm(space, symmetric=True, condense=True)
    form += n.grad(u) * n.grad(v) * n.dx
    preconditioner = n.Preconditioner(form, "bddc", inverse="sparsecholesky")
    form.Assemble()
    solution = n.GridFunction(space)
    solution.Set(value, definedon=mesh.Boundaries(".*"))
    rest = solution.vec.CreateVector()
    rest.data = -(form.mat * solution.vec)
    rest.data += form.harmonic_extension_trans * rest
    solver = package("ngsolve.krylovspace", "ngsolve").CGSolver(
        form.mat, preconditioner, tol=tolerance, maxiter=500
    )
    solution.vec.data += solver * rest
    solution.vec.data += form.harmonic_extension * solution.vec
    solution.vec.data += form.inner_solve * rest
    return solution


def relative_error(solution: Any, exact: Exact, mesh: Any, order: int, where: str = "") -> float:
    """The relative L2 error over the curved elements.

    Args:
        solution: a grid function, real or complex.
        exact: u at points [N, dim], [N].
        mesh: of the solution.
        order: polynomials of which the quadrature is exact on straight elements.
        where: name of a part of the mesh; all of it by default.
    """
    n = ngs()
    rule = n.IntegrationRule(n.TRIG if mesh.dim == 2 else n.TET, order)
    points = mesh.MapToAllElements(rule, mesh.Materials(where) if where else n.VOL)
    axes = (n.x, n.y, n.z)[: mesh.dim]
    x = np.concatenate([axis(points) for axis in axes], axis=1)
    measure = n.Det(n.specialcf.JacobianMatrix(mesh.dim))(points).ravel()
    weights = np.abs(measure) * np.tile(rule.weights, len(x) // len(rule.weights))
    right = exact(torch.from_numpy(x)).numpy()
    wrong = np.abs(solution(points).ravel() - right) ** 2
    return float(np.sqrt((weights * wrong).sum() / (weights * np.abs(right) ** 2).sum()))


def coefficients(u: Product) -> tuple[Any, Any, Any]:
    """A manufactured solution's value, gradient and Laplacian as coefficient functions."""
    n = ngs()
    factors, slopes, seconds = [], [], []
    for axis, k, g, phase in zip((n.x, n.y, n.z), u.waves, u.rates, u.phases, strict=False):
        sine = n.sin(k * axis + phase) if k else n.CF(1)
        cosine = n.cos(k * axis + phase) if k else n.CF(0)
        growth = n.exp(g * axis)
        factors.append(sine * growth)
        slopes.append((g * sine + k * cosine) * growth)
        seconds.append(((g * g - k * k) * sine + 2 * g * k * cosine) * growth)

    def replaced(axis: int, other: Any) -> Any:
        product = other
        for each, factor in enumerate(factors):
            product = product * factor if each != axis else product
        return product

    gradient = n.CF(tuple(replaced(axis, slope) for axis, slope in enumerate(slopes)))
    value = replaced(0, factors[0])
    return value, gradient, sum(replaced(axis, second) for axis, second in enumerate(seconds))
