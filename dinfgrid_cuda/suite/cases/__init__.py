"""The problems of the suite, each written with the public `Problem` and `Term`."""

from __future__ import annotations

import difflib
import importlib

from dinfgrid_cuda.suite.tools.case import Case, CaseError

# name: (module, class, what it is). Modules are imported when they are needed.
PROBLEMS = {
    "poisson-image": (
        "image.poisson_image",
        "PoissonImage",
        "an image rebuilt from its gradient, or its Laplacian, alone",
    ),
    "helmholtz": (
        "helmholtz.helmholtz",
        "Helmholtz",
        "waves of point sources in a square with absorbing layers",
    ),
    "scattering": (
        "shape.scattering",
        "Scattering",
        "a plane wave on a sound-soft or sound-hard disk",
    ),
    "eikonal": ("eikonal.eikonal", "Eikonal", "a surface rebuilt from an oriented point cloud"),
    "plate": (
        "plate.plate",
        "Plate",
        "bending of a thin plate, by its energy or its fourth derivatives",
    ),
    "cloth": ("cloth.cloth", "Cloth", "a sheet hung by two corners, a nonlinear shell"),
    "heat": ("in_time.heat", "Heat", "a temperature that decays along a rod"),
    "advection": (
        "in_time.advection",
        "Advection",
        "a bump carried along a line or across a square",
    ),
    "zalesak": ("in_time.zalesak.zalesak", "Zalesak", "a slotted disk after one revolution"),
    "ode": ("in_time.ode.ode", "Ode", "oscillators in time: damped, and Van der Pol's"),
    "helmholtz-box": (
        "helmholtz.helmholtz_box",
        "HelmholtzBox",
        "standing waves in a box, in two or three dimensions",
    ),
    "wave": ("in_time.wave", "Wave", "two modes of a string"),
    "convection": ("in_time.convection", "Convection", "a sine carried around a ring, many times"),
    "klein-gordon": (
        "in_time.klein_gordon",
        "KleinGordon",
        "a nonlinear wave equation on a square",
    ),
    "burgers": ("in_time.burgers.burgers", "Burgers", "a sine that steepens into a shock"),
    "allen-cahn": (
        "in_time.allen_cahn.allen_cahn",
        "AllenCahn",
        "two phases that separate, on a ring",
    ),
    "flow-mixing": ("in_time.flow_mixing", "FlowMixing", "two fluids wound up by a vortex"),
    "poisson-shape": (
        "shape.poisson_shape",
        "PoissonShape",
        "Poisson's equation on any shape: a star, a gear, your own drawing or mesh",
    ),
    "heat-shape": (
        "shape.heat_shape",
        "HeatShape",
        "a temperature in time on a shape with holes",
    ),
    "poisson-mesh": (
        "shape.poisson_mesh",
        "PoissonMesh",
        "a harmonic function inside a closed mesh of triangles",
    ),
    "neumann-shape": (
        "shape.neumann_shape",
        "NeumannShape",
        "a pure flux problem on a shape, with its gauge",
    ),
    "corner": (
        "corner.corner",
        "Corner",
        "a singular corner, a slit, a small hole, or thin layers",
    ),
}


def case_class(name: str) -> type[Case]:
    """Returns the class of a problem, imported now.

    Raises:
        CaseError: for an unknown name; the message suggests the nearest one.
    """
    if name not in PROBLEMS:
        near = difflib.get_close_matches(name, PROBLEMS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(PROBLEMS)}."
        raise CaseError(f"there is no problem {name!r}; {hint}")
    module, class_name, _ = PROBLEMS[name]
    kind: type[Case] = getattr(importlib.import_module(f".{module}", __name__), class_name)
    assert issubclass(kind, Case)
    return kind


__all__ = ["PROBLEMS", "case_class"]
