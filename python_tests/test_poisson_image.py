"""The Poisson image: geometry, configurations, solves to a true error."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import as_image, smooth_image

from dinfgrid_cuda import Adam
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers import SolveError, solve
from dinfgrid_cuda.suite.cases.image.poisson_image import (
    Geometry,
    PoissonImage,
    make_problem,
    reconstruct,
)
from dinfgrid_cuda.suite.run.models import adapt, make_model
from dinfgrid_cuda.suite.tools import metrics
from dinfgrid_cuda.suite.tools.case import CaseError
from dinfgrid_cuda.suite.tools.image_derivatives import sobel_gradient

pytestmark = pytest.mark.usefixtures("one_thread")


def case_of(pixels, **options):
    """The case of an image in memory."""
    case = PoissonImage(**options)
    case.__dict__["picture"] = as_image(pixels)  # where cached_property keeps it
    return case


def solved(pixels, supervise, steps, **options):
    case = case_of(pixels, supervise=supervise, **options)
    setup = case.setup("default")
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=steps, progress=False)
    return metrics.align_mean(reconstruct(field, *pixels.shape[:2]), pixels)


# Geometry and configurations


def test_pixel_centres_lie_in_a_box_of_the_images_shape():
    geometry = Geometry(20, 40)
    assert geometry.box.lower == (-0.5, -1.0)
    assert geometry.box.upper == (0.5, 1.0)
    centres = geometry.pixel_centres().reshape(20, 40, 2)
    torch.testing.assert_close(centres[0, 0], torch.tensor([-0.475, -0.975], dtype=torch.float64))
    torch.testing.assert_close(centres[-1, -1], torch.tensor([0.475, 0.975], dtype=torch.float64))


@pytest.mark.parametrize("supervise", ["gradient", "laplacian"])
@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (100, 37), (130, 129)])
def test_any_size_gets_cells_as_large_as_pixels(shape, supervise):
    case = case_of(smooth_image(*shape), supervise=supervise)
    spec = make_model(case, case.setup("default"), "grid").grid.spec
    geometry = Geometry(*shape)
    for axis in (0, 1):
        size = (spec.upper[axis] - spec.lower[axis]) / spec.cells[axis]
        assert size == pytest.approx(geometry.spacing)
        assert spec.lower[axis] <= geometry.box.lower[axis]
        assert spec.upper[axis] >= geometry.box.upper[axis] - 1e-12
    t = (
        geometry.pixel_centres()[0] - torch.tensor(spec.lower, dtype=torch.float64)
    ) / geometry.spacing
    torch.testing.assert_close(t, torch.ones(2, dtype=torch.float64))


def test_paper_configuration_has_702937_parameters_at_512():
    case = case_of(smooth_image(512, 512))
    settings = case.setup("paper")
    field = make_model(case, settings, "grid")
    assert field.parameter_count() == 702_937
    assert field.grid.features.abs().max() <= 1e-4
    assert settings.method == Adam(lr=5e-3, decay=(0.1, 5000))
    assert settings.steps == 10_000
    assert (settings.basis.epsilon, settings.basis.rho) == (1.0, 3)


def test_paper_configuration_uses_every_pixel_every_step():
    image = as_image(smooth_image(32, 32))
    problem = make_problem(image, "gradient")
    assert len(problem.terms) == 1
    assert problem.terms[0].fixed
    assert len(problem.terms[0].region.x) == 32 * 32


def test_loss_of_a_flat_field_is_the_mean_square_of_the_gradient():
    image = as_image(smooth_image(16, 16))
    problem = make_problem(image, "gradient")
    case = case_of(image.pixels)
    field = make_model(case, case.setup("default"), "grid").double()
    loss = Objective(problem, field).evaluate(0)[0].item()
    gradient = sobel_gradient(image.pixels, 2 / 16)
    assert loss == pytest.approx(np.mean(gradient**2), rel=1e-2)


# Solves


def test_image_comes_back_from_its_gradient():
    image = as_image(smooth_image(32, 32))
    found = solved(image.pixels, "gradient", 40)
    assert metrics.psnr(found, image.pixels) > 38


@pytest.mark.slow
def test_colour_image_of_odd_size_comes_back_from_its_gradient():
    image = as_image(smooth_image(27, 45, channels=3))
    found = solved(image.pixels, "gradient", 40)
    assert found.shape == (27, 45, 3)
    assert metrics.psnr(found, image.pixels) > 36


def test_mirrored_rim_makes_the_laplacian_well_posed():
    image = as_image(smooth_image(32, 32))
    posed = metrics.psnr(solved(image.pixels, "laplacian", 100), image.pixels)
    free = metrics.psnr(solved(image.pixels, "laplacian", 100, neumann=False), image.pixels)
    assert posed > 30
    assert free < posed - 10


def test_paper_configuration_lowers_its_loss():
    case = case_of(smooth_image(32, 32))
    settings = case.setup("paper")
    field = make_model(case, settings, "grid")
    history = solve(
        case.problem(settings),
        field,
        settings.method,
        steps=150,
        progress=False,
    ).history
    assert history.totals[-1] < 0.02 * history.totals[0]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["grid", "siren", "mlp", "linear-grid"])
@pytest.mark.parametrize("supervise", ["gradient", "laplacian"])
def test_every_model_takes_a_step(model, supervise):
    case = case_of(smooth_image(16, 16), supervise=supervise)
    setup = adapt(case.setup("default"), model)
    field = make_model(case, setup, model)
    if (model, supervise) == ("linear-grid", "laplacian"):
        with pytest.raises(SolveError, match="degree-1 B-spline.* no second derivatives"):
            solve(case.problem(setup), field, setup.method, steps=2, progress=False)
        return
    solution = solve(case.problem(setup), field, setup.method, steps=2, progress=False)
    assert np.isfinite(solution.loss)


def test_errors_are_measured_on_another_grid_too():
    case = PoissonImage(size=32)
    setup = case.setup("default")
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=10, progress=False)
    own, finer = case.measure(field), case.measure(field, 64)
    assert own["psnr_raw"].value > finer["psnr_raw"].value > 15


def test_cells_of_an_image_follow_from_its_pixels():
    case = case_of(smooth_image(16, 16))
    with pytest.raises(CaseError, match="--cells follows from the pixels"):
        make_model(case, replace(case.setup("default"), cells=32), "grid")
