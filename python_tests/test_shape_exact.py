"""The exact solutions on curved shapes: each against its equation, its boundary, its symmetries."""

import math

import numpy as np
import pytest
import torch

from dinfgrid_cuda.suite.cases.plate import plate_exact, plate_terms
from dinfgrid_cuda.suite.cases.shape import four_holes, manufactured, outlines, round_plate, solids
from dinfgrid_cuda.suite.cases.shape.manufactured import DecayingMode, Pulsing
from dinfgrid_cuda.suite.cases.shape.round_plate import RoundPlate
from dinfgrid_cuda.suite.cases.shape.scattering_exact import DiskScattering

pytestmark = pytest.mark.usefixtures("one_thread")
EPS = 2.0**-52

# Eighth-order differences: f' and f'' from 9 points, errors of h^8.
SLOPE = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
BEND = [-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560]


def random(count, dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, dim, dtype=torch.float64, generator=generator) - 1


def circle(count, radius, centre=(0.0, 0.0)):
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    normal = torch.stack([angle.cos(), angle.sin()], dim=1)
    return radius * normal + normal.new_tensor(centre), normal


def differences(function, x, h, weights, axis):
    """The sum of weighted values at x - 4 h, ..., x + 4 h along an axis."""
    step = torch.zeros(x.shape[1], dtype=torch.float64)
    step[axis] = h
    return sum(w * function(x + n * step) for n, w in zip(range(-4, 5), weights, strict=True))


def numerical_gradient(function, x, h):
    columns = [differences(function, x, h, SLOPE, axis) / h for axis in range(x.shape[1])]
    return torch.stack(columns, dim=1)


def numerical_laplacian(function, x, h):
    return sum(differences(function, x, h, BEND, axis) / h**2 for axis in range(x.shape[1]))


def automatic(function, x, order):
    """Value, gradient [N, dim], Hessian [N, dim, dim] by torch, up to an order of 2."""
    at = x.clone().requires_grad_()
    value = function(at)
    (gradient,) = torch.autograd.grad(value.sum(), at, create_graph=True)
    if order == 1:
        return value.detach(), gradient.detach(), None
    rows = [
        torch.autograd.grad(gradient[:, axis].sum(), at, retain_graph=True)[0]
        for axis in range(x.shape[1])
    ]
    return value.detach(), gradient.detach(), torch.stack(rows, dim=1)


def laplacian_of(function):
    """The Laplacian by torch as a function that can be differentiated once more."""

    def laplacian(x):
        if not x.requires_grad:
            x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        return sum(
            torch.autograd.grad(gradient[:, axis].sum(), x, create_graph=True)[0][:, axis]
            for axis in range(x.shape[1])
        )

    return laplacian


# --- scattering ---------------------------------------------------------------------------------

SIZES = [(1.0, 0.01), (1.0, 1.0), (10.0, 1.0), (20.0, 0.5), (50.0, 1.0)]


@pytest.mark.parametrize(("k", "a"), SIZES)
def test_soft_disk_has_no_field_on_its_edge(k, a):
    edge, _ = circle(97, a)
    # about as many terms as coefficients, each to rounding in a Bessel function of argument ka
    tolerance = 20 * EPS * (10 + k * a)
    assert DiskScattering(k, a).total(edge).abs().max() < tolerance


@pytest.mark.parametrize(("k", "a"), SIZES)
def test_hard_disk_has_no_slope_across_its_edge(k, a):
    edge, normal = circle(97, a)
    slope = (DiskScattering(k, a, "hard").total_gradient(edge) * normal).sum(dim=1)
    # terms are of size k, those of small disks cancel from n / a
    assert slope.abs().max() < 20 * EPS * (10 + k * a) * max(k, 1 / a)


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("k", [1.0, 10.0, 50.0])
def test_fields_satisfy_helmholtz_equation_and_gradients_are_theirs(kind, k):
    exact = DiskScattering(k, 1.0, kind)
    edge, normal = circle(23, 1.0)
    x = edge + normal * torch.linspace(0.3, 2, 23, dtype=torch.float64)[:, None]
    h = 0.2 / (k + 4)
    for wave, gradient in (
        (exact.total, exact.total_gradient),
        (exact.scattered, exact.scattered_gradient),
    ):
        size = wave(x).abs().max()
        residual = numerical_laplacian(wave, x, h) + k**2 * wave(x)
        # rounding / h^2 beside the differences' (k h)^8 / 3150, on a local scale of k + 4
        assert residual.abs().max() < 1e-8 * (k + 4) ** 2 * size
        slopes = numerical_gradient(wave, x, h)
        assert (slopes - gradient(x)).abs().max() < 1e-7 * (k + 4) * size


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_scattered_wave_runs_outwards(kind):
    """r^(1/2) (u_r - i k u) falls like 1 / r, and for the incoming wave it would not."""
    exact = DiskScattering(3.0, 1.0, kind)

    def remainder(radius):
        x, normal = circle(64, radius)
        slope = (exact.scattered_gradient(x) * normal).sum(dim=1)
        return math.sqrt(radius) * (slope - 3j * exact.scattered(x)).abs().max()

    assert remainder(400.0) / remainder(200.0) == pytest.approx(0.5, rel=0.02)
    assert remainder(400.0) < 0.01


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("k", [0.5, 10.0, 50.0])
def test_no_power_is_lost_in_any_order(kind, k):
    """|1 + 2 c_n| = 1, and the power through a circle is the width's."""
    exact = DiskScattering(k, 1.0, kind)
    rounding = 20 * EPS * (10 + k)
    np.testing.assert_allclose(np.abs(1 + 2 * exact.coefficients), 1, rtol=0, atol=rounding)
    x, normal = circle(512, 3.0)
    slope = (exact.scattered_gradient(x) * normal).sum(dim=1)
    power = (exact.scattered(x).conj() * slope).imag.mean() * 2 * math.pi * 3.0 / k
    assert float(power) == pytest.approx(exact.width(), rel=1e-12)


def test_large_disk_casts_a_shadow_as_wide_as_itself():
    """The width of large disks tends to twice the diameter (extinction paradox), from above."""
    soft = DiskScattering(50.0, 1.0).width()
    # Keller's correction for a soft cylinder, 1 + 0.49807659 (ka)^(-2/3), its rest of (ka)^(-4/3)
    assert soft == pytest.approx(4 * (1 + 0.49807659 * 50 ** (-2 / 3)), rel=50 ** (-4 / 3))


def test_number_of_terms_follows_from_the_size():
    counts = [len(DiskScattering(k, 1.0).coefficients) for k in (0.01, 1.0, 10.0, 50.0)]
    assert counts == sorted(counts)
    assert counts[-1] < 110
    last = [abs(DiskScattering(k, 1.0).coefficients[-1]) for k in (0.01, 1.0, 10.0, 50.0)]
    assert max(last) < 1e-18


def test_points_inside_the_disk_have_no_field():
    x = torch.tensor([[0.5, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    assert DiskScattering(2.0, 1.0).total(x).isnan().tolist() == [True, False, False]
    assert DiskScattering(2.0, 1.0).total(x[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0), "wavenumber is 0.0; it must be positive"),
        ((1.0, math.nan), "radius is nan; it must be positive"),
        ((1.0, 1.0, "rigid"), "kind is 'rigid'; there are 'soft', 'hard'"),
    ],
)
def test_impossible_scatterers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DiskScattering(*arguments)


# --- round plates ---------------------------------------------------------------------------------

PLATES = [
    RoundPlate(1.3, 5.0, 2.0, nu, support) for nu in (0.0, 0.3) for support in ("clamped", "simple")
]


@pytest.mark.parametrize("plate", PLATES, ids=str)
def test_plate_carries_its_load_and_its_derivatives_are_its_own(plate):
    x = 0.9 * random(20, 2)
    _, gradient, hessian = automatic(plate.deflection, x, 2)
    torch.testing.assert_close(plate.gradient(x), gradient, rtol=0, atol=1e-13)
    torch.testing.assert_close(plate.hessian(x), hessian, rtol=0, atol=1e-13)
    bilaplacian = laplacian_of(laplacian_of(plate.deflection))(x).detach()
    torch.testing.assert_close(2.0 * bilaplacian, torch.full_like(bilaplacian, 5.0))


@pytest.mark.parametrize("plate", PLATES, ids=str)
def test_plate_meets_the_conditions_of_its_support(plate):
    edge, normal = circle(16, plate.radius)
    assert plate.deflection(edge).abs().max() < 1e-14
    slope = (plate.gradient(edge) * normal).sum(dim=1)
    moment = round_plate.bending_moment(plate.hessian(edge), normal, plate.nu, plate.rigidity)
    free = slope if plate.support == "clamped" else moment
    held = moment if plate.support == "clamped" else slope
    assert free.abs().max() < 1e-13
    assert held.abs().min() > 0.1  # the other condition is not met
    # edge moment of a clamped plate: q a^2 / 8 (Timoshenko, section 16); M_n = -q a^2 / 8
    if plate.support == "clamped":
        torch.testing.assert_close(moment, torch.full_like(moment, -5 * 1.3**2 / 8))
    twist = round_plate.twisting_moment(plate.hessian(edge), normal, plate.nu, plate.rigidity)
    assert twist.abs().max() < 1e-13


def test_centre_deflections_are_those_of_the_textbook():
    origin = torch.zeros(1, 2, dtype=torch.float64)
    clamped, simple = RoundPlate(2.0, 3.0, 5.0), RoundPlate(2.0, 3.0, 5.0, support="simple")
    assert clamped.centre == pytest.approx(3 * 16 / (64 * 5))
    assert simple.centre == pytest.approx(5.3 / (64 * 1.3) * 3 * 16 / 5)
    for plate in (clamped, simple):
        assert plate.deflection(origin).item() == pytest.approx(plate.centre, rel=4 * EPS)


@pytest.mark.parametrize("plate", PLATES, ids=str)
def test_energy_is_the_integral_of_its_density_and_least(plate):
    """By Gauss points in r; half the work of the load is what bending stores."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    r = torch.from_numpy((nodes + 1) * plate.radius / 2)
    weight = torch.from_numpy(weights) * plate.radius / 2 * 2 * math.pi * r
    x = torch.stack([r * 0.6, r * 0.8], dim=1)
    arguments = (plate.nu, plate.load, plate.rigidity)

    def energy(factor):
        value, hessian = factor * plate.deflection(x), factor * plate.hessian(x)
        return float((weight * round_plate.energy_density(value, hessian, *arguments)).sum())

    assert energy(1.0) == pytest.approx(plate.energy(), rel=1e-13)
    # J(s w) = s^2 B - s W with W = 2 B at the minimum
    assert energy(1.5) == pytest.approx(0.75 * plate.energy(), rel=1e-13)


def test_plates_agree_with_the_suite_s_own_operators():
    x, (edge, normal) = 0.5 * random(9, 2), circle(8, 1.0)
    for support, other in (
        ("clamped", plate_exact.clamped_disk(x, 1.0)),
        ("simple", plate_exact.simple_disk(x, 1.0, 0.3)),
    ):
        plate = RoundPlate(support=support)
        torch.testing.assert_close(plate.deflection(x), other)
    hessian = random(8, 4, 1).reshape(8, 2, 2)
    hessian = hessian + hessian.transpose(1, 2)

    class Known:
        laplacian = hessian.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None]

    Known.hessian = hessian[:, None]
    ours = round_plate.bending_moment(hessian, normal, 0.3)
    torch.testing.assert_close(ours, -plate_terms.moment(Known, normal, 0.3))
    assert len(edge) == 8


def test_moment_on_a_curved_edge_holds_the_curvature():
    """M_n = -D (w_rr + nu (w_r / r + w_θθ / r²)) on a circle, w = r³ cos 2θ."""
    edge, normal = circle(12, 1.7)
    angle = torch.atan2(edge[:, 1], edge[:, 0])
    r = 1.7

    def deflection(x):
        radius = x.norm(dim=1)
        return radius * (x[:, 0] ** 2 - x[:, 1] ** 2)

    _, _, hessian = automatic(deflection, edge, 2)
    polar = -(6 * r + 0.3 * (3 * r - 4 * r)) * torch.cos(2 * angle)
    torch.testing.assert_close(round_plate.bending_moment(hessian, normal, 0.3), polar)
    # M_ns = -D (1 - nu) d/dr(w_θ / r)
    twist = 0.7 * 2 * 2 * r * torch.sin(2 * angle)
    torch.testing.assert_close(round_plate.twisting_moment(hessian, normal, 0.3), twist)


def test_clamped_wave_is_clamped_and_its_load_is_its_bilaplacian():
    wave, radius = (4.0, -2.0), 0.9

    def deflection(x):
        return round_plate.clamped_wave(x, radius, wave)

    x, (edge, _) = 0.6 * random(25, 2), circle(16, radius)
    load = round_plate.clamped_wave_load(x, radius, wave)
    torch.testing.assert_close(
        load, laplacian_of(laplacian_of(deflection))(x).detach(), rtol=1e-12, atol=1e-11
    )
    value, gradient, _ = automatic(deflection, edge, 1)
    assert max(value.abs().max(), gradient.abs().max()) < 1e-14


def test_unknown_supports_are_refused():
    with pytest.raises(ValueError, match="support is 'free'; there are 'clamped', 'simple'"):
        RoundPlate(support="free")


# --- manufactured solutions -----------------------------------------------------------------------

FUNCTIONS = [
    manufactured.WAVE_2D,
    manufactured.WAVE_3D,
    manufactured.HARMONIC_3D,
    manufactured.Charge((1.5, -1.0, 2.0)),
    manufactured.Product((2.0, 1.0, 0.0), (0.5, -0.3, 0.2), (0.1, 0.2, 0.3)),
]


@pytest.mark.parametrize("u", FUNCTIONS, ids=repr)
def test_derivatives_of_manufactured_solutions_are_theirs(u):
    dim = 2 if u is manufactured.WAVE_2D else 3
    x = random(30, dim)
    _, gradient, hessian = automatic(u.value, x, 2)
    torch.testing.assert_close(u.gradient(x), gradient, rtol=1e-13, atol=1e-13)
    trace = hessian.diagonal(dim1=1, dim2=2).sum(dim=1)
    torch.testing.assert_close(u.laplacian(x), trace, rtol=1e-12, atol=1e-12)


def test_named_solutions_satisfy_the_equations_they_are_named_for():
    plane, space = random(20, 2), random(20, 3)
    torch.testing.assert_close(
        manufactured.WAVE_2D.laplacian(plane), -8 * manufactured.WAVE_2D.value(plane)
    )
    torch.testing.assert_close(
        manufactured.WAVE_3D.laplacian(space), -4 * manufactured.WAVE_3D.value(space)
    )
    harmonic = manufactured.HARMONIC_3D
    assert harmonic.laplacian(space).abs().max() < 1e-12 * math.e**5
    assert harmonic.value(space).abs().max() > 1


def test_boundary_data_are_made_from_normals():
    u, (edge, normal) = manufactured.WAVE_2D, circle(40, 0.9)
    step = numerical_gradient(u.value, edge, 0.02)
    flux = (step * normal).sum(dim=1)
    torch.testing.assert_close(u.flux(edge, normal), flux, rtol=0, atol=1e-11)
    torch.testing.assert_close(
        u.robin(edge, normal, 2.5), u.flux(edge, normal) + 2.5 * u.value(edge)
    )
    # the flux through the edge is the integral of the Laplacian, here -8 u, over the disk
    total = float(u.flux(edge, normal).mean()) * 2 * math.pi * 0.9
    nodes, weights = np.polynomial.legendre.leggauss(20)
    inside = sum(
        w * 0.45 * r * 2 * math.pi * float(u.value(circle(40, r)[0]).mean())
        for r, w in zip((nodes + 1) * 0.45, weights, strict=True)
    )
    assert total == pytest.approx(-8 * inside, abs=1e-13)


def test_pulsing_temperature_satisfies_the_heat_equation():
    heat = Pulsing(manufactured.WAVE_2D, rate=3.0, diffusivity=0.7)
    points = random(15, 3)

    def temperature(y):
        return heat.value(y[:, :2], y[:, 2])

    change = differences(temperature, points, 0.02, SLOPE, 2) / 0.02
    spread = sum(differences(temperature, points, 0.02, BEND, axis) / 0.02**2 for axis in (0, 1))
    source = heat.source(points[:, :2], points[:, 2])
    assert (change - 0.7 * spread - source).abs().max() < 1e-10
    normal = torch.tensor([[0.6, 0.8]], dtype=torch.float64).expand(15, 2)
    slopes = numerical_gradient(temperature, points, 0.02)[:, :2]
    flux = heat.flux(points[:, :2], points[:, 2], normal)
    torch.testing.assert_close((slopes * normal).sum(dim=1), flux, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("order", "number"), [(0, 1), (0, 2), (3, 2)])
def test_decaying_mode_vanishes_on_the_edge_and_satisfies_the_heat_equation(order, number):
    mode = DecayingMode(0.9, order, number, 0.5)
    edge, _ = circle(20, 0.9)
    assert mode.value(edge, torch.zeros(20, dtype=torch.float64)).abs().max() < 1e-14
    points = random(15, 3) * torch.tensor([0.5, 0.5, 0.1], dtype=torch.float64)

    def temperature(y):
        return mode.value(y[:, :2], y[:, 2])

    h = 0.1 / mode.zero  # in space; the time of decay is 1 / rate
    change = differences(temperature, points, 0.1 / mode.rate, SLOPE, 2) * 10 * mode.rate
    spread = sum(differences(temperature, points, h, BEND, axis) / h**2 for axis in (0, 1))
    size = mode.rate * temperature(points).abs().max()
    assert (change - 0.5 * spread).abs().max() < 1e-9 * size


def test_first_mode_has_the_known_rate():
    assert DecayingMode().rate == pytest.approx(2.404825557695773**2, rel=1e-15)


# --- four holes -----------------------------------------------------------------------------------


def test_four_holes_series_holds_its_data_on_the_whole_boundary():
    """The bound is measured on an eighth; here on all, with the maximum principle's consequence."""
    line = torch.linspace(-0.5, 0.5, 201, dtype=torch.float64)
    for side in (-0.5, 0.5):
        for axis in (0, 1):
            x = torch.full((201, 2), side, dtype=torch.float64)
            x[:, axis] = line
            assert (four_holes.value(x) - 1).abs().max() < 1e-13
    for centre in four_holes.CENTRES:
        x, _ = circle(333, four_holes.RADIUS, centre)
        assert four_holes.value(x).abs().max() < 1e-13
    assert four_holes.series().bound < 2e-14


def test_four_holes_solution_is_harmonic_and_its_gradient_its_own():
    x = 0.5 * random(400, 2)
    x = x[((x.abs() - 0.3).norm(dim=1) > 0.16) & (x.abs() < 0.44).all(dim=1)]
    assert len(x) > 150
    # log r at r = 0.16: differences are off by 9! h^8 / (3150 r^10) = 7e-10, rounding by as much
    h = 0.004
    assert numerical_laplacian(four_holes.value, x, h).abs().max() < 1e-8
    gradient = numerical_gradient(four_holes.value, x, h)
    torch.testing.assert_close(four_holes.gradient(x), gradient, rtol=0, atol=1e-9)


def test_four_holes_solution_has_the_symmetries_of_the_square_and_obeys_the_maximum_principle():
    x = 0.5 * random(500, 2)
    inside = four_holes.contains(x)
    assert 0.8 < inside.double().mean() < 0.93  # 1 - 0.04 pi = 0.874
    x = x[inside]
    u = four_holes.value(x)
    assert 0 < u.min() < u.max() < 1
    for mirrored in (x * x.new_tensor([-1.0, 1.0]), x.flip(1)):
        torch.testing.assert_close(four_holes.value(mirrored), u, rtol=0, atol=1e-13)


def test_four_holes_flux_out_of_the_square_goes_into_the_holes():
    nodes, weights = np.polynomial.legendre.leggauss(60)
    y = torch.from_numpy(nodes / 2)
    side = torch.stack([torch.full_like(y, 0.5), y], dim=1)
    out = 4 * float((four_holes.gradient(side)[:, 0] * torch.from_numpy(weights) / 2).sum())
    edge, normal = circle(200, four_holes.RADIUS, (0.3, 0.3))
    slope = (four_holes.gradient(edge) * normal).sum(dim=1)
    assert out == pytest.approx(4 * float(slope.mean()) * 2 * math.pi * 0.1, rel=1e-12)
    # and by the logarithms' factor alone
    assert out == pytest.approx(-8 * math.pi * four_holes.series().coefficients[0], rel=1e-12)


# --- outlines and solids --------------------------------------------------------------------------


def test_star_in_polar_form_and_as_a_curve_are_one():
    star = outlines.STAR
    angle = torch.arange(400, dtype=torch.float64) * (2 * math.pi / 400)
    curve, normal = star.curve(angle), star.normal(angle)
    assert star.level(curve).abs().max() < 4 * EPS
    _, gradient, _ = automatic(star.level, curve, 1)
    torch.testing.assert_close(normal, gradient / gradient.norm(dim=1, keepdim=True))
    # area by Green's formula, exact for a trigonometric polynomial
    slope = star.slope(angle)
    r = star.radius(angle)
    area = float((r**2).mean()) * math.pi
    assert area == pytest.approx(star.area(), rel=1e-14)
    assert star.area() == pytest.approx(0.51 * math.pi, rel=1e-14)
    speed = torch.hypot(r, slope)
    flux = float(((curve * normal).sum(dim=1) * speed).mean()) * 2 * math.pi
    assert flux == pytest.approx(2 * star.area(), rel=1e-13)
    assert star.level(torch.tensor([[0.1, 0.0], [0.95, 0.0]], dtype=torch.float64))[0] < 0


def shoelace(vertices):
    x, y = vertices[:, 0], vertices[:, 1]
    return float((x * y.roll(-1) - x.roll(-1) * y).sum()) / 2


def test_gear_has_teeth_of_the_standard_and_is_counter_clockwise():
    teeth, pitch, flank = 12, 0.7, 40
    gear = outlines.gear(teeth, pitch, flank=flank)
    module = 2 * pitch / teeth
    radii = gear.norm(dim=1)
    assert float(radii.max()) == pytest.approx(pitch + module, rel=1e-14)
    assert float(radii.min()) == pytest.approx(pitch - 1.25 * module, rel=1e-14)
    assert shoelace(gear) > 0
    # one tooth turned is the next
    each = len(gear) // teeth
    angle = torch.tensor(2 * math.pi / teeth, dtype=torch.float64)
    turned = torch.stack([gear @ row for row in _turn(angle)], dim=1)
    torch.testing.assert_close(turned.roll(-each, 0), gear.roll(-2 * each, 0))


def _turn(angle):
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine, -sine]), torch.stack([sine, cosine])


def test_gear_s_flanks_are_involutes():
    """The normal of an involute touches the base circle; teeth and gaps are alike on the pitch."""
    pressure, flank = math.radians(20), 4000
    gear = outlines.gear(12, 0.7, pressure, flank)
    one = gear[: len(gear) // 12][:flank]  # the first flank, with its foot
    one = one[one.norm(dim=1) > 0.7 * math.cos(pressure) + 0.01]
    along = one[1:] - one[:-1]
    along = along / along.norm(dim=1, keepdim=True)
    middle = (one[1:] + one[:-1]) / 2
    distance = (middle * along).sum(dim=1).abs()  # of the normal line from the origin
    torch.testing.assert_close(
        distance, torch.full_like(distance, 0.7 * math.cos(pressure)), rtol=1e-6, atol=0
    )
    radii, angles = one.norm(dim=1), torch.atan2(one[:, 1], one[:, 0])
    at_pitch = float(np.interp(0.7, radii, angles))
    assert at_pitch == pytest.approx(-math.pi / 24, abs=1e-6)


def test_gear_does_not_cross_itself():
    shapely = pytest.importorskip("shapely")
    for teeth in (5, 12, 40):
        assert shapely.Polygon(outlines.gear(teeth).tolist()).is_valid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teeth": 4}, "4 teeth with 8 points a flank; take 5 and 2 at least"),
        ({"flank": 1}, "12 teeth with 1 points a flank; take 5 and 2 at least"),
        ({"pressure": 0.8}, "12 teeth at a pressure of 0.8 rad end in a point"),
    ],
)
def test_impossible_gears_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        outlines.gear(**arguments)


def test_l_and_annulus_are_what_their_names_say():
    corners = torch.tensor(outlines.L_SHAPE, dtype=torch.float64)
    assert shoelace(corners) == 3.0
    ((outer, radius), (inner, hole)) = outlines.ANNULUS
    assert math.dist(outer, inner) + hole < radius


def test_torus_level_is_a_distance_and_its_normals_point_outwards():
    ring, tube = solids.TORUS
    angles = math.pi * random(50, 2)
    across = ring + tube * angles[:, 1].cos()
    x = torch.stack(
        [across * angles[:, 0].cos(), across * angles[:, 0].sin(), tube * angles[:, 1].sin()], dim=1
    )
    assert solids.torus_level(x).abs().max() < 4 * EPS
    normal = solids.torus_normal(x)
    for away in (-0.1, 0.2):
        level = solids.torus_level(x + away * normal)
        torch.testing.assert_close(level, torch.full_like(level, away), rtol=0, atol=1e-14)


def test_bumpy_sphere_is_closed_and_has_the_size_promised():
    trimesh = pytest.importorskip("trimesh")
    vertices, faces = solids.bumpy_sphere()
    assert faces.shape == (20480, 3)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 2
    assert mesh.volume > 1
    assert np.abs(vertices).max() < 1
