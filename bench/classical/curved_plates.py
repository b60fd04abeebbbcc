"""A round plate by curved finite elements (NGSolve): hybridised interior penalty, C⁰ elements."""

from __future__ import annotations

from typing import Any

import torch

from dinfgrid_cuda.suite.cases.shape.round_plate import RoundPlate, clamped_wave

from .curved import Clocks, Meshed, condensed_solve, mesh_of, ngs, occ, relative_error

PENALTY = 3.0  # times p² / h: enough for triangles


def round_plate(
    size: float,
    degree: int,
    support: str = "clamped",
    wave: tuple[float, float] | None = None,
) -> Meshed:
    """Solves Δ²w = q on the unit disk, nu = 0.3.

    w is continuous and its slope across edges a separate unknown, so that inner unknowns can be
    eliminated; jumps of the slope are penalised (P. Hansbo, M. G. Larson, 2002).

    Args:
        size: longest edge of an element.
        degree: of elements and curved edges, at least 2.
        support: "clamped" or "simple".
        wave: k of the clamped deflection (1 - r²)² cos(k·x); by default the load is uniform, and
            the deflection a polynomial of degree 4.
    """
    clocks, n, plate = Clocks(), ngs(), RoundPlate(support=support)
    with clocks.mesh.timed():
        mesh = mesh_of(occ().Circle((0, 0), 1).Face(), size, degree)
    with clocks.solve.timed():
        load = n.CF(1) if wave is None else _wave_load(wave)
        deflection, space = _bent(mesh, degree, plate, load)

    def exact(x: torch.Tensor) -> torch.Tensor:
        return plate.deflection(x) if wave is None else clamped_wave(x, 1.0, wave)

    error = relative_error(deflection, exact, mesh, 2 * degree + 4)
    return clocks.result(error, space)


def _bent(mesh: Any, degree: int, plate: RoundPlate, load: Any) -> tuple[Any, Any]:
    n = ngs()
    clamped = ".*" if plate.support == "clamped" else ""
    space = n.H1(mesh, order=degree, dirichlet=".*") * n.NormalFacetFESpace(
        mesh, order=degree - 1, dirichlet=clamped
    )
    (w, slope), (v, turn) = space.TnT()
    normal, h = n.specialcf.normal(2), n.specialcf.mesh_size
    edges = n.dx(element_boundary=True, bonus_intorder=2)

    def moments(f: Any) -> Any:
        hessian = f.Operator("hesse")
        return (1 - plate.nu) * hessian + plate.nu * n.Trace(hessian) * n.Id(2)

    def across(f: Any) -> Any:
        return n.InnerProduct(normal, moments(f) * normal)

    def jump(f: Any, facet: Any) -> Any:
        return normal * (n.grad(f) - facet)

    form = n.BilinearForm(space, symmetric=True, condense=True)
    form += n.InnerProduct(moments(w), v.Operator("hesse")) * n.dx(bonus_intorder=2)
    form += -(across(w) * jump(v, turn) + across(v) * jump(w, slope)) * edges
    form += PENALTY * degree**2 / h * jump(w, slope) * jump(v, turn) * edges
    right = n.LinearForm(space)
    right += load * v * n.dx(bonus_intorder=4)
    form.Assemble()
    right.Assemble()
    solution = n.GridFunction(space)
    condensed_solve(form, right.vec, solution)
    return solution.components[0], space


def _wave_load(wave: tuple[float, float]) -> Any:
    """`clamped_wave_load` on the unit disk, by NGSolve's symbolic derivatives."""
    n = ngs()
    r2 = n.x * n.x + n.y * n.y
    deflection = (1 - r2) * (1 - r2) * n.cos(wave[0] * n.x + wave[1] * n.y)
    for _ in range(2):
        deflection = sum(deflection.Diff(axis).Diff(axis) for axis in (n.x, n.y))
    return deflection
