"""Files of a result: whole or not at all, with a word about packages that are missing."""

import errno
import io
import os

import numpy as np
import pytest
import torch

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.solvers import CheckpointError, History
from dinfgrid_cuda.suite.run.files import write_exports, write_pictures
from dinfgrid_cuda.suite.tools import evaluation, plots

Pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


def test_exports_are_written_under_their_names(tmp_path):
    written, missing = write_exports(tmp_path, {"a.csv": lambda path: path.write_text("1\n")})
    assert (written, missing) == (["a.csv"], {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "1\n"


def test_writers_see_the_suffix_of_their_file(tmp_path):
    seen = []

    def writer(path):
        seen.append(path.suffix)
        path.write_text("")

    write_exports(tmp_path, {"u.vti": writer})
    assert seen == [".vti"]


def test_missing_package_leaves_the_file_out_and_is_named(tmp_path):
    def writer(path):
        raise ModuleNotFoundError("No module named 'pyvista'", name="pyvista")

    written, missing = write_exports(tmp_path, {"u.vti": writer})
    assert written == []
    assert "pip install pyvista" in missing["u.vti"]
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing_behind(tmp_path):
    def writer(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CheckpointError, match=r"u.csv: No space left"):
        write_exports(tmp_path, {"u.csv": writer})
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_written(tmp_path):
    assert write_pictures(tmp_path, {"a.png": b"abc"}) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"abc"


def test_animation_has_its_frames():
    def draw(figure, k):
        figure.subplots().plot([0, k])

    with Pillow.open(io.BytesIO(plots.animation(4, draw, (2.0, 1.5)))) as picture:
        assert picture.n_frames == 4
        assert picture.format == "GIF"
        assert picture.size == (160, 120)


def test_panels_put_the_first_axis_to_the_right():
    values = np.zeros((20, 20))
    values[-4:, :4] = 1.0  # large x, small y
    panel = plots.Panel(values, "u", (0.0, 1.0, 0.0, 1.0), limits=(0.0, 1.0))
    drawn = plots.figure(4, 4)
    axes = drawn.subplots()
    image = plots.draw_panel(axes, panel)
    shown = image.get_array()
    assert image.origin == "lower"
    assert shown[0, -1] == 1.0
    assert shown[-1, 0] == 0.0


def test_panels_of_nan_are_drawn():
    panel = plots.Panel(np.full((4, 4), np.nan), "u", (0.0, 1.0, 0.0, 1.0))
    assert plots.panels([panel], "nothing").startswith(b"\x89PNG")


def test_loss_curve_of_an_energy_may_be_negative():
    history = History(
        ("energy",), [0, 1, 2], [0.0, -1.0, -1.5], [(0.0,), (-1.0,), (-1.5,)], [0] * 3
    )
    assert plots.loss_curve(history, "energy").startswith(b"\x89PNG")


def test_field_on_a_lattice_has_the_lattices_shape():
    module = torch.nn.Linear(2, 1)
    module.jet = lambda x, order: type("J", (), {"components": x[:, None, :1] * 2})()
    found = evaluation.on_lattice(module, Box([0, 0], [1, 3]), (3, 4))
    assert found.shape == (3, 4, 1)
    np.testing.assert_allclose(found[:, 0, 0], [0, 1, 2])


def test_relative_error_takes_complex_values():
    exact = torch.tensor([1 + 1j, 2.0])
    assert evaluation.relative_l2(exact * 1.1, exact) == pytest.approx(0.1)
