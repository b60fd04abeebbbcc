"""Pictures and files of fields on shapes: masked outside, outlined, coloured on the surface."""

import io

import numpy as np
import pytest
import torch

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.shapes.ball import Ball, Disk
from dinfgrid_cuda.geometry.shapes.mesh import Mesh
from dinfgrid_cuda.suite.tools import shape_plots, shape_samples
from dinfgrid_cuda.suite.tools.vtk import clipped_vtk

matplotlib = pytest.importorskip("matplotlib.figure")
pytest.importorskip("skimage")

RING = Disk((0, 0), 1.0, name="outer") - Disk((0.2, 0.1), 0.3, name="hole")


def only_inside(shape):
    """A field that does not exist outside a shape."""

    def field(x):
        assert bool(shape.contains(x).all())
        return x[:, 0] + 2 * x[:, -1]

    return field


def size(png):
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return image, len(np.unique(image.reshape(-1, 3), axis=0))


def area(curve):
    """The area inside a closed curve, signed, by the shoelace formula."""
    x, y = curve[:, 0], curve[:, 1]
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2


def test_values_are_nan_outside_and_the_field_inside():
    content = shape_plots.sampled(RING, only_inside(RING), nodes=61)
    points = content.lattice.points
    inside = RING.contains(points).reshape(content.lattice.shape).numpy()
    assert np.array_equal(np.isnan(content.values), ~inside)
    expected = (points[:, 0] + 2 * points[:, 1]).reshape(content.lattice.shape).numpy()
    np.testing.assert_allclose(content.values[inside], expected[inside], rtol=0, atol=1e-15)


def test_the_outline_lies_on_the_boundary_and_closes():
    nodes = 121
    content = shape_plots.sampled(RING, only_inside(RING), nodes)
    step = content.lattice.step
    assert len(content.curves) == 2
    for curve in content.curves:
        assert np.array_equal(curve[0], curve[-1])
        # Linear interpolation of a level with second derivative 1 / r, slope 1: h² / 8r.
        distance = RING.level(torch.from_numpy(curve)).abs().max()
        assert distance < step**2 / (8 * 0.3) * 1.5
    # The hole runs the other way round, so that it is cut out.
    areas = sorted(map(area, content.curves))
    assert areas[0] * areas[1] < 0
    assert abs(sum(areas)) == pytest.approx(np.pi * (1 - 0.3**2), rel=1e-3)


def test_the_outline_of_a_box_closes_though_the_box_ends_there():
    content = shape_plots.sampled(Box((0, 0), (2, 1)), lambda x: x[:, 0], nodes=101)
    assert len(content.curves) == 1
    # Corners are cut by half a step at most.
    assert abs(area(content.curves[0])) == pytest.approx(2, abs=4 * content.lattice.step**2)


def test_nodes_have_one_step_on_all_axes():
    lattice = shape_samples.frame((0.0, 0.0), (2.0, 0.5), 41)
    assert lattice.shape[0] == 41
    steps = [np.diff(ticks) for ticks in lattice.ticks]
    np.testing.assert_allclose(np.concatenate(steps), lattice.step, rtol=1e-12)
    for ticks, low, high in zip(lattice.ticks, (0.0, 0.0), (2.0, 0.5), strict=True):
        assert ticks[0] < low < high < ticks[-1]


def test_a_cut_through_a_solid_is_masked():
    shell = Ball((0, 0, 0), 1.0) - Ball((0, 0, 0.2), 0.5)
    content = shape_plots.cut(shell, only_inside(shell), axis=1, at=0.3, nodes=51)
    x = content.lattice.points
    points = torch.stack([x[:, 0], torch.full_like(x[:, 0], 0.3), x[:, 1]], dim=1)
    inside = shell.contains(points).reshape(content.lattice.shape).numpy()
    assert np.array_equal(np.isnan(content.values), ~inside)
    assert content.labels == ("x", "z")
    assert len(content.curves) == 2


def test_pictures_in_the_plane_are_white_outside_and_in_holes():
    fig = matplotlib.Figure(figsize=(5, 5))
    axes = fig.add_axes((0, 0, 1, 1))
    content = shape_plots.sampled(RING, lambda x: x[:, 0], nodes=101)
    image = shape_plots.draw_slice(axes, content, "u", signed=True)
    assert image.norm.vmin == -image.norm.vmax
    axes.figure.axes[1].remove()  # the colour bar
    axes.set_axis_off()
    pixels, _ = size(shape_plots.png(fig))
    across = pixels.shape[1] / (content.lattice.extent[1] - content.lattice.extent[0])
    middle = pixels.shape[0] / 2

    def colour(x, y):
        return pixels[int(middle - y * across), int(middle + x * across)].tolist()

    assert axes.get_aspect() == 1.0
    assert colour(0.2, 0.1) == colour(0.8, 0.8) == [255, 255, 255]
    assert colour(-0.6, 0.3) != [255, 255, 255]


def test_a_picture_with_a_reference_shows_the_error_on_a_logarithmic_scale():
    fig = shape_plots.figure(5, 5)
    content = shape_plots.sampled(RING, lambda x: 1e-9 * x[:, 0], nodes=61)
    image = shape_plots.draw_error(fig.subplots(), content, "|error|")
    assert type(image.norm).__name__ == "LogNorm"
    assert image.norm.vmax == np.nanmax(np.abs(content.values))
    assert image.norm.vmax / 1e6 < image.norm.vmin <= image.norm.vmax / 100
    png = shape_plots.plane_picture(RING, lambda x: x[:, 0], "ring", lambda x: x[:, 0] + 1e-9, 61)
    assert size(png)[1] > 100  # colours


def test_an_error_that_is_zero_is_drawn():
    content = shape_plots.sampled(RING, lambda x: 0 * x[:, 0], nodes=61)
    shape_plots.draw_error(shape_plots.figure(5, 5).subplots(), content, "|error|")


def test_a_solid_is_drawn_with_its_surface_and_a_cut():
    solid = Box((-1, -1, -1), (1, 1, 1)) - Ball((1, -1, 1), 0.9)
    fig = shape_plots.figure(5, 5)
    axes = fig.add_subplot(projection="3d")
    shape_plots.draw_surface(axes, solid, lambda x: x[:, 2], "u", nodes=24)
    assert len(axes.collections[0].get_facecolor()) > 1000
    assert fig.axes[1].get_ylim() == pytest.approx((-1, 1), abs=0.02)  # the colour bar


def test_the_whole_picture_of_a_mesh_is_made():
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("igl")
    mesh = Mesh(trimesh.creation.box((2, 1, 1)))
    png = shape_plots.solid_picture(mesh, lambda x: x[:, 0], "box", lambda x: x[:, 0] + 1e-6)
    assert size(png)[1] > 100


def test_the_surface_of_a_mesh_is_its_own_triangles_divided():
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("igl")
    mesh = Mesh(trimesh.creation.box((2, 1, 1)))
    vertices, faces = shape_samples.surface(mesh, nodes=20)
    corners = vertices[faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert edges.max() <= 2 * 2 / 20
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(crosses, axis=1).sum() / 2 == pytest.approx(10, rel=1e-12)


def test_a_shape_without_end_or_surface_is_refused():
    with pytest.raises(ValueError, match="the shape has no end"):
        shape_plots.sampled(~Disk((0, 0), 1), lambda x: x[:, 0])
    tiny = Ball((0, 0, 0), 1.0) - Ball((0, 0, 0), 1.0 - 1e-9)
    with pytest.raises(ValueError, match="has no surface between 8 nodes"):
        shape_samples.surface(tiny, 8)


def test_files_hold_the_clipped_shape_with_the_field_on_it(tmp_path):
    pyvista = pytest.importorskip("pyvista")

    def field(x):
        return x[:, 0] ** 2 - x[:, 1]

    clipped_vtk(tmp_path / "ring.vtu", RING, {"u": field}, nodes=101)
    grid = pyvista.read(tmp_path / "ring.vtu")
    x = torch.from_numpy(np.asarray(grid.points, dtype=np.float64)[:, :2])
    step = 2.12 / 100
    assert RING.level(x).max() < step**2
    # Points are float32.
    np.testing.assert_allclose(grid.point_data["u"], field(x).numpy(), rtol=0, atol=1e-6)
    total = grid.compute_cell_sizes().cell_data["Area"].sum()
    assert total == pytest.approx(np.pi * (1 - 0.3**2), rel=2e-3)


def test_files_of_solids_hold_their_volume(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    shell = Ball((0, 0, 0), 1.0) - Ball((0, 0, 0.2), 0.5)
    clipped_vtk(tmp_path / "shell.vtu", shell, {"u": lambda x: x[:, 0]}, nodes=41)
    grid = pyvista.read(tmp_path / "shell.vtu")
    total = grid.compute_cell_sizes().cell_data["Volume"].sum()
    # Flat cells leave out h² / 8r of each radius on average less: 1e-2 at h = 0.05.
    assert total == pytest.approx(4 / 3 * np.pi * (1 - 0.5**3), rel=1e-2)


def test_a_file_of_nothing_is_refused(tmp_path):
    pytest.importorskip("pyvista")
    nothing = Disk((0, 0), 1) - Disk((0, 0), 2)
    with pytest.raises(ValueError, match="nothing of .* lies between"):
        clipped_vtk(tmp_path / "nothing.vtu", nothing, {}, nodes=11)
