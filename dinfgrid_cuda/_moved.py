"""Names that have moved: each works for one more release, with a warning of its new place."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

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
    ("", "kernels"): (
        "_build_info=build_info basis functional multi_index operators=torch_ops reference "
        "reference=tables spec"
    ),
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
    ("solvers", "solvers"): "api=solve api=choose assemble=matrix auto=choose",
    ("solvers", "solvers.diagnosis"): (
        "auto=report basis_check convergence energy_check few_points identified "
        "least_seen notes report stability values"
    ),
    ("solvers", "solvers.lattice"): (
        "fast_diagonal kronecker lattice_matrix=assemble lattices=axes patterns=assemble "
        "tensor=sum_factorisation"
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
        "atomic checkpoint fingerprint history interrupt pack=checkpoint prediction progress "
        "resuming stopping"
    ),
}


# Modules that are still there, and the modules that hold now some of what was in them.
THINNED = {
    "solvers": ("problem",),
    "solvers.errors": ("solvers.solution",),
    "solvers.loop": ("solvers.solution",),
}
# An attribute of the package too, so that a stand-in would take its place there.
PUBLIC = f"{PACKAGE}.functional"


def full_name(*names: str) -> str:
    """The full name of a module from its folder and its own name, either of which may be empty."""
    return ".".join(filter(None, (PACKAGE, *names)))


def new_places() -> dict[str, list[str]]:
    """Full names of the old modules, each with those of the modules that hold its content now."""
    places: dict[str, list[str]] = {}
    for (old_folder, new_folder), names in MOVED.items():
        for name in names.split():
            old, _, new = name.partition("=")
            places.setdefault(full_name(old_folder, old), []).append(
                full_name(new_folder, new or old)
            )
    return places


PLACES = new_places()
MISSING = object()


def old_attribute(module: str, places: Sequence[str], name: str) -> Any:
    """Returns what a module of version 0.1 held under a name, and warns of its new place.

    Args:
        module: full name of the old module.
        places: full names of the modules that hold its content now.
        name: what is asked of the old module.

    Raises:
        AttributeError: if none of them has it.
    """
    if f"{module}.{name}" in PLACES:
        return importlib.import_module(f"{module}.{name}")
    if not name.startswith("__"):
        for place in places:
            value = getattr(importlib.import_module(place), name, MISSING)
            if value is not MISSING and not isinstance(value, ModuleType):
                new = import_from(name, value, place)
                warn_user(f"{module}.{name} has moved; import it from {new}.", FutureWarning)
                return value
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def import_from(name: str, value: Any, place: str) -> str:
    """The module to import a value from: the package if it is public, or where it is defined."""
    if vars(sys.modules[PACKAGE]).get(name) is value:
        return PACKAGE
    # an object without a name of its own would answer with the module of its class
    defined = str(value.__module__) if hasattr(value, "__qualname__") else ""
    return defined if defined.startswith(f"{PACKAGE}.") else place


def public_names(places: Sequence[str]) -> set[str]:
    """Names without underscore that some modules define, for star imports."""
    names: set[str] = set()
    for place in places:
        for name, value in vars(importlib.import_module(place)).items():
            own = getattr(value, "__module__", place) == place
            if own and not name.startswith("_") and not isinstance(value, ModuleType):
                names.add(name)
    return names


class MovedModule(ModuleType):
    """An old module: its names are looked up in the new ones."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted(public_names(PLACES[self.__name__]))
        return old_attribute(self.__name__, PLACES[self.__name__], name)


class MovedFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the old modules where nothing of that name is left."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns the specification of an old module, or None for any other."""
        if fullname not in PLACES:
            return None
        folder = any(place.startswith(f"{fullname}.") for place in PLACES)
        return importlib.util.spec_from_loader(fullname, self, is_package=folder)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Returns an old module, which is empty."""
        return MovedModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Puts the new module itself in place of one that is public; executes nothing else."""
        if module.__name__ == PUBLIC:
            (new,) = PLACES[PUBLIC]
            sys.modules[PUBLIC] = importlib.import_module(new)
            warn_user(f"The module {PUBLIC} has moved to {new}.", FutureWarning)


def matrix(field: Field, term: Term, domain: Box | None = None) -> Any:
    """Returns what the old `Field.matrix` did: `term_matrix` of the field."""
    warn_user(
        "Field.matrix(term) will be gone in the next release; use "
        "dinfgrid_cuda.term_matrix(field, term).",
        FutureWarning,
    )
    return term_matrix(field, term, domain)


def attribute(name: str) -> Any:
    """Returns an old module that is asked for as an attribute of the package."""
    return old_attribute(PACKAGE, (), name)


def keep_old_names() -> None:
    """Lets the names of version 0.1 be used."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
    for name, places in THINNED.items():
        full = full_name(name)
        module = importlib.import_module(full)
        module.__dict__["__getattr__"] = partial(
            old_attribute, full, [full_name(place) for place in places]
        )
    Field.matrix = matrix  # type: ignore[attr-defined]
