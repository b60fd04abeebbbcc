"""Names that have moved: each works for one more release, with a warning of its new place."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import problem, solvers
from .fields.field import Field
from .geometry.box import Box
from .problem import Term
from .solvers.matrix import term_matrix
from .warn import warn_user

PACKAGE = __name__.rpartition(".")[0]
# Modules of version 0.1 by (old folder, new folder); "old=new" where the name has changed too. What
# one file held may be in several now.
MOVED = {
    ("", ""): "basis=checks plain=checks",
    ("", "fields"): (
        "constraints decoders factorized=factorized_grid factorized=products field grid jet "
        "jet_algebra networks=network slabs"
    ),
    ("", "geometry"): "domain=box domain=regions quadrature sampling=samplers",
    (
        "",
        "kernels",
    ): "basis functional multi_index operators=torch_ops reference reference=tables spec",
    ("", "suite"): "problems=cases",
    ("", "suite.cli"): "cli=main cli_errors=errors cli_solve=solve cli_study=study",
    ("problems", "suite.cases.cloth"): "cloth cloth_corners cloth_plots shell",
    ("problems", "suite.cases.eikonal"): (
        "eikonal eikonal_plots eikonal_terms point_clouds shapes surfaces"
    ),
    ("problems", "suite.cases.helmholtz"): "helmholtz helmholtz_box point_sources",
    ("problems", "suite.cases.image"): "image_plots poisson_image",
    ("problems", "suite.cases.in_time"): (
        "advection convection evolution flow_mixing heat klein_gordon space_time "
        "space_time_plots transport wave"
    ),
    ("problems", "suite.cases.in_time.allen_cahn"): "allen_cahn allen_cahn_exact etdrk4",
    ("problems", "suite.cases.in_time.burgers"): "burgers burgers_exact",
    ("problems", "suite.cases.in_time.ode"): "ode ode=ode_exact",
    ("problems", "suite.cases.in_time.zalesak"): "slotted_disk zalesak zalesak_plots",
    ("problems", "suite.cases.plate"): "plate plate_exact plate_plots plate_terms",
    ("problems", "suite.run"): "files forecast models results run",
    ("problems", "suite.tools"): (
        "case image_derivatives images lattice=evaluation metrics plots quadrature vtk"
    ),
    ("solvers", ""): "arguments=checks",
    ("solvers", "problem"): "broadcast deadline explain fit objective problem problem=term reach",
    ("solvers", "solvers"): "api=solve assemble=matrix auto=choose loop=solution",
    ("solvers", "solvers.diagnosis"): (
        "auto=report basis_check convergence energy_check few_points identified "
        "least_seen notes report stability values"
    ),
    ("solvers", "solvers.lattice"): (
        "fast_diagonal kronecker lattice_matrix=assemble lattices=axes tensor=sum_factorisation"
    ),
    ("solvers", "solvers.linear"): (
        "accurate=accurate_jets assemble=rows balance collocation=points coupled coupling "
        "direct factor=cholesky krylov=conjugate_gradients linearity linearize "
        "matrix_free memory normal=normal_operator operator=term_operator product_rows "
        "routes term_operators unknowns"
    ),
    ("solvers", "solvers.methods"): (
        "adam alternating first_guess lbfgs least_squares=gauss_newton march=time_slabs"
    ),
    ("solvers", "solvers.record"): (
        "atomic checkpoint fingerprint history interrupt prediction progress resuming stopping"
    ),
}


def places() -> dict[str, list[str]]:
    """Full names of the old modules, and of those that hold now what was in them."""
    found: dict[str, list[str]] = {}
    for (before, after), names in MOVED.items():
        for name in names.split():
            old, _, new = name.partition("=")
            key = ".".join(filter(None, (PACKAGE, before, old)))
            found.setdefault(key, []).append(".".join(filter(None, (PACKAGE, after, new or old))))
    return found


PLACES = places()


class MovedModule(ModuleType):
    """An old module: its names are looked up in the new ones."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for place in PLACES[self.__name__]:
            module = importlib.import_module(place)
            if hasattr(module, name):
                was = f"{self.__name__}.{name}"
                warn_user(f"{was} has moved; import it from {place}.", FutureWarning)
                return getattr(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class MovedFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the old modules where nothing of that name is left."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of an old module, or None."""
        if fullname not in PLACES:
            return None
        folder = any(place.startswith(f"{fullname}.") for place in PLACES)
        return importlib.util.spec_from_loader(fullname, self, is_package=folder)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty one."""
        return MovedModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is executed."""


def of_solvers(name: str) -> Any:
    """What the package `solvers` held and `problem` holds now."""
    if name not in problem.__all__:
        raise AttributeError(f"module '{PACKAGE}.solvers' has no attribute {name!r}")
    place = f"{PACKAGE}.problem"
    warn_user(f"{PACKAGE}.solvers.{name} has moved; import it from {place}.", FutureWarning)
    return getattr(problem, name)


def matrix(field: Field, term: Term, domain: Box | None = None) -> Any:
    """The old `Field.matrix`: `term_matrix` of the field."""
    warn_user(
        "Field.matrix(term) will be gone in the next release; use "
        "dinfgrid_cuda.term_matrix(field, term).",
        FutureWarning,
    )
    return term_matrix(field, term, domain)


def attribute(name: str) -> Any:
    """An old module that is asked for as an attribute of the package."""
    if f"{PACKAGE}.{name}" not in PLACES:
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
    return importlib.import_module(f"{PACKAGE}.{name}")


def keep_old_names() -> None:
    """Lets the names of version 0.1 be used."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
    solvers.__dict__["__getattr__"] = of_solvers
    Field.matrix = matrix  # type: ignore[attr-defined]
