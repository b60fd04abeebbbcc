"""Volumes, boundaries and integrals of shapes from the cells of a lattice, against exact values."""

import math

import pytest
import torch

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.cut_cells.surface import cut_cells, surface_rule
from dinfgrid_cuda.geometry.cut_cells.volume import volume_rule
from dinfgrid_cuda.geometry.shapes.ball import Ball, Disk
from dinfgrid_cuda.geometry.shapes.implicit import Implicit

PI = math.pi


def lattice(dim, cells, shift=0.0, reach=1.2):
    """Square cells on [-reach, reach]^dim, shifted by part of a cell differently on each axis."""
    size = 2 * reach / cells
    ends = torch.linspace(-reach, reach + size, cells + 2, dtype=torch.float64)
    return [ends - size * ((shift * (1 + 0.37 * axis)) % 1) for axis in range(dim)]


def star_radius(angle):
    return 0.7 + 0.2 * torch.cos(5 * angle)


def star(x):
    return x.norm(dim=1) - star_radius(torch.atan2(x[:, 1], x[:, 0]))


def ellipse(x):
    return 100 * ((x[:, 0] / 0.9).square() + (x[:, 1] / 0.5).square() - 1)


def torus(x):
    away = x[:, :2].norm(dim=1) - 0.6
    return away.square() + x[:, 2].square() - 0.09


def around(function):
    """The integral over [0, 2 pi] of a periodic analytic function: the trapezoidal rule."""
    angle = torch.arange(4096, dtype=torch.float64) * (2 * PI / 4096)
    return float(function(angle).sum()) * 2 * PI / 4096


def ellipse_speed(angle):
    return (0.81 * angle.sin().square() + 0.25 * angle.cos().square()).sqrt()


def star_speed(angle):
    return (star_radius(angle).square() + torch.sin(5 * angle).square()).sqrt()


def lens(distance, radius):
    """Area and length of what two equal disks share."""
    angle = 2 * math.acos(distance / 2 / radius)
    return radius**2 * (angle - math.sin(angle)), 2 * radius * angle


LENS = lens(0.7, 0.6)
PAIR = Disk((-0.3, 0.1), 0.6), Disk((0.4, 0.1), 0.6)
DISK = Disk((0.013, 0.02), 0.9)
FLAT = {
    "disk": (DISK, PI * 0.81, 1.8 * PI),
    "star": (
        Implicit(star, (-1, -1), (1, 1)),
        around(lambda a: star_radius(a).square() / 2),
        around(star_speed),
    ),
    "ellipse, no distance": (
        Implicit(ellipse, (-1, -1), (1, 1)),
        0.45 * PI,
        around(ellipse_speed),
    ),
    "disk with a hole": (DISK - Disk((0.1, 0.05), 0.3), 0.72 * PI, 2.4 * PI),
    "half disk": (DISK & Box((0.013, -2.0), (2.0, 2.0)), 0.405 * PI, 0.9 * PI + 1.8),
    "L of boxes": (Box((-0.7, -0.7), (0.7, 0.0)) | Box((-0.7, -0.7), (0.1, 0.6)), 1.46, 5.4),
    "lens": (PAIR[0] & PAIR[1], *LENS),
    "overlapping disks": (PAIR[0] | PAIR[1], 0.72 * PI - LENS[0], 2.4 * PI - LENS[1]),
    "turned box": (Box((-0.5, -0.4), (0.5, 0.4)).rotated(0.3), 0.8, 3.6),
    "hardly turned box": (Box((-0.5, -0.4), (0.5, 0.4)).rotated(1e-7), 0.8, 3.6),
    "thin ring": (DISK - Disk((0.013, 0.02), 0.84), PI * (0.81 - 0.84**2), PI * 3.48),
    "crossing at right angles to the axes": (
        Disk((0.3, 0.3), 0.5) & Disk((-0.2, -0.2), 0.5),
        *lens(0.5 * math.sqrt(2), 0.5),
    ),
    "disk in a cell": (Disk((0.11, 0.07), 0.02), 4e-4 * PI, 0.04 * PI),
    "sliver": (Box((-0.5, 0.1), (0.5, 0.1 + 1e-5)), 1e-5, 2 + 2e-5),
}
HALF = Ball((0.02, 0.01, 0.03), 0.9) & Box((0.02, -2.0, -2.0), (2.0, 2.0, 2.0))
BRICK = Box((-0.5, -0.4, -0.3), (0.5, 0.4, 0.6))
SOLID = {
    "ball": (Ball((0.013, 0.02, 0.031), 0.9), 4 / 3 * PI * 0.729, 4 * PI * 0.81),
    "torus": (
        Implicit(torus, (-1, -1, -1), (1, 1, 1)),
        2 * PI**2 * 0.6 * 0.09,
        4 * PI**2 * 0.6 * 0.3,
    ),
    "ball with a hole": (
        Ball((0.013, 0.02, 0.031), 0.9) - Ball((0.1, 0.05, 0.0), 0.3),
        4 / 3 * PI * 0.702,
        4 * PI * 0.9,
    ),
    "half ball": (HALF, 2 / 3 * PI * 0.729, 3 * PI * 0.81),
    "lens": (
        Ball((-0.3, 0.1, 0.05), 0.8) & Ball((0.4, 0.1, 0.05), 0.8),
        PI / 12 * (4 * 0.8 + 0.7) * (1.6 - 0.7) ** 2,
        4 * PI * 0.8 * 0.45,
    ),
    "box": (BRICK, 0.72, 4.84),
    "turned box": (BRICK.rotated(0.3).rotated(0.5, (1.0, 2.0, 0.3)), 0.72, 4.84),
}


def check(shape, volume, area, edges, count, tolerance):
    """Volume, area, and integrals of a field by both rules (the divergence theorem)."""
    inside, boundary = volume_rule(shape, edges, count), surface_rule(shape, edges, count)
    assert float(inside.weights.sum()) == pytest.approx(volume, rel=tolerance)
    assert float(boundary.weights.sum()) == pytest.approx(area, rel=tolerance)
    assert bool((inside.weights > 0).all())
    assert bool((boundary.weights > 0).all())
    assert bool(shape.contains(inside.x).all())
    assert bool((inside.cells.diff() >= 0).all())
    for axis in range(len(edges)):
        field = torch.exp(boundary.x[:, axis]) * boundary.x[:, 0]
        flux = float((field * boundary.normals[:, axis] * boundary.weights).sum())
        x = inside.x
        divergence = torch.exp(x[:, axis]) * (x[:, 0] + (1.0 if axis == 0 else 0.0))
        assert flux == pytest.approx(
            float((divergence * inside.weights).sum()), abs=tolerance * area
        )


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize(("cells", "count"), [(4, 4), (13, 5), (40, 4)])
def test_areas_lengths_and_fluxes_are_exact_in_the_plane(name, cells, count):
    shape, area, length = FLAT[name]
    for shift in (0.0, 0.31, 0.77):
        check(shape, area, length, lattice(2, cells, shift), count, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLID)
@pytest.mark.parametrize(("cells", "shift"), [(7, 0.43)])
def test_volumes_areas_and_fluxes_are_exact_in_space(name, cells, shift):
    shape, volume, area = SOLID[name]
    check(shape, volume, area, lattice(3, cells, shift), 3, 1e-6)


def test_polynomials_over_a_disk_have_their_moments():
    rule = volume_rule(Disk((0.0, 0.0), 0.9), lattice(2, 17, 0.2), 4)
    x, y = rule.x.unbind(dim=1)
    moments = {(2, 0): PI / 4, (2, 2): PI / 24, (4, 2): PI / 64, (6, 0): 5 * PI / 64}
    for (p, q), exact in moments.items():
        value = float((rule.weights * x**p * y**q).sum())
        assert value == pytest.approx(exact * 0.9 ** (p + q + 2), rel=1e-10)


def test_lines_are_measured_between_their_ends():
    shape = (Box(-0.5, 0.7) - Box(0.1, 0.2)) | Box(0.15, 0.16)
    for cells in (1, 3, 24):
        edges = lattice(1, cells, 0.3)
        rule, ends = volume_rule(shape, edges, 3), surface_rule(shape, edges, 3)
        assert float(rule.weights.sum()) == pytest.approx(1.11, rel=1e-12)
        assert float((rule.weights * rule.x[:, 0] ** 2).sum()) == pytest.approx(
            (0.5**3 + 0.7**3 - 0.2**3 + 0.1**3 + 0.16**3 - 0.15**3) / 3, rel=1e-12
        )
        order = ends.x[:, 0].argsort()
        exact = torch.tensor([-0.5, 0.1, 0.15, 0.16, 0.2, 0.7], dtype=torch.float64)
        torch.testing.assert_close(ends.x[order, 0], exact, rtol=0, atol=1e-12)
        signs = torch.tensor([-1.0, 1, -1, 1, -1, 1], dtype=torch.float64)
        torch.testing.assert_close(ends.normals[order, 0], signs, rtol=0, atol=0)
        assert bool((ends.weights == 1).all())


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("cells", [1, 3])
def test_faces_on_the_faces_of_cells_count_once(dim, cells):
    ends = torch.linspace(-1.1, 1.9, 3 * cells + 1, dtype=torch.float64)
    outer = Box((-1.1,) * dim, (1.9,) * dim)
    inner = Box((-0.1,) * dim, (0.9,) * dim)
    edges = [ends] * dim
    area = 2.0 * dim
    for shape, volume, surface in (
        (outer, 3.0**dim, area * 3.0 ** (dim - 1)),
        (inner, 1.0, area),
        (outer - inner, 3.0**dim - 1, area * (3.0 ** (dim - 1) + 1)),
        (inner | inner.moved(*([0.0] * (dim - 1)), 1.0), 2.0, 4.0 * dim - 2),
        (inner | inner, 1.0, area),
    ):
        rule, boundary = volume_rule(shape, edges, 2), surface_rule(shape, edges, 2)
        assert float(rule.weights.sum()) == pytest.approx(volume, rel=1e-12)
        assert float(boundary.weights.sum()) == pytest.approx(surface, rel=1e-12)


def test_a_disk_that_touches_a_box_from_inside_counts_once():
    shape = Disk((0.0, 0.0), 0.5) | Box((-0.5, -0.5), (0.5, 0.5))
    for cells in (2, 5, 8):
        ends = torch.linspace(-0.5, 0.5, cells + 1, dtype=torch.float64)
        check(shape, 1.0, 4.0, [ends, ends], 4, 1e-10)


def test_disks_that_touch_count_twice_but_for_rounding_at_the_contact():
    # Within sqrt(rounding) of the contact the surfaces cross anywhere, or there are none.
    shape = Disk((-0.45, 0.0), 0.4) | Disk((0.35, 0.0), 0.4)
    for cells, shift in ((4, 0.0), (13, 0.3), (40, 0.6)):
        check(shape, 0.32 * PI, 1.6 * PI, lattice(2, cells, shift), 4, 3e-8)


def test_normals_point_outward_also_in_holes():
    shape = DISK - Disk((0.1, 0.05), 0.3, name="hole")
    rule = surface_rule(shape, lattice(2, 20), 4)
    hole = rule.surfaces == 1
    assert bool(hole.any())
    assert not bool(hole.all())
    for part, centre, sign in ((~hole, (0.013, 0.02), 1.0), (hole, (0.1, 0.05), -1.0)):
        away = rule.x[part] - torch.tensor(centre, dtype=torch.float64)
        exact = sign * away / away.norm(dim=1, keepdim=True)
        torch.testing.assert_close(rule.normals[part], exact, rtol=0, atol=1e-12)


def test_only_what_lies_in_the_lattice_counts():
    ends = torch.linspace(0.0, 1.0, 6, dtype=torch.float64)
    rule, boundary = (
        make(Disk((0, 0), 0.8), [ends] * 2, 4) for make in (volume_rule, surface_rule)
    )
    assert float(rule.weights.sum()) == pytest.approx(0.16 * PI, rel=1e-10)
    assert float(boundary.weights.sum()) == pytest.approx(0.4 * PI, rel=1e-10)
    far = [ends + 5] * 2
    assert len(volume_rule(Disk((0, 0), 0.8), far, 4).x) == 0
    assert len(surface_rule(Disk((0, 0), 0.8), far, 4).x) == 0


def test_cells_are_told_apart():
    edges = lattice(2, 24, 0.3)
    inside, cut = cut_cells(DISK - Disk((0.1, 0.05), 0.3), edges)
    size = edges[0].diff()[0]
    rule = volume_rule(DISK - Disk((0.1, 0.05), 0.3), edges, 4)
    filled = torch.zeros(len(cut), dtype=torch.float64).index_add(0, rule.cells, rule.weights)
    part = filled / size**2
    assert not bool((inside & cut).any())
    torch.testing.assert_close(part[inside], torch.ones_like(part[inside]), rtol=0, atol=1e-12)
    assert bool((part[~inside & ~cut] == 0).all())
    assert bool((part[cut] < 1 - 1e-9).all())
    assert bool((part[cut] > 0).all())


def test_a_box_on_its_own_lattice_cuts_no_cell():
    ends = torch.linspace(-0.3, 0.8, 8, dtype=torch.float64)
    inside, cut = cut_cells(Box((-0.3, -0.3), (0.8, 0.8)), [ends, ends])
    assert bool(inside.all())
    assert not bool(cut.any())


@pytest.mark.parametrize("rule", [volume_rule, surface_rule])
def test_bad_lattices_and_counts_are_named(rule):
    ends = torch.linspace(0, 1, 3, dtype=torch.float64)
    name = rule.__name__
    with pytest.raises(ValueError, match=f"{name}: edges are given for 4 axes; pass one to three"):
        rule(DISK, [ends] * 4, 3)
    with pytest.raises(ValueError, match=f"{name}: edges of axis 1 are torch.float32"):
        rule(DISK, [ends, ends.float()], 3)
    with pytest.raises(ValueError, match=f"{name}: edges of axis 1 must be finite and ascend"):
        rule(DISK, [ends, ends.flip(0)], 3)
    with pytest.raises(ValueError, match=f"{name}: count is 0; pass a positive integer"):
        rule(DISK, [ends, ends], 0)
