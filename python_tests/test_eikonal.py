"""The Eikonal problem: its equations, a small solve to a true error, models, options, files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dinfgrid_cuda import Adam
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers import solve
from dinfgrid_cuda.suite.cases.eikonal.eikonal import Eikonal
from dinfgrid_cuda.suite.cases.eikonal.eikonal_terms import SphereStart, make_problem
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.run.results import read
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools.case import CaseError

trimesh = pytest.importorskip("trimesh")
Pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")
pytest.importorskip("scipy")

pytestmark = pytest.mark.usefixtures("one_thread")


class Distance(torch.nn.Module):
    """A field given by a formula of the points, with a parameter that changes nothing."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula
        self.zero = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        return self.formula(x)[:, None] + self.zero

    def jet(self, x, order):
        return Jet.of(self.formula, x, order) + self.zero


def torus(x):
    ring = x[:, :2].square().sum(dim=1).sqrt() - 0.5
    return (ring.square() + x[:, 2].square()).sqrt() - 0.22


def small(case, **changes):
    settings = {"cells": 16, "levels": 3, "points": 12**3, "steps": 60, **changes}
    return replace(case.setup("default"), **settings)


def solved(case, **changes):
    setup = small(case, **changes)
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=setup.steps, progress=False)
    return field


# Equations


@pytest.mark.parametrize("loss", ["squares", "siren"])
def test_exact_distance_leaves_no_residual(loss):
    case = Eikonal(shape="torus", samples=2000)
    problem = make_problem(case.box(), case.surface_points, loss, 1000)
    total, surface, volume = Objective(problem, Distance(torus)).evaluate(0)
    assert surface < 1e-8
    if loss == "squares":
        assert total < 1e-8
    else:  # exp(-100 |d|) of points of the volume near the surface is left
        x = problem.draw(1, 0, 0, torch.float64, torch.device("cpu"))[0]
        assert volume == pytest.approx(100 * torch.exp(-100 * torus(x).abs()).mean().item())


def test_losses_have_sirens_weights():
    case = Eikonal(shape="sphere", samples=2000)
    problem = make_problem(case.box(), case.surface_points, "siren", 1000)
    c = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    field = Distance(lambda x: 3 * (x @ c) + 9)  # far from zero, |grad u| = 3
    _, surface, volume = Objective(problem, field).evaluate(0)
    assert volume == pytest.approx(50 * 2)
    z = problem.draw(0, 0, 0, torch.float64, torch.device("cpu"))[0][:, 2]
    expected = 3000 * (3 * z + 9).abs() + 100 * (1 - z / 0.6) + 50 * 2
    assert surface == pytest.approx(expected.mean().item())
    squares = make_problem(case.box(), case.surface_points, "squares", 1000)
    total, surface, volume = Objective(squares, field).evaluate(0)
    assert volume == pytest.approx(4)
    expected = 100 * (3 * z + 9).square() + 8 * z.new_ones(()) + 2 - 6 * z / 0.6
    assert surface == pytest.approx(expected.mean().item())
    assert total == pytest.approx(surface.item() + 4)


def test_start_is_near_the_distance_of_a_sphere():
    start = SphereStart.around(Eikonal(shape="sphere", samples=20_000).surface_points)
    assert start.radius == pytest.approx(0.6, rel=1e-4)
    assert np.abs(start.centre).max() < 0.02
    start = SphereStart((0.1, 0.2, 0.3), 0.5)
    x = torch.tensor(start.centre, dtype=torch.float64) + torch.tensor(
        [[0, 0, 0], [0.5, 0, 0], [0, -0.5, 0], [0.6, 0, 0.7]], dtype=torch.float64
    )
    u = start.jet(x, Jet(torch.zeros(4, 4, 1, dtype=torch.float64), 3, 1))
    assert u.value[0] < -0.2
    torch.testing.assert_close(u.value[1:3], torch.zeros(2, 1, dtype=torch.float64))
    assert u.value[3] > 0.3
    assert 0.8 < u.gradient[1:, 0].norm(dim=1).min() < 1
    torch.testing.assert_close(start(x, torch.ones(4, 1, dtype=torch.float64)), u.value + 1)


# Configurations


def test_paper_configuration_has_316209_parameters_and_the_papers_settings():
    case = Eikonal(samples=1000)
    setup = case.setup("paper")
    field = make_model(case, setup, "grid")
    assert field.parameter_count() == 316_209
    assert field.grid.features.abs().max() <= 1e-4
    assert field.constraint is None
    assert (setup.cells, setup.levels, setup.channels, setup.boundary) == (64, 4, 1, "clamp")
    assert (setup.basis.epsilon, setup.basis.rho) == (1.0, 2)
    assert (setup.method, setup.steps) == (Adam(lr=1e-2), 20_000)
    terms = Eikonal().problem(setup).terms
    assert [(t.points, t.loss) for t in terms] == [(64**3, "mean")] * 2
    assert len(Eikonal().surface_points.points) == 64**3


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("config", ["default", "paper"])
def test_every_model_lowers_its_loss(model, config):
    case = Eikonal(samples=500)
    setup = replace(adapt(case.setup(config), model), points=8**3)
    setup = replace(setup, cells=8, levels=2)
    history = solve(
        case.problem(setup),
        make_model(case, setup, model),
        setup.method,
        steps=12,
        progress=False,
    ).history
    assert history.totals[-1] < history.totals[0]


# Solves to a true error


@pytest.mark.parametrize("shape", ["sphere", "torus"])
def test_distance_is_found_in_the_whole_box(shape):
    case = Eikonal(shape=shape, samples=2000)
    found, h = case.measure(solved(case), 32), 2 / 16
    assert found["mean_error"].value < h / 8
    assert found["near_error"].value < h / 20
    assert found["chamfer"].value < h / 20
    assert found["farthest"].value < h / 4
    assert found["normal_angle"].value < 3


def test_without_a_start_the_sign_is_wrong_far_away():
    case = Eikonal(shape="sphere", start="zero", samples=2000)
    found = case.measure(solved(case), 32)
    assert found["near_error"].value < 0.02
    assert found["mean_error"].value > 0.1


def test_measures_of_the_exact_distance_are_zero_but_for_marching_cubes():
    case = Eikonal(shape="torus", samples=2000)
    found = {name: m.value for name, m in case.measure(Distance(torus), 64).items()}
    for name in ("mean_error", "near_error", "max_error", "surface_value", "eikonal"):
        assert found[name] < 1e-7, name  # Jet.of at the torus' axis and circle is finite
    # Chords of a cell of 1/32 on a radius of 0.22: sagitta h^2 / 8 r, on two axes.
    assert found["chamfer"] < 2 * (1 / 32) ** 2 / (8 * 0.22)
    shifted = case.measure(Distance(lambda x: torus(x) - 0.05), 64)
    assert shifted["mean_error"].value == pytest.approx(0.05)
    assert shifted["chamfer"].value == pytest.approx(0.05, abs=1e-3)
    assert shifted["to_mesh"].value == pytest.approx(0.05, abs=1e-3)


def test_field_without_a_surface_is_reported_not_a_crash():
    case = Eikonal(shape="sphere", samples=2000)
    field = Distance(lambda x: x.square().sum(dim=1) + 1)
    found = case.measure(field, 16)
    assert found["chamfer"].value == float("inf")
    assert found["triangles"].value == 0
    assert list(case.pictures(field, "none")) == ["eikonal.png"]
    assert list(case.exports(field)) == ["distance.vti"]


def test_volume_follows_the_parameters():
    case = Eikonal(samples=500)
    field = make_model(case, small(case), "grid")
    before = case.volume(field, 8)
    assert case.volume(field, 8) is before
    with torch.no_grad():
        field.grid.features.add_(1.0)
    assert np.abs(case.volume(field, 8) - before).min() > 0.5


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "cube"}, "--shape is 'cube'; it must be one of"),
        ({"loss": "l1"}, "--loss is 'l1'"),
        ({"start": "cube"}, "--start is 'cube'"),
        ({"samples": 10}, "--samples is 10; it must lie in 100..10000000"),
        ({"shape": "torus", "cloud": "a.ply"}, "--shape torus and --cloud a.ply are two surfaces"),
    ],
)
def test_contradictory_options_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Eikonal(**options)
    assert "\n" not in str(caught.value)


def test_direct_solve_of_a_fine_grid_is_refused():
    case = Eikonal(samples=500)
    with pytest.raises(CaseError, match="64 cells per axis takes too much memory"):
        case.problem(adapt(case.setup("default"), "grid", "least-squares"))


# Files


@pytest.mark.slow
def test_users_mesh_comes_back_in_his_coordinates(tmp_path):
    given = trimesh.creation.torus(30, 10)
    given.apply_translation([100, 0, -50])
    given.export(tmp_path / "ring.stl")
    case = Eikonal(cloud=tmp_path / "ring.stl", samples=4000)
    request = Request(case, cells=16, points=12**3, steps=60, out=tmp_path / "out", progress=False)
    report = run(request)
    assert report["not_written"] == {}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"eikonal.png", "eikonal.gif", "surface.ply", "surface.obj", "distance.vti"} <= names
    assert "mean_error" not in report["metrics"]
    for name in ("surface.ply", "surface.obj"):
        mesh = trimesh.load(tmp_path / "out" / name)
        assert mesh.volume == pytest.approx(given.volume, rel=0.03)
        np.testing.assert_allclose(mesh.bounds, given.bounds, atol=1.0)
    assert report["metrics"]["to_mesh"]["value"] < 0.01
    with Pillow.open(tmp_path / "out" / "eikonal.png") as picture:
        assert picture.width > 1500
    with Pillow.open(tmp_path / "out" / "eikonal.gif") as picture:
        assert picture.n_frames == 30
    pyvista = pytest.importorskip("pyvista")
    volume = pyvista.read(tmp_path / "out" / "distance.vti")
    # In the user's units, away from the kinks of the distance; a cell is 2 * 50 / 16.
    spots = np.array([[145.0, 0, -50], [100, 30, -35], [100, 40, -10], [140, 0, -50]])
    distance = pyvista.PolyData(spots).sample(volume)["distance"]
    np.testing.assert_allclose(distance, [5, 5, 1700**0.5 - 10, 0], atol=0.25 * 100 / 16)
    json.dumps(report)
    again = read(tmp_path / "out", "eikonal")
    found = again.case.measure(again.field)
    assert found["to_mesh"].value == pytest.approx(report["metrics"]["to_mesh"]["value"])
    trimesh.creation.torus(30, 9).export(tmp_path / "ring.stl")
    with pytest.raises(CaseError, match="have changed"):
        read(tmp_path / "out")
