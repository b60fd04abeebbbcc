"""Problem, Term and Objective: points, data, shapes of residuals, losses and gradients."""

from functools import partial

import pytest
import solving
import torch

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.regions import Boundary, Interior, Points
from dinfgrid_cuda.geometry.samplers import Lattice
from dinfgrid_cuda.kernels.basis import Gaussian
from dinfgrid_cuda.problem import Objective, Problem, Term

BOX = Box((-1.0, -1.0), (1.0, 1.0))
POINTS = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1


make_field = partial(solving.make_field, levels=2, basis=Gaussian(), decoder="linear")


def value(x, u):
    return u.value[:, 0] - x[:, 0]


def losses_of(*terms, **settings):
    return Objective(Problem(BOX, list(terms)), make_field(), **settings).evaluate(0)


def test_loss_is_the_weighted_sum_of_the_terms_mean_squares():
    field = make_field()
    term = Term("a", Points(POINTS), value, weight=2.0)
    other = Term("b", Points(POINTS), lambda x, u: u.gradient[:, 0], order=1, weight=0.5)
    total, a, b = Objective(Problem(BOX, [term, other]), field).evaluate(0)
    jet = field.jet(POINTS, 1)
    assert a.item() == pytest.approx(value(POINTS, jet).square().mean().item(), rel=1e-14)
    assert b.item() == pytest.approx(jet.gradient.square().mean().item(), rel=1e-14)
    assert total.item() == pytest.approx(2 * a.item() + 0.5 * b.item(), rel=1e-14)


def test_gradient_of_the_loss_is_left_in_the_parameters():
    field = make_field()
    Objective(Problem(BOX, [Term("a", Points(POINTS), value, weight=3.0)]), field).evaluate(0)
    (3.0 * value(POINTS, field.jet(POINTS, 0)).square().mean()).backward()
    # Both backward passes have added up: the same gradient twice.
    again = make_field()
    Objective(Problem(BOX, [Term("a", Points(POINTS), value, weight=6.0)]), again).evaluate(0)
    torch.testing.assert_close(field.grid.features.grad, again.grid.features.grad)


def test_complex_residual_counts_real_and_imaginary_part():
    def residual(x, u):
        return torch.complex(x[:, 0] + 0 * u.value[:, 0], x[:, 1])

    both = losses_of(Term("a", Points(POINTS), residual))
    assert both[1].item() == pytest.approx(POINTS.square().sum(1).mean().item())


def test_residual_without_the_field_is_refused():
    with pytest.raises(ValueError, match="'pde': the residual does not depend on the field"):
        losses_of(Term("pde", Points(POINTS), lambda x, u: x[:, 0]))


def test_residual_broadcast_to_n_by_n_is_refused_by_name():
    wrong = Term("pde", Points(POINTS), lambda x, u: u.value - x[:, 0])
    with pytest.raises(ValueError, match=r"'pde'.*\[50, 50\].*broadcasting \[50\] with \[50, 1\]"):
        losses_of(wrong)


def test_broadcast_residual_is_refused_again_at_the_next_attempt():
    wrong = Term("pde", Points(POINTS[:2]), lambda x, u: u.value - x[:, 0])
    for _ in range(2):
        with pytest.raises(ValueError, match=r"comes from broadcasting \[2\] with \[2, 1\]"):
            losses_of(wrong)


def test_broadcasting_with_data_of_the_points_is_refused():
    wrong = Term(
        "fit", Points(POINTS[:4]), lambda x, u, data: u.value - data, data=POINTS[:4, 0].clone()
    )
    with pytest.raises(ValueError, match=r"broadcasting \[4\] with \[4, 1\]"):
        losses_of(wrong)


def test_broadcasting_with_a_constant_of_as_many_numbers_as_points_is_refused():
    given = POINTS[:, 0].clone()
    with pytest.raises(ValueError, match=r"broadcasting \[50\] with \[50, 1\]"):
        losses_of(Term("fit", Points(POINTS), lambda x, u: u.value - given))


def test_two_channels_at_the_two_ends_of_an_interval_are_no_broadcasting():
    grid = FeatureGrid(1, 8, seed=0, dtype=torch.float64)
    field = Field(grid, LinearDecoder(2, seed=0))
    term = Term("ends", Boundary(), lambda x, u: u.value - x)
    loss = Objective(Problem(Box((-1.0,), (1.0,)), [term]), field).evaluate(0)[1]
    ends = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    assert loss.item() == pytest.approx((field(ends) - ends).square().mean().item())


def test_as_many_derivatives_as_points_are_no_broadcasting_and_examined_once():
    grid = FeatureGrid(2, 8, seed=0, dtype=torch.float64)
    seen = []

    def residual(x, u):
        seen.append(len(x))
        return u.gradient.flatten(1) - 1

    term = Term("slope", Points(POINTS[:4]), residual, order=1)
    objective = Objective(Problem(BOX, [term]), Field(grid, LinearDecoder(2, seed=0)))
    for step in range(3):
        objective.evaluate(step)
    assert seen == [4, 4, 3, 4, 4]


def test_constants_of_each_point_are_no_broadcasting():
    field = Field(FeatureGrid(2, 8, seed=0, dtype=torch.float64), LinearDecoder(4, seed=0))
    given = POINTS[:8].reshape(4, 4)
    term = Term("fit", Points(POINTS[:4]), lambda x, u: u.value - given)
    assert Objective(Problem(BOX, [term]), field).evaluate(0)[0].isfinite()


@pytest.mark.parametrize(
    "residual",
    [lambda x, u: u.value.sum(), lambda x, u: u.value[:7], lambda x, u: u.value[:, None]],
)
def test_residual_of_another_shape_is_refused(residual):
    with pytest.raises(ValueError, match=r"must be \[N\] or \[N, k\] with N = 50"):
        losses_of(Term("pde", Points(POINTS), residual))


@pytest.mark.parametrize("residual", [lambda x, u: 0.0, lambda x, u: x[:, 0] > 0])
def test_residual_that_is_no_floating_tensor_is_refused(residual):
    with pytest.raises(TypeError, match="not a floating tensor"):
        losses_of(Term("pde", Points(POINTS), residual))


def test_fixed_points_are_drawn_once():
    class Counting(Points):
        drawn = 0

        def sample(self, *arguments, **keywords):
            type(self).drawn += 1
            return super().sample(*arguments, **keywords)

    objective = Objective(Problem(BOX, [Term("a", Counting(POINTS), value)]), make_field())
    for step in range(3):
        objective.evaluate(step)
    assert Counting.drawn == 1


def test_sampled_points_change_with_the_step_only_when_resampling():
    seen = []

    def residual(x, u):
        seen.append(x.clone())
        return u.value

    problem = Problem(BOX, [Term("a", Interior(), residual, points=16)])
    for resample in (True, False):
        objective = Objective(problem, make_field(), resample=resample)
        objective.evaluate(0)
        objective.evaluate(1)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])
    assert torch.equal(seen[0], seen[2])


def test_points_depend_on_seed_and_term():
    problem = Problem(BOX, [Term(name, Interior(), value, points=16) for name in ("a", "b")])
    arguments = (0, torch.float64, torch.device("cpu"))
    first, second = problem.draw(0, 1, *arguments)[0], problem.draw(1, 1, *arguments)[0]
    assert not torch.equal(first, second)
    assert not torch.equal(first, problem.draw(0, 2, *arguments)[0])
    assert torch.equal(first, problem.draw(0, 1, *arguments)[0])


def test_data_reach_the_residual_with_their_points():
    seen = {}

    def residual(x, u, data):
        seen["rows"] = torch.equal(x[:, 0], data)
        seen["count"] = len(x)
        return u.value[:, 0] - data

    losses_of(Term("a", Points(POINTS), residual, data=POINTS[:, 0].clone()))
    assert seen == {"rows": True, "count": 50}
    losses_of(Term("a", Points(POINTS), residual, data=POINTS[:, 0].clone(), points=20))
    assert seen == {"rows": True, "count": 20}


def test_integer_data_keep_their_type():
    axes = torch.arange(50) % 2
    seen = []
    losses_of(Term("a", Points(POINTS), lambda x, u, d: seen.append(d.dtype) or u.value, data=axes))
    assert seen == [torch.int64]


def test_lattice_counts_as_fixed():
    assert Term("a", Interior(sampler=Lattice()), value).fixed
    assert not Term("a", Boundary(), value).fixed


def test_sum_over_points_can_be_split_between_processes():
    class Half:
        def __init__(self, part):
            self.part = part

        def share(self, points):
            return points[self.part :: 2]

        def add_up(self, tensors):
            pass

    field, gradients, losses = make_field(), [], []
    term = Term("a", Points(POINTS), lambda x, u: u.gradient[:, 0] - 1, order=1)
    for point_sum in (None, Half(0), Half(1)):
        objective = Objective(Problem(BOX, [term]), field, point_sum=point_sum)
        losses.append(objective.evaluate(0))
        gradients.append(field.grid.features.grad.clone())
    torch.testing.assert_close(losses[1] + losses[2], losses[0])
    torch.testing.assert_close(gradients[1] + gradients[2], gradients[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, "give each term a name"),
        ({"residual": 3}, "residual must be a function"),
        ({"region": POINTS}, "pass Interior"),
        ({"order": -1}, "order is -1"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"weight": -1.0}, "weight is -1"),
        ({"weight": "1"}, "weight is '1'; it must be a number"),
        ({"order": 1.0}, "order is 1.0; it must be a whole number"),
        ({"points": 0}, "points is 0"),
        ({"points": 2.5}, "points is 2.5; it must be a whole number"),
        ({"region": Interior(), "data": POINTS}, "data belong to fixed points"),
        ({"data": POINTS[:3]}, "there are 50 points"),
    ],
)
def test_unusable_terms_are_refused_in_one_line(settings, message):
    arguments = {"name": "a", "region": Points(POINTS), "residual": value, **settings}
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        Term(**arguments)
    assert "\n" not in str(caught.value)


def test_problem_needs_a_box_and_terms_of_different_names():
    term = Term("a", Points(POINTS), value)
    with pytest.raises(TypeError, match="pass a Box"):
        Problem((-1, 1), [term])
    with pytest.raises(TypeError, match="at least one Term"):
        Problem(BOX, [])
    with pytest.raises(ValueError, match="name of its own"):
        Problem(BOX, [term, term])


def test_field_without_trainable_parameters_is_refused():
    field = make_field().requires_grad_(False)
    with pytest.raises(ValueError, match="requires_grad"):
        Objective(Problem(BOX, [Term("a", Points(POINTS), value)]), field)


def test_region_without_points_is_refused():
    class Nowhere:
        def sample(self, n, box, seed=0, step=0, dtype=None, device=None):
            return torch.empty(0, 2, dtype=dtype)

    with pytest.raises(ValueError, match="gave no points"):
        losses_of(Term("a", Nowhere(), value))
