"""First guesses: data are fitted first, guess= is taken, nonlinear equations start from there."""

import math

import pytest
import torch
from solving import helmholtz, make_field, relative_error, wave
from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.methods.first_guess import fit_guess, start_from_linear_terms

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("one_thread")

LINE = dg.Box([0.0], [1.0])
SQUARE = dg.Box([-1.0, -1.0], [1.0, 1.0])
GAS = 8750.0


def lines(channels=1, cells=24, box=LINE, degree=5, seed=1, dtype=torch.float64):
    """A field in one dimension with as many outputs as channels."""
    grid = dg.FeatureGrid(
        1,
        cells,
        lower=box.lower,
        upper=box.upper,
        channels=channels,
        basis=dg.BSpline(degree),
        seed=seed,
        dtype=dtype,
    )
    return dg.Field(grid, dg.LinearDecoder(channels, seed=seed))


def at(count=501, box=LINE):
    return torch.linspace(box.lower[0], box.upper[0], count, dtype=torch.float64)[:, None]


def conductivity(x):
    return 1 + 0.5 * torch.sin(2 * math.pi * x)


def heated(x):
    """(k u')' of `conductivity` and u = sin(pi x)."""
    return math.pi**2 * (
        torch.cos(2 * math.pi * x) * torch.cos(math.pi * x)
        - conductivity(x) * torch.sin(math.pi * x)
    )


def unknown_conductivity(data_weight=1.0, known_at_ends=True):
    """(k u')' = f with 99 exact values of u; k is the second channel."""

    def equation(x, u):
        v, k = u[0], u[1]
        return k.value * v.laplacian + k.gradient[:, :, 0] * v.gradient[:, :, 0] - heated(x)

    measured = at(101)[1:-1]
    terms = [
        dg.Term("pde", dg.Interior(), equation, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value[:, :1]),
        dg.Term(
            "data",
            dg.Points(measured),
            lambda x, u, y: u.value[:, :1] - y,
            data=torch.sin(math.pi * measured),
            weight=data_weight,
        ),
    ]
    if known_at_ends:
        terms.append(dg.Term("k", dg.Boundary(), lambda x, u: u.value[:, 1:] - 1.0))
    return dg.Problem(LINE, terms)


@pytest.mark.parametrize(
    ("weight", "known_at_ends"), [(1.0, True), (1e4, True), (1.0, False), (1e4, False)]
)
def test_unknown_coefficient_is_found_from_values_of_the_solution(weight, known_at_ends):
    field = lines(channels=2)
    solution = dg.solve(unknown_conductivity(weight, known_at_ends), field, progress=False)
    x = at()
    with torch.no_grad():
        u, k = field(x).split(1, dim=1)
    assert float((u - torch.sin(math.pi * x)).norm() / torch.sin(math.pi * x).norm()) < 1e-5
    assert float((k - conductivity(x)).norm() / conductivity(x).norm()) < 1e-5
    assert solution.reason.startswith("converged")


def test_unknown_function_of_u_is_found_as_parameters():
    # -b(u) u'' + u = f with b = (1 + u^2) / (1 + 2 u^2); at u = 0 b drops out, as u'' does.
    def b(u):
        return (1 + u**2) / (1 + 2 * u**2)

    def exact(x):
        return torch.sin(math.pi * x)

    unknown = lines(cells=8, box=dg.Box([-0.1], [1.1]), seed=2)
    measured = at(101)[1:-1]

    def equation(x, u):
        given = b(exact(x)) * math.pi**2 * exact(x) + exact(x)
        return -unknown(u.value) * u.laplacian + u.value - given

    terms = [
        dg.Term("pde", dg.Interior(), equation, order=2),
        dg.Term("ends", dg.Boundary(), lambda x, u: u.value),
        dg.Term("data", dg.Points(measured), lambda x, u, y: u.value - y, data=exact(measured)),
    ]
    problem = dg.Problem(LINE, terms, {"b": unknown.grid.features})
    dg.solve(problem, lines(), progress=False)
    u = at(101)[10:]
    with torch.no_grad():
        error = (unknown(u) - b(u)).abs().max()
    assert float(error) < 1e-4


@pytest.mark.parametrize("start", [1e-3, 0.5, 10.0])
def test_diffusivity_is_found_from_data_whatever_it_starts_from(start):
    box = dg.Box([0.0, 0.0], [1.0, 1.0])
    nu = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def exact(x):
        return torch.exp(-0.05 * math.pi**2 * x[:, :1]) * torch.sin(math.pi * x[:, 1:])

    measured = dg.Uniform()(60, box, seed=3, dtype=torch.float64)
    terms = [
        dg.Term(
            "heat",
            dg.Interior(),
            lambda x, u: u.derivative((1, 0)) - nu * u.derivative((0, 2)),
            order=2,
        ),
        dg.Term("walls", dg.Boundary(((1, "lower"), (1, "upper"))), lambda x, u: u.value),
        dg.Term("data", dg.Points(measured), lambda x, u, y: u.value - y, data=exact(measured)),
    ]
    field = make_field(cells=8, box=box, basis=dg.BSpline(5))
    dg.solve(dg.Problem(box, terms, {"nu": nu}), field, progress=False)
    assert float(nu.detach()) == pytest.approx(0.05, rel=1e-4)


def reactor(inside=324.5):
    """T'' = -a exp(-8750 / T) on a line with both ends at ``inside``: infinite at T = 0."""
    scale = math.exp(GAS / inside)
    return dg.Problem(
        LINE,
        [
            dg.Term(
                "heat",
                dg.Interior(),
                lambda x, u: u.laplacian + 20.0 * scale * torch.exp(-GAS / u.value),
                order=2,
            ),
            dg.Term("ends", dg.Boundary(), lambda x, u: u.value - inside),
        ],
    )


@pytest.mark.parametrize("guess", [324.5, None])
def test_reactor_that_is_infinite_at_zero_is_solved(guess):
    field = lines()
    solution = dg.solve(reactor(), field, progress=False, guess=guess)
    assert solution.reason.startswith("converged")
    with torch.no_grad():
        jet = field.jet(at(), 2)
    left = jet.laplacian + 20.0 * math.exp(GAS / 324.5) * torch.exp(-GAS / jet.value)
    assert float(left.abs().max()) < 1e-3 * 20
    # About 324.5 the source is 20 exp(8750 t / 324.5^2), Frank-Kamenetskii's equation with
    # delta = 20 * 8750 / 324.5^2 = 1.66 on a line of length 1: t = 2 log(cosh(c) / cosh(...)) / b.
    b = GAS / 324.5**2
    low, high = 0.0, 1.19
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if 8 * (c / math.cosh(c)) ** 2 < 20 * b else (low, c)
    middle = float(jet.value[250]) - 324.5
    assert middle == pytest.approx(2 * math.log(math.cosh(c)) / b, rel=0.05)


def test_stirred_reactor_in_time_is_solved_from_a_guess():
    box = dg.Box([0.0], [2.0])
    scale = math.exp(GAS / 350.0)

    def rate(c, temperature):
        return 0.5 * c * scale * torch.exp(-GAS / temperature)

    def equations(x, u):
        c, temperature = u[0], u[1]
        r = rate(c.value, temperature.value)
        return torch.cat(
            [
                c.gradient[:, :, 0] - (1 - c.value) + r,
                (temperature.gradient[:, :, 0] - (324.5 - temperature.value) - 20 * r) / 20,
            ],
            dim=1,
        )

    start = torch.tensor([[0.5, 324.5]], dtype=torch.float64)
    terms = [
        dg.Term("balance", dg.Interior(), equations, order=1),
        dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - start),
    ]
    field = lines(channels=2, box=box)

    def guess(x):
        return torch.tensor([[0.5, 324.5]], dtype=x.dtype).expand(len(x), 2)

    solution = dg.solve(dg.Problem(box, terms), field, progress=False, guess=guess)
    assert solution.reason.startswith("converged")
    c, temperature, step = 0.5, 324.5, 1e-4
    for _ in range(20_000):  # Heun's rule
        slopes = []
        a, t = c, temperature
        for _ in range(2):
            r = 0.5 * a * scale * math.exp(-GAS / t)
            slopes.append((1 - a - r, 324.5 - t + 20 * r))
            a, t = c + step * slopes[0][0], temperature + step * slopes[0][1]
        c += step * (slopes[0][0] + slopes[1][0]) / 2
        temperature += step * (slopes[0][1] + slopes[1][1]) / 2
    with torch.no_grad():
        end = field(torch.tensor([[2.0]], dtype=torch.float64))[0]
    assert float(end[0]) == pytest.approx(c, abs=1e-5)
    assert float(end[1]) == pytest.approx(temperature, abs=1e-4)


def test_guess_is_fitted_as_number_function_and_field():
    x = dg.Uniform()(200, SQUARE, dtype=torch.float64)
    field = make_field(cells=8)

    def difference(one, other):
        with torch.no_grad():
            return float((one - other).abs().max())

    fit_guess(324.5, field, SQUARE)
    assert difference(field(x), 324.5) < 1e-8 * 324.5
    fit_guess(lambda x: x[:, 0] * x[:, 1], field, SQUARE)
    assert difference(field(x)[:, 0], x[:, 0] * x[:, 1]) < 1e-5
    other = make_field(cells=6)
    dg.solve(helmholtz(), other, progress=False)
    fit_guess(other, field, SQUARE)
    assert difference(field(x), other(x)) < 1e-4
    narrow = make_field(cells=8, dtype=torch.float32)
    fit_guess(other, narrow, SQUARE)
    assert difference(narrow(x.float()), other(x)) < 1e-3


@pytest.mark.parametrize("method", ["adam", "lbfgs", "least-squares"])
def test_every_method_starts_from_the_guess(method):
    field = make_field(cells=8)
    dg.solve(helmholtz(), field, method, steps=0, progress=False, guess=wave)
    assert relative_error(field, wave, SQUARE) < 1e-3


def test_slabs_start_from_the_guess():
    box = dg.Box([0.0], [2.0])
    field = dg.SlabField(lambda slab: lines(box=slab, cells=8), box, 2)
    terms = [
        dg.Term("decay", dg.Interior(), lambda x, u: u.gradient[:, :, 0] + u.value**2, order=1),
        dg.Term("start", dg.Boundary(((0, "lower"),)), lambda x, u: u.value - 1.0),
    ]
    dg.solve(dg.Problem(box, terms), field, progress=False, guess=lambda x: 1 / (1 + x))
    x = at(box=box)
    with torch.no_grad():
        error = (field(x) - 1 / (1 + x)).abs().max()
    assert float(error) < 1e-5


@pytest.mark.parametrize(
    ("guess", "error", "words"),
    [
        ("warm", TypeError, "guess is a str; pass a number, a field, or a function"),
        (lambda x: x, ValueError, r"guess gave shape .*\[N, 1\], one column for each channel"),
        (lambda x: 1.0, TypeError, "guess gave float"),
        (lambda x: 1 / (x[:, 0] - x[:, 0]), ValueError, "guess is not finite at"),
    ],
)
def test_guesses_that_do_not_fit_are_refused(guess, error, words):
    with pytest.raises(error, match=words):
        dg.solve(helmholtz(), make_field(), progress=False, guess=guess)


def test_guess_needs_features_that_enter_linearly():
    field = dg.Field(make_field().grid, dg.MLPDecoder(1))
    with pytest.raises(ValueError, match="guess needs a Field or SlabField with a LinearDecoder"):
        dg.solve(helmholtz(), field, "adam", steps=1, progress=False, guess=1.0)


def test_guess_is_told_to_be_unused_on_a_resume(tmp_path):
    field = lines()
    dg.solve(reactor(), field, progress=False, guess=324.5, steps=1, out=tmp_path)
    whole = lines()
    dg.solve(reactor(), whole, progress=False, guess=324.5, steps=4)
    with pytest.warns(RuntimeWarning, match="guess is not used"):
        dg.solve(reactor(), field, progress=False, guess=1.0, steps=4, out=tmp_path, resume=True)
    assert relative_error(field, lambda x: whole(x)[:, 0], LINE) < 1e-9


def test_linear_terms_are_fitted_first_only_where_the_start_is_better_there():
    def start(terms):
        objective = Objective(dg.Problem(LINE, terms), lines(), resample=False)
        before = objective.field.grid.features.detach().clone()
        found = start_from_linear_terms(objective, balanced=True)
        moved = not torch.equal(before, objective.field.grid.features)
        assert moved == (found is not None)
        return moved

    ends = dg.Term("ends", dg.Boundary(), lambda x, u: u.value - 1.0)
    line = dg.Interior(dg.Lattice((49,), ends=True))
    bratu = dg.Term("bratu", line, lambda x, u: u.laplacian + u.value.exp(), order=2)
    poisson = dg.Term("poisson", line, lambda x, u: u.laplacian - 1, order=2)
    porous = dg.Term("porous", line, lambda x, u: u.value * u.laplacian - 1, order=2)
    root = dg.Term("root", line, lambda x, u: u.laplacian + (0.5 - u.value).sqrt(), order=2)
    spots = at(5)
    data = dg.Term("data", dg.Points(spots), lambda x, u, y: u.value - y, data=spots)
    assert not start([poisson, ends])
    assert not start([bratu, ends])
    assert start([porous, ends])
    assert start([bratu, data])
    assert not start([root, data])
