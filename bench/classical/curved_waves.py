"""Scattering by a disk with curved finite elements and a perfectly matched layer (NGSolve)."""

from __future__ import annotations

from typing import Any

from dinfgrid_cuda.suite.cases.shape.scattering_exact import DiskScattering

from .curved import Clocks, Meshed, condensed_solve, mesh_of, ngs, occ, relative_error


def scattering(
    size: float,
    degree: int,
    kind: str = "soft",
    wavenumber: float = 10.0,
    outer: float = 2.0,
    layer: float = 1.0,
    strength: float = 1.0,
) -> Meshed:
    """Solves for the wave that the unit disk scatters from exp(i k x); error in 1 < r < outer.

    Args:
        size: longest edge of an element.
        degree: of elements and curved edges.
        kind: "soft" or "hard".
        wavenumber: k.
        outer: radius at which the absorbing layer begins.
        layer: its thickness.
        strength: imaginary part of the layer's stretching, r + i strength (r - outer).
    """
    clocks, n = Clocks(), ngs()
    with clocks.mesh.timed():
        mesh = mesh_of(_around_the_disk(outer, layer), size, degree)
    with clocks.solve.timed():
        mesh.SetPML(n.pml.Radial(rad=outer, alpha=1j * strength, origin=(0, 0)), "layer")
        solution = _scattered(mesh, degree, kind, wavenumber)
    mesh.UnSetPML("layer")
    exact = DiskScattering(wavenumber, 1.0, kind)
    error = relative_error(solution, exact.scattered, mesh, 2 * degree + 4, "air")
    return clocks.result(error, solution.space)


def _around_the_disk(outer: float, layer: float) -> Any:
    o = occ()
    disk, air, ring = (o.Circle((0, 0), r).Face() for r in (1.0, outer, outer + layer))
    disk.edges.name, ring.edges.name = "disk", "end"
    ring, air = ring - air, air - disk
    ring.faces.name, air.faces.name = "layer", "air"
    return o.Glue([air, ring])


def _scattered(mesh: Any, degree: int, kind: str, k: float) -> Any:
    n = ngs()
    held = "disk|end" if kind == "soft" else "end"
    space = n.H1(mesh, order=degree, complex=True, dirichlet=held)
    u, v = space.TnT()
    form = n.BilinearForm(space, symmetric=True, condense=True)
    form += (n.grad(u) * n.grad(v) - k**2 * u * v) * n.dx
    right, incident = n.LinearForm(space), n.exp(1j * k * n.x)
    if kind == "hard":
        # by the outward normal of the mesh, -x / r; NGSolve's own has either sign on a cut edge
        slope = 1j * k * incident * -n.x / n.sqrt(n.x * n.x + n.y * n.y)
        right += -slope * v * n.ds("disk", bonus_intorder=degree)
    form.Assemble()
    right.Assemble()
    solution = n.GridFunction(space)
    if kind == "soft":
        solution.Set(-incident, definedon=mesh.Boundaries("disk"))
    condensed_solve(form, right.vec, solution)
    return solution
