"""Hard constraints: exact on the boundary, and their jets the derivatives of their values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dinfgrid_cuda.fields.constraints import BoxConstraint, Constraint, DistanceConstraint
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.jet_algebra import by_autograd
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Boundary

LOWER, UPPER = (-1.0, 0.0, 2.0, 0.0), (1.0, 0.5, 3.0, 4.0)
FACES = [None, ((0, "lower"),), ((0, "lower"), (0, "upper")), ((0, "upper"), (1, "lower"))]


def bound(constraint: Constraint, dim: int = 2) -> Constraint:
    constraint.bind(dim, LOWER[:dim], UPPER[:dim])
    return constraint.double()


def points(dim: int, n: int = 8) -> Tensor:
    """In the box and a little outside."""
    random = torch.Generator().manual_seed(dim)
    unit = torch.rand(n, dim, dtype=torch.float64, generator=random) * 1.2 - 0.1
    lower, upper = (torch.tensor(c[:dim], dtype=torch.float64) for c in (LOWER, UPPER))
    return lower + unit * (upper - lower)


def net(x: Tensor) -> Tensor:
    phase = x @ torch.linspace(1, 2, x.shape[1]).to(x)
    return torch.stack([torch.sin(phase), torch.exp(-0.3 * phase)], dim=1)


def curved(x: Tensor) -> Tensor:
    return torch.stack([x[:, 0] ** 2, torch.cos(x[:, -1])], dim=1)


def name_of(value: object) -> str:
    """The same in every process: pytest-xdist compares names."""
    return str(getattr(value, "__name__", value))


@pytest.mark.parametrize("value", [0.0, 1.5, (1.0, -2.0), curved], ids=name_of)
@pytest.mark.parametrize("faces", FACES)
@pytest.mark.parametrize("factor", ["distance", "polynomial"])
def test_jet_is_the_derivative_of_the_value(value: Any, faces: Any, factor: str) -> None:
    constraint = bound(BoxConstraint(value, faces, sigma=0.2, factor=factor))
    x = points(2)
    jet = constraint.jet(x, Jet.of(net, x, 4))
    expected = by_autograd(lambda s: constraint(s, net(s)), x, 4)
    assert (jet.components - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize(("dim", "order"), [(1, 5), (3, 3), (4, 3)])
def test_jet_holds_in_every_dimension(dim: int, order: int) -> None:
    constraint = bound(BoxConstraint(curved, sigma=0.5), dim)
    x = points(dim)
    jet = constraint.jet(x, Jet.of(net, x, order))
    expected = by_autograd(lambda s: constraint(s, net(s)), x, order)
    assert (jet.components - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("factor", ["distance", "polynomial"])
@pytest.mark.parametrize("faces", FACES)
def test_field_equals_the_value_on_its_faces_exactly(faces: Any, factor: str) -> None:
    constraint = bound(BoxConstraint(curved, faces, factor=factor))
    x = Boundary(faces).sample(40, Box(LOWER[:2], UPPER[:2]), dtype=torch.float64)
    assert torch.equal(constraint(x, net(x)), curved(x))
    assert torch.equal(constraint.jet(x, Jet.of(net, x, 0)).value, curved(x))


def test_distance_factor_is_the_one_of_the_paper() -> None:
    constraint = bound(BoxConstraint(faces=((0, "lower"), (1, "upper")), factor="distance"))
    x = torch.tensor([[-0.95, 0.42]], dtype=torch.float64)
    expected = (1 - math.exp(-(0.05**2) / 0.01)) * (1 - math.exp(-(0.08**2) / 0.01))
    assert abs(constraint.factor(x).item() - expected) <= 1e-14


def test_polynomial_factor_reaches_one_in_the_middle() -> None:
    both = bound(BoxConstraint(faces=((1, "lower"), (1, "upper")), factor="polynomial"))
    assert both.factor(torch.tensor([[0.3, 0.25]], dtype=torch.float64)).item() == 1.0
    one = bound(BoxConstraint(faces=((1, "upper"),), factor="polynomial"))
    assert one.factor(torch.tensor([[0.3, 0.0]], dtype=torch.float64)).item() == 1.0


def test_distance_to_any_shape_holds_the_value_there() -> None:
    circle = bound(DistanceConstraint(lambda x: x.square().sum(1) - 0.25, value=2.0, sigma=0.3))
    angle = torch.linspace(0, 6, 9, dtype=torch.float64)
    x = 0.5 * torch.stack([angle.cos(), angle.sin()], dim=1)
    torch.testing.assert_close(circle(x, net(x)), torch.full((9, 2), 2.0, dtype=torch.float64))
    away = points(2)
    jet = circle.jet(away, Jet.of(net, away, 3))
    expected = by_autograd(lambda s: circle(s, net(s)), away, 3)
    assert (jet.components - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_factor_on_a_circle_has_the_curvature_of_the_paper() -> None:
    circle = bound(DistanceConstraint(lambda x: (x.square().sum(1) - 1) / 2, sigma=0.3))
    x = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    jet = circle.factor_jet(x, 2)
    # On the surface B' = 0 and B'' = 2 / sigma n n^T, n = x the normal.
    expected = 2 / 0.3 * x[:, :, None] * x[:, None, :]
    torch.testing.assert_close(jet.hessian[:, 0], expected, rtol=1e-12, atol=1e-12)


def test_value_function_may_bring_its_own_jet() -> None:
    class Plane:
        asked = 0

        def __call__(self, x: Tensor) -> Tensor:
            return 3 * x[:, :1]

        def jet(self, x: Tensor, order: int) -> Jet:
            self.asked += 1
            return Jet(by_autograd(self.__call__, x, order), x.shape[1], order)

    plane = Plane()
    constraint = bound(BoxConstraint(plane, sigma=0.2))
    x = points(2)
    jet = constraint.jet(x, Jet.of(net, x, 2))
    assert plane.asked == 1
    expected = by_autograd(lambda s: constraint(s, net(s)), x, 2)
    torch.testing.assert_close(jet.components, expected)


def test_trainable_value_function_is_part_of_the_module() -> None:
    value = torch.nn.Linear(2, 2)
    constraint = bound(BoxConstraint(value))
    assert len(list(constraint.parameters())) == 2
    x = points(2)
    constraint.jet(x, Jet.of(net, x, 2)).laplacian.sum().backward()
    assert value.weight.grad is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0.0}, "sigma is 0.0"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"factor": "cubic"}, "factor is 'cubic'"),
        ({"value": float("inf")}, "value is inf"),
        ({"value": [[1.0]]}, "value is"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoxConstraint(**arguments)


def test_bad_faces_and_values_are_refused_where_they_meet_the_field() -> None:
    with pytest.raises(ValueError, match="no face of a 2-D box"):
        bound(BoxConstraint(faces=((2, "lower"),)))
    x = points(2)
    with pytest.raises(ValueError, match="3 entries, but the field has 2 output"):
        bound(BoxConstraint((1.0, 2.0, 3.0)))(x, net(x))
    with pytest.raises(ValueError, match="returned shape"):
        bound(BoxConstraint(lambda s: torch.zeros(s.shape[0], 3)))(x, net(x))
    with pytest.raises(RuntimeError, match="no box yet"):
        BoxConstraint()(x, net(x))
    with pytest.raises(TypeError, match="distance"):
        DistanceConstraint(1.0)  # type: ignore[arg-type]
    for sigma in (0.0, -1.0, math.inf, True, "wide"):
        with pytest.raises(ValueError, match="pass a positive number"):
            DistanceConstraint(torch.sum, sigma=sigma)  # type: ignore[arg-type]
    number: Any = lambda s: 0.5  # noqa: E731
    for constraint, name in [
        (BoxConstraint(number), "value"),
        (DistanceConstraint(number), "distance"),
    ]:
        with pytest.raises(TypeError, match=f"{name} function returned 0.5"):
            bound(constraint)(x, net(x))
        with pytest.raises(TypeError, match=r"function returned 0.5; it must return a tensor"):
            constraint.jet(x, Jet.of(net, x, 1))
    with pytest.raises(ValueError, match="distance function returned shape"):
        DistanceConstraint(lambda s: s)(x, net(x))


def test_default_factor_of_a_box_solves_poisson() -> None:
    """The paper's factor, by name, ends at 1e-2 however many cells there are."""
    import dinfgrid_cuda as dg

    box = dg.Box(0.0, 1.0)
    exact = lambda x: torch.sin(math.pi * x)  # noqa: E731
    errors = []
    for factor in (None, "distance"):
        grid = dg.FeatureGrid(1, 32, basis=dg.BSpline(7), lower=0.0, upper=1.0, dtype=torch.float64)
        field = dg.Field(grid, None, BoxConstraint(0.0, factor=factor))
        equation = dg.Term("e", dg.Interior(), lambda x, u: u.laplacian + math.pi**2 * exact(x), 2)
        dg.solve(dg.Problem(box, [equation]), field, progress=False)
        x = dg.Uniform()(1000, box, dtype=torch.float64)
        errors.append(float((field(x) - exact(x)).abs().max().detach()))
    assert errors[0] < 1e-10 < 1e-3 < errors[1]


def test_a_width_alone_stands_for_the_factor_of_the_paper() -> None:
    assert BoxConstraint(sigma=0.3).kind == "distance"
    assert BoxConstraint().kind == "polynomial"
