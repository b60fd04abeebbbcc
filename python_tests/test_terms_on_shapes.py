"""What works on boxes works on shapes: methods, fields, conditions, and what is said of them."""

import math
import os
import random
import warnings

import pytest
import torch
from solving import make_field, relative_error

import dinfgrid_cuda as dg

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("one_thread")

DOUBLE = torch.float64
RING = dg.Disk((0, 0), 0.9, name="outer") - dg.Disk((0.2, 0.1), 0.25, name="hole")
DISK = dg.Disk((0, 0), 0.8)
STAR = dg.Implicit(
    lambda x: x.norm(dim=1) - 0.7 - 0.2 * torch.cos(5 * torch.atan2(x[:, 1], x[:, 0])),
    (-0.9, -0.9),
    (0.9, 0.9),
)
CORNER = dg.Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], name="wall")


def exact(x):
    return torch.sin(3 * x[:, :1]) * torch.exp(x[:, 1:2])


def slope(x):
    return torch.cat([3 * torch.cos(3 * x[:, :1]) * torch.exp(x[:, 1:2]), exact(x)], dim=1)


def over(shape, cells=12, degree=5, decoder=None, constraint=None, **options):
    options = {"basis": dg.BSpline(degree), "dtype": DOUBLE, "seed": 0, **options}
    return dg.Field(dg.FeatureGrid.covering(shape, cells=cells, **options), decoder, constraint)


def equation(region=None):
    return dg.Term("pde", region or dg.Interior(), lambda x, u: u.laplacian + 8 * exact(x), order=2)


def held(name=None, **options):
    return dg.Term("held", dg.Boundary(name, **options), lambda x, u: u.value - exact(x))


def flux(name=None):
    def residual(x, u):
        return u.normal_derivative - (slope(x) * u.normal).sum(dim=1, keepdim=True)

    return dg.Term("flux", dg.Boundary(name), residual, order=1)


MIXED = [equation(), held("outer"), flux("hole")]


def error(field, shape, function=exact):
    x = dg.Interior(dg.Lattice((61, 61))).sample(0, shape, dtype=DOUBLE)
    return relative_error(field, function, x)


def solved(terms, field, shape=RING, method="least-squares", **options):
    """The solution, which must come without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return dg.solve(dg.Problem(shape, terms), field, method, progress=False, **options)


# Errors of interpolation at 12 cells of size h = 0.15, k = 3, and those of second derivatives that
# a least-squares solve inherits: (k h / pi)^(p + 1) times some ten.
DEGREES = {3: 5e-3, 5: 1e-5, 7: 1e-7}


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("shape", [RING, CORNER], ids=["ring", "corner"])
def test_every_degree_solves_with_values_and_fluxes(degree, shape):
    terms = MIXED if shape is RING else [equation(), held()]
    solution = solved(terms, over(shape, 12 if shape is RING else 16, degree), shape)
    wrong = error(solution.field, shape)
    assert wrong < DEGREES[degree]
    x = dg.Interior(dg.Uniform()).sample(2000, shape, dtype=DOUBLE)
    assert wrong * float(exact(x).square().mean().sqrt()) < 10 * solution.report.error[1]
    assert solution.reason.startswith("converged")


@pytest.mark.parametrize("options", [{"levels": 3}, {"levels": 2, "channels": 2}], ids=str)
def test_levels_and_channels_are_as_accurate_as_one(options):
    field = over(RING, decoder=dg.LinearDecoder(1, seed=0), **options)
    assert error(dg.solve(dg.Problem(RING, MIXED), field, progress=False).field, RING) < 1e-5


@pytest.mark.parametrize(
    "sampler",
    [dg.Stratified(), dg.Sobol(), dg.Uniform(), dg.Lattice(), dg.GaussPoints()],
    ids=lambda sampler: type(sampler).__name__,
)
def test_every_sampler_serves_least_squares(sampler):
    terms = [equation(dg.Interior(sampler)), held(sampler=dg.Uniform())]
    assert error(solved(terms, over(RING)).field, RING) < 1e-5


@pytest.mark.parametrize("linear", ["direct", "matrix-free"])
def test_routes_agree(linear):
    solution = solved(MIXED, over(RING, 8, 3), method=dg.LeastSquares(linear))
    expected = solved(MIXED, over(RING, 8, 3))
    x = dg.Interior(dg.Uniform()).sample(500, RING, dtype=DOUBLE)
    torch.testing.assert_close(solution.field(x), expected.field(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("guess", [None, 0.1, exact])
def test_nonlinear_equations_are_solved_from_any_start(guess):
    cubic = dg.Term(
        "cubic",
        dg.Interior(),
        lambda x, u: -u.laplacian + u.value**3 - 8 * exact(x) - exact(x) ** 3,
        order=2,
    )
    assert error(solved([cubic, held()], over(RING), guess=guess).field, RING) < 1e-5


@pytest.mark.parametrize("method", [dg.Adam(lr=1e-2), dg.LBFGS()], ids=["adam", "lbfgs"])
def test_losses_of_training_fall(method):
    problem = dg.Problem(RING, MIXED)
    solution = dg.solve(problem, over(RING, 6), method, steps=100, progress=False)
    totals = solution.history.totals
    assert totals[-1] < 0.5 * totals[0]


def test_adam_draws_adaptive_points_on_boundaries_with_their_normals():
    for domain, region in ((RING, "hole"), (dg.Box([-0.9, -0.9], [0.9, 0.9]), "lower 0")):
        term = dg.Term(
            "flux",
            dg.Boundary(region, dg.Adaptive()),
            lambda x, u: u.normal_derivative - 1,
            order=1,
            points=64,
        )
        problem = dg.Problem(domain, [term])
        solution = dg.solve(problem, over(RING, 6), dg.Adam(lr=1e-2), steps=60, progress=False)
        assert solution.history.totals[-1] < 0.5 * solution.history.totals[0]


def bubble(x):
    """-lap u = 1 in the disk, zero on its edge."""
    return (0.64 - x.square().sum(dim=1, keepdim=True)) / 4


ENERGY = dg.Term(
    "energy",
    dg.Interior(),
    lambda x, u: 0.5 * u.gradient[:, 0].square().sum(dim=1) - u.value[:, 0],
    order=1,
    loss="mean",
)


@pytest.mark.parametrize(
    ("method", "tolerance"), [("least-squares", 1e-10), (dg.LBFGS(), 1e-4)], ids=["ls", "lbfgs"]
)
def test_energy_with_a_hard_constraint_is_minimised_on_a_disk(method, tolerance):
    field = over(DISK, 8, constraint=dg.ShapeConstraint(DISK, 0.0))
    steps = 120 if isinstance(method, dg.LBFGS) else None
    solution = dg.solve(dg.Problem(DISK, [ENERGY]), field, method, steps=steps, progress=False)
    assert error(solution.field, DISK, bubble) < tolerance


def test_energy_is_the_mean_of_its_density():
    """The mean of |grad u|^2 / 2 - u for u = `bubble` is -a^2 / 16 with a the radius."""
    field = over(DISK, 8, constraint=dg.ShapeConstraint(DISK, 0.0))
    solution = dg.solve(dg.Problem(DISK, [ENERGY]), field, progress=False)
    assert solution.history.terms[-1][0] == pytest.approx(-0.64 / 16, rel=1e-9)


@pytest.mark.parametrize("names", [None, "outer"])
def test_hard_constraints_hold_in_least_squares(names):
    wall = dg.ShapeConstraint(RING, exact, names=names)
    terms = [equation()] if names is None else [equation(), flux("hole")]
    field = solved(terms, over(RING, constraint=wall)).field
    assert error(field, RING) < 1e-5
    x = dg.Boundary(names).sample(200, RING, dtype=DOUBLE)
    torch.testing.assert_close(field(x), exact(x), rtol=0, atol=1e-10)


def test_unknown_coefficient_is_found_from_data():
    c = torch.nn.Parameter(torch.tensor(1.0, dtype=DOUBLE))
    x = dg.Interior(dg.Uniform()).sample(200, RING, dtype=DOUBLE)
    terms = [
        dg.Term("pde", dg.Interior(), lambda x, u: u.laplacian + c * u.value, order=2),
        held("outer"),
        dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=exact(x)),
    ]
    problem = dg.Problem(RING, terms, {"c": c})
    dg.solve(problem, over(RING), progress=False)
    assert float(c.detach()) == pytest.approx(8, rel=1e-4)


def wave(x):
    return torch.exp(1j * (2 * x[:, :1] + x[:, 1:2]))


def test_complex_fields_meet_impedance_conditions():
    def impedance(x, u):
        z = u.as_complex()
        along = 2 * u.normal[:, :1] + u.normal[:, 1:]
        return z.normal_derivative + 1j * z.value - 1j * (along + 1) * wave(x)

    def helmholtz(x, u):
        z = u.as_complex()
        return z.laplacian + 5 * z.value

    terms = [
        dg.Term("helmholtz", dg.Interior(), helmholtz, order=2),
        dg.Term("soft", dg.Boundary("outer"), lambda x, u: u.as_complex().value - wave(x)),
        dg.Term("impedance", dg.Boundary("hole"), impedance, order=1),
    ]
    field = over(RING, decoder=dg.LinearDecoder(2), channels=2)
    solution = solved(terms, field)
    assert error(solution.field, RING, lambda x: torch.view_as_real(wave(x)[:, 0])) < 1e-5


def test_systems_are_solved_together():
    terms = [
        dg.Term(
            "a",
            dg.Interior(),
            lambda x, u: u[0].laplacian - u[1].value + 10 * exact(x),
            order=2,
        ),
        dg.Term("b", dg.Interior(), lambda x, u: u[1].laplacian + 16 * exact(x), order=2),
        dg.Term(
            "w", dg.Boundary(), lambda x, u: u.value - torch.cat([exact(x), 2 * exact(x)], dim=1)
        ),
    ]
    field = over(RING, decoder=dg.LinearDecoder(2), channels=2)
    both = error(
        solved(terms, field).field, RING, lambda x: torch.cat([exact(x), 2 * exact(x)], dim=1)
    )
    assert both < 1e-5


def test_a_wavy_channel_is_periodic_along_its_axis():
    def wall(x):
        return x[:, 1].abs() - 0.5 - 0.1 * torch.sin(2 * math.pi * x[:, 0])

    def wavy(x):
        return torch.sin(2 * math.pi * x[:, :1]) * torch.exp(x[:, 1:])

    channel = dg.Implicit(wall, (0, -0.61), (1, 0.61), name="wall")
    terms = [
        dg.Term(
            "pde",
            dg.Interior(),
            lambda x, u: u.laplacian - (1 - 4 * math.pi**2) * wavy(x),
            order=2,
        ),
        dg.Term("wall", dg.Boundary("wall"), lambda x, u: u.value - wavy(x)),
    ]
    field = over(channel, (16, 20), boundary=("periodic", "ghost"))
    solution = solved(terms, field, channel)
    assert error(solution.field, channel, wavy) < 1e-5
    ends = torch.tensor([[0.0, 0.2], [1.0, 0.2]], dtype=DOUBLE)
    first, last = solution.field(ends)
    torch.testing.assert_close(first, last)


def test_slabs_of_time_march_over_a_ring():
    def cooling(x):
        return torch.exp(-x[:, :1]) * torch.sin(2 * x[:, 1:2]) * torch.cos(x[:, 2:])

    def heat(x, u):
        return (
            u.derivative((1, 0, 0))
            - u.derivative((0, 2, 0))
            - u.derivative((0, 0, 2))
            - 4 * cooling(x)
        )

    domain = dg.Product(DISK, 0.0, 1.0, axis=0)
    terms = [
        dg.Term("heat", dg.Interior(), heat, order=2),
        dg.Term("start", dg.Boundary("lower 0"), lambda x, u: u.value - cooling(x)),
        dg.Term("walls", dg.Boundary("disk"), lambda x, u: u.value - cooling(x)),
    ]
    box = dg.Box(domain.lower, domain.upper)
    field = dg.SlabField(
        lambda box: make_field(cells=(2, 6, 6), box=box, basis=dg.BSpline(3)), box, 2
    )
    solution = dg.solve(dg.Problem(domain, terms), field, progress=False)
    x = dg.Interior(dg.Uniform()).sample(1000, domain, dtype=DOUBLE)
    assert relative_error(solution.field, cooling, x) < 5e-3


def test_float32_fields_are_solved_as_accurately_as_they_can_hold():
    field = solved(MIXED, over(RING, dtype=torch.float32)).field
    assert error(field, RING) < 1e-4


def test_matrices_of_terms_are_made_on_shapes():
    field = over(RING)
    matrix = dg.term_matrix(field, equation(), domain=RING)
    features = field.grid.features.numel()
    assert matrix.shape[1] == features
    assert matrix.shape[0] > features
    on_hole = dg.term_matrix(field, flux("hole"), domain=RING)
    assert 0 < on_hole.shape[0] < matrix.shape[0]


def test_solutions_are_loaded_from_checkpoints(tmp_path):
    pytest.importorskip("safetensors")
    field, again = over(RING), over(RING, seed=1)
    dg.solve(dg.Problem(RING, MIXED), field, out=tmp_path, progress=False)
    dg.load(tmp_path, again)
    x = dg.Interior(dg.Uniform()).sample(50, RING, dtype=DOUBLE)
    assert torch.equal(field(x), again(x))


MISSING = {
    "no condition": ([equation()], r"not determined by these terms.*'outer' and 'hole'"),
    "on the hole": ([equation(), held("outer")], r"not determined.*on the piece 'hole'"),
    "on the outside": ([equation(), held("hole")], r"not determined.*on the piece 'outer'"),
    "fluxes alone": (
        [equation(), flux()],
        r"not determined up to a constant: no term fixes",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_conditions_are_told_by_the_piece(name):
    terms, message = MISSING[name]
    with pytest.warns(RuntimeWarning, match=message) as caught:
        report = dg.solve(dg.Problem(RING, terms), over(RING, 16), progress=False).report
    assert caught[0].filename == __file__
    assert report.error == (None, None)


@pytest.mark.parametrize("terms", [MIXED, [equation(), held()]], ids=["mixed", "held"])
def test_complete_problems_are_solved_without_a_warning(terms):
    for cells in (8, 16):
        assert solved(terms, over(RING, cells)).report.findings.notes == ()


def test_data_that_contradict_each_other_are_no_small_error():
    off = dg.Term("off", dg.Boundary(), lambda x, u: u.value - exact(x) - 1)
    solution = dg.solve(dg.Problem(RING, [equation(), held(), off]), over(RING), progress=False)
    x = dg.Interior(dg.Uniform()).sample(2000, RING, dtype=DOUBLE)
    wrong = float((solution.field(x) - exact(x)).detach().square().mean().sqrt())
    assert wrong > 0.1
    assert solution.report.error[1] is None or wrong < 10 * solution.report.error[1]


def test_given_points_outside_the_shape_are_told():
    x = torch.tensor([[0.2, 0.1], [0.5, 0.5], [0.9, 0.0]], dtype=DOUBLE)
    data = dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=exact(x))
    with pytest.warns(RuntimeWarning, match=r"1 of 3 points lie outside .*\[0.2, 0.1\]") as caught:
        dg.solve(dg.Problem(RING, [*MIXED, data]), over(RING), progress=False)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("shape", [RING, STAR, CORNER], ids=["ring", "star", "corner"])
def test_given_points_inside_and_on_the_boundary_are_no_trouble(shape):
    inside = dg.Interior(dg.Uniform()).sample(50, shape, dtype=DOUBLE)
    edge = dg.Boundary().sample(50, shape, dtype=DOUBLE)
    for x in (inside, torch.cat([inside, edge])):
        data = dg.Term("data", dg.Points(x), lambda x, u, d: u.value - d, data=exact(x))
        solved([equation(), held(), data], over(shape, 8, 3), shape)
    assert STAR.surfaces[0].near(inside[:0], 0.1).shape == (0,)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (lambda: dg.Disk((0, 0), 1) - dg.Disk((0, 0), 2), r"is empty, or takes less than"),
        (lambda: dg.Implicit(lambda x: 1 + x[:, 0] ** 2, (-1, -1), (1, 1)), r"is empty, or takes"),
        (lambda: ~dg.Disk((0, 0), 1), r"has no end; intersect it with a box"),
        (lambda: dg.Disk((3, 0), 1), r"shape is \[2, 4\] x \[-1, 1\], but the field's grid covers"),
        (lambda: dg.Ball((0, 0, 0), 1), r"is 3-D, but the field is 2-D"),
    ],
)
def test_shapes_that_cannot_be_solved_on_are_refused(shape, message):
    with pytest.raises(ValueError, match=message) as caught:
        dg.solve(dg.Problem(shape(), [equation()]), over(dg.Disk((0, 0), 2)), progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "level_set",
    [
        lambda x: x.detach().norm(dim=1) - 0.8,
        lambda x: x.norm(dim=1) < 0.8,
        lambda x: torch.where(x.norm(dim=1) < 0.8, -1.0, 1.0),
    ],
)
def test_level_sets_without_gradients_are_refused(level_set):
    with pytest.raises(TypeError, match=r"torch cannot differentiate it") as caught:
        dg.Implicit(level_set, (-1, -1), (1, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("level_set", "message"),
    [
        (lambda x: x, r"returned \[64, 2\] for x of shape \[64, 2\]; it must return \[64\]"),
        (lambda x: x.norm() - 1, r"returned \[\]"),
        (lambda x: torch.log(x[:, 0]), r"NaN at x = "),
    ],
)
def test_level_sets_of_another_form_are_refused_at_once(level_set, message):
    with pytest.raises(ValueError, match=message):
        dg.Implicit(level_set, (-1, -1), (1, 1))


def shifted(shape, degree, cells, shift, per_cell, kind):
    """The error on a grid moved by a part of a cell, and all that is said of it."""
    length = 1.8 * (1 + 1 / cells) * 1.02
    size = length / cells
    lower = [low - part * size for low, part in zip(shape.lower, shift, strict=True)]
    if kind == "points":
        places = (torch.arange(per_cell * cells, dtype=DOUBLE) + 0.5) * size / per_cell
        x = torch.cartesian_prod(*(low + places for low in lower))
        region = dg.Points(x[shape.contains(x)])
    else:
        region = dg.Interior(dg.Lattice((per_cell * cells,) * 2))
    grid = dg.FeatureGrid(
        2,
        cells,
        lower=lower,
        upper=[low + length for low in lower],
        basis=dg.BSpline(degree),
        dtype=DOUBLE,
        seed=0,
    )
    field = dg.Field(grid)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        problem = dg.Problem(shape, [equation(region), held()])
        dg.solve(problem, field, "least-squares", progress=False)
    told = bool([one for one in said if issubclass(one.category, RuntimeWarning)])
    return error(field, shape), told


def study(count, degrees, shapes, counts, seed=1):
    """Names the cases whose result is ten times worse than the best, without a warning."""
    draw = random.Random(seed)
    shifts = [(draw.random(), draw.random()) for _ in range(count)]
    silent = []
    for degree in degrees:
        for name, (shape, cells, kinds) in shapes.items():
            results = {
                (kind, k, shift): shifted(shape, degree, cells, shift, k, kind)
                for kind in kinds
                for k in counts
                for shift in shifts
            }
            best = min(wrong for wrong, _ in results.values())
            for case, (wrong, told) in results.items():
                if wrong > 10 * best and not told:
                    silent.append((degree, name, *case, f"{wrong:.1e} of {best:.1e}"))
    return silent


def test_no_shift_of_the_grid_is_silently_wrong():
    assert study(1, (5,), {"ring": (RING, 12, ("points", "lattice"))}, (1, 2, 4)) == []


@pytest.mark.slow
def test_none_of_many_shifts_is_silently_wrong():
    # fifty take eight minutes: DINFGRID_SHIFTS=50
    shifts = int(os.environ.get("DINFGRID_SHIFTS", "2"))
    shapes = {"star": (STAR, 14, ("points",)), "ring": (RING, 10, ("lattice",))}
    assert study(shifts, (3, 5, 7), shapes, (1, 2, 3, 4)) == []
