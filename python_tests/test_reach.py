"""What residuals are computed from: tensors that stay untrained, and parameters without effect."""

import functools
import re
import warnings

import pytest
import torch
from solving import line_field as make_field
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.reach import leaves

BOX = dg.Box([0.0], [1.0])
METHODS = ("auto", "least-squares", "lbfgs", "adam")


def make_network():
    return nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1)).double()


def solve(residual, method="least-squares", parameters=None, field=None):
    terms = [
        dg.Term("pde", dg.Interior(), residual, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
    ]
    problem = dg.Problem(BOX, terms, parameters)
    return dg.solve(problem, field or make_field(), method, steps=1, progress=False)


def test_leaves_are_the_tensors_that_require_a_gradient():
    a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
    known = torch.ones(2)
    found = leaves((a * b.sin() + a * known).sum() + c.detach().sum())
    assert {id(leaf) for leaf in found} == {id(a), id(b)}
    assert len(found) == 2
    assert leaves(a)[0] is a
    assert leaves(known) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_trainable_tensor_that_nobody_trains_is_refused_by_name(method):
    speed = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="'pde'.*uses 'speed' .*Problem.parameters") as caught:
        solve(lambda x, u: u.laplacian - speed, method)
    assert "\n" not in str(caught.value)


class Residual:
    def __init__(self, network):
        self.network = network

    def __call__(self, x, u):
        return u.laplacian - self.network(x)


def users_of(network):
    """Residuals that hold a network in different ways, and what it is called there."""

    def source(x):
        return network(x)

    held = {"all": [network]}

    def with_argument(given, x, u):
        return u.laplacian - given(x)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = network

        def forward(self, x, u):
            return u.laplacian - self.part(x)

    return {
        "closure": (lambda x, u: u.laplacian - network(x), "'network.0.weight'"),
        "function": (lambda x, u: u.laplacian - source(x), "'network.0.weight'"),
        "default": (lambda x, u, net=network: u.laplacian - net(x), "'net.0.weight'"),
        "container": (lambda x, u: u.laplacian - held["all"][0](x), "\"held['all'][0].0.weight\""),
        "object": (Residual(network), "'Residual.network.0.weight'"),
        "method": (Residual(network).__call__, "'self.network.0.weight'"),
        "partial": (functools.partial(with_argument, network), "'argument 0.0.weight'"),
        "module": (Model(), "'Model.part.0.weight'"),
    }


HOLDERS = (
    "closure",
    "function",
    "default",
    "container",
    "object",
    "method",
    "partial",
    "module",
)


@pytest.mark.parametrize("kind", HOLDERS)
def test_networks_are_found_wherever_they_are_held(kind):
    network = make_network()
    network[0].bias.requires_grad_(False)
    network[2].requires_grad_(False)
    residual, name = users_of(network)[kind]
    with pytest.raises(ValueError, match=f"uses {re.escape(name)} .of shape .3, 1"):
        solve(residual)


def test_what_is_frozen_or_trained_is_no_fault():
    network = make_network()
    parameters = dict(network.named_parameters())
    assert solve(lambda x, u: u.laplacian - network(x), "lbfgs", parameters).steps == 1
    network.requires_grad_(False)
    assert solve(lambda x, u: u.laplacian - network(x)).steps == 1


def test_another_field_is_held_only_when_frozen():
    other = make_field()
    with pytest.raises(ValueError, match="'other"):
        solve(lambda x, u: u.laplacian - other(x))
    other.requires_grad_(False)
    assert solve(lambda x, u: u.laplacian - other(x)).steps == 1


def test_the_rest_of_a_module_that_is_trained_in_part_is_told():
    coefficient = make_field()
    parameters = {"k": coefficient.grid.features}
    with pytest.warns(RuntimeWarning, match="'coefficient.decoder.* stays as it is") as caught:
        solve(lambda x, u: u.laplacian - coefficient(x), "lbfgs", parameters)
    assert len(caught) == 1
    coefficient.decoder.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solve(lambda x, u: u.laplacian - coefficient(x), "lbfgs", parameters)


def test_the_field_itself_is_trained():
    field = make_field()
    residual = lambda x, u: u.laplacian - field(x.flip(0)) - 1  # noqa: E731
    assert solve(residual, "lbfgs", field=field).steps == 1


def test_tensors_made_inside_a_residual_are_no_unknowns():
    def residual(x, u):
        own = x.detach().requires_grad_()
        slope = torch.autograd.grad((own**3).sum(), own, create_graph=True)[0]
        return u.laplacian - slope

    assert solve(residual).steps == 1


def test_residuals_that_do_without_some_points_are_examined_on_all_of_them(monkeypatch):
    monkeypatch.setattr("dinfgrid_cuda.problem.reach.SAMPLE", 5)
    strange = torch.ones(9, 1, dtype=torch.float64, requires_grad=True)
    x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    term = dg.Term("fit", dg.Points(x), lambda x, u: u.value - strange)
    with pytest.raises(ValueError, match="'strange'"):
        dg.solve(dg.Problem(BOX, [term]), make_field(), "lbfgs", progress=False)


def test_parameters_of_slabs_are_known():
    def make(box):
        grid = dg.FeatureGrid(
            2, 4, lower=box.lower, upper=box.upper, basis=dg.BSpline(5), dtype=torch.float64
        )
        return dg.Field(grid, dg.LinearDecoder(1, seed=0))

    box = dg.Box([0.0, 0.0], [1.0, 1.0])
    field = dg.SlabField(make, box, slabs=2)
    terms = [
        dg.Term("ode", dg.Interior(), lambda x, u: u.gradient[:, 0, 0] + u.value[:, 0], order=1),
        dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - 1),
    ]
    dg.solve(dg.Problem(box, terms), field, progress=False)
    end = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    assert float(field(end).detach()) == pytest.approx(2.718281828**-1, rel=1e-4)


@pytest.mark.parametrize(("used", "told"), [(False, True), (True, False)])
@pytest.mark.parametrize("method", ["auto", "lbfgs", "adam"])
def test_a_parameter_that_no_residual_uses_is_named(method, used, told):
    nu = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solve(lambda x, u: (nu if used else 0.5) * u.laplacian - 1, method, {"nu": nu})
    assert any("no residual uses the parameter 'nu'" in str(w.message) for w in caught) == told


def test_the_trial_of_a_residual_draws_no_random_numbers_of_the_solve():
    drawn = []

    def residual(x, u):
        drawn.append(torch.rand(1))
        return u.value

    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    term = dg.Term("fit", dg.Interior(), residual)
    dg.solve(dg.Problem(BOX, [term]), make_field(), "adam", steps=1, progress=False)
    # the trial and the step; the report looks again
    assert drawn[:2] == [first, first]
