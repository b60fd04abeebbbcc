"""Points inside shapes and on their boundary: number, place, density, names."""

import math

import pytest
import torch

import dinfgrid_cuda as dg
from dinfgrid_cuda.geometry.cell_points import boundary_of, gauss_on, lattice_around
from dinfgrid_cuda.geometry.on_boundary import faces_of

DOUBLE = torch.float64
RING = dg.Disk((0, 0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.25, name="hole")
PLATE = dg.Rectangle((0, 0), (2, 1), name="plate") - dg.Disk((0.5, 0.5), 0.2, name="hole")


def star(t):
    radius = 0.7 + 0.2 * torch.cos(5 * t)
    return torch.stack([radius * t.cos(), radius * t.sin()], dim=1)


SHAPES = {
    "ring": RING,
    "plate": PLATE,
    "star": dg.Curve(star),
    "polygon": dg.Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]),
    "turned": (dg.Rectangle((0, 0), (1, 0.2)) | dg.Disk((1, 0.1), 0.3)).rotated(0.7),
    "thin ring": dg.Disk((0, 0), 1) - dg.Disk((0, 0), 0.99),
    "ball": dg.Ball((0.1, 0, 0), 0.8),
    "drilled ball": dg.Ball((0, 0, 0), 1) - dg.Cylinder((0, 0, -2), 0.3, 4),
    "product": dg.Product(RING, 0, 1),
    "union of lines": dg.Box([0], [1]) | dg.Box([2], [2.5]),
}
RANDOM = {"stratified": dg.Stratified(), "sobol": dg.Sobol(), "uniform": dg.Uniform()}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("count", [0, 1, 10, 1000])
def test_random_points_are_as_many_as_asked_for_and_inside(name, count):
    shape = SHAPES[name]
    for kind, sampler in {**RANDOM, "lattice": dg.Lattice()}.items():
        x = dg.Interior(sampler).sample(count, shape, 3, 2, DOUBLE)
        assert x.shape[1] == shape.dim
        assert bool(shape.contains(x).all())
        if kind in ("sobol", "uniform"):
            assert len(x) == count
        elif count == 1000:
            assert 900 <= len(x) <= 1100


@pytest.mark.parametrize("name", ["ring", "plate", "star", "turned", "ball", "union of lines"])
def test_points_depend_on_seed_and_step_alone(name):
    shape = SHAPES[name]
    regions = [*map(dg.Interior, RANDOM.values()), dg.Boundary()]
    if shape.dim == 1:
        regions.pop()
    for region in regions:
        first = region.sample(100, shape, 3, 2, DOUBLE)
        assert torch.equal(first, region.sample(100, shape, 3, 2, DOUBLE))
        for seed, step in ((4, 2), (3, 3)):
            assert not torch.equal(
                first, region.sample(100, shape, seed, step, DOUBLE)[: len(first)]
            )
    same = dg.Interior(dg.Lattice())
    assert torch.equal(same.sample(100, shape, 1, 2), same.sample(100, shape, 3, 4))


def test_points_have_the_dtype_that_is_asked_for():
    for dtype in (torch.float32, DOUBLE):
        for sampler in (*RANDOM.values(), dg.Lattice(), dg.GaussPoints(cells=4)):
            assert dg.Interior(sampler).sample(50, RING, dtype=dtype).dtype == dtype
        x, normal = dg.Boundary().sample_with_normals(50, RING, dtype=dtype)
        assert x.dtype == normal.dtype == dtype


def chi_square(counts, shares):
    """The sum of (observed - expected)^2 / expected."""
    expected = torch.as_tensor(shares, dtype=DOUBLE) * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


# Of chi square with 31 degrees of freedom less than 61.1 is left out once in a thousand.
PARTS, ONCE_IN_A_THOUSAND = 32, 61.1


@pytest.mark.parametrize("sampler", RANDOM)
def test_points_inside_a_ring_are_uniform_by_area(sampler):
    x = dg.Interior(RANDOM[sampler]).sample(20_000, dg.Disk((0, 0), 0.9) - dg.Disk((0, 0), 0.3), 5)
    radius, angle = x.norm(dim=1), torch.atan2(x[:, 1], x[:, 0])
    ring = ((radius**2 - 0.09) / 0.72 * 4).clamp(0, 3.999).long()
    sector = ((angle / math.pi + 1) * 4).clamp(0, 7.999).long()
    counts = torch.bincount(8 * ring + sector, minlength=PARTS).double()
    assert chi_square(counts, [1 / PARTS] * PARTS) < ONCE_IN_A_THOUSAND


def test_points_on_a_circle_are_uniform_by_length():
    x = dg.Boundary("outer").sample(20_000, RING, 5, 0, DOUBLE)
    part = ((torch.atan2(x[:, 1], x[:, 0]) / math.pi + 1) * 16).clamp(0, 31.999).long()
    counts = torch.bincount(part, minlength=PARTS).double()
    assert chi_square(counts, [1 / PARTS] * PARTS) < ONCE_IN_A_THOUSAND


def test_points_are_shared_out_among_pieces_by_length():
    x = dg.Boundary().sample(20_000, PLATE, 5, 0, DOUBLE)
    on = [x[:, 0] == 0, x[:, 0] == 2, x[:, 1] == 0, x[:, 1] == 1]
    counts = [float((side & (x >= 0).all(dim=1)).sum()) for side in on]
    counts.append(len(x) - sum(counts))
    lengths = torch.tensor([1, 1, 2, 2, 0.4 * math.pi], dtype=DOUBLE)
    # With 4 degrees of freedom, 18.5 once in a thousand.
    assert chi_square(torch.tensor(counts), lengths / lengths.sum()) < 18.5


def test_points_on_a_sphere_are_uniform_by_area():
    x = dg.Boundary().sample(20_000, dg.Ball((0, 0, 0), 1), 5, 0, DOUBLE)
    height = ((x[:, 2] + 1) * 2).clamp(0, 3.999).long()  # Archimedes: by height
    sector = ((torch.atan2(x[:, 1], x[:, 0]) / math.pi + 1) * 4).clamp(0, 7.999).long()
    counts = torch.bincount(8 * height + sector, minlength=PARTS).double()
    assert chi_square(counts, [1 / PARTS] * PARTS) < ONCE_IN_A_THOUSAND


ON_SURFACE = [name for name in SHAPES if name not in ("union of lines", "drilled ball", "product")]
SOLIDS = [pytest.param(name, marks=pytest.mark.slow) for name in ("drilled ball", "product")]


@pytest.mark.parametrize("name", [*ON_SURFACE, *SOLIDS])
def test_random_points_lie_on_the_surface_and_normals_point_out_of_the_shape(name):
    shape = SHAPES[name]
    x, normal = dg.Boundary().sample_with_normals(500, shape, 3, 2, DOUBLE)
    assert len(x) == 500
    levels = torch.stack([surface.level(x).abs() for surface in shape.surfaces])
    assert float(levels.amin(dim=0).max()) <= 1e-12
    torch.testing.assert_close(normal.norm(dim=1), torch.ones(500, dtype=DOUBLE))
    step = 1e-6
    # Within a step of a corner the next piece may be met.
    good = shape.contains(x - step * normal) & ~shape.contains(x + step * normal)
    assert float(good.double().mean()) > 0.999


@pytest.mark.parametrize(
    "name", ["ring", "plate", "polygon", pytest.param("drilled ball", marks=pytest.mark.slow)]
)
def test_gauss_points_and_weights_integrate(name):
    shape = SHAPES[name]
    areas = {
        "ring": math.pi * (0.9**2 - 0.25**2),
        "plate": 2 - math.pi * 0.04,
        "polygon": 3.0,
        "drilled ball": 4 / 3 * math.pi * 0.91**1.5,
    }
    tolerance = 1e-9 if shape.dim == 2 else 1e-6
    region = dg.Interior(dg.GaussPoints(cells=12 if shape.dim == 2 else 8, per_cell=4))
    x = region.sample(0, shape, dtype=DOUBLE)
    weights = region.weights(0, shape, DOUBLE, torch.device("cpu"))
    assert bool(shape.contains(x).all())
    assert bool((weights > 0).all())
    assert float(weights.mean()) == pytest.approx(1, abs=1e-12)
    # The mean of x_0^2 over the shape times its area, by Green's theorem on the boundary's rule.
    rule = boundary_of(shape, lattice_around(shape, 24), 6)
    moment = float((rule.weights * rule.normals[:, 0] * rule.x[:, 0] ** 3 / 3).sum())
    mean = float((weights * x[:, 0] ** 2).mean())
    assert mean * areas[name] == pytest.approx(moment, rel=tolerance)
    assert float(gauss_on(region.sampler, 0, shape).weights.sum()) == pytest.approx(
        areas[name], rel=tolerance
    )


def held(name, shape):
    """Corners of the box around the points of a piece."""
    x = dg.Boundary(name).sample(400, shape, dtype=DOUBLE)
    return [round(v, 1) for v in (*x.amin(dim=0).tolist(), *x.amax(dim=0).tolist())]


def test_names_select_pieces_and_all_that_begin_with_them():
    assert held("plate lower 0", PLATE) == [0, 0, 0, 1]
    assert held("plate", PLATE) == [0, 0, 2, 1]
    assert held("hole", PLATE) == [0.3, 0.3, 0.7, 0.7]
    assert held(("hole", "plate lower 0"), PLATE) == [0, 0, 0.7, 1]
    assert held(("hole", "hole"), PLATE) == [0.3, 0.3, 0.7, 0.7]
    both = dg.Disk((0, 0), 1, name="wall") | dg.Disk((1, 0), 1, name="wall 2")
    assert held("wall", both) == [-1, -1, 2, 1]
    assert held("wall 2", both)[0] == 0.5


def test_faces_of_a_box_are_pieces_by_name():
    plain, named = dg.Box([0, 0], [1, 2]), dg.Box([0, 0], [1, 2], name="plate")
    pairs = dg.Boundary(((0, "lower"), (1, "upper"))).sample(50, plain)
    assert torch.equal(dg.Boundary(("lower 0", "upper 1")).sample(50, plain), pairs)
    assert torch.equal(dg.Boundary(("plate lower 0", "plate upper 1")).sample(50, named), pairs)
    assert torch.equal(dg.Boundary("plate").sample(50, named), dg.Boundary().sample(50, plain))
    assert faces_of(("plate lower 1",), named) == ((1, "lower"),)
    assert faces_of(("lower 1",), dg.Box([0] * 11, [1] * 11)) == ((1, "lower"),)
    assert dg.Boundary("lower 10").sample(5, dg.Box([0] * 11, [1] * 11))[:, 10].abs().max() == 0


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("hol", RING, r"no boundary piece 'hol'; did you mean 'hole'\?"),
        ("lower 0", RING, r"no boundary piece 'lower 0'; it has outer, hole\."),
        ("lower 0", PLATE, r"did you mean 'plate lower 0'\?"),
        ((), RING, r"no piece is named; name one"),
        ("lowr 0", dg.Box([0, 0], [1, 1]), r"did you mean 'lower 0'\?"),
        ("lower 2", dg.Box([0, 0], [1, 1]), r"\(2, 'lower'\) is no face of a 2-D box"),
        ("hole", dg.Box([0, 0], [1, 1], name="plate"), r"it has plate lower 0, plate upper 0"),
        (("plate", "plate lower 0"), dg.Box([0, 0], [1, 1], name="plate"), r"names a face twice"),
        (3, RING, r"faces is 3; pass the name of a piece, a tuple of names, or"),
        ((0, "lower"), RING, r"0 is neither the name of a piece nor a face such as"),
        (((0, "lower"),), RING, r"no boundary piece 'lower 0'; it has outer, hole"),
        ((0, "lower"), dg.Box([0, 0], [1, 1]), r"0 is no face of a 2-D box; pass pairs"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, shape, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        dg.Boundary(name).sample(10, shape)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["upper 1", ("disk", "upper 1"), ("upper 1", "lower 0")])
def test_pieces_that_a_combination_has_removed_are_refused(name):
    half = dg.Disk((0, 0), 1, name="disk") & dg.Box([-2, -2], [0, 2])
    with pytest.raises(
        ValueError, match=r"nothing of 'upper 1' is on the boundary.*there are"
    ) as c:
        dg.Boundary(name).sample(10, half)
    assert "\n" not in str(c.value)


@pytest.mark.parametrize("sampler", [dg.Lattice(), dg.Stratified(), dg.GaussPoints(), dg.Sobol()])
def test_samplers_of_faces_are_refused_on_curved_boundaries(sampler):
    with pytest.raises(ValueError, match=r"places points on the faces of a box; on other shapes"):
        dg.Boundary(sampler=sampler).sample(10, RING)
    with pytest.raises(ValueError, match=r"shape=... lays lattices on the faces of a box"):
        dg.Boundary(shape=(3, 3)).sample(10, RING)


@pytest.mark.parametrize("count", [-1, 2.5, None])
def test_numbers_of_points_are_checked(count):
    for region in (dg.Boundary(), dg.Interior(dg.Uniform()), dg.Interior(dg.Sobol())):
        with pytest.raises(ValueError, match=r"points were requested; pass a non-negative integer"):
            region.sample(count, RING)
