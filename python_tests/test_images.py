"""Images: what is read, how it is scaled, what is refused."""

import numpy as np
import pytest
from pictures import smooth_image

from dinfgrid_cuda.suite.tools.case import CaseError
from dinfgrid_cuda.suite.tools.images import load_image

Pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")


def save(path, array, **settings):
    Pillow.fromarray(array).save(path, **settings)
    return path


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
    with pytest.raises(CaseError, match=message) as caught:
        load_image(make(tmp_path / "image.png"))
    assert "\n" not in str(caught.value)


def test_truncated_image_is_refused_in_one_line(tmp_path):
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CaseError, match="cannot be read as an image") as caught:
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
    with pytest.raises(CaseError, match=message):
        load_image(tmp_path / "a.npy")


def test_pickles_in_arrays_are_not_executed(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(CaseError, match="cannot be read"):
        load_image(tmp_path / "a.npy")
