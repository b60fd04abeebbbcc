"""The whole run of the Poisson image: files, resume, requests that cannot be met."""

import json

import pytest

from dinfgrid_cuda.problems.run_poisson_image import ImageError, Request, RequestError, run
from dinfgrid_cuda.solvers import CheckpointError

Pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")


pytestmark = pytest.mark.usefixtures("one_thread")


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
        ({"seed": 10**23}, "seed is 1000.*must lie in 0..4294967295"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_unusable_requests_are_refused(changes, message, tmp_path):
    with pytest.raises(RequestError, match=message) as caught:
        run(small_request(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_unusable_size_is_refused(tmp_path):
    with pytest.raises(ImageError, match="size is 4"):
        run(small_request(tmp_path, size=4))
