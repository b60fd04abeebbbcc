"""Closed parametric curves as shapes: distances, derivatives, and what is refused."""

import math
import re
import time

import pytest
import torch
from cases_of_shapes import around, star

from dinfgrid_cuda.geometry.shapes.ball import Disk
from dinfgrid_cuda.geometry.shapes.curve import Curve
from dinfgrid_cuda.geometry.shapes.ellipse import Ellipse

pytestmark = pytest.mark.usefixtures("one_thread")


def circle(t):
    return torch.stack([t.cos(), t.sin()], dim=1)


def oval(t):
    return torch.stack([1.5 * t.cos(), -0.2 * t.sin()], dim=1)


def test_level_vanishes_on_the_curve_to_rounding():
    t = 40 * torch.rand(5_000, dtype=torch.float64)
    assert float(Curve(star).level(star(t)).abs().max()) <= 1e-14


@pytest.mark.parametrize("reverse", [1, -1])
def test_level_of_a_circle_is_the_distance_everywhere(reverse):
    curve = Curve(lambda t: circle(reverse * t))
    x = around(Disk((0, 0), 1), 20_000, margin=3)
    torch.testing.assert_close(curve.level(x), x.norm(dim=1) - 1, rtol=0, atol=2e-14)
    normal = curve.surfaces[0].gradient(x)
    torch.testing.assert_close(normal, x / x.norm(dim=1, keepdim=True), rtol=0, atol=1e-10)
    assert curve.lower == pytest.approx((-1, -1), abs=1e-15)
    assert curve.upper == pytest.approx((1, 1), abs=1e-15)


def test_level_is_the_distance_from_the_closest_of_many_points():
    curve = Curve(star)
    x = around(curve, 300)
    dense = star(torch.linspace(0, 2 * math.pi, 100_001, dtype=torch.float64))
    distance = torch.cdist(x, dense, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
    # Dense points are 1e-4 apart: they miss the closest one by (5e-5)² / 2 d, or by 5e-5.
    allowed = torch.minimum(5e-9 / distance, torch.tensor(1e-4))
    assert bool(((distance - curve.level(x).abs()).abs() <= allowed + 1e-12).all())
    angle = torch.atan2(-x[:, 1], x[:, 0] - 0.1)
    away = (x - torch.tensor([0.1, 0], dtype=torch.float64)).norm(dim=1)
    assert torch.equal(curve.contains(x), away <= 0.7 + 0.2 * torch.cos(5 * angle))


def test_a_slender_oval_agrees_with_the_ellipse():
    curve, ellipse = Curve(oval), Ellipse((0, 0), (1.5, 0.2))
    x = around(ellipse, 20_000)
    assert torch.equal(curve.contains(x), ellipse.contains(x))
    # Ellipse's distance is known to 1e-6 of the largest radius
    distance = ellipse.surfaces[0].distance(x)
    torch.testing.assert_close(curve.level(x).abs(), distance, rtol=0, atol=2e-6)


def test_far_points_have_the_right_sign():
    x = around(Disk((0, 0), 1), 2_000, margin=200)
    curve = Curve(star)
    assert torch.equal(curve.contains(x), curve.level(x) <= 0)
    assert int(curve.contains(x).sum()) < 10


def test_derivatives_by_autograd_are_those_of_the_distance_up_to_the_third():
    curve = Curve(circle)
    x = torch.tensor([[0.7, 0.2], [1.3, -0.4], [0.1, 1.02]], dtype=torch.float64)
    levels, expected = [], []
    for function, out in ((curve.level, levels), (lambda y: y.norm(dim=1) - 1, expected)):
        at = x.clone().requires_grad_()
        value = function(at).sum()
        out.append(value.detach())
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, at, create_graph=True)
            out.append(slope.detach())
            value = (slope * torch.tensor([0.3, 0.9], dtype=torch.float64)).square().sum()
    for level, other in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, other, rtol=1e-9, atol=1e-10)


def test_period_name_and_maps_are_taken():
    period = Curve(lambda t: circle(2 * math.pi * t), period=1)
    x = around(Disk((0, 0), 1), 500)
    torch.testing.assert_close(period.level(x), x.norm(dim=1) - 1, rtol=0, atol=2e-14)
    turned = Curve(star, name="star").rotated(1).scaled(2)
    assert turned.names == ("star",)
    assert repr(Curve(star)) == "Curve(star)"


def test_levels_of_many_points_take_seconds():
    curve = Curve(star)
    x = around(curve, 100_000)
    start = time.process_time()
    curve.level(x)
    assert time.process_time() - start < 3


def wrong_shape(t):
    return circle(t).t()


def not_finite(t):
    return circle(t) / (t - math.pi)[:, None]


def figure_eight(t):
    return torch.stack([t.sin(), (2 * t).sin()], dim=1)


def limacon(t):
    return (0.5 + t.cos())[:, None] * circle(t)


def stops(t):
    return torch.stack([t.cos() ** 3, t.sin() ** 3], dim=1)


def square(t):
    return circle(t) / circle(t).abs().amax(dim=1, keepdim=True)


def drop(t):
    return torch.stack([(t / 2).sin(), t.sin()], dim=1)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Curve(3), TypeError, "Curve: function is 3; pass a function of t [N]."),
        (
            lambda: Curve(wrong_shape),
            ValueError,
            "Curve: function returned [2, 65] for t of shape [65]; it must return [65, 2], a "
            "point for each t.",
        ),
        (
            lambda: Curve(lambda t: 3),
            ValueError,
            "Curve: function returned int for t of shape [65]; it must return [65, 2], a "
            "point for each t.",
        ),
        (lambda: Curve(not_finite), ValueError, "Curve: function is not finite at t = 3.14159."),
        (
            lambda: Curve(circle, period=3),
            ValueError,
            "Curve: it is not closed: from (1, 0) at t = 0 it goes to (-0.989992, 0.14112) "
            "at t = period = 3.",
        ),
        (
            lambda: Curve(circle, period=4 * math.pi),
            ValueError,
            "Curve: it runs 2 times around in one period of 12.5664; pass period=6.28319.",
        ),
        (lambda: Curve(limacon), ValueError, "Curve: it crosses itself at (0, 0)."),
        (lambda: Curve(figure_eight), ValueError, "Curve: it crosses itself at (0, 0)."),
        (
            lambda: Curve(stops),
            ValueError,
            "Curve: its speed is zero at t = 0; the derivative of function must vanish nowhere.",
        ),
        (
            lambda: Curve(drop),
            ValueError,
            "Curve: it has a corner at t = 0; it must be smooth. Or use Polygon.",
        ),
        (
            lambda: Curve(lambda t: 0 * circle(t)),
            ValueError,
            "Curve: function returns one point for all t.",
        ),
        (
            lambda: Curve(circle, period=0),
            ValueError,
            "Curve: period is 0; it must be positive and finite.",
        ),
        (
            lambda: Curve(circle, name=None),
            TypeError,
            "Curve: name is None; pass a text, e.g. name='wall'.",
        ),
    ],
)
def test_what_is_no_simple_smooth_curve_is_refused(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()


def test_a_corner_is_refused():
    with pytest.raises(
        ValueError, match=r"Curve: it turns by 90 degrees at t = .*; it must be smooth"
    ):
        Curve(square)
