"""Names of version 0.1 work for one more release, with a warning of their new place."""

import importlib
import inspect
import sys
import warnings

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda._moved import PLACES

# What the modules that were used most held, by the module to import it from now.
OLD_NAMES = {
    "basis": {
        "dinfgrid_cuda": "BSpline Gaussian",
        "dinfgrid_cuda.kernels.basis": "Basis DEGREES MAX_EPSILON MAX_RHO",
        "dinfgrid_cuda.checks": "is_int plain_int",
    },
    "domain": {
        "dinfgrid_cuda": "Boundary Box Interior Points",
        "dinfgrid_cuda.geometry.box": "SIDES check_faces",
    },
    "sampling": {
        "dinfgrid_cuda": "Lattice Sobol Stratified Uniform",
        "dinfgrid_cuda.geometry.samplers": "Sampler generator lattice_shape mix",
    },
    "field": {
        "dinfgrid_cuda": "FactorizedField Field",
        "dinfgrid_cuda.fields.field": "FieldBase",
    },
    "grid": {"dinfgrid_cuda": "FeatureGrid"},
    "networks": {"dinfgrid_cuda": "CoordinateNetwork"},
    "factorized": {
        "dinfgrid_cuda": "FactorizedGrid",
        "dinfgrid_cuda.fields.products": "products",
    },
    "operators": {"dinfgrid_cuda.kernels.torch_ops": "gather scatter"},
    "reference": {
        "dinfgrid_cuda.kernels.reference": "gather scatter value",
        "dinfgrid_cuda.kernels.tables": (
            "axis_nodes axis_position axis_rows axis_weights bspline_weights locate neighbours "
            "outer weights window"
        ),
    },
    "solvers": {
        "dinfgrid_cuda": "Problem Term",
        "dinfgrid_cuda.problem.objective": "Objective",
        "dinfgrid_cuda.problem.point_sum": "LocalSum PointSum",
    },
    "solvers.api": {"dinfgrid_cuda": "solve", "dinfgrid_cuda.solvers.choose": "METHODS"},
    "solvers.assemble": {"dinfgrid_cuda": "term_matrix"},
    "solvers.errors": {"dinfgrid_cuda": "Interrupted"},
    "solvers.history": {"dinfgrid_cuda": "History"},
    "solvers.prediction": {"dinfgrid_cuda": "Loaded load"},
    "solvers.problem": {
        "dinfgrid_cuda": "Problem Term",
        "dinfgrid_cuda.problem.term": "Region Residual",
    },
    "problems": {"dinfgrid_cuda.suite.cases": "PROBLEMS case_class"},
    "problems.cloth": {"dinfgrid_cuda.suite.cases.cloth.cloth": "Cloth"},
    "problems.heat": {"dinfgrid_cuda.suite.cases.in_time.heat": "Heat PAPER TIMES exact initial"},
    "problems.case": {"dinfgrid_cuda.suite.tools.case": "Case CaseError Setup option"},
    "problems.run": {"dinfgrid_cuda.suite.run.run": "Request run"},
}
NAMES = [
    (module, name, place)
    for module, places in OLD_NAMES.items()
    for place, names in places.items()
    for name in names.split()
]


def warned(call):
    """The result of a call, its warnings as text, and whether all are FutureWarnings of this file.

    A call of one line, so that the line is known.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    line = inspect.getsourcelines(call)[1]
    assert {(w.category, w.filename) for w in caught} <= {(FutureWarning, __file__)}
    assert {w.lineno for w in caught} <= {line}
    return result, [str(w.message) for w in caught]


def needs_the_app(module):
    if module.startswith(("problems", "suite", "cli")):
        pytest.importorskip("matplotlib")
        pytest.importorskip("typer")


@pytest.mark.parametrize("module", sorted(name.removeprefix("dinfgrid_cuda.") for name in PLACES))
def test_every_old_module_and_all_that_hold_its_content_now_are_there(module):
    needs_the_app(module)
    full = f"dinfgrid_cuda.{module}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of `functional`, which is imported as the new module
        assert importlib.import_module(full)
    for place in PLACES[full]:
        assert importlib.import_module(place)


@pytest.mark.parametrize(("module", "name", "place"), NAMES)
def test_an_old_name_is_the_new_one_and_warns_of_its_place(module, name, place):
    needs_the_app(module)
    old = importlib.import_module(f"dinfgrid_cuda.{module}")
    value, messages = warned(lambda: getattr(old, name))
    assert value is getattr(importlib.import_module(place), name)
    assert messages == [f"dinfgrid_cuda.{module}.{name} has moved; import it from {place}."]


def test_an_import_warns_at_its_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1
        from dinfgrid_cuda.domain import Box
    assert Box is dg.Box
    assert {(w.category, w.filename, w.lineno) for w in caught} == {(FutureWarning, __file__, line)}


def test_old_modules_are_attributes_of_the_package():
    box, messages = warned(lambda: dg.domain.Box)
    assert box is dg.Box
    assert messages == ["dinfgrid_cuda.domain.Box has moved; import it from dinfgrid_cuda."]
    term, _ = warned(lambda: dg.solvers.problem.Term)
    assert term is dg.Term


def test_the_public_module_of_the_operations_stays_what_it_is(monkeypatch):
    functional = dg.functional
    monkeypatch.delitem(sys.modules, "dinfgrid_cuda.functional", raising=False)
    with pytest.warns(FutureWarning, match="has moved to dinfgrid_cuda.kernels.functional") as told:
        from dinfgrid_cuda.functional import gather
    assert gather is functional.gather
    assert dg.functional is functional
    assert {w.filename for w in told} == {__file__}


def test_the_matrix_of_a_field_is_that_of_term_matrix():
    field = dg.Field(dg.FeatureGrid(1, 4, basis=dg.BSpline(5), dtype=torch.float64))
    term = dg.Term("value", dg.Interior(), lambda x, u: u.value, points=5)
    old, messages = warned(lambda: field.matrix(term, dg.Box([-1.0], [1.0])))
    new = dg.term_matrix(field, term, dg.Box([-1.0], [1.0]))
    assert (old != new).nnz == 0
    assert "use dinfgrid_cuda.term_matrix(field, term)" in messages[0]


@pytest.mark.parametrize("module", ["domain", "solvers", "solvers.problem", "problems"])
def test_an_unknown_name_is_no_attribute(module):
    old = importlib.import_module(f"dinfgrid_cuda.{module}")
    with pytest.raises(AttributeError, match=f"'dinfgrid_cuda.{module}' has no attribute 'nothi"):
        old.nothing  # noqa: B018
    with pytest.raises(ImportError, match="nothing"):
        importlib.import_module(f"dinfgrid_cuda.{module}.nothing")


def test_an_unknown_name_of_the_package_is_no_attribute():
    with pytest.raises(AttributeError, match="'dinfgrid_cuda' has no attribute 'nothing'"):
        dg.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from dinfgrid_cuda import nothing  # noqa: F401


@pytest.mark.filterwarnings("ignore:.* has moved:FutureWarning")
def test_star_imports_of_old_modules_give_their_names():
    names: dict[str, object] = {}
    exec("from dinfgrid_cuda.domain import *", names)
    assert names["Box"] is dg.Box
    assert names["Interior"] is dg.Interior


def test_products_that_were_pickled_as_terms_are_read():
    grid = dg.FactorizedGrid(2, 4, products="axes", seed=0)
    state = dict(grid.__dict__)
    state["terms"] = state.pop("products")
    again = dg.FactorizedGrid.__new__(dg.FactorizedGrid)
    again.__setstate__(state)
    assert again.products == grid.products
