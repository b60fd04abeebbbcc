"""What the equations leave open is told, by the face where it is open; nothing else is."""

import math

import pytest
import torch

import dinfgrid_cuda as dg

BOX = dg.Box([0.0, 0.0], [1.0, 1.0])
LOWER, UPPER = [(0, "lower"), (1, "lower")], [(0, "upper"), (1, "upper")]
T0, T1, X0, X1 = LOWER[0], UPPER[0], LOWER[1], UPPER[1]
COARSE, FINE = ((16, 16), 5, "direct"), ((40, 40), 7, "direct")
ITERATED = ((24, 24), 5, "matrix-free")


def harmonic(x):
    return torch.exp(x[:, :1]) * torch.cos(x[:, 1:])


def cooling(x):
    return torch.exp(-(math.pi**2) * 0.1 * x[:, :1]) * torch.sin(math.pi * x[:, 1:])


def string(x):
    return torch.cos(math.pi * x[:, :1]) * torch.sin(math.pi * x[:, 1:])


def carried(x):
    return torch.sin(math.pi * (x[:, 1:] - 0.5 * x[:, :1]))


def standing(x):
    return torch.sin(7 * x[:, :1] + 3 * x[:, 1:])


def bent(x):
    return torch.sin(math.pi * x[:, :1]) * torch.sin(math.pi * x[:, 1:])


def layer(x):
    return (
        x[:, :1] - (torch.exp((x[:, :1] - 1) / 0.05) - math.exp(-20)) / (1 - math.exp(-20))
    ) + 0 * x[:, 1:]


def inside(residual, order=2):
    return dg.Term("equation", dg.Interior(), residual, order=order)


def values(exact, *faces):
    name = " ".join(f"{axis}{side}" for axis, side in faces)
    return dg.Term(name, dg.Boundary(tuple(faces)), lambda x, u: u.value - exact(x))


def velocity():
    return dg.Term("velocity", dg.Boundary((T0,)), lambda x, u: u.derivative((1, 0)), order=1)


LAPLACE = inside(lambda x, u: u.laplacian)
HEAT = inside(lambda x, u: u.derivative((1, 0)) - 0.1 * u.derivative((0, 2)))
WAVE = inside(lambda x, u: u.derivative((2, 0)) - u.derivative((0, 2)))
ADVECTION = inside(lambda x, u: u.derivative((1, 0)) + 0.5 * u.derivative((0, 1)), 1)
HELMHOLTZ = inside(lambda x, u: u.laplacian + 58 * u.value)
PLATE = inside(lambda x, u: u.bilaplacian - 4 * math.pi**4 * bent(x), 4)
CONVECTION = inside(lambda x, u: -0.05 * u.laplacian + u.derivative((1, 0)) - 1)
MOMENTS = dg.Term("moments", dg.Boundary(), lambda x, u: u.laplacian, order=2)

MISSING = {
    "laplace, a face": ([LAPLACE, values(harmonic, T0, T1, X0)], X1),
    "laplace, two faces": ([LAPLACE, values(harmonic, T0, T1)], None),
    "laplace, three faces": ([LAPLACE, values(harmonic, T0)], None),
    "heat, the start": ([HEAT, values(cooling, X0, X1)], T0),
    "heat, an end": ([HEAT, values(cooling, T0), values(cooling, X1)], X0),
    "wave, the velocity": ([WAVE, values(string, T0), values(string, X0, X1)], None),
    "wave, the start": ([WAVE, velocity(), values(string, X0, X1)], None),
    "wave, an end": ([WAVE, velocity(), values(string, T0), values(string, X1)], X0),
    "advection, inflow": ([ADVECTION, values(carried, T0)], X0),
    "advection, the start": ([ADVECTION, values(carried, X0)], T0),
    "helmholtz, a face": ([HELMHOLTZ, values(standing, T0, T1, X0)], X1),
    "plate, moments": ([PLATE, values(bent, T0, T1, X0, X1)], None),
    "convection, outflow": ([CONVECTION, values(layer, T0, X0, X1)], T1),
}
COMPLETE = {
    "laplace": [LAPLACE, values(harmonic, T0, T1, X0, X1)],
    "heat": [HEAT, values(cooling, T0), values(cooling, X0, X1)],
    "wave": [WAVE, velocity(), values(string, T0), values(string, X0, X1)],
    "advection": [ADVECTION, values(carried, T0), values(carried, X0)],
    "helmholtz": [HELMHOLTZ, values(standing, T0, T1, X0, X1)],
    "plate": [PLATE, values(bent, T0, T1, X0, X1), MOMENTS],
    "convection": [CONVECTION, values(layer, T0, T1, X0, X1)],
}
EXACT = {
    "laplace": harmonic,
    "heat": cooling,
    "wave": string,
    "advection": carried,
    "helmholtz": standing,
    "plate": bent,
    "convection": layer,
}

METHOD = {
    "auto": "auto",
    "direct": dg.LeastSquares(linear=dg.Direct()),
    "matrix-free": dg.LeastSquares(linear=dg.MatrixFree()),
}


def solved(terms, cells, degree, route):
    order = max(term.order for term in terms)
    grid = dg.FeatureGrid(
        2,
        cells,
        lower=0.0,
        upper=1.0,
        basis=dg.BSpline(7 if order > 2 else degree),
        dtype=torch.float64,
        seed=0,
    )
    field = dg.Field(grid)
    return field, dg.solve(dg.Problem(BOX, terms), field, METHOD[route], progress=False)


def cases(names):
    """All on a coarse grid, every third one on a fine grid, and by the other route."""
    names = list(names)
    return [
        *((name, COARSE) for name in names),
        *((name, FINE) for name in names[::3]),
        *((name, ITERATED) for name in names[1::3]),
    ]


@pytest.mark.parametrize(("name", "grid"), cases(MISSING), ids=str)
def test_missing_condition_is_told(name, grid):
    terms, face = MISSING[name]
    with pytest.warns(RuntimeWarning, match="not determined by these terms") as warned:
        _, solution = solved(terms, *grid)
    assert solution.report.error == (None, None)
    assert "condition missing" in str(solution.report)
    if face is not None:
        assert str(face) in str(warned[0].message)


@pytest.mark.filterwarnings("error:solve")
@pytest.mark.parametrize(("name", "grid"), cases(COMPLETE), ids=str)
def test_complete_problem_is_not_suspected_and_its_bound_holds(name, grid):
    field, solution = solved(COMPLETE[name], *grid)
    x = dg.Uniform()(4000, BOX, seed=3, dtype=torch.float64)
    with torch.no_grad():
        error = float((field(x) - EXACT[name](x)).square().mean()) ** 0.5
    high = solution.report.error[1]
    if solution.reason.startswith("converged"):
        assert high is not None
        assert error < 10 * high


PERIOD = {"start": ((0, "lower"),), "ends": ((1, "lower"), (1, "upper"))}
MEASURED = dg.Uniform()(300, BOX, dtype=torch.float64)


def decay(x):
    return torch.exp(-0.3 * math.pi**2 * x[:, :1]) * torch.sin(math.pi * x[:, 1:])


def number(value):
    return torch.nn.Parameter(torch.tensor(value, dtype=torch.float64))


def parameter_notes(equation, parameters, data=True, route="direct"):
    terms = [
        dg.Term("equation", dg.Interior(), equation, order=2),
        dg.Term("start", dg.Boundary(PERIOD["start"]), lambda x, u: u.value - decay(x)),
        dg.Term("ends", dg.Boundary(PERIOD["ends"]), lambda x, u: u.value),
    ]
    if data:
        points, known = dg.Points(MEASURED), decay(MEASURED)
        terms.append(dg.Term("data", points, lambda x, u, d: u.value - d, data=known, weight=1e4))
    grid = dg.FeatureGrid(
        2, (12, 16), lower=0.0, upper=1.0, basis=dg.BSpline(5), dtype=torch.float64, seed=0
    )
    problem = dg.Problem(BOX, terms, parameters)
    report = dg.solve(problem, dg.Field(grid), METHOD[route], progress=False).report
    found = report.findings.notes
    return " ".join(note for note in found if "parameter" in note)


def heat_of(conductivity):
    return lambda x, u: u.derivative((1, 0)) - conductivity() * u.derivative((0, 2))


@pytest.mark.parametrize("route", ["direct", "matrix-free"])
def test_number_without_data_is_named(route):
    nu = number(0.1)
    with pytest.warns(RuntimeWarning, match="'nu' is not determined"):
        parameter_notes(heat_of(lambda: nu), {"nu": nu}, False, route)


def test_number_that_data_determine_is_not_suspected():
    nu = number(0.1)
    assert parameter_notes(heat_of(lambda: nu), {"nu": nu}) == ""
    assert float(nu.detach()) == pytest.approx(0.3, rel=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("combined", [torch.mul, torch.add], ids=["product", "sum"])
def test_numbers_that_make_up_for_each_other_are_named_together(combined):
    nu, m = number(0.1), number(1.0)
    found = parameter_notes(heat_of(lambda: combined(nu, m)), {"nu": nu, "m": m})
    assert "'nu' and 'm' are not determined one by one" in found


@pytest.mark.filterwarnings("ignore")
def test_number_that_occurs_nowhere_is_named_alone():
    nu, c = number(0.1), number(7.0)
    found = parameter_notes(heat_of(lambda: nu), {"nu": nu, "c": c})
    assert "'c'" in found
    assert "'nu'" not in found
