"""Shapes, point files and level sets of the Eikonal problem."""

import numpy as np
import pytest

from dinfgrid_cuda.suite.cases.eikonal.point_clouds import REACH, load_cloud
from dinfgrid_cuda.suite.cases.eikonal.shapes import SHAPES, Cuboid, Sphere, Torus
from dinfgrid_cuda.suite.cases.eikonal.surfaces import View, level_set, to_trimesh
from dinfgrid_cuda.suite.tools.case import CaseError

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("skimage")
pytest.importorskip("scipy")

pytestmark = pytest.mark.usefixtures("one_thread")

AREAS = {
    "sphere": 4 * np.pi * 0.6**2,
    "torus": 4 * np.pi**2 * 0.5 * 0.22,
    "box": 8 * (0.6 * 0.45 + 0.6 * 0.35 + 0.45 * 0.35),
}


def on_lattice(shape, n):
    ticks = np.linspace(-1, 1, n)
    x = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1)
    return shape.distance(x.reshape(-1, 3)).reshape(n, n, n)


def ball_table(n=500, seed=0):
    points, normals = Sphere(2.0).sample(n, np.random.default_rng(seed))
    return np.concatenate([points + np.array([5, 0, 0]), 3 * normals], axis=1)


# Shapes


@pytest.mark.parametrize("name", SHAPES)
def test_samples_lie_on_the_surface_and_normals_are_the_gradient_of_the_distance(name):
    shape = SHAPES[name]
    x, n = shape.sample(2000, np.random.default_rng(0))
    assert np.abs(shape.distance(x)).max() < 1e-14
    # Along its normal the distance grows by the length walked, outwards positive.
    np.testing.assert_allclose(shape.distance(x + 0.05 * n), 0.05, rtol=1e-12)
    # Inwards it falls likewise, or less where another face of the box is nearer.
    inwards = shape.distance(x - 1e-3 * n)
    assert ((inwards < 0) & (inwards > -1e-3 - 1e-12)).all()
    assert np.median(inwards) == pytest.approx(-1e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_distance_is_that_to_the_nearest_of_many_surface_points(name):
    from scipy.spatial import cKDTree

    shape = SHAPES[name]
    surface, _ = shape.sample(200_000, np.random.default_rng(0))
    x = np.random.default_rng(1).uniform(-1, 1, (500, 3))
    nearest, _ = cKDTree(surface).query(x)
    exact = np.abs(shape.distance(x))
    # No surface point is nearer; and one lies within a few spacings of the foot point.
    spacing = np.sqrt(AREAS[name] / 200_000)
    assert (nearest > exact - 1e-12).all()
    assert (nearest - exact <= np.sqrt(exact**2 + (5 * spacing) ** 2) - exact + spacing).all()


@pytest.mark.parametrize("name", SHAPES)
def test_distance_is_negative_inside(name):
    x = np.random.default_rng(0).uniform(-1, 1, (200_000, 3))
    share = (SHAPES[name].distance(x) < 0).mean()
    known = {"sphere": 4 / 3 * np.pi * 0.6**3, "torus": 2 * np.pi**2 * 0.5 * 0.22**2}
    expected = known.get(name, 8 * 0.6 * 0.45 * 0.35) / 8
    assert share == pytest.approx(expected, abs=5 * np.sqrt(expected / 200_000))


def test_torus_is_sampled_by_area():
    x, _ = Torus().sample(100_000, np.random.default_rng(0))
    outer = (np.hypot(x[:, 0], x[:, 1]) > 0.5).mean()
    # Outer half: integral of R + r cos v over |v| < pi/2.
    expected = 0.5 + 0.22 / (np.pi * 0.5)
    assert outer == pytest.approx(expected, abs=5 * 0.5 / np.sqrt(100_000))


def test_faces_of_the_box_are_sampled_by_area():
    _, n = Cuboid().sample(100_000, np.random.default_rng(0))
    share = np.abs(n).mean(axis=0)
    half = np.array(Cuboid().half)
    expected = (half.prod() / half) / (half.prod() / half).sum()
    np.testing.assert_allclose(share, expected, atol=5 * 0.5 / np.sqrt(100_000))


# Level sets


@pytest.mark.parametrize("name", ["sphere", "torus"])
def test_level_set_has_the_shapes_area_and_outward_normals(name):
    surface = level_set(on_lattice(SHAPES[name], 65))
    mesh = to_trimesh(surface)
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert mesh.area == pytest.approx(AREAS[name], rel=5e-3)
    x, h = surface.vertices, 1e-2
    outside = SHAPES[name].distance(x + h * surface.normals)
    np.testing.assert_allclose(outside, h, rtol=0.1)
    assert (
        np.abs(SHAPES[name].distance(surface.sample(1000, np.random.default_rng(0)))).max() < 2e-3
    )


def test_field_of_one_sign_has_no_level_set():
    assert level_set(np.ones((9, 9, 9))) is None
    assert level_set(np.full((9, 9, 9), np.nan)) is None


def test_distance_to_triangles_is_exact():
    surface = level_set(on_lattice(Sphere(), 33))
    x = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    found = surface.distances(x)
    triangles = surface.vertices[surface.faces]
    for k in range(0, 200, 20):
        every = trimesh.triangles.closest_point(
            triangles, np.repeat(x[k : k + 1], len(triangles), 0)
        )
        assert found[k] == pytest.approx(np.linalg.norm(every - x[k], axis=1).min(), rel=1e-9)


def test_view_of_a_ball_is_a_disk_lit_from_the_left():
    surface = level_set(on_lattice(Sphere(), 33))
    picture = View(30.0, 20.0, 200, 1.0).draw(surface)
    ticks = (np.arange(200) + 0.5) / 100 - 1
    radius = np.hypot(ticks[:, None], ticks[None])
    assert (picture[radius > 0.62] == 1).all()
    assert (picture[radius < 0.58] < 1).all()
    assert picture[100, 60] > picture[100, 140]
    assert picture[60, 100] > picture[140, 100]


# Files


@pytest.mark.parametrize("suffix", [".xyz", ".csv", ".npy", ".npz", "header.csv", ".ply"])
def test_point_files_are_read_and_scaled_into_the_box(suffix, tmp_path):
    table, path = ball_table(), tmp_path / f"ball{suffix}"
    if suffix == ".npy":
        np.save(path, table)
    elif suffix == ".npz":
        np.savez(path, points=table[:, :3], normals=table[:, 3:])
    elif suffix == ".ply":
        names = ["x", "y", "z", "nx", "ny", "nz"]
        head = ["ply", "format ascii 1.0", f"element vertex {len(table)}"]
        head += [f"property double {name}" for name in names] + ["end_header"]
        np.savetxt(path, table, header="\n".join(head), comments="")
    else:
        header = "x,y,z,nx,ny,nz" if "header" in suffix else ""
        delimiter = "," if path.suffix == ".csv" else " "
        np.savetxt(path, table, delimiter=delimiter, header=header, comments="")
    cloud = load_cloud(path, 10_000)
    assert len(cloud.points) == 450
    assert len(cloud.held_points) == 50
    every = np.concatenate([cloud.points, cloud.held_points])
    assert np.abs(every).max() == pytest.approx(REACH)
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1, rtol=1e-12)
    back = cloud.to_user(every)
    order, known = np.lexsort(back.round(6).T), np.lexsort(table[:, :3].round(6).T)
    np.testing.assert_allclose(back[order], table[known, :3], atol=1e-6)


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".obj", ".off"])
@pytest.mark.parametrize("inside_out", [False, True])
def test_meshes_are_sampled_with_outward_normals(suffix, inside_out, tmp_path):
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=3.0)
    mesh.apply_translation([1, 2, 3])
    if inside_out:
        mesh.invert()
    mesh.export(tmp_path / f"ball{suffix}")
    cloud = load_cloud(tmp_path / f"ball{suffix}", 2000)
    assert cloud.points.shape == (2000, 3)
    assert cloud.scale == pytest.approx(3 / REACH, rel=1e-3)
    np.testing.assert_allclose(cloud.centre, [1, 2, 3], atol=1e-3)
    assert ((cloud.points * cloud.normals).sum(axis=1) > 0.97 * REACH).all()
    assert not np.isin(cloud.held_points[:, 0], cloud.points[:, 0]).any()


def nan_table():
    table = ball_table()
    table[3, 1] = np.nan
    return table


def zero_normal():
    table = ball_table()
    table[3, 3:] = 0
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((0, 6)), "holds no points"),
        (ball_table()[:, :3], "the points have no normals; the columns x y z nx ny nz"),
        (ball_table()[:, :5], "has 5 columns; it must have 6"),
        (ball_table(99), "has 99 points; at least 100"),
        (nan_table(), "1 of 500 points are NaN"),
        (zero_normal(), "1 of 500 normals have length zero"),
        (np.tile(ball_table()[:1], (200, 1)), "all points lie in one place"),
        (np.array(["a"] * 6), "must be numbers"),
    ],
)
def test_unusable_points_are_refused(table, message, tmp_path):
    np.save(tmp_path / "cloud.npy", table)
    with pytest.raises(CaseError, match=message) as caught:
        load_cloud(tmp_path / "cloud.npy", 1000)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.ply", None, "there is no file"),
        ("cloud.docx", b"x", "of no known kind; there are .ply"),
        ("empty.ply", b"", "is empty"),
        ("bad.ply", b"nonsense", "cannot be read"),
        ("bad.npy", b"nonsense", "cannot be read"),
        ("bad.xyz", b"1 2 3 4 5 6\n1 2\n", "cannot be read"),
        ("flat.obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no area|neither triangles"),
    ],
)
def test_unusable_files_are_refused(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CaseError, match=message) as caught:
        load_cloud(tmp_path / name, 1000)
    assert "\n" not in str(caught.value)


def test_ply_points_without_normals_are_refused(tmp_path):
    trimesh.PointCloud(ball_table()[:, :3]).export(tmp_path / "points.ply")
    with pytest.raises(CaseError, match="no normals"):
        load_cloud(tmp_path / "points.ply", 1000)
