"""The Poisson image: geometry, configurations, solves to a true error."""

import numpy as np
import pytest
import torch
from pictures import as_image, smooth_image

from dinfgrid_cuda.problems import metrics
from dinfgrid_cuda.problems.image_derivatives import sobel_gradient
from dinfgrid_cuda.problems.poisson_image import (
    CONFIGS,
    Geometry,
    level_count,
    make_field,
    make_problem,
    reconstruct,
)
from dinfgrid_cuda.solvers import Objective, solve

pytestmark = pytest.mark.usefixtures("one_thread")


def solved(image, supervise, steps, **changes):
    settings = CONFIGS["default"][supervise]
    problem = make_problem(image, supervise, changes.get("neumann", settings.neumann))
    field = make_field(image.shape, settings)
    solve(problem, field, settings.method, steps=steps, progress=False)
    return metrics.align_mean(reconstruct(field, *image.shape[:2]), image.pixels)


# Geometry and configurations


def test_pixel_centres_lie_in_a_box_of_the_images_shape():
    geometry = Geometry(20, 40)
    assert geometry.box.lower == (-0.5, -1.0)
    assert geometry.box.upper == (0.5, 1.0)
    centres = geometry.pixel_centres().reshape(20, 40, 2)
    torch.testing.assert_close(centres[0, 0], torch.tensor([-0.475, -0.975], dtype=torch.float64))
    torch.testing.assert_close(centres[-1, -1], torch.tensor([0.475, 0.975], dtype=torch.float64))


def test_edges_lie_on_the_rim_with_their_axis():
    rim, axes = Geometry(8, 16).edges()
    assert len(rim) == 2 * (8 + 16)
    half = torch.tensor([0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(rim.abs()[torch.arange(len(rim)), axes], half[axes])


@pytest.mark.parametrize("supervise", ["gradient", "laplacian"])
@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (100, 37), (130, 129)])
def test_any_size_gets_cells_as_large_as_pixels(shape, supervise):
    field = make_field((*shape, 1), CONFIGS["default"][supervise])
    spec, geometry = field.grid.spec, Geometry(*shape)
    for axis in (0, 1):
        size = (spec.upper[axis] - spec.lower[axis]) / spec.cells[axis]
        assert size == pytest.approx(geometry.spacing)
        assert spec.lower[axis] <= geometry.box.lower[axis]
        assert spec.upper[axis] >= geometry.box.upper[axis] - 1e-12
    t = (
        geometry.pixel_centres()[0] - torch.tensor(spec.lower, dtype=torch.float64)
    ) / geometry.spacing
    expected = 0.5 if supervise == "gradient" else 1.0
    torch.testing.assert_close(t, torch.full((2,), expected, dtype=torch.float64))


def test_level_count_leaves_about_four_coarse_cells():
    assert [level_count(n, 10 * n) for n in (8, 16, 300, 512, 1024)] == [2, 3, 7, 8, 9]


def test_paper_configuration_has_702937_parameters_at_512():
    settings = CONFIGS["paper"]["gradient"]
    field = make_field((512, 512, 1), settings)
    assert field.parameter_count() == 702_937
    assert field.grid.features.abs().max() <= 1e-4
    assert (settings.method, settings.lr, settings.decay) == ("adam", 5e-3, (0.1, 5000))
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
    field = make_field(image.shape, CONFIGS["default"]["gradient"]).double()
    loss = Objective(problem, field).evaluate(0)[0].item()
    gradient = sobel_gradient(image.pixels, 2 / 16)
    assert loss == pytest.approx(np.mean(gradient**2), rel=1e-2)


# Solves


def test_image_comes_back_from_its_gradient():
    image = as_image(smooth_image(32, 32))
    found = solved(image, "gradient", 40)
    assert metrics.psnr(found, image.pixels) > 38


def test_colour_image_of_odd_size_comes_back_from_its_gradient():
    image = as_image(smooth_image(27, 45, channels=3))
    found = solved(image, "gradient", 40)
    assert found.shape == (27, 45, 3)
    assert metrics.psnr(found, image.pixels) > 38


def test_mirrored_rim_makes_the_laplacian_well_posed():
    image = as_image(smooth_image(32, 32))
    posed = metrics.psnr(solved(image, "laplacian", 100), image.pixels)
    free = metrics.psnr(solved(image, "laplacian", 100, neumann=False), image.pixels)
    assert posed > 30
    assert free < posed - 10


def test_paper_configuration_lowers_its_loss():
    image = as_image(smooth_image(32, 32))
    settings = CONFIGS["paper"]["gradient"]
    field = make_field(image.shape, settings)
    history = solve(
        make_problem(image, "gradient"),
        field,
        settings.method,
        steps=150,
        lr=settings.lr,
        decay=settings.decay,
        progress=False,
    ).history
    assert history.totals[-1] < 0.02 * history.totals[0]
