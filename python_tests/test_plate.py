"""Plates: references, solves to a true error, configurations, refusals, files."""

import math
from dataclasses import replace

import pytest
import torch
from cases_of_models import check_model_takes_a_step

from dinfgrid_cuda import Adam, Disk, ShapeConstraint
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.kernels.basis import BSpline
from dinfgrid_cuda.solvers import solve
from dinfgrid_cuda.suite.cases.plate import plate_exact
from dinfgrid_cuda.suite.cases.plate.plate import Plate
from dinfgrid_cuda.suite.cases.plate.plate_terms import Outline, Squared, moment, slope
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError
from dinfgrid_cuda.suite.tools.quadrature import gauss_box

pytestmark = pytest.mark.usefixtures("one_thread")

CENTRE = torch.zeros(1, 2, dtype=torch.float64)
CASES = {
    "sine": {"support": "simple", "load": "sine"},
    "simple": {"support": "simple"},
    "clamped": {},
    "bump": {"load": "bump"},
    "disk": {"shape": "disk"},
    "simple disk": {"shape": "disk", "support": "simple"},
    "wave disk": {"shape": "disk", "load": "wave"},
}


def solved(cells, **options):
    case = Plate(**options)
    setup = case.setup("default")
    per_cell = round(setup.points**0.5) // setup.cells
    setup = replace(setup, cells=cells, points=(per_cell * cells) ** 2)
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=setup.steps, progress=False)
    return case, field


def inside(count, outline):
    random = torch.Generator().manual_seed(3)
    x = torch.rand(count, 2, generator=random, dtype=torch.float64) - 0.5
    return 0.6 * x * torch.tensor([outline.a, outline.b], dtype=torch.float64)


# References


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_reference_satisfies_the_equation_of_the_plate(name):
    aspect = 1.0 if "disk" in name else 1.4
    case = Plate(side=1.7, aspect=aspect, rigidity=3.0, pressure=0.5, **CASES[name])
    x = inside(4, case.outline)
    load = case.rigidity * Jet.of(case.exact, x, 4).bilaplacian[:, 0]
    # The Ritz series is a minimiser, not a solution: its fourth derivatives are the least exact.
    torch.testing.assert_close(load, case.pressure_at(x), rtol=3e-7, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_reference_satisfies_the_conditions_of_its_edge(name):
    aspect = 1.0 if "disk" in name else 0.7
    case = Plate(side=2.0, aspect=aspect, **CASES[name])
    edge, normals = case.outline.edge(5)
    w = Jet.of(case.exact, edge, 2)
    largest = float(case.exact(CENTRE))
    # Levy's series is cut off after LEVY terms of size m^-5, its second derivatives m^-3.
    w = Jet(w.components.detach(), 2, 2)
    assert float(w.value.abs().max()) < 1e-9 * largest
    if case.support == "clamped":
        assert float(slope(w, normals).abs().max()) < 1e-9 * largest
    else:
        assert float(moment(w, normals, case.nu).abs().max()) < 1e-4 * largest


def test_centres_are_those_of_timoshenkos_tables():
    assert float(plate_exact.simple_uniform(CENTRE, 1, 1)) == pytest.approx(0.00406235, abs=5e-9)
    assert float(plate_exact.clamped_uniform(CENTRE, 1, 1)) == pytest.approx(0.00126532, abs=5e-9)
    assert float(plate_exact.simple_uniform(CENTRE, 1, 2)) == pytest.approx(0.01013, abs=5e-6)
    assert float(plate_exact.clamped_disk(CENTRE, 1)) == pytest.approx(1 / 64)


def test_levys_series_is_navier_s():
    x = inside(5, Outline(1.0, 1.3, disk=False))
    odd = torch.arange(1, 400, 2, dtype=torch.float64)
    waves = [
        torch.sin(math.pi * odd * (x[:, k, None] / size + 0.5)) for k, size in enumerate((1.0, 1.3))
    ]
    m, n = odd[:, None], odd[None]
    terms = 16 / math.pi**6 / (m * n * (m**2 + (n / 1.3) ** 2) ** 2)
    navier = torch.einsum("im,in,mn->i", *waves, terms)
    torch.testing.assert_close(plate_exact.simple_uniform(x, 1.0, 1.3), navier, rtol=1e-8, atol=0)


def test_ritz_series_has_converged():
    x = inside(50, Outline(1.0, 1.0, disk=False))
    coarse, fine = (plate_exact.clamped_uniform(x, 1.0, 1.0, n) for n in (24, 40))
    assert float((coarse - fine).abs().max()) < 1e-9 * float(fine.max())


# Quadrature and constraints


def test_quadrature_integrates_polynomials():
    x, weights = gauss_box(Outline(2.0, 3.0, disk=False).box, (3, 2), 3)
    mean = float((weights * x[:, 0] ** 4 * x[:, 1] ** 2).mean())
    assert mean == pytest.approx(1 / 5 * 0.75, rel=1e-13)


def test_squared_factor_of_the_disk_matches_automatic_differentiation():
    factor = Squared(ShapeConstraint(Disk((0.0, 0.0), 0.8)))
    x = inside(6, Outline(1.6, 1.6, disk=True))
    own, other = factor.factor_jet(x, 4).components, Jet.of(factor.factor, x, 4).components
    torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)
    edge, _ = Outline(1.6, 1.6, disk=True).edge(3)
    assert float(factor.factor_jet(edge, 1).components.abs().max()) < 1e-14


# Solves


@pytest.mark.slow
@pytest.mark.parametrize("form", ["energy", "strong"])
@pytest.mark.parametrize("name", CASES)
def test_plate_is_found_with_its_edge_held_exactly(name, form):
    case, field = solved(16, form=form, **CASES[name])
    measures = case.measure(field, 33)
    # The disk's bends have a length of 7 cells, and fall by 2^6 and more from 16 to 32 cells.
    most = 1e-5 if name == "wave disk" else 2e-6
    assert measures["relative_l2"].value < most
    assert measures["centre"].value == pytest.approx(measures["centre_exact"].value, rel=most)
    assert measures["edge_deflection"].value < 1e-15


@pytest.mark.parametrize("form", ["energy", "strong"])
@pytest.mark.parametrize("name", ["simple", "clamped", "bump", "simple disk"])
def test_plate_is_found_with_a_soft_edge(name, form):
    case, field = solved(16, form=form, boundary="soft", **CASES[name])
    measures = case.measure(field, 33)
    assert measures["relative_l2"].value < 3e-5
    assert measures["edge_deflection"].value < 1e-4 * measures["centre"].value


def test_units_scale_the_deflection():
    case, field = solved(12, side=0.5, rigidity=40.0, pressure=-700.0, aspect=1.5)
    measures = case.measure(field, 33)
    assert measures["centre"].value < 0
    assert measures["relative_l2"].value < 1e-5
    coefficient = measures["centre_coefficient"].value
    assert coefficient == pytest.approx(0.00220, abs=5e-6)  # Timoshenko, table 35, b / a = 1.5


def test_distance_factor_holds_a_clamped_edge():
    case, field = solved(16, boundary="distance")
    measures = case.measure(field, 33)
    assert measures["relative_l2"].value < 1e-5
    assert measures["edge_slope"].value < 1e-14


# Configurations and options


def test_paper_configuration_is_that_of_the_cloth():
    case = Plate()
    setup = case.setup("paper")
    field = make_model(case, setup, "grid")
    assert field.parameter_count() == 33**2 * 4 + 5
    assert (setup.method, setup.steps, setup.points) == (Adam(lr=1e-2), 2000, 4096)
    assert (setup.basis.epsilon, setup.basis.rho, setup.boundary) == (1.0, 3, "clamp")


@pytest.mark.parametrize("name", ["clamped", "disk"])
@pytest.mark.parametrize("model", [model for model in MODELS if model != "linear-grid"])
def test_every_model_that_bends_takes_a_step(model, name):
    case = Plate(**CASES[name])
    setup = replace(adapt(case.setup("paper"), model), cells=8, points=64)
    check_model_takes_a_step(case, setup, model, steps=1)


@pytest.mark.parametrize(("form", "degree", "order"), [("energy", 1, 2), ("strong", 3, 4)])
def test_splines_without_the_derivatives_are_refused(form, degree, order):
    case = Plate(form=form)
    setup = replace(case.setup("default"), basis=BSpline(degree))
    with pytest.raises(CaseError, match=f"derivatives of order {order}.*degree {degree}") as caught:
        case.problem(setup)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "weak"}, "--form is 'weak'"),
        ({"load": "sine"}, "sine needs --shape square --support simple"),
        ({"load": "wave"}, "wave needs --shape disk --support clamped"),
        ({"load": "bump", "support": "simple"}, "bump needs --shape square --support clamped"),
        ({"load": "bump", "shape": "disk"}, "bump needs --shape square --support clamped"),
        ({"shape": "disk", "aspect": 2.0}, "--aspect 2.0 belongs to a square"),
        ({"boundary": "distance", "support": "simple"}, "--boundary distance has no slope"),
        ({"side": 0.0}, "--side is 0.0"),
        ({"aspect": 9.0}, "--aspect is 9.0"),
        ({"pressure": 0.0}, "--pressure is 0.0"),
        ({"nu": 0.5}, "--nu is 0.5"),
        ({"rigidity": math.nan}, "--rigidity is nan"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Plate(**options)
    assert "\n" not in str(caught.value)


# Files


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simple", "disk"])
def test_picture_and_export_hold_the_plate(name, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    case, field = solved(8, **CASES[name])
    assert case.pictures(field, "title")["plate.png"].startswith(b"\x89PNG")
    (file_name, write), *_ = case.exports(field).items()
    write(tmp_path / file_name)
    grid = pyvista.read(tmp_path / file_name)
    highest = float(case.exact(CENTRE))
    assert grid["exact"].max() == pytest.approx(highest, rel=1e-9)
    assert abs(grid["error"]).max() < 1e-3 * highest
    where = torch.from_numpy(grid.points[:, :2].copy()).double()
    torch.testing.assert_close(
        torch.from_numpy(grid["exact"].copy()), case.exact(where), rtol=1e-5, atol=1e-7
    )
