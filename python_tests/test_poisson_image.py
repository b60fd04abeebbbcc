"""The Poisson image: data, geometry, configurations, solves to a true error, files, bad input."""

import json
import math

import numpy as np
import pytest
import torch

from dinfgrid_cuda.problems import metrics
from dinfgrid_cuda.problems.image_derivatives import five_point_laplacian, sobel_gradient
from dinfgrid_cuda.problems.images import Image, ImageError, load_image
from dinfgrid_cuda.problems.poisson_image import (
    CONFIGS,
    Geometry,
    level_count,
    make_field,
    make_problem,
    reconstruct,
)
from dinfgrid_cuda.problems.run_poisson_image import Request, run
from dinfgrid_cuda.solvers import CheckpointError, Objective, solve

Pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny solves gain nothing from threads, and lose much where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def smooth_image(height, width, channels=1):
    """Blobs that a pixel grid resolves, so that stencils are accurate."""
    y, x = np.meshgrid(np.linspace(0, 3, height), np.linspace(0, 4, width), indexing="ij")
    planes = [0.5 + 0.4 * np.sin(x + 0.3 * c) * np.cos(1.3 * y + c) for c in range(channels)]
    return np.stack(planes, axis=-1)


def as_image(pixels):
    return Image(pixels, "test", pixels.shape[:2])


def solved(image, supervise, steps, **changes):
    settings = CONFIGS["default"][supervise]
    problem = make_problem(image, supervise, changes.get("neumann", settings.neumann))
    field = make_field(image.shape, settings)
    solve(problem, field, settings.method, steps=steps, progress=False)
    return metrics.align_mean(reconstruct(field, *image.shape[:2]), image.pixels)


def save(path, array, **settings):
    Pillow.fromarray(array).save(path, **settings)
    return path


# Derivatives of images


def test_stencils_are_exact_on_low_polynomials():
    spacing = 0.25
    y, x = np.meshgrid(spacing * np.arange(9), spacing * np.arange(7), indexing="ij")
    gradient = sobel_gradient((2 * x - 3 * y)[:, :, None], spacing)[1:-1, 1:-1, 0]
    np.testing.assert_allclose(gradient[..., 0], -3, atol=1e-12)
    np.testing.assert_allclose(gradient[..., 1], 2, atol=1e-12)
    laplacian = five_point_laplacian((x**2 + 2 * y**2)[:, :, None], spacing)[1:-1, 1:-1, 0]
    np.testing.assert_allclose(laplacian, 6, atol=1e-10)


def test_stencils_are_scipys_scaled_to_derivatives():
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = np.random.default_rng(0).random((12, 10))
    gradient = sobel_gradient(pixels[:, :, None], 0.1)[:, :, 0]
    for axis in (0, 1):
        np.testing.assert_allclose(gradient[..., axis], ndimage.sobel(pixels, axis) / 0.8)
    laplacian = five_point_laplacian(pixels[:, :, None], 0.1)[:, :, 0]
    np.testing.assert_allclose(laplacian, ndimage.laplace(pixels) / 0.01, atol=1e-9)


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


# Metrics


def test_metrics_are_what_they_say():
    image = np.zeros((8, 8, 1))
    image[4:] = 1.0
    assert metrics.psnr(image + 0.1, image) == pytest.approx(20.0)
    assert metrics.psnr(image, image) == math.inf
    np.testing.assert_allclose(metrics.align_mean(image + 7, image), image)
    assert metrics.rescaled_psnr(3 * image - 2, image) == math.inf
    assert metrics.ssim(image, image) == pytest.approx(1.0)


# Images


def test_default_image_is_the_camera():
    image = load_image()
    assert image.shape == (512, 512, 1)
    assert image.source == "camera (scikit-image)"


def test_images_of_every_kind_are_read_alike(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 16), (12, 1))
    grey = np.round(ramp * 255).astype(np.uint8)
    colour = np.stack([grey] * 3, axis=-1)
    alpha = np.dstack([colour, np.full_like(grey, 255)])
    files = [
        save(tmp_path / "grey.png", grey),
        save(tmp_path / "colour.png", colour),
        save(tmp_path / "alpha.png", alpha),
        save(tmp_path / "deep.png", np.round(ramp * 65535).astype(np.uint16)),
        save(tmp_path / "float.tif", ramp.astype(np.float32)),
    ]
    np.save(tmp_path / "array.npy", ramp)
    Pillow.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    for path in [*files, tmp_path / "array.npy", tmp_path / "palette.png"]:
        pixels = load_image(path).pixels
        assert pixels.shape[:2] == (12, 16)
        np.testing.assert_allclose(
            pixels, np.broadcast_to(ramp[:, :, None], pixels.shape), atol=3e-3
        )


def test_transparent_pixels_become_white(tmp_path):
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4, :, 3] = 255
    pixels = load_image(save(tmp_path / "a.png", rgba)).pixels
    np.testing.assert_allclose(pixels[4:], 1.0)
    np.testing.assert_allclose(pixels[:4], 0.0)


def test_floats_outside_the_unit_range_are_rescaled(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(-5, 20, 100).reshape(10, 10))
    pixels = load_image(tmp_path / "a.npy").pixels
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)


def test_size_scales_the_longer_side_and_large_images_are_reduced(tmp_path):
    path = save(tmp_path / "a.png", np.round(smooth_image(60, 90)[:, :, 0] * 255).astype(np.uint8))
    image = load_image(path, 45)
    assert image.shape == (30, 45, 1)
    assert image.original == (60, 90)
    wide = np.zeros((16, 2048), np.uint8)
    wide[:, ::64] = 255
    assert load_image(save(tmp_path / "b.png", wide)).shape[1] == 1024


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.with_name("absent.png"), "there is no image"),
        (lambda p: p.parent, "is a folder"),
        (lambda p: p.write_bytes(b"") or p, "is empty"),
        (lambda p: (p.write_bytes(b"not an image"), p)[1], "is not an image"),
        (lambda p: save(p, np.eye(7, dtype=np.uint8)), "7 x 7 pixels, but at least 8 x 8"),
        (lambda p: save(p, np.full((9, 9), 7, np.uint8)), "is constant"),
    ],
)
def test_unusable_images_are_refused_in_one_line(make, message, tmp_path):
    with pytest.raises(ImageError, match=message) as caught:
        load_image(make(tmp_path / "image.png"))
    assert "\n" not in str(caught.value)


def test_truncated_image_is_refused_in_one_line(tmp_path):
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match="cannot be read as an image") as caught:
        load_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((9, 9), np.nan), "NaN or infinite"),
        (np.zeros((0, 9)), "no pixels"),
        (np.zeros((4, 9, 9, 3)), "not a stack"),
        (np.zeros((9, 9), complex), "not numbers"),
        (np.full((9, 9), "a"), "not numbers"),
    ],
)
def test_unusable_arrays_are_refused(array, message, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ImageError, match=message):
        load_image(tmp_path / "a.npy")


def test_pickles_in_arrays_are_not_executed(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(tmp_path / "a.npy")


# The whole run


def small_request(folder, **changes):
    return Request(**{"size": 24, "steps": 4, "out": folder, "progress": False, **changes})


def test_run_writes_picture_metrics_curve_and_checkpoint(tmp_path):
    report = run(small_request(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"poisson-image.png", "loss.png", "metrics.json", "checkpoint.safetensors"}
    with Pillow.open(tmp_path / "out" / "poisson-image.png") as picture:
        assert picture.width > 1000
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written == json.loads(json.dumps(report))
    assert written["steps"] == 4
    assert written["loss"]["last"] < written["loss"]["first"]
    assert written["config"]["name"] == "default"
    assert written["image"]["source"] == "camera (scikit-image)"
    for key in ("psnr_raw_db", "psnr_rescaled_db", "ssim", "parameters", "versions", "seconds"):
        assert written[key]


def test_resumed_run_ends_as_the_uninterrupted_one(tmp_path):
    whole = run(small_request(tmp_path / "a", steps=8))
    run(small_request(tmp_path / "b", steps=4))
    parts = run(small_request(tmp_path / "b", steps=8, resume=True))
    assert parts["loss"] == whole["loss"]
    assert parts["psnr_raw_db"] == whole["psnr_raw_db"]


def test_resume_with_other_options_is_refused(tmp_path):
    run(small_request(tmp_path))
    with pytest.raises(CheckpointError, match="config 'default', this run has 'paper'"):
        run(small_request(tmp_path, config="paper", resume=True))
    with pytest.raises(CheckpointError, match="made with image"):
        run(small_request(tmp_path, size=25, resume=True))


def test_unwritable_folder_is_found_before_the_solve(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("dinfgrid_cuda.problems.run_poisson_image.solve", None)
    with pytest.raises(CheckpointError, match="cannot write to the folder"):
        run(small_request(tmp_path / "file"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": "best"}, "config is 'best'"),
        ({"supervise": "values"}, "supervise is 'values'"),
        ({"steps": 0}, "steps is 0"),
        ({"size": 4}, "size is 4"),
    ],
)
def test_unusable_requests_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(small_request(tmp_path, **changes))
