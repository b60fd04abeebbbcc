"""Cloth: the shell's energy, held corners, balance of forces, the plate as its small-load limit."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from cases_of_models import check_model_takes_a_step
from solving import random_points

from dinfgrid_cuda import Adam
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers import solve
from dinfgrid_cuda.suite.cases.cloth.cloth import Cloth
from dinfgrid_cuda.suite.cases.cloth.cloth_corners import CORNERS, HeldCorners
from dinfgrid_cuda.suite.cases.cloth.cloth_outline import Flat
from dinfgrid_cuda.suite.cases.cloth.shell import Material, Surface, bending_energy, membrane_energy
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

MATERIAL = Material(5000.0, 0.0012, 0.25)


points = partial(random_points, seed=5)


def surface(position):
    """Of a map from xi [N, 2] to x [N, 3]."""

    def displacement(x):
        return position(x) - torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)

    u = Jet.of(displacement, points(40), 2)
    return Surface.of(Jet(u.components.detach(), 2, 2))


def small(cells=8, per_cell=8, **options):
    """Eight points a cell and axis see the corners, which are held within 0.1 m of 0.25 m cells."""
    case = Cloth(**options)
    setup = replace(case.setup("default"), cells=cells, points=(cells * per_cell) ** 2)
    return case, setup, make_model(case, setup, "grid")


@pytest.fixture(scope="module")
def hung():
    """A coarse sheet, solved."""
    case, setup, field = small()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    solve(case.problem(setup), field, setup.method, steps=200, progress=False)
    torch.set_num_threads(threads)
    return case, field


# The energy


def test_rigid_motions_cost_no_energy():
    random = torch.Generator().manual_seed(1)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=random, dtype=torch.float64))
    rotation = rotation * rotation.det()

    def move(x):
        flat = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
        return flat @ rotation.T + torch.tensor([0.3, -2.0, 1.0], dtype=torch.float64)

    moved = surface(move)
    assert float(moved.strain.abs().max()) < 1e-14
    assert float(moved.curvature.abs().max()) < 1e-13
    torch.testing.assert_close(moved.stretches, torch.ones(40, 2, dtype=torch.float64))


def test_uniform_stretch_has_its_closed_form():
    def stretch(x):
        return torch.stack([1.2 * x[:, 0], 0.9 * x[:, 1], 0 * x[:, 0]], dim=1)

    stretched = surface(stretch)
    a, b = (1.2**2 - 1) / 2, (0.9**2 - 1) / 2
    expected = 5000 * 0.0012 / (1 - 0.25**2) / 2 * (a * a + b * b + 2 * 0.25 * a * b)
    energy = membrane_energy(stretched, MATERIAL)
    torch.testing.assert_close(energy, torch.full_like(energy, expected), rtol=1e-12, atol=0)
    assert float(bending_energy(stretched, MATERIAL).max()) == 0
    torch.testing.assert_close(stretched.stretches[0].tolist(), [0.9, 1.2])


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_rolling_onto_a_cylinder_bends_without_stretching(angle):
    radius, c, s = 0.7, math.cos(angle), math.sin(angle)

    def roll(x):
        along, across = c * x[:, 0] + s * x[:, 1], c * x[:, 1] - s * x[:, 0]
        turned = along / radius
        return torch.stack(
            [radius * torch.sin(turned), across, radius * (1 - torch.cos(turned))], dim=1
        )

    rolled = surface(roll)
    assert float(rolled.strain.abs().max()) < 1e-14
    energy = bending_energy(rolled, MATERIAL)
    expected = 5000 * 0.0012**3 / 12 / (1 - 0.25**2) / 2 / radius**2
    torch.testing.assert_close(energy, torch.full_like(energy, expected), rtol=1e-12, atol=0)


def test_gradient_of_the_energy_matches_finite_differences():
    case, setup, field = small()
    features = field.grid.features
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        features.copy_(0.1 * torch.randn(features.shape, generator=random, dtype=torch.float64))
    objective = Objective(case.problem(setup), field, resample=False)
    objective.evaluate(0)
    direction = torch.randn(features.shape, generator=random, dtype=torch.float64)
    slope = float((features.grad * direction).sum())
    losses = []
    for length in (1e-5, -1e-5):
        with torch.no_grad():
            features.add_(length * direction)
        losses.append(float(objective.evaluate(0)[0]))
        with torch.no_grad():
            features.add_(-length * direction)
    assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-7)


def test_sheet_folded_to_a_line_gives_no_nan():
    u = Jet.of(lambda x: torch.stack([-x[:, 0], -x[:, 1], 0 * x[:, 0]], dim=1), points(40), 2)
    components = u.components.detach().requires_grad_()
    energy = bending_energy(Surface.of(Jet(components, 2, 2)), MATERIAL).sum()
    energy.backward()
    assert bool(components.grad.isfinite().all())


# The corners


def test_corners_are_held_exactly():
    _, _, field = small(inward=0.3)
    with torch.no_grad():
        field.grid.features.fill_(2.0)
        u = field(torch.tensor(CORNERS, dtype=torch.float64))
    assert u.tolist() == [[0.3, 0.0, 0.0], [-0.3, 0.0, 0.0]]


def test_factor_of_the_corners_matches_automatic_differentiation():
    factor = HeldCorners(0.4, sigma=0.5)
    x = points(20)
    distances = [x.sub(torch.tensor(corner)).square().sum(dim=1) for corner in CORNERS]
    expected = math.prod(1 - torch.exp(-d / 0.5) for d in distances)
    torch.testing.assert_close(factor.factor(x)[:, 0], expected)
    own, other = factor.factor_jet(x, 2).components, Jet.of(factor.factor, x, 2).components
    torch.testing.assert_close(own, other.detach(), rtol=1e-12, atol=1e-12)
    own, other = factor.function.jet(x, 2), Jet.of(lambda y: factor.function(y), x, 2)
    torch.testing.assert_close(own.components, other.components.detach())


# Solves


@pytest.mark.slow
def test_corners_of_the_hanging_sheet_carry_its_weight(hung):
    case, field = hung
    measures = {name: m.value for name, m in case.measure(field).items()}
    assert measures["weight"] == pytest.approx(0.144 * 9.8 * 4)
    assert measures["balance_error"] < 0.02
    assert measures["thrust_error"] < 0.02 * measures["weight"]
    parts = measures["membrane"] + measures["bending"] + measures["potential"]
    assert measures["energy"] == pytest.approx(parts)
    # Lower than the sheet that hangs flat, stretched by its weight alone.
    assert measures["energy"] < -2.3
    assert measures["lowest_point"] < -1.5


def test_sheet_at_rest_is_not_in_balance():
    case, _, field = small()
    assert case.measure(field)["balance_error"].value > 0.5


def test_small_load_limit_of_the_shell_is_the_plate():
    case, setup, field = small(cells=6, per_cell=5, hold="edges")
    solve(case.problem(setup), field, setup.method, steps=20, progress=False)
    measures = case.measure(field, 24)
    assert measures["centre_by_thickness"].value == pytest.approx(3.163e-3, rel=1e-3)
    # (w / h)^2 = 1e-5 is what the plate's theory leaves out.
    assert measures["plate_error"].value < 1e-5


def test_small_load_limit_of_a_round_shell_is_the_round_plate():
    gravity = 1e-9
    case, setup, field = small(cells=6, per_cell=5, shape="round", hold="edges", gravity=gravity)
    solve(case.problem(setup), field, setup.method, steps=20, progress=False)
    measures = case.measure(field, 24)
    # q R^4 / 64 B of a plate with R = 1 m
    centre = 0.144 * gravity / (64 * case.material.bending)
    assert measures["centre_plate"].value == pytest.approx(centre)
    # (w / h)^2 = 6e-6 is what the plate's theory leaves out.
    assert measures["plate_error"].value < 6e-6


@pytest.mark.slow
def test_round_sheet_hangs_in_balance():
    case, setup, field = small(shape="round")
    solve(case.problem(setup), field, setup.method, steps=200, progress=False)
    measures = {name: m.value for name, m in case.measure(field).items()}
    assert measures["weight"] == pytest.approx(0.144 * 9.8 * math.pi)
    assert measures["balance_error"] < 0.02
    assert measures["lowest_point"] < -1.2


def test_round_sheet_is_filled_by_a_grid_without_seams():
    flat = Flat(round=True)
    x = flat.points(33).reshape(33, 33, 2)
    assert bool(flat.shape.contains(x.reshape(-1, 2)).all())
    rim = torch.cat([x[0], x[-1], x[:, 0], x[:, -1]])
    torch.testing.assert_close(rim.norm(dim=1), torch.ones(len(rim), dtype=torch.float64))
    torch.testing.assert_close(x[0, -1], torch.tensor(flat.corners[0], dtype=torch.float64))
    a, b = x[1:, 1:] - x[:-1, :-1], x[:-1, 1:] - x[1:, :-1]
    areas = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / 2
    assert float(areas.min()) > 0
    # Chords cut off 2 / 3 of (pi / 2 / 32)^2 of the area, at most.
    assert float(areas.sum()) == pytest.approx(math.pi, rel=2 / 3 * (math.pi / 64) ** 2)
    points, weights = flat.quadrature(6, 3)
    moment = float((weights * points[:, 0] ** 2).mean())
    assert moment == pytest.approx(1 / 4, rel=1e-6)


# Configurations and options


def test_paper_configuration_has_4371_parameters():
    case = Cloth()
    setup = case.setup("paper")
    assert make_model(case, setup, "grid").parameter_count() == 4371
    assert (setup.method, setup.steps, setup.points) == (Adam(lr=1e-2), 2000, 64**2)
    assert (setup.basis.epsilon, setup.basis.rho, setup.boundary) == (1.0, 3, "clamp")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_a_step(model):
    case = Cloth()
    setup = replace(adapt(case.setup("paper"), model), cells=8, points=64)
    check_model_takes_a_step(case, setup, model, steps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "oval"}, "--shape is 'oval'"),
        ({"hold": "top"}, "--hold is 'top'"),
        ({"hold": "edges", "inward": 0.1}, "--hold edges has none"),
        ({"inward": 1.0}, "--inward is 1.0"),
        ({"gravity": -9.8}, "--gravity is -9.8"),
        ({"thickness": 0.0}, "--thickness is 0.0"),
        ({"nu": 0.5}, "--nu is 0.5"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        Cloth(**options)
    assert "\n" not in str(caught.value)


# Files


@pytest.mark.slow
def test_pictures_and_exports_hold_the_sheet(hung, tmp_path, monkeypatch):
    trimesh, pyvista = pytest.importorskip("trimesh"), pytest.importorskip("pyvista")
    monkeypatch.setattr("dinfgrid_cuda.suite.cases.cloth.cloth_plots.FRAMES", 2)
    monkeypatch.setattr("dinfgrid_cuda.suite.cases.cloth.cloth.DRAWN", 25)
    case, field = hung
    pictures = case.pictures(field, "title")
    assert pictures["cloth.png"].startswith(b"\x89PNG")
    assert pictures["cloth.gif"].startswith(b"GIF8")
    for name, write in case.exports(field).items():
        write(tmp_path / name)
    mesh = trimesh.load(tmp_path / "cloth.obj", process=False)
    grid = pyvista.read(tmp_path / "cloth.vts")
    assert len(mesh.vertices) == grid.n_points == 129**2
    assert len(mesh.faces) == 2 * 128**2
    for bounds in (mesh.bounds[:, 1], grid.bounds[2:4]):
        assert bounds[1] == pytest.approx(1.0, abs=1e-6)
        assert bounds[0] == pytest.approx(case.measure(field)["lowest_point"].value, abs=0.01)
    flat = grid.points - grid["displacement"]
    assert abs(flat[:, 2]).max() < 1e-6
    assert sorted(set(flat[:, 0].round(5)))[:2] == pytest.approx([-1.0, -1 + 2 / 128], abs=1e-5)
    assert grid["stretch"].min() > 0.3
