"""What holds for every shape: levels, gradients, bounds, nearness, maps."""

import math
import pickle

import pytest
import torch
from cases_of_shapes import SHAPES, TURNED, around, boundary

from dinfgrid_cuda.geometry.shapes.ball import Disk
from dinfgrid_cuda.geometry.shapes.rectangle import Rectangle

pytestmark = pytest.mark.usefixtures("one_thread")

OTHER_KIND = {
    "rectangle",
    "cuboid",
    "ellipsoid",
    "curve",
    "line",
    "product",
    "product of a polygon",
}
LOCAL = ("polygon", "ellipse", "curve", "cylinder", "cone", "torus", "stadium", "capsule", "disk")
built = {}


@pytest.fixture(params=SHAPES)
def name(request):
    return request.param


@pytest.fixture
def shape(name):
    return built.setdefault(name, SHAPES[name]())


def test_level_is_negative_or_zero_inside_and_nowhere_else(shape):
    x = around(shape, 20_000)
    inside = shape.contains(x)
    assert inside.dtype == torch.bool
    assert bool(inside.any())
    assert not bool(inside.all())
    assert torch.equal(shape.level(x) <= 0, inside)


def test_level_is_zero_and_normals_point_outward_on_every_piece(shape):
    for surface in shape.surfaces:
        x, normal = boundary(shape, surface)
        assert len(x) > 20, surface.name
        # boundary() finds levels of 1e-12 with slopes of 0.1 or more
        assert float(shape.level(x).abs().max()) <= 2e-12
        assert torch.equal(shape.contains(x + 1e-5 * normal), torch.zeros(len(x)).bool())
        slope = surface.gradient(x)
        assert float((slope * normal).sum(dim=1).min()) > 0, "level is negative inside"


def test_gradient_of_surfaces_is_that_of_differences_and_autograd(shape):
    step = 1e-5
    for surface in shape.surfaces:
        x, normal = boundary(shape, surface, 500)
        x = x + 0.01 * normal
        gradient = surface.gradient(x)
        assert gradient.shape == x.shape
        for axis, shift in enumerate(step * torch.eye(shape.dim, dtype=torch.float64)):
            change = (surface.level(x + shift) - surface.level(x - shift)) / (2 * step)
            # h² times third derivatives, at most some hundreds, beside rounding of 1e-16 / h; a
            # capsule's second derivative jumps, so that it has h times that at a seam
            assert float((change - gradient[:, axis]).abs().max()) <= 2e-5
            assert float((change - gradient[:, axis]).abs().median()) <= 1e-7
        at = x.clone().requires_grad_()
        (automatic,) = torch.autograd.grad(surface.level(at).sum(), at)
        torch.testing.assert_close(automatic, gradient, rtol=1e-9, atol=1e-9)


def test_bounds_hold_the_boundary_and_are_tight(name, shape):
    x = torch.cat([boundary(shape, surface, 10_000)[0] for surface in shape.surfaces])
    lower, upper = (torch.tensor(ends, dtype=torch.float64) for ends in (shape.lower, shape.upper))
    assert bool((x >= lower - 1e-11).all())
    assert bool((x <= upper + 1e-11).all())
    if name == "half-space":
        assert all(map(math.isinf, (*shape.lower, *shape.upper)))
        return
    gap = torch.maximum(x.amin(dim=0) - lower, upper - x.amax(dim=0)) / (upper - lower)
    # thousands of points: the nearest to a tip of a cone or ring misses it by a few percent
    assert float(gap.max()) <= 0.05


def test_near_is_true_wherever_a_piece_is_near_and_rarely_elsewhere(name, shape):
    x = around(shape, 400, seed=3)
    for surface in shape.surfaces:
        piece, _ = boundary(shape, surface, 20_000)
        distance = torch.cdist(x, piece).amin(dim=1)
        for radius in (0.03, 0.3):
            near = surface.near(x, radius)
            assert bool(near[distance <= radius].all())
            if name in LOCAL:
                # samples of a piece in space are up to a tenth apart
                assert not bool(near[distance > 1.01 * radius + 0.1].any())
        each = surface.near(x, distance * (1 + 1e-9) + 1e-12)
        assert bool(each.all())


def test_maps_take_points_names_and_bounds_along(shape):
    x = around(shape, 5_000)
    moved = TURNED[shape.dim](shape)
    y = points_mapped(shape.dim, x)
    clear = shape.level(x).abs() > 1e-9
    assert torch.equal(moved.contains(y)[clear], shape.contains(x)[clear])
    assert moved.names == shape.names
    inside = y[moved.contains(y)]
    assert bool((inside >= torch.tensor(moved.lower) - 1e-9).all())
    assert bool((inside <= torch.tensor(moved.upper) + 1e-9).all())
    for surface, before in zip(moved.surfaces, shape.surfaces, strict=True):
        piece, _ = boundary(shape, before, 300)
        level = surface.level(points_mapped(shape.dim, piece))
        # what boundary() leaves, enlarged, and rounding
        assert float(level.abs().max()) <= 1e-11


def points_mapped(dim, x):
    """The points that TURNED makes of x."""
    if dim == 2:
        centre = torch.tensor([0.2, -0.3], dtype=torch.float64)
        turn = torch.tensor(
            [[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]], dtype=torch.float64
        )
        return 1.7 * ((x - centre) @ turn.t() + centre) + torch.tensor(
            [0.3, 0.4], dtype=torch.float64
        )
    if dim == 3:
        axis = torch.tensor([1.0, 2, -1], dtype=torch.float64)
        axis = axis / axis.norm()
        centre = torch.tensor([0.2, 0, 1], dtype=torch.float64)
        y = x - centre
        along = (y @ axis)[:, None] * axis
        cross = torch.linalg.cross(axis.expand_as(y), y)
        y = along + math.cos(0.6) * (y - along) + math.sin(0.6) * cross + centre
        return 0.7 * y + torch.tensor([0.3, 0.4, 1], dtype=torch.float64)
    centre = torch.tensor([3.0] if dim == 1 else [1.0, 2, 3, 4], dtype=torch.float64)
    shift = torch.tensor([0.3, 0.4, 1, 2][:dim], dtype=torch.float64)
    return centre + 0.7 * (x - centre) + shift


def test_float32_points_are_taken(shape):
    x = around(shape, 200).float()
    assert shape.level(x).dtype == torch.float32
    assert shape.contains(x).dtype == torch.bool
    torch.testing.assert_close(
        shape.level(x).double(), shape.level(x.double()), rtol=1e-4, atol=1e-5
    )
    for surface in shape.surfaces:
        assert surface.gradient(x).dtype == torch.float32
        assert surface.near(x, 0.1).dtype == torch.bool


def test_no_points_are_no_trouble(shape):
    x = torch.zeros(0, shape.dim, dtype=torch.float64)
    assert shape.level(x).shape == shape.contains(x).shape == (0,)
    for surface in shape.surfaces:
        assert surface.gradient(x).shape == x.shape
        assert surface.near(x, 0.1).shape == (0,)


def test_it_is_shown_by_its_class_and_numbers(name, shape):
    assert type(shape).__name__ in repr(shape)
    assert " at 0x" not in repr(shape)
    assert " at 0x" not in repr(TURNED[shape.dim](shape))


def test_it_can_be_pickled(shape):
    x = around(shape, 100)
    assert torch.equal(pickle.loads(pickle.dumps(shape)).level(x), shape.level(x))


def test_combinations_follow_de_morgan():
    first, second = Disk((0, 0), 1, name="first"), Rectangle((-0.5, -2), (2, 0.5), name="second")
    x = 4 * torch.rand(5_000, 2, dtype=torch.float64) - 2
    pairs = [
        (~(first | second), ~first & ~second),
        (~(first & second), ~first | ~second),
        (first - second, first & ~second),
        (first, ~~first),
    ]
    for one, other in pairs:
        assert torch.equal(one.contains(x), other.contains(x))
        assert torch.equal(one.level(x), other.level(x))
        assert one.names == other.names
    assert (first - second).names[:2] == ("first", "second lower 0")


def test_what_is_moved_keeps_its_kind_where_that_can_hold_it(name, shape):
    moved = TURNED[shape.dim](shape)
    if name not in OTHER_KIND:
        assert type(moved) is type(shape)
    if name in {"rectangle", "cuboid", "product", "product of a polygon"}:
        shifted = shape.moved(*[0.5] * shape.dim)
        assert type(shifted) is type(shape)
        assert shifted.lower == pytest.approx([low + 0.5 for low in shape.lower], abs=1e-15)
        assert shifted.names == shape.names
