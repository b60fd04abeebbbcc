"""Models: every kind of field is one, and so is a module of one's own."""

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.model import Extent, check_model, extent_of
from dinfgrid_cuda.problem import Objective

BOX = dg.Box([0.0, 0.0], [2.0, 1.0])
EDGES = {"lower": BOX.lower, "upper": BOX.upper, "dtype": torch.float64, "seed": 0}


def grid(**settings):
    return dg.FeatureGrid(2, 4, **{"basis": dg.BSpline(5), **EDGES, **settings})


def slab(box):
    corners = {"lower": box.lower, "upper": box.upper}
    return dg.Field(grid(channels=2, **corners), dg.LinearDecoder(2))


MAKERS = {
    "field": lambda: dg.Field(grid(), dg.LinearDecoder(2)),
    "constrained": lambda: dg.Field(grid(), dg.LinearDecoder(2), dg.BoxConstraint()),
    "factorized": lambda: dg.FactorizedField(dg.FactorizedGrid(2, 4, **EDGES), dg.LinearDecoder(2)),
    "slabs": lambda: dg.SlabField(slab, BOX, 2),
    "network": lambda: dg.CoordinateNetwork(BOX, 2, hidden=4, layers=1, dtype=torch.float64),
}


class Wave(torch.nn.Module):
    """A function of one parameter, with a jet and nothing else."""

    def __init__(self):
        super().__init__()
        self.speed = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x):
        return (self.speed * x).sum(dim=1, keepdim=True)

    def jet(self, x, order):
        return dg.Jet.of(self.forward, x, order)


class WholeWave(Wave):
    dim, out_channels = 2, 1


def problem():
    term = dg.Term("fit", dg.Interior(), lambda x, u: u.value - 2 * x.sum(1, keepdim=True))
    return dg.Problem(BOX, [term])


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_field_is_a_model(kind):
    field = MAKERS[kind]()
    assert isinstance(field, dg.Model)
    assert (field.dim, field.out_channels) == (2, 2)
    x = torch.rand(5, 2, dtype=torch.float64)
    jet = field.jet(x, 1)
    assert (len(jet), jet.dim, jet.order) == (2, 2, 1)
    assert list(field.parameters())
    check_model("solve", field)


def test_a_module_with_the_members_of_a_model_is_one():
    assert isinstance(WholeWave(), dg.Model)
    assert not isinstance(Wave(), dg.Model)
    assert not isinstance(torch.nn.Linear(2, 1), dg.Model)


@pytest.mark.parametrize("make", [Wave, WholeWave])
@pytest.mark.parametrize("method", ["adam", "lbfgs", "auto"])
def test_a_module_of_ones_own_is_solved(make, method):
    field = make()
    dg.solve(problem(), field, method, steps=5 if method == "lbfgs" else 1000, progress=False)
    assert abs(field.speed.item() - 2) < 1e-3


def test_a_model_of_another_dimension_is_refused():
    field = WholeWave()
    field.dim = 3
    with pytest.raises(ValueError, match="2-D, but the field is 3-D"):
        Objective(problem(), field)


def test_what_has_no_jet_is_no_model():
    for field in (torch.nn.Linear(2, 1), object(), None):
        with pytest.raises(TypeError, match=r"solve: field is a \w+; pass a Field"):
            check_model("solve", field)


def test_extents_are_those_of_the_grids():
    both = ("periodic", "ghost")
    flat = (False, False)
    assert extent_of(MAKERS["field"]()) == Extent(BOX.lower, BOX.upper, flat)
    assert extent_of(dg.Field(grid(boundary=both))).periodic == (True, False)
    products = dg.FactorizedGrid(2, 4, boundary=both, **EDGES)
    assert extent_of(dg.FactorizedField(products)) == Extent(BOX.lower, BOX.upper, (True, False))
    assert extent_of(MAKERS["slabs"]()) == Extent(BOX.lower, BOX.upper, flat)
    assert extent_of(MAKERS["network"]()) is None


def test_the_grid_of_a_module_of_ones_own_is_found():
    field = Wave()
    assert extent_of(field) is None
    field.grid = grid()
    assert extent_of(field) == Extent(BOX.lower, BOX.upper, (False, False))
    field = Wave()
    field.extent = 3.0
    assert extent_of(field) is None
