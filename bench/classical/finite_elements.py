"""Finite elements with scikit-fem: polynomials of degree 1 to 4, Morley and Argyris for plates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dinfgrid_cuda.suite.tools.measuring import Array, Watch
from dinfgrid_cuda.suite.tools.packages import package
from dinfgrid_cuda.suite.tools.sparse_lu import symmetric_lu

from . import formulas
from .result import Result

MEASURED = 33  # points per axis at which plates are measured


def _fem() -> Any:
    return package("skfem", "scikit-fem")


@lru_cache(maxsize=1)
def _forms() -> dict[str, Any]:
    """The bilinear forms by name, built at first use, since scikit-fem may be missing."""
    fem, helpers = _fem(), package("skfem.helpers", "scikit-fem")

    def plate(u: Any, v: Any, _: Any) -> Any:
        return helpers.ddot(helpers.dd(u), helpers.dd(v))

    return {
        "mass": fem.BilinearForm(lambda u, v, _: u * v),
        "stiffness": fem.BilinearForm(
            lambda u, v, _: helpers.dot(helpers.grad(u), helpers.grad(v))
        ),
        "plate": fem.BilinearForm(plate),
    }


def helmholtz_box(
    waves: Sequence[float], count: int, degree: int = 2, wavenumber: float = 1.0
) -> Result:
    """Solves Delta u + k^2 u = q on [-1, 1]^2 or ^3: triangles or tetrahedra, sparse LU.

    Args:
        waves: a_i of `formulas.box_wave`.
        count: squares (cubes) per axis, each cut into simplices.
        degree: of the polynomials, 1 to 4 in two dimensions, 1 or 2 in three.
        wavenumber: k.
    """
    fem, forms = _fem(), _forms()
    names = {2: ("MeshTri", "ElementTriP"), 3: ("MeshTet", "ElementTetP")}[len(waves)]
    watch = Watch()
    with watch.timed():
        line = np.linspace(-1, 1, count + 1)
        mesh = getattr(fem, names[0]).init_tensor(*[line] * len(waves))
        basis = fem.Basis(mesh, getattr(fem, f"{names[1]}{degree}")())
        amplitude = np.pi**2 * sum(a * a for a in waves) - wavenumber**2

        def load(v: Any, w: Any) -> Any:
            return amplitude * _product(w.x, waves) * v

        matrix = forms["stiffness"].assemble(basis)
        matrix = matrix - wavenumber**2 * forms["mass"].assemble(basis)
        inside = basis.complement_dofs(basis.get_dofs())
        right = fem.LinearForm(load).assemble(basis)[inside]
        u = np.zeros(basis.N)
        factor = symmetric_lu(matrix[inside][:, inside])
        u[inside] = factor.solve(right)
    return Result(_error(basis, u, waves), watch.seconds, len(inside))


def _product(x: Any, waves: Sequence[float]) -> Any:
    return np.prod([np.sin(a * np.pi * c) for a, c in zip(waves, x, strict=True)], axis=0)


def _error(basis: Any, u: Array, waves: Sequence[float]) -> float:
    """The relative L2 error by the quadrature of the elements, not at the nodes."""
    exact = _product(np.asarray(basis.global_coordinates()), waves)
    value = np.asarray(basis.interpolate(u))
    square, whole = (((v**2) * basis.dx).sum() for v in (value - exact, exact))
    return float(np.sqrt(square / whole))


def heat(count: int, steps: int, degree: int = 2) -> Result:
    """Solves u_t = u_xx on [0, 1], t in [0, 1], by Crank-Nicolson in time.

    Args:
        count: intervals.
        steps: of time.
        degree: of the polynomials, 1 or 2.
    """
    fem, forms = _fem(), _forms()
    watch = Watch()
    with watch.timed():
        mesh = fem.MeshLine(np.linspace(0, 1, count + 1))
        basis = fem.Basis(mesh, getattr(fem, f"ElementLineP{degree}")())
        inside = basis.complement_dofs(basis.get_dofs())
        mass, stiffness = (
            forms[name].assemble(basis)[inside][:, inside].tocsc() for name in ("mass", "stiffness")
        )
        implicit = symmetric_lu(mass + stiffness / (2 * steps))
        explicit = mass - stiffness / (2 * steps)
        x = basis.doflocs[0]
        states = np.zeros((steps + 1, basis.N))
        states[0] = formulas.heat(np.zeros(1), x)
        for n in range(steps):
            states[n + 1, inside] = implicit.solve(explicit @ states[n, inside])
    t = np.linspace(0, 1, steps + 1)
    place, weight = np.asarray(basis.global_coordinates())[0], basis.dx
    error = size = 0.0
    for time, state in zip(t, states, strict=True):
        exact = formulas.heat(time, place)
        error += (((np.asarray(basis.interpolate(state)) - exact) ** 2) * weight).sum()
        size += ((exact**2) * weight).sum()
    return Result(float(np.sqrt(error / size)), watch.seconds, len(inside))


def plate(count: int, element: str = "Morley", load: str = "uniform") -> Result:
    """Solves Lap^2 w = q on [-1, 1]^2, clamped; the error is taken over a lattice.

    Args:
        count: squares per axis, each cut into two triangles.
        element: "Morley" (quadratic, not conforming) or "Argyris" (quintic, C^1).
        load: "uniform", or "bump", whose solution is (1 - x^2)^2 (1 - y^2)^2.
    """
    import torch

    from dinfgrid_cuda.suite.cases.plate import plate_exact

    loads = {"uniform": None, "bump": plate_exact.bump_load}
    exacts = {"uniform": plate_exact.clamped_uniform, "bump": plate_exact.clamped_bump}
    fem, forms = _fem(), _forms()
    watch = Watch()

    def pressure(v: Any, w: Any) -> Any:
        at = loads[load]
        if at is None:
            return v
        points = torch.from_numpy(np.stack([w.x[0].ravel(), w.x[1].ravel()], axis=1))
        return at(points, 2.0, 2.0).numpy().reshape(w.x[0].shape) * v

    with watch.timed():
        line = np.linspace(-1, 1, count + 1)
        mesh = fem.MeshTri.init_tensor(line, line)
        basis = fem.Basis(mesh, getattr(fem, f"ElementTri{element}")())
        matrix, right = forms["plate"].assemble(basis), fem.LinearForm(pressure).assemble(basis)
        inside = basis.complement_dofs(_clamped(basis, element))
        w_at_nodes = np.zeros(basis.N)
        factor = symmetric_lu(matrix[inside][:, inside])
        w_at_nodes[inside] = factor.solve(right[inside])
    line = np.linspace(-1, 1, MEASURED)
    x = np.stack(np.meshgrid(line, line, indexing="ij")).reshape(2, -1)
    exact = exacts[load](torch.from_numpy(x.T.copy()), 2.0, 2.0).numpy()
    value = basis.probes(x) @ w_at_nodes
    error = float(np.linalg.norm(value - exact) / np.linalg.norm(exact))
    return Result(error, watch.seconds, len(inside))


def _clamped(basis: Any, element: str) -> Any:
    """The degrees of freedom that vanish with w and w_n on the edge of a square.

    Argyris: at a node of a straight edge also the derivatives along it and the mixed one, w_nt;
    in a corner, where two edges meet, all second derivatives.
    """
    if element == "Morley":
        return basis.get_dofs().all(["u", "u_n"])
    always = ["u", "u_x", "u_y", "u_n", "u_xy"]
    upright = basis.get_dofs(lambda x: np.isclose(np.abs(x[0]), 1.0))
    level = basis.get_dofs(lambda x: np.isclose(np.abs(x[1]), 1.0))
    groups = [
        basis.get_dofs().all(always),
        upright.all(["u_yy"]),
        level.all(["u_xx"]),
    ]
    return np.unique(np.concatenate(groups))
