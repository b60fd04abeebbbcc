"""Scattering: layers, conditions on the disk, solves to a true error, refusals, files."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases_of_models import check_model_takes_a_step
from torch import Tensor

from dinfgrid_cuda import BSpline, Jet, solve
from dinfgrid_cuda.suite.cases.shape import scattering, scattering_plots
from dinfgrid_cuda.suite.cases.shape.scattering import CLEAR, RADIUS, Scattering, wave_of
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")


class Exact(torch.nn.Module):
    """The exact scattered wave as a field; derivatives by central differences of eighth order."""

    STEP = 2e-3
    FIRST = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])

    def __init__(self, case: Scattering) -> None:
        super().__init__()
        self.wave = case.exact.scattered
        self.unused = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def jet(self, x: Tensor, order: int) -> Jet:
        parts = [self.wave(x)]
        for axis in range(2) if order else ():
            shift = torch.zeros(2, dtype=torch.float64)
            shift[axis] = self.STEP
            moved = [
                self.wave(x + k * shift) * w for k, w in zip(range(-4, 5), self.FIRST, strict=True)
            ]
            parts.append(sum(moved) / self.STEP)
        return Jet(torch.view_as_real(torch.stack(parts, dim=1)), 2, order)


def solved(cells: int, **options: object) -> tuple[Scattering, torch.nn.Module]:
    case = Scattering(**options)  # type: ignore[arg-type]
    setup = replace(case.setup("default"), cells=cells, points=(3 * cells) ** 2)
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=setup.steps, progress=False)
    return case, field


def test_stretch_is_the_derivative_of_what_damps_to_the_attenuation() -> None:
    case = Scattering(wavenumber=7.0)
    x = torch.linspace(-case.outer, case.outer, 2001, dtype=torch.float64)[:, None]
    e, slope = case.stretch(x)
    (expected,) = torch.autograd.grad(
        case.stretch(x.requires_grad_())[0].imag.sum(), x, create_graph=False
    )
    torch.testing.assert_close(slope.imag, expected, rtol=1e-12, atol=1e-12)
    free = x.detach().abs() <= CLEAR
    assert bool((e[free] == 1).all())
    # exp(-2 k integral of Im e over one layer), by the trapezoidal rule over both, is exp(-16)
    damping = case.wavenumber * float(torch.trapezoid(e.imag[:, 0], x.detach()[:, 0]))
    assert damping == pytest.approx(scattering.ATTENUATION, rel=1e-4)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_exact_wave_has_no_error_and_its_width(kind: str) -> None:
    """Differences of step 2e-3 are exact to 1e-16 / 2e-3, and (k h)^8 / 630."""
    case = Scattering(kind=kind, wavenumber=4.0)
    field = Exact(case)
    measures = {name: measure.value for name, measure in case.measure(field, 21).items()}
    assert measures["relative_l2"] == 0
    assert measures["width"] == pytest.approx(measures["width_exact"], rel=1e-11)
    normal = torch.tensor([[0.6, 0.8], [-1.0, 0.0]], dtype=torch.float64)
    if kind == "soft":
        assert measures["condition"] < 1e-13
        total = case.soft(normal, field.jet(normal, 0))
        assert float(total.abs().max()) < 1e-13


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_coarse_solve_is_near_the_series(kind: str) -> None:
    case, field = solved(52, kind=kind, wavenumber=6.0)
    measures = {name: measure.value for name, measure in case.measure(field, 61).items()}
    assert measures["relative_l2"] < 2e-4
    assert measures["relative_max"] < 1e-3
    assert measures["width"] == pytest.approx(measures["width_exact"], rel=1e-3)
    # A tenth of the waves' size would already be another disk.
    assert measures["condition"] < 5e-3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_default_reaches_five_digits(kind: str) -> None:
    case = Scattering(kind=kind)
    setup = case.setup("default")
    assert setup.cells == 72
    _, field = solved(72, kind=kind)
    assert case.measure(field)["relative_l2"].value < 1e-5


def test_finer_grids_for_shorter_waves() -> None:
    cells = [Scattering(wavenumber=k).setup("default").cells for k in (2.0, 10.0, 20.0, 40.0)]
    assert cells == sorted(cells)
    assert cells[0] == scattering.LEAST
    case = Scattering(wavenumber=40.0)
    wave = 2 * math.pi / 40
    assert 2 * case.outer / wave * scattering.PER_WAVE <= cells[-1]


@pytest.mark.parametrize("model", [model for model in MODELS if model != "linear-grid"])
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_every_model_takes_a_step(model: str, kind: str) -> None:
    case = Scattering(kind=kind)
    setup = replace(adapt(case.setup("paper"), model), points=256, cells=16)
    check_model_takes_a_step(case, setup, model, steps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "wet"}, "--kind is 'wet'; it must be one of"),
        ({"wavenumber": 0.0}, "--wavenumber is 0.0; it must lie in 2..40"),
        ({"wavenumber": float("nan")}, "--wavenumber is nan"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(CaseError, match=message) as caught:
        Scattering(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_splines_without_second_derivatives_are_refused() -> None:
    case = Scattering()
    with pytest.raises(CaseError, match="second derivatives.*take --model grid"):
        case.problem(replace(case.setup("default"), basis=BSpline(1)))


def test_pictures_and_exports_are_valid_files(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    pillow = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(scattering, "SHOWN", 41)
    monkeypatch.setattr(scattering, "EXPORTED", 41)
    monkeypatch.setattr(scattering_plots, "MOVING", 41)
    monkeypatch.setattr(scattering_plots, "FRAMES", 2)
    case = Scattering()
    field = make_model(case, replace(case.setup("default"), cells=16), "grid")
    pictures = case.pictures(field, "a title")
    assert list(pictures) == ["scattering.png", "scattering.gif"]
    for name, data in pictures.items():
        with pillow.open(io.BytesIO(data)) as picture:
            assert picture.width > 300
            assert getattr(picture, "n_frames", 1) == (2 if name.endswith("gif") else 1)
    pyvista = pytest.importorskip("pyvista")
    (name, writer), *_ = case.exports(field).items()
    writer(tmp_path / name)
    mesh = pyvista.read(tmp_path / name)
    x = torch.from_numpy(np.array(mesh.points, dtype=np.float64)[:, :2])
    # Cells are cut along the chords of the circle.
    spacing = 3.2 / 40
    assert float(x.norm(dim=1).min()) > RADIUS - spacing**2
    assert float(x.abs().max()) == pytest.approx(CLEAR, abs=1e-6)
    expected = (wave_of(field, x) + case.exact.incident(x)).real
    np.testing.assert_allclose(mesh["total_real"], expected, atol=1e-12)
