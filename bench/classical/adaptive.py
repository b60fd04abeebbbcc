"""Adaptive finite elements with NGSolve on the problems of `corner`: error, unknowns, seconds.

Each round solves, estimates by the recovered gradient (Zienkiewicz and Zhu), and bisects the
elements with the largest estimates. Beside it the mesh that NGSolve is best at: refined
geometrically to corners of the L (`graded`); around the hole all meshes are curved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dinfgrid_cuda.suite.cases.corner.variants import (
    HOLE,
    Hole,
    Layers,
    Slit,
    Source,
    Variant,
    variant,
)
from dinfgrid_cuda.suite.cases.shape.outlines import L_SHAPE
from dinfgrid_cuda.suite.tools.measuring import Watch

from .curved import condensed_solve, ngs, occ
from .curved import relative_error as by_elements
from .result import Result

EPSILON = 1e-4
MARKED = 0.25  # elements are bisected whose estimate is at least this share of the largest one
GEOMETRIC = 0.125  # ratio of neighbouring layers of the graded mesh, NGSolve's own
HIGHEST = 2_000_000  # unknowns, after which no round follows


@dataclass(frozen=True)
class Limits:
    """When the rounds end: at an error, at a number of rounds, or at seconds, whichever is first.

    Attributes:
        error: relative L2.
        rounds: of refinement.
        seconds: of solving, estimating and refining, not of measuring.
    """

    error: float = 1e-9
    rounds: int = 60
    seconds: float = 60.0


def solve(problem: str, orders: tuple[int, ...], limits: Limits) -> dict[int, list[Result]]:
    """Returns for each order the rounds of the adaptive loop, with seconds added up.

    Args:
        problem: "l", "l-source", "hole", "layers" or "parabolic", see `corner`.
        orders: degrees of the elements.
        limits: when to end.
    """
    return {order: list(_rounds(_case(problem), order, limits)) for order in orders}


def _case(problem: str) -> Variant:
    case = variant(problem, EPSILON)
    if isinstance(case, Slit):
        raise ValueError("adaptive: the slit's upper half is not among the problems here.")
    return case


def _rounds(case: Variant, order: int, limits: Limits) -> Iterator[Result]:
    watch = Watch()
    with watch.timed():
        mesh = _mesh(case, order)
    for _ in range(limits.rounds + 1):
        with watch.timed():
            solution = _solution(case, mesh, order)
        unknowns = int(sum(solution.space.FreeDofs()))
        result = Result(relative_error(case, solution, order), watch.seconds, unknowns)
        yield result
        if result.error <= limits.error or watch.seconds > limits.seconds or unknowns > HIGHEST:
            return
        with watch.timed():
            _refine(mesh, solution, order)


def graded(problem: str, levels: int, order: int, ratio: float = GEOMETRIC) -> Result:
    """Solves on one mesh that is refined geometrically to corners of the L.

    Args:
        problem: "l" or "l-source".
        levels: of refinement.
        order: degree of all elements.
        ratio: of the sizes of neighbouring layers.
    """
    case, watch = _case(problem), Watch()
    with watch.timed():
        mesh = _mesh(case, order, singular=True)
        mesh.RefineHP(levels, ratio)
        solution = _solution(case, mesh, order)
    unknowns = int(sum(solution.space.FreeDofs()))
    return Result(relative_error(case, solution, order), watch.seconds, unknowns)


def _mesh(case: Variant, order: int, singular: bool = False) -> Any:
    """The first mesh, with cells that are coarse against everything but the hole."""
    n, o = ngs(), occ()
    if isinstance(case, Layers):
        face, size = o.Rectangle(1, 1).Face(), 0.25
    elif isinstance(case, Hole):
        face = (
            o.Rectangle(2, 2).Face().Move((-1, -1, 0)) - o.Circle(HOLE.centre, HOLE.radius).Face()
        )
        size = 0.5
    else:
        plane = o.WorkPlane().MoveTo(*L_SHAPE[0])
        for corner in L_SHAPE[1:]:
            plane = plane.LineTo(*corner)
        face, size = plane.Close().Face(), 0.5
        if singular:
            for vertex in face.vertices:
                inner = math.hypot(vertex.p.x, vertex.p.y) < 1e-9
                if inner or isinstance(case, Source):  # r² log r at the other corners
                    vertex.hpref = 1
    mesh = n.Mesh(o.OCCGeometry(face, dim=2).GenerateMesh(maxh=size))
    mesh.Curve(order)
    return mesh


def _solution(case: Variant, mesh: Any, order: int) -> Any:
    """Solves by continuous elements; inner unknowns are eliminated element by element."""
    n = ngs()
    convection = isinstance(case, Layers)
    space = n.H1(mesh, order=order, dirichlet=".*")
    u, v = space.TnT()
    form = n.BilinearForm(space, symmetric=not convection, condense=True)
    right = n.LinearForm(space)
    solution = n.GridFunction(space)
    if isinstance(case, Layers):
        along = n.grad(u)[0] + n.grad(u)[1] if case.diagonal else n.grad(u)[0]
        form += (case.epsilon * n.grad(u) * n.grad(v) + along * v) * n.dx
        right += _layer_source(case) * v * n.dx(bonus_intorder=2 * order)
    else:
        form += n.grad(u) * n.grad(v) * n.dx
        if isinstance(case, Source):
            right += v * n.dx
        else:
            solution.Set(_boundary_value(case), definedon=mesh.Boundaries(".*"))
    form.Assemble()
    right.Assemble()
    if not convection:
        condensed_solve(form, right.vec, solution)
        return solution
    rest = right.vec.CreateVector()
    rest.data = right.vec
    rest.data += form.harmonic_extension_trans * rest
    solution.vec.data = form.mat.Inverse(space.FreeDofs(True), inverse="umfpack") * rest
    solution.vec.data += form.harmonic_extension * solution.vec
    solution.vec.data += form.inner_solve * rest
    return solution


def _layer_source(case: Layers) -> Any:
    """The right-hand side f of the layers as a coefficient function."""
    n, epsilon = ngs(), case.epsilon

    def outflow(s: Any) -> Any:
        return (1 - n.exp((s - 1) / epsilon)) / (1 - math.exp(-1 / epsilon)) - (1 - s)

    if case.diagonal:
        return outflow(n.x) + outflow(n.y)
    width = math.sqrt(epsilon)
    a, b = n.exp(-n.y / width), n.exp((n.y - 1) / width)
    across = (1 - a) * (1 - b) / (1 + math.exp(-1 / width))
    return across + outflow(n.x) * (1 - across)


def _boundary_value(case: Variant) -> Any:
    n = ngs()
    if isinstance(case, Hole):
        x, y = n.x - HOLE.centre[0], n.y - HOLE.centre[1]
        ratio = (x * x + y * y) / HOLE.radius**2
        return 0.5 * n.log(ratio) + x * (1 - 1 / ratio)
    # Turned by 135 degrees, so that the cut of atan2 leaves the L in the middle of its outside.
    turned = n.atan2(-(n.x + n.y), n.y - n.x) + 3 * math.pi / 4
    return (n.x * n.x + n.y * n.y) ** (1 / 3) * n.sin(2 / 3 * turned)


def _refine(mesh: Any, solution: Any, order: int) -> None:
    """Bisects where the gradient is far from the continuous one that is recovered from it."""
    n = ngs()
    space = n.VectorH1(mesh, order=order)
    recovered = n.GridFunction(space)
    recovered.Set(n.grad(solution))
    gap = recovered - n.grad(solution)
    estimates = np.sqrt(n.Integrate(gap * gap, mesh, n.VOL, element_wise=True).NumPy().clip(0))
    mesh.ngmesh.Elements2D().NumPy()["refine"] = estimates > MARKED * estimates.max()
    mesh.Refine()
    mesh.Curve(order)


def relative_error(case: Variant, solution: Any, order: int) -> float:
    """The relative L2 error at the points of `corner`, or by each element's rule for the hole."""
    mesh = solution.space.mesh
    if isinstance(case, Hole):
        return by_elements(solution, case.value, mesh, 2 * order + 4)
    x, weights = case.points(150)
    found = torch.from_numpy(solution(mesh(*x.numpy().T)).ravel())
    exact = case.value(x)
    squares = (weights * (found - exact) ** 2).sum() / (weights * exact**2).sum()
    return float(squares.sqrt())
