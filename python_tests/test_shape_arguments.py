"""Shapes one by one: bounds by formula, names of pieces, and arguments that are refused."""

import math
import re

import pytest
import torch

from dinfgrid_cuda.geometry.box import Box, bounding_box
from dinfgrid_cuda.geometry.shapes.ball import Disk
from dinfgrid_cuda.geometry.shapes.capsule import Capsule
from dinfgrid_cuda.geometry.shapes.cylinder import Cone, Cylinder
from dinfgrid_cuda.geometry.shapes.ellipse import Ellipse, Ellipsoid
from dinfgrid_cuda.geometry.shapes.halfspace import HalfSpace
from dinfgrid_cuda.geometry.shapes.product import Product
from dinfgrid_cuda.geometry.shapes.rectangle import Cuboid, Rectangle
from dinfgrid_cuda.geometry.shapes.torus import Torus

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = 2**-0.5
# what a torus along (1, 0, 1), R = 2, r = 1, and a disk of radius 1 across it reach on the x axis
TILTED = {"torus": 2 * ROOT + 1, "disk": ROOT}


@pytest.mark.parametrize(
    ("shape", "lower", "upper"),
    [
        (Rectangle((-1, 0), (2, 1)), (-1, 0), (2, 1)),
        (Ellipse((1, 0), (2, 1)), (-1, -1), (3, 1)),
        (Ellipse((1, 0), (2, 1), math.pi / 2), (0, -2), (2, 2)),
        (Ellipse((0, 0), (2, 1), math.pi / 4), (-(2.5**0.5),) * 2, (2.5**0.5,) * 2),
        (Ellipsoid((1, 0, 0), (1, 2, 3)), (0, -2, -3), (2, 2, 3)),
        (HalfSpace((2, 0), 3), (-math.inf, -math.inf), (1.5, math.inf)),
        (HalfSpace((0, -2), 3), (-math.inf, -1.5), (math.inf, math.inf)),
        (HalfSpace((0, 1), point=(7, 3)), (-math.inf, -math.inf), (math.inf, 3)),
        (Cylinder((0, 0, 0), 1, 2), (-1, -1, 0), (1, 1, 2)),
        (
            Cylinder((0, 0, 0), 1, 2, (1, 0, 1)),
            (-ROOT, -1, -ROOT),
            (2 * ROOT + ROOT, 1, 2 * ROOT + ROOT),
        ),
        (Cone((0, 0, 0), 1, 2, (1, 0, 1)), (-ROOT, -1, -ROOT), (2 * ROOT, 1, 2 * ROOT)),
        (Cone((0, 0, 0), 1, 2, upper_radius=3), (-3, -3, 0), (3, 3, 2)),
        (Torus((0, 0, 1), 2, 1), (-3, -3, 0), (3, 3, 2)),
        (
            Torus((0, 0, 0), 2, 1, (1, 0, 1)),
            (-TILTED["torus"], -3, -TILTED["torus"]),
            (TILTED["torus"], 3, TILTED["torus"]),
        ),
        (Capsule((0, 1), (2, 0), 0.5), (-0.5, -0.5), (2.5, 1.5)),
        (Product(Disk((0, 0), 1), -2, 3), (-1, -1, -2), (1, 1, 3)),
        (Disk((0, 0), 1) & HalfSpace((1, 0), 0.5), (-1, -1), (0.5, 1)),
    ],
)
def test_bounds_are_those_of_the_formula(shape, lower, upper):
    assert shape.lower == pytest.approx(lower, abs=1e-15)
    assert shape.upper == pytest.approx(upper, abs=1e-15)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        (Rectangle((0, 0), (1, 1)), ("lower 0", "upper 0", "lower 1", "upper 1")),
        (Cuboid((0, 0, 0), (1, 1, 1), name="block"), None),
        (Cylinder((0, 0, 0), 1, 1), ("side", "lower", "upper")),
        (Cylinder((0, 0, 0), 1, 1, name="tank"), ("tank side", "tank lower", "tank upper")),
        (Cone((0, 0, 0), 1, 1), ("side", "lower")),
        (
            Cone((0, 0, 0), 1, 1, upper_radius=0.5, name="pot"),
            ("pot side", "pot lower", "pot upper"),
        ),
        (Torus((0, 0, 0), 2, 1, name="ring"), ("ring",)),
        (Capsule((0, 0), (1, 1), 1), ("capsule",)),
        (Product(Disk((0, 0), 1, name="wall"), 0, 1), ("wall", "lower 2", "upper 2")),
        (Product(Disk((0, 0), 1), 0, 1, name="pipe"), ("disk", "pipe lower 2", "pipe upper 2")),
        (Product(Product(Disk((0, 0), 1), 0, 1), 0, 1), None),
    ],
)
def test_pieces_have_the_names_of_the_documentation_and_keep_them(shape, names):
    if names is None:
        assert shape.names[-1] in ("block upper 2", "upper 3")
        names = shape.names
    assert shape.names == names
    other = shape.moved(*[0.1] * shape.dim)
    assert (~(shape | other)).moved(*[1] * shape.dim).names == names
    assert (shape - other).names == names


def test_rectangles_are_boxes():
    rectangle = Rectangle((0, 0), (2, 1), name="plate")
    assert isinstance(rectangle, Box)
    assert bounding_box(rectangle) is rectangle
    assert repr(rectangle) == "Rectangle((0.0, 0.0), (2.0, 1.0))"
    assert rectangle.face_measure(0) == 1
    assert rectangle.scaled(2).names[0] == "plate lower 0"
    turned = rectangle.rotated(math.pi / 2)
    assert turned.lower == pytest.approx((-1, 0), abs=1e-15)


def test_offset_and_point_of_a_half_space_say_the_same():
    by_offset, by_point = HalfSpace((3, 4), 10), HalfSpace((3, 4), point=(2, 1))
    x = torch.rand(100, 2, dtype=torch.float64) * 6 - 1
    torch.testing.assert_close(by_offset.level(x), by_point.level(x), rtol=0, atol=1e-15)
    assert float(by_offset.level(torch.tensor([[6.0, 4.0]]).double())) == pytest.approx(4.8)
    assert HalfSpace((1,), 0.5).dim == 1


def test_a_point_on_a_long_axis_is_as_far_from_an_ellipse_as_its_focal_geometry_says():
    quadric = Ellipse((0, 0), (2, 1)).surfaces[0]
    # The closest point to (s, 0) is off the axis for |s| < (4 - 1) / 2, at x = 4 s / 3.
    s = torch.tensor([0.0, 0.5, 1.0, 1.4, 1.8, 3.0], dtype=torch.float64)
    x = torch.stack([s, torch.zeros(6)], dim=1)
    expected = torch.where(s < 1.5, (1 - s.square() / 3).clamp(min=0).sqrt(), (s - 2).abs())
    torch.testing.assert_close(quadric.distance(x), expected, rtol=0, atol=1e-7)
    short = torch.tensor([[0.0, 0.2], [0.0, 3.0]], dtype=torch.float64)
    assert quadric.distance(short).tolist() == pytest.approx([0.8, 2.0], abs=1e-7)


DIRECTION = "it must not be zero."


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: Rectangle((0, 0, 0), (1, 1, 1)),
            ValueError,
            "Rectangle: lower is (0.0, 0.0, 0.0); pass 2 finite numbers.",
        ),
        (
            lambda: Cuboid((0, 0, 0), (1, 0, 1)),
            ValueError,
            "Cuboid: on axis 1 it goes from 0 to 0; upper must be above lower.",
        ),
        (
            lambda: Rectangle((0, 0), (1, 1), name=1),
            TypeError,
            "Rectangle: name is 1; pass a text, e.g. name='wall'.",
        ),
        (
            lambda: Ellipse((0, 0), (1, 0)),
            ValueError,
            "Ellipse: radii is (1.0, 0.0); they must be positive.",
        ),
        (
            lambda: Ellipse((0, 0), (1, 1), "right"),
            TypeError,
            "Ellipse: angle is 'right'; pass a finite number.",
        ),
        (
            lambda: Ellipse((0, 0), (1, 1), [1, 2]),
            TypeError,
            "Ellipse: angle is [1, 2]; pass a finite number.",
        ),
        (
            lambda: Ellipse((0, 0), (1, 1), math.inf),
            ValueError,
            "Ellipse: angle is inf; pass a finite number.",
        ),
        (
            lambda: Ellipsoid((0, 0, 0), 1),
            TypeError,
            "Ellipsoid: radii is 1; pass 3 finite numbers.",
        ),
        (
            lambda: HalfSpace((0, 0), 1),
            ValueError,
            f"HalfSpace: normal is (0.0, 0.0); {DIRECTION}",
        ),
        (
            lambda: HalfSpace((0, 1)),
            ValueError,
            "HalfSpace: pass an offset of normal . x or a point on the plane, one of the two.",
        ),
        (
            lambda: HalfSpace((0, 1), 1, point=(0, 0)),
            ValueError,
            "HalfSpace: pass an offset of normal . x or a point on the plane, one of the two.",
        ),
        (
            lambda: HalfSpace((0, 1), point=(0, 0, 0)),
            ValueError,
            "HalfSpace: point is (0.0, 0.0, 0.0); pass 2 finite numbers.",
        ),
        (
            lambda: Cylinder((0, 0), 1, 1),
            ValueError,
            "Cylinder: base is (0.0, 0.0); pass 3 finite numbers.",
        ),
        (
            lambda: Cylinder((0, 0, 0), 0, 1),
            ValueError,
            "Cylinder: radius is 0; it must be positive and finite.",
        ),
        (
            lambda: Cylinder((0, 0, 0), 1, -1),
            ValueError,
            "Cylinder: height is -1; it must be positive and finite.",
        ),
        (
            lambda: Cylinder((0, 0, 0), 1, 1, (0, 0, 0)),
            ValueError,
            f"Cylinder: axis is (0.0, 0.0, 0.0); {DIRECTION}",
        ),
        (
            lambda: Cone((0, 0, 0), 1, 1, upper_radius=-1),
            ValueError,
            "Cone: upper_radius is -1; it must be >= 0 and finite.",
        ),
        (
            lambda: Torus((0, 0, 0), 1, 1),
            ValueError,
            "Torus: minor is 1 and major 1; the tube meets itself unless minor < major.",
        ),
        (
            lambda: Torus((0, 0, 0), "big", 1),
            TypeError,
            "Torus: major is 'big'; it must be a number, positive.",
        ),
        (
            lambda: Capsule((0, 0), (0, 0), 1),
            ValueError,
            "Capsule: start and end are both (0.0, 0.0); use a Disk or a Ball for that.",
        ),
        (
            lambda: Capsule((0, 0), (0, 0, 1), 1),
            ValueError,
            "Capsule: end is (0.0, 0.0, 1.0); pass 2 finite numbers.",
        ),
        (
            lambda: Product(Disk, 0, 1),
            TypeError,
            "Product: shape is the class Disk; pass Disk(...), an instance.",
        ),
        (
            lambda: Product(3, 0, 1),
            TypeError,
            "Product: shape is 3; pass a shape, a Disk, a Box, ...",
        ),
        (
            lambda: Product(Disk((0, 0), 1), 1, 0),
            ValueError,
            "Product: on axis 2 it goes from 1 to 0; upper must be above lower.",
        ),
        (
            lambda: Product(Disk((0, 0), 1), True, 2),
            TypeError,
            "Product: lower is True; pass a finite number.",
        ),
        (
            lambda: Disk((0, 0), 1) & Disk((3, 0), 1),
            ValueError,
            "shape: nothing is left of (Disk((0.0, 0.0), 1) & Disk((3.0, 0.0), 1)): the boxes "
            "around the two do not meet.",
        ),
        (
            lambda: Disk((0, 0), 1) | Torus((0, 0, 0), 2, 1),
            ValueError,
            "shape |: Disk((0.0, 0.0), 1) is 2-D, but Torus((0.0, 0.0, 0.0), 2, 1, "
            "axis=(0.0, 0.0, 1.0)) is 3-D.",
        ),
    ],
)
def test_what_makes_no_shape_is_refused_in_one_line(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()
