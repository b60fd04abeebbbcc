"""Helmholtz: complex jets, the exact waves, absorbing layers, and small solves."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from cases_of_models import check_model_takes_a_step
from scipy.special import hankel2
from torch import Tensor

from dinfgrid_cuda import Adam, Gaussian, Jet, solve
from dinfgrid_cuda.fields.jet_algebra import by_autograd
from dinfgrid_cuda.kernels.multi_index import multi_indices
from dinfgrid_cuda.suite.cases.helmholtz import helmholtz, point_sources
from dinfgrid_cuda.suite.cases.helmholtz.helmholtz import Helmholtz
from dinfgrid_cuda.suite.cases.helmholtz.point_sources import (
    NEAR,
    Wave,
    positions,
    source,
    stretch,
    stretched,
)
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model
from dinfgrid_cuda.suite.tools.case import CaseError

pytestmark = pytest.mark.usefixtures("one_thread")

# Weights of the central differences of fourth order, offsets -2..2: value, first, second.
DIFFERENCES = np.array(
    [[0, 0, 1, 0, 0], [1 / 12, -2 / 3, 0, 2 / 3, -1 / 12], [-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12]]
)


def points(n: int = 6, dim: int = 2) -> Tensor:
    return torch.rand(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def twisted(x: Tensor) -> Tensor:
    """Two complex channels, the second holomorphic in x0 + j x1."""
    return torch.stack([torch.exp(1j * x[:, 0] * x[:, -1]), (x[:, 0] + 1j * x[:, -1]) ** 3], dim=1)


def in_pairs(x: Tensor) -> Tensor:
    """The same as four real channels."""
    return torch.view_as_real(twisted(x)).flatten(1)


def test_complex_jet_joins_pairs_of_channels() -> None:
    x = points()
    jet = Jet.of(in_pairs, x, 3).as_complex()
    u, first, second = twisted(x), jet.value, jet[0]
    torch.testing.assert_close(first, u)
    assert (len(jet), len(second)) == (2, 1)
    # (d0 + j d1) g = 0 and Laplace g = 0 for the holomorphic one.
    g = jet[1]
    torch.testing.assert_close(g.gradient[:, :, 0], -1j * g.gradient[:, :, 1])
    assert g.laplacian.abs().max() <= 1e-13 * g.hessian.abs().max()
    square = x.square().sum(1, keepdim=True)
    torch.testing.assert_close(jet[0].laplacian, -square * u[:, :1])
    torch.testing.assert_close(jet[0].derivative((1, 0)), 1j * x[:, 1:] * u[:, :1])
    assert jet.hessian.shape == (6, 2, 2, 2)


@pytest.mark.parametrize("dim", [1, 2])
def test_complex_arithmetic_is_that_of_the_functions(dim: int) -> None:
    x = points(dim=dim)

    def real(s: Tensor) -> Tensor:
        return 1.5 + torch.cos(s.sum(1, keepdim=True))

    a, b = Jet.of(in_pairs, x, 2).as_complex(), Jet.of(real, x, 2)
    for jet, function in (
        (a * b, lambda s: twisted(s) * real(s)),
        (b * a, lambda s: twisted(s) * real(s)),
        (a + 2j, lambda s: twisted(s) + 2j),
        (1j * a - b, lambda s: 1j * twisted(s) - real(s)),
        (a / b, lambda s: twisted(s) / real(s)),
        (b / a, lambda s: real(s) / twisted(s)),
        (a**3, lambda s: twisted(s) ** 3),
        (1j * b, lambda s: 1j * real(s)),
    ):
        expected = by_autograd(function, x, 2)
        assert jet.components.dtype == torch.complex128
        size = expected.abs().amax()
        assert (jet.components - expected).abs().amax() <= 1e-12 * size


def test_jet_of_a_complex_function_is_that_of_its_parts() -> None:
    x = points()
    expected = Jet.of(in_pairs, x, 3).as_complex().components
    torch.testing.assert_close(Jet.of(twisted, x, 3).components, expected)

    def one(point: Tensor) -> Tensor:
        return Jet.of(twisted, point[None], 2).components[0]

    torch.testing.assert_close(torch.func.vmap(one)(x), expected[:, :6])


def test_complex_jet_passes_gradients_to_the_real_channels() -> None:
    components = torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True)

    def loss(c: Tensor) -> Tensor:
        jet = Jet(c, 2, 2).as_complex()
        return (jet.laplacian * jet.value.conj() + 2j * jet.derivative((1, 0))).abs().square()

    assert torch.autograd.gradcheck(loss, components)
    assert torch.autograd.gradgradcheck(loss, components)


def test_odd_or_complex_channels_do_not_pair() -> None:
    jet = Jet.of(in_pairs, points(), 1)
    with pytest.raises(ValueError, match="there are 3; an even number"):
        jet[:3].as_complex()
    with pytest.raises(TypeError, match="complex already"):
        jet.as_complex().as_complex()


def test_stretch_is_the_derivative_of_the_stretched_coordinate() -> None:
    x, h = np.linspace(-0.99, 0.99, 33), 1e-4
    e, slope = (part.numpy() for part in stretch(torch.from_numpy(x)))
    around = np.stack([stretched(x + offset * h) for offset in range(-2, 3)])
    # X is a cubic on each side of a layer's start, so that differences are exact to rounding.
    np.testing.assert_allclose(e, DIFFERENCES[1] @ around / h, atol=1e-10)
    np.testing.assert_allclose(slope, DIFFERENCES[2] @ around / h**2, atol=1e-6)
    assert (e[np.abs(x) < 0.5] == 1).all()
    assert e[0].imag == pytest.approx(-5 * (0.49 / 0.5) ** 2)


def differences(wave: Wave, x: Tensor, h: float) -> Jet:
    """The jet of a wave, two real channels, by differences of fourth order."""
    columns = []
    for a, b in multi_indices(2, 2):
        total: complex | np.ndarray = 0
        for i, j in product(range(5), range(5)):
            weight = DIFFERENCES[a][i] * DIFFERENCES[b][j] / h ** (a + b)
            if weight:
                total = total + weight * wave(x.numpy() + h * (np.array([i, j]) - 2))
        columns.append(np.stack([np.real(total), np.imag(total)], axis=1))
    return Jet(torch.from_numpy(np.stack(columns, axis=1)), 2, 2)


@pytest.mark.parametrize(("k", "sources"), [(20.0, 1), (40.0, 3)])
def test_exact_wave_satisfies_the_equation(k: float, sources: int) -> None:
    case, h = Helmholtz(k, sources), 1e-3
    x = 1.9 * points(400) - 0.95  # in the layers and their corners too
    far = torch.from_numpy(point_sources.distances(x.numpy(), case.wave.at)) > NEAR + 3 * h
    smooth = ((x.abs() - 0.5).abs() > 3 * h).all(1)  # X is not, where a layer starts
    x = x[far & smooth]
    assert int((x.abs() > 0.5).any(1).sum()) > 100
    u = differences(case.wave, x, h)
    # Truncation (h K)^4 / 90 of the terms K^2 u, where K is at most 5 k.
    bound = (5 * h * k) ** 4 / 90 * k**2 * float(u.value.abs().max())
    assert case.residual(x, u).abs().max() <= bound
    assert case.residual(x, u * torch.tensor([1.0, 1.01])).abs().max() > 10 * bound


@pytest.mark.parametrize("k", [5.0, 20.0, 100.0])
def test_exact_wave_satisfies_the_equation_inside_the_source(k: float) -> None:
    case = Helmholtz(k)
    x = 0.14 * points(200) - 0.07
    residual = case.residual(x, differences(case.wave, x, 2e-4)).abs()
    peak = float(source(torch.zeros(1, 2, dtype=torch.float64), case.wave.at).abs())
    assert peak == pytest.approx(2**0.5 * 1e4 / (2 * np.pi))
    # A cubic spline of step h has u'' to h^2 / 12 times the fourth derivative, about 3 f / s^2.
    assert residual.max() <= 2e-4**2 / 12 * 3 / 0.01**2 * peak


def test_exact_wave_is_the_convolution_of_the_fundamental_solution() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(80)
    reach = 0.08
    a, b = np.meshgrid(reach * nodes, reach * nodes, indexing="ij")
    mass = reach**2 * np.outer(weights, weights)
    f = source(torch.from_numpy(np.stack([a.ravel(), b.ravel()], axis=1)), [(0.0, 0.0)]).numpy()
    assert (mass.ravel() * f).sum() == pytest.approx(1 + 1j)
    for r in (0.13, 0.3, 0.5):
        green = 0.25j * hankel2(0, 20 * np.hypot(r - a, b))
        expected = (mass * green * f.reshape(a.shape)).sum()
        found = Wave(20.0, [(0.0, 0.0)])(np.array([[r, 0.0]]))[0]
        assert found == pytest.approx(expected, rel=1e-11)


def test_several_sources_stand_apart_between_the_layers() -> None:
    for count in range(1, 13):
        at = np.array(positions(count))
        assert at.shape == (count, 2)
        assert np.abs(at).max() + NEAR < 0.5
        if count > 1:
            gaps = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + np.eye(count)
            assert gaps.min() > 1.5 * NEAR
    one, two = Wave(20.0, positions(1)), Wave(20.0, positions(2))
    x = np.array([[0.1, 0.35], [-0.2, 0.1]])
    moved = one(x - positions(2)[0]) + one(x - positions(2)[1])
    np.testing.assert_allclose(two(x), moved, rtol=1e-13)


def error(case: Helmholtz, cells: int) -> float:
    setup = replace(case.setup("default"), cells=cells, points=(2 * cells) ** 2)
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=setup.steps, progress=False)
    return case.measure(field, 129)["relative_l2"].value


@pytest.mark.slow
def test_direct_solve_converges_to_the_exact_wave() -> None:
    coarse, fine = error(Helmholtz(), 48), error(Helmholtz(), 80)
    assert fine < 1e-3
    assert fine < coarse / 2**4


@pytest.mark.slow
def test_several_sources_and_long_waves_are_solved() -> None:
    assert error(Helmholtz(wavenumber=10.0, sources=3), 64) < 1e-2
    # Without u = 0 at the rim the second is 1.0e-2, and it gets worse with more cells.
    assert error(Helmholtz(wavenumber=5.0), 64) < 5e-3


def test_paper_configuration_is_the_papers() -> None:
    case = Helmholtz()
    setup = case.setup("paper")
    field = make_model(case, setup, "grid")
    assert sum(p.numel() for p in field.parameters()) == 45_194
    assert (setup.method, setup.steps, setup.dtype) == (Adam(lr=1e-3), 10_000, "float32")
    assert setup.basis == Gaussian(epsilon=1.0, rho=3)
    problem = case.problem(setup)
    assert problem.names == ("pde",)
    first, second = (
        problem.draw(0, 0, step, torch.float32, torch.device("cpu"))[0] for step in (0, 1)
    )
    assert first.shape == (256**2, 2)
    assert not torch.equal(first, second)
    # Stratified: each point in its own cell of 256 x 256.
    cells = ((first + 1) * 128).clamp(max=255.999).long()
    assert len(torch.unique(cells[:, 0] * 256 + cells[:, 1])) > 0.999 * len(first)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_a_step(model: str) -> None:
    case = Helmholtz(sources=2)
    setup = replace(adapt(case.setup("paper"), model), points=1024, cells=16)
    check_model_takes_a_step(case, setup, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wavenumber": 0.0}, "--wavenumber is 0; it must lie in 5..100"),
        ({"wavenumber": float("nan")}, "--wavenumber is nan"),
        ({"sources": 0}, "--sources is 0; it must lie in 1..12"),
        ({"sources": 13}, "--sources is 13"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(CaseError, match=message) as caught:
        Helmholtz(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pictures_and_exports_are_valid_files(tmp_path, monkeypatch) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(helmholtz, "SHOWN", 41)
    monkeypatch.setattr(helmholtz, "FRAMES", 3)
    monkeypatch.setattr(helmholtz, "EXPORTED", 21)
    case = Helmholtz(sources=2)
    setup = replace(case.setup("default"), cells=16)
    field = make_model(case, setup, "grid")
    pictures = case.pictures(field, "a title")
    assert list(pictures) == ["helmholtz.png", "helmholtz-cut.png", "helmholtz.gif"]
    for name, data in pictures.items():
        with pillow.open(io.BytesIO(data)) as picture:
            assert picture.width > 300
            assert getattr(picture, "n_frames", 1) == (3 if name.endswith("gif") else 1)
    pyvista = pytest.importorskip("pyvista")
    (name, writer), *_ = case.exports(field).items()
    writer(tmp_path / name)
    image = pyvista.read(tmp_path / name)
    assert image.bounds[:4] == pytest.approx((-1, 1, -1, 1))
    exact = case.wave(np.asarray(image.points)[:, :2])
    np.testing.assert_allclose(image["exact_imaginary"], exact.imag, atol=1e-12)
    found = image["real"] + 1j * image["imaginary"]
    np.testing.assert_allclose(image["error"], np.abs(found - exact), atol=1e-12)
