"""Values held on the boundary of a shape: exact there, and their jets those of their values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.rvachev import conjunction, disjunction, trimmed
from dinfgrid_cuda.fields.shape_constraint import ShapeConstraint
from dinfgrid_cuda.fields.surface_samples import lattice_around, samples_on
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.geometry.shapes.ball import Ball, Disk
from dinfgrid_cuda.geometry.shapes.implicit import Implicit
from dinfgrid_cuda.geometry.surface import Plane, Surface
from dinfgrid_cuda.kernels.multi_index import multi_indices

EPS = torch.finfo(torch.float64).eps


class Outline(Shape):
    """A polygon by the lines through its edges, counter-clockwise; inside by counting crossings."""

    def __init__(self, corners: list[tuple[float, float]]) -> None:
        self.corners = corners
        self.lower = tuple(min(c[k] for c in corners) for k in (0, 1))
        self.upper = tuple(max(c[k] for c in corners) for k in (0, 1))
        self._edges = list(zip(corners, corners[1:] + corners[:1], strict=True))

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        planes = []
        for place, (a, b) in enumerate(self._edges):
            normal = (b[1] - a[1], a[0] - b[0])
            offset = normal[0] * a[0] + normal[1] * a[1]
            planes.append(Plane(f"edge {place}", normal, offset))
        return tuple(planes)

    def contains(self, x: Tensor) -> Tensor:
        odd = torch.zeros(len(x), dtype=torch.bool)
        for a, b in self._edges:
            if a[1] != b[1]:
                at = (b[0] - a[0]) * (x[:, 1] - a[1]) / (b[1] - a[1]) + a[0]
                odd ^= ((a[1] > x[:, 1]) != (b[1] > x[:, 1])) & (x[:, 0] < at)
        return odd

    def level(self, x: Tensor) -> Tensor:
        return torch.where(self.contains(x), -1.0, 1.0)

    def __repr__(self) -> str:
        return f"Outline({len(self.corners)} corners)"


def star(x: Tensor) -> Tensor:
    """A five-pointed star, by a polynomial of the direction."""
    r = x.square().sum(dim=1).sqrt()
    return r - 0.7 - 0.2 * torch.cos(5 * torch.atan2(x[:, 1], x[:, 0]))


ANGLED = Outline([(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.0)])
WIDE, HIGH = dg.Box([0, 0], [2, 1], "wide"), dg.Box([0, 0], [1, 2], "high")
SHAPES: dict[str, Shape] = {
    "line": dg.Box([-1.0], [0.5]),
    "disk": Disk((0.1, 0.2), 0.9),
    "annulus": Disk((0, 0), 0.9, name="outer") - Disk((0.2, 0.1), 0.25, name="hole"),
    "rectangle": dg.Box([0, 0], [2, 1]),
    "box less a disk": dg.Box([0, 0], [2, 1]) - Disk((0.5, 0.5), 0.2),
    "disk less a box": Disk((0, 0), 1) - dg.Box([-0.3, -0.3], [0.2, 0.4], "hole"),
    "two disks": Disk((0, 0), 1, name="left") | Disk((1, 0), 0.8, name="right"),
    "apart": Disk((0, 0), 1, name="left") | Disk((3, 0), 1, name="right"),
    "lens": Disk((0, 0), 1, name="left") & Disk((1, 0), 0.8, name="right"),
    "L of rectangles": WIDE | HIGH,
    "L less": dg.Box([0, 0], [2, 2], "all") - dg.Box([1, 1], [3, 3], "corner"),
    "plus": dg.Box([-3, -1], [3, 1], "bar") | dg.Box([-1, -3], [1, 3], "post"),
    "L": ANGLED,
    "L turned": ANGLED.rotated(0.4).scaled(0.5),
    "L less a disk": ANGLED - Disk((0.4, 0.6), 0.2, name="hole"),
    "disk less L": Disk((1, 1), 2, name="outer") - ANGLED.moved(0.1, 0.2),
    "L and a disk": ANGLED | Disk((2, 1), 0.5, name="bulge"),
    "shell": Ball((0, 0, 0), 1, name="outer") - Ball((0.4, 0, 0), 0.3, name="inner"),
    "star": Implicit(star, (-1, -1), (1, 1)) - Disk((0, 0), 0.2, name="hole"),
}


def inside(shape: Shape, count: int = 300) -> Tensor:
    low = torch.tensor(shape.lower, dtype=torch.float64)
    high = torch.tensor(shape.upper, dtype=torch.float64)
    random = torch.Generator().manual_seed(1)
    unit = torch.rand(20 * count, shape.dim, dtype=torch.float64, generator=random)
    x = low + (high - low) * unit
    return x[shape.contains(x)][:count]


def edge(shape: Shape, names: tuple[str, ...] | None = None) -> Tensor:
    """Points on the boundary, on the pieces with these names."""
    lattice = lattice_around(shape)
    return torch.cat(
        [
            samples_on(shape, surface, lattice).boundary
            for surface in shape.surfaces
            if names is None or surface.name in names
        ]
    )


def net(x: Tensor) -> Tensor:
    phase = x @ torch.linspace(1, 2, x.shape[1]).to(x)
    return torch.stack([torch.sin(phase), torch.exp(-0.3 * phase)], dim=1)


def curved(x: Tensor) -> Tensor:
    return torch.stack([x[:, 0] ** 2, torch.cos(x[:, -1])], dim=1)


@pytest.mark.parametrize("factor", ["level", "distance"])
@pytest.mark.parametrize("name", SHAPES)
def test_values_hold_on_the_whole_boundary_and_nowhere_else(name: str, factor: str) -> None:
    shape = SHAPES[name]
    constraint = ShapeConstraint(shape, curved, factor=factor)
    x = edge(shape)
    # Points on the boundary are exact to a few roundings of the coordinates, up to 3.
    assert (constraint(x, net(x)) - curved(x)).abs().max() <= 100 * EPS
    b = constraint.factor(inside(shape, 3000))
    assert b.min() > 0
    assert 0.5 < b.max() <= 1.1


@pytest.mark.parametrize("factor", ["level", "distance"])
@pytest.mark.parametrize(
    "name", ["line", "disk", "annulus", "rectangle", "L", "L of rectangles", "disk less a box"]
)
def test_each_order_of_the_jet_is_the_slope_of_the_one_below(name: str, factor: str) -> None:
    shape = SHAPES[name]
    constraint = ShapeConstraint(shape, curved, sigma=0.5, factor=factor)
    x = inside(shape, 12)

    def jet(at: Tensor) -> Jet:
        return constraint.jet(at, Jet.of(net, at, 4))

    own, step = jet(x), 1e-5
    for axis in range(shape.dim):
        shift = torch.eye(shape.dim, dtype=torch.float64)[axis] * step
        slopes = (jet(x + shift).components - jet(x - shift).components) / (2 * step)
        below = multi_indices(shape.dim, 3)
        for place, alpha in enumerate(below):
            raised = tuple(m + (k == axis) for k, m in enumerate(alpha))
            found, size = own.derivative(raised), own.components.abs().amax(dim=1)
            # Differences are off by step^2 / 6 times the third derivative, here up to 1e4 times as
            # large next to the ends of a part.
            assert ((found - slopes[:, place]).abs() / size).max() <= 1e-5


@pytest.mark.parametrize(
    ("name", "order"), [("annulus", 4), ("L", 0), ("L", 2), ("two disks", 0), ("two disks", 2)]
)
def test_jet_is_the_derivative_of_the_value(name: str, order: int) -> None:
    constraint = ShapeConstraint(SHAPES[name], curved)
    x = inside(SHAPES[name], 40)
    jet = constraint.jet(x, Jet.of(net, x, order))
    expected = Jet.of(lambda s: constraint(s, net(s)), x, order).components
    assert (jet.components - expected).abs().max() <= 1e-11 * expected.abs().max()


@pytest.mark.parametrize("name", ["annulus", "rectangle", "L", "two disks", "disk less a box"])
def test_slope_on_the_boundary_is_finite_and_points_inside(name: str) -> None:
    shape = SHAPES[name]
    x = edge(shape)
    jet = ShapeConstraint(shape).factor_jet(x, 2)
    assert bool(jet.components.isfinite().all())
    step = 1e-6 * jet.gradient[:, 0] / jet.gradient[:, 0].norm(dim=1, keepdim=True)
    assert float(shape.contains(x + step).double().mean()) > 0.98  # all but at corners


def test_jet_is_finite_at_corners() -> None:
    corners = torch.tensor(ANGLED.corners, dtype=torch.float64)
    jet = ShapeConstraint(ANGLED).factor_jet(corners, 2)
    assert bool(jet.components.isfinite().all())
    assert bool((jet.value == 0).all())


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("annulus", "hole"),
        ("annulus", "outer"),
        ("rectangle", ("lower 0", "upper 1")),
        ("two disks", "left"),
        ("L", ("edge 2", "edge 5")),
        ("L less", "corner"),
        ("plus", "post"),
        ("disk less a box", "hole"),
        ("disk less L", "outer"),
    ],
)
def test_named_pieces_alone_are_held(name: str, held: Any) -> None:
    shape = SHAPES[name]
    constraint = ShapeConstraint(shape, 2.0, names=held)
    others = tuple(one for one in shape.names if one not in constraint.names)
    assert constraint.factor(edge(shape, constraint.names)).abs().max() <= 100 * EPS
    free = constraint.factor(edge(shape, others))
    assert float((free > 1e-4).double().mean()) > 0.95  # all but near the ends of held pieces
    assert constraint.factor(inside(shape, 3000)).min() > 0


def test_polygon_with_many_sides_keeps_its_factor_away_from_zero() -> None:
    angles = [2 * math.pi * k / 30 for k in range(30)]
    shape = Outline([(math.cos(a), math.sin(a)) for a in angles])
    b = ShapeConstraint(shape).factor(torch.tensor([[0.9, 0.0]], dtype=torch.float64))
    assert b > 0.02  # the plain product is 5e-5


# Points by hand, so that nothing holds features that they hardly see.
@pytest.mark.filterwarnings("ignore:solve")
def test_field_of_a_disk_solves_poissons_equation_to_rounding() -> None:
    shape = Disk((0.1, 0), 0.9)

    def exact(x: Tensor) -> Tensor:
        return torch.sin(2 * x[:, 0]) * torch.exp(x[:, 1])

    grid = dg.FeatureGrid.covering(shape, cells=12, basis=dg.BSpline(7), dtype=torch.float64)
    field = dg.Field(grid, constraint=ShapeConstraint(shape, exact))
    x = inside(shape, 3000)
    # -Laplacian u = 3 u
    term = dg.Term("pde", dg.Points(x), lambda x, u: u.laplacian[:, 0] + 3 * exact(x), order=2)
    box = dg.Box(shape.lower, shape.upper)
    dg.solve(dg.Problem(box, [term]), field, dg.LeastSquares(), progress=False)
    test = inside(shape, 5000)[3000:]
    assert (field(test)[:, 0] - exact(test)).abs().max() < 1e-7


def test_energy_with_a_constraint_is_minimised_on_a_box() -> None:
    box = dg.Box([0, 0], [2, 1])
    grid = dg.FeatureGrid.covering(box, cells=16, basis=dg.BSpline(5), dtype=torch.float64)
    field = dg.Field(grid, constraint=ShapeConstraint(box))

    def source(x: Tensor) -> Tensor:
        return 1.25 * math.pi**2 * torch.sin(math.pi * x[:, 0] / 2) * torch.sin(math.pi * x[:, 1])

    def energy(x: Tensor, u: Any) -> Tensor:
        return 0.5 * u.gradient[:, 0].square().sum(dim=1) - source(x) * u.value[:, 0]

    problem = dg.Problem(box, [dg.Term("energy", dg.Interior(), energy, order=1, loss="mean")])
    dg.solve(problem, field, dg.LeastSquares(), progress=False)
    x = inside(box, 500)
    exact = torch.sin(math.pi * x[:, 0] / 2) * torch.sin(math.pi * x[:, 1])
    assert (field(x)[:, 0] - exact).abs().max() < 1e-6


def test_decoder_of_a_network_keeps_the_values_in_float32() -> None:
    shape = SHAPES["two disks"]
    grid = dg.FeatureGrid.covering(shape, cells=8, channels=2, dtype=torch.float32, seed=0)
    field = dg.Field(grid, dg.MLPDecoder(1, hidden=8, seed=0), ShapeConstraint(shape, 3.0))
    x = edge(shape).float()
    assert (field(x) - 3.0).abs().max() <= 1e-5
    assert bool(field.jet(x, 2).components.isfinite().all())


def test_r_functions_have_the_signs_of_their_names() -> None:
    values = torch.arange(-20, 21, dtype=torch.float64) / 20
    a, b = torch.cartesian_prod(values, values)[:, :, None].unbind(dim=1)
    one, other = (Jet.constant(value, 1, 2) for value in (a, b))
    assert torch.equal(conjunction(one, other).value > 0, (a > 0) & (b > 0))
    assert torch.equal(disjunction(one, other).value > 0, (a > 0) | (b > 0))
    cut = trimmed(one, other).value
    assert torch.equal(cut == 0, (a == 0) & (b >= 0))
    assert bool((cut >= 0).all())
    # Unchanged on the part, up to f^7 / 8 (2 t)^2.
    near = (b >= 0.5) & (a.abs() <= 0.1)
    assert ((cut - a.abs())[near] <= 1e-7 / 8 + EPS).all()


class Opaque(Disk):
    """A disk whose level torch cannot differentiate."""

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        return (Detached("disk", super().surfaces[0]),)


class Detached(Surface):
    def __init__(self, name: str, surface: Surface) -> None:
        self.name, self.surface = name, surface

    def level(self, x: Tensor) -> Tensor:
        return self.surface.level(x.detach())

    def gradient(self, x: Tensor) -> Tensor:
        return self.surface.gradient(x)

    def near(self, x: Tensor, radius: float | Tensor) -> Tensor:
        return self.surface.near(x, radius)


class Bowtie(Disk):
    """Two surfaces that do not bound it as their insides' intersection."""

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        return (*super().surfaces, Plane("line", (1.0, 0.0), 0.0))


SQUARE = dg.Box([0, 0], [1, 1], "a")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ShapeConstraint("disk"), TypeError, "shape is a str; pass a Disk"),
        (lambda: ShapeConstraint(Disk), TypeError, "shape is the class Disk"),
        (lambda: ShapeConstraint(SQUARE, factor="soft"), ValueError, "pass 'level' or 'distance'"),
        (lambda: ShapeConstraint(SQUARE, sigma=-1), ValueError, "sigma is -1; pass a positive"),
        (lambda: ShapeConstraint(SQUARE, names="a lover 0"), ValueError, "mean 'a lower 0'"),
        (lambda: ShapeConstraint(SQUARE, names=()), ValueError, "names is empty"),
        (lambda: ShapeConstraint(~SQUARE), ValueError, "has no end"),
        (
            lambda: ShapeConstraint(SQUARE | Disk((0.5, 0.5), 0.1), names="disk"),
            ValueError,
            "'disk' is not on the boundary",
        ),
        (
            lambda: ShapeConstraint(SQUARE | dg.Box([1, 0], [2, 1], "b")),
            ValueError,
            "parts touch at the surface 'a upper 0' inside it, at .1.0",
        ),
        (
            lambda: ShapeConstraint(WIDE | HIGH, names="high"),
            ValueError,
            "the piece 'wide lower 0' is in line with one held",
        ),
        (
            lambda: ShapeConstraint(Bowtie((0, 0), 1)),
            ValueError,
            "is not what its 2 surfaces bound",
        ),
        (
            lambda: dg.Field(dg.FeatureGrid(3, 4), constraint=ShapeConstraint(SQUARE)),
            ValueError,
            "is 2-D, but the field is 3-D",
        ),
        (
            lambda: ShapeConstraint(Opaque((0, 0), 1)),
            TypeError,
            "level of the piece 'disk' has no derivatives",
        ),
    ],
)
def test_errors_are_clear(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_it_names_itself() -> None:
    text = repr(ShapeConstraint(Disk((0, 0), 1), sigma=0.1))
    assert "Disk((0.0, 0.0), 1), names=('disk',), factor='distance', sigma=0.1" in text
