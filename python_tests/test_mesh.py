"""A mesh is a shape: closed surfaces of triangles, from files or arrays."""

import pickle
import time

import numpy as np
import pytest
import torch

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.shapes.ball import Ball
from dinfgrid_cuda.geometry.shapes.mesh import Mesh

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("igl")

ROUNDING = 1e-13  # of distances and areas of order 1 in float64


def uniform(count, reach=1.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1) * reach


def cube(size=2.0, centre=(0.0, 0.0, 0.0), inward=False):
    box = trimesh.creation.box((size, size, size))
    faces = box.faces[:, ::-1] if inward else box.faces
    return box.vertices + np.array(centre), faces


def together(*meshes):
    vertices = np.concatenate([vertices for vertices, _ in meshes])
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in meshes[:-1]])
    faces = np.concatenate(
        [faces + start for (_, faces), start in zip(meshes, starts, strict=True)]
    )
    return vertices, faces


def without(mesh, *numbers):
    vertices, faces = mesh
    return vertices, np.delete(faces, numbers, axis=0)


def box_distance(x, half=1.0):
    """The signed distance from the surface of the cube |x_i| <= half."""
    beyond = x.abs() - half
    return beyond.clamp(min=0).norm(dim=1) + beyond.amax(dim=1).clamp(max=0)


def winding_number(x, mesh):
    """The sum of solid angles over 4 pi, by Van Oosterom and Strackee's formula."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] - x[:, None] for k in range(3))
    la, lb, lc = a.norm(dim=2), b.norm(dim=2), c.norm(dim=2)
    over = (a * torch.linalg.cross(b, c)).sum(dim=2)
    under = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return torch.atan2(over, under).sum(dim=1) / (2 * torch.pi)


def flux(x, normals, weights):
    """The volume by the divergence theorem."""
    return float((weights * (x * normals).sum(dim=1)).sum()) / 3


# Inside or not


def test_contains_of_a_box_mesh_is_exact():
    x = uniform(100_000)
    assert torch.equal(Mesh(cube()).contains(x), (x.abs() <= 1).all(dim=1))


def test_points_as_near_to_a_face_as_rounding_allows_are_told_apart():
    mesh = Mesh(trimesh.creation.icosphere(subdivisions=3))
    x, normals, _ = mesh.surfaces[0].points(0.1, merged=False)
    for distance in (1e-3, 1e-6, 1e-9, 1e-12):
        assert mesh.contains(x - distance * normals).all()
        assert not mesh.contains(x + distance * normals).any()


def test_the_side_is_right_around_edges_and_corners():
    x = uniform(1000, seed=1).sign() + 1e-7 * uniform(1000, seed=2)  # around the 8 corners
    assert torch.equal(Mesh(cube()).contains(x), (x.abs() <= 1).all(dim=1))


@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_the_side_is_right_next_to_the_corners_and_edges_of_a_sharp_star(shift):
    ball = trimesh.creation.icosphere(subdivisions=2)
    spikes = 0.3 + np.random.default_rng(0).random((len(ball.vertices), 1))
    mesh = Mesh((np.array(ball.vertices) * spikes + shift, ball.faces))
    middles = mesh.vertices[mesh.faces[:, :2]].mean(dim=1)
    places = torch.cat([mesh.vertices, middles])
    for distance in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12):
        x = places + distance * uniform(len(places), 1.0)
        expected = winding_number(x, mesh) > 0.5
        assert torch.equal(mesh.contains(x), expected), distance
        assert torch.equal(mesh.level(x) <= 0, expected), distance


@pytest.mark.parametrize("make", ["icosphere", "torus", "capsule", "annulus"])
def test_contains_agrees_with_the_sum_of_solid_angles(make):
    mesh = Mesh(
        {
            "icosphere": lambda: trimesh.creation.icosphere(subdivisions=2),
            "torus": lambda: trimesh.creation.torus(0.8, 0.3, major_sections=24, minor_sections=12),
            "capsule": lambda: trimesh.creation.capsule(0.8, 0.5, count=[8, 8]),
            "annulus": lambda: trimesh.creation.annulus(0.4, 1.0, 0.5, sections=24),
        }[make]()
    )
    x = uniform(1000)
    assert torch.equal(mesh.contains(x), winding_number(x, mesh) > 0.5)


def test_a_long_thin_mesh_of_few_triangles_is_right_between_its_cells():
    rod = Mesh(trimesh.creation.box((2.0, 0.002, 0.002))).rotated(0.7, axis=(1, 2, 3))
    x = uniform(20_000) * torch.tensor([1.0, 0.0015, 0.0015], dtype=torch.float64)
    inside = (x.abs() <= torch.tensor([1.0, 0.001, 0.001], dtype=torch.float64)).all(dim=1)
    turned = Box((-1.0, -0.001, -0.001), (1.0, 0.001, 0.001)).rotated(0.7, axis=(1, 2, 3))
    y = x @ turned._map.rotation.t()
    assert torch.equal(rod.contains(y), inside)


def test_a_mesh_far_from_the_origin_is_as_good_as_one_around_it():
    shift = torch.tensor([1e4, -3e4, 2e4], dtype=torch.float64)
    vertices, faces = cube()
    mesh = Mesh((vertices + shift.numpy(), faces))
    x = uniform(20_000)
    x = x[box_distance(x).abs() > 1e-10]  # the shift rounds at 4e-12
    assert torch.equal(mesh.contains(x + shift), (x.abs() <= 1).all(dim=1))


def test_cavities_solids_in_them_and_bodies_beside_them_count():
    shells = together(cube(2.0), cube(1.2, inward=True), cube(0.4), cube(0.5, (3, 0, 0)))
    mesh = Mesh(shells)
    x = uniform(50_000, 1.6)
    x = torch.cat([x, x + torch.tensor([3.0, 0, 0])])
    reach = x.abs().amax(dim=1)
    beside = (x - torch.tensor([3.0, 0, 0])).abs().amax(dim=1) <= 0.25
    assert torch.equal(mesh.contains(x), (reach <= 0.2) | ((reach > 0.6) & (reach <= 1.0)) | beside)
    assert mesh.volume == pytest.approx(8 - 1.2**3 + 0.4**3 + 0.5**3, rel=ROUNDING)


def test_contains_of_a_million_points_is_fast(capsys):
    x = uniform(1_000_000, 1.1)
    mesh = Mesh(trimesh.creation.icosphere(subdivisions=5))
    start = time.perf_counter()
    inside = mesh.contains(x)
    with capsys.disabled():
        print(f"\n1e6 points in {len(mesh.faces)} triangles: {time.perf_counter() - start:.2f} s")
    # Of a million points, to five standard deviations.
    share = mesh.volume / 2.2**3
    assert float(inside.double().mean()) == pytest.approx(share, abs=5 * (share / 1e6) ** 0.5)


# Distances


def test_level_of_a_box_mesh_is_the_signed_distance():
    x = uniform(5000)
    torch.testing.assert_close(Mesh(cube()).level(x), box_distance(x), rtol=0, atol=ROUNDING)


def test_gradient_is_the_direction_of_the_distance():
    surface = Mesh(cube()).surfaces[0]
    x = uniform(2000).requires_grad_()
    (expected,) = torch.autograd.grad(box_distance(x).sum(), x)
    (automatic,) = torch.autograd.grad(surface.level(x).sum(), x)
    # |x - c| is 1e-4 at least, but for points whose direction rounds worse.
    far = box_distance(x).detach().abs() > 1e-4
    for gradient in (surface.gradient(x.detach()), automatic):
        torch.testing.assert_close(gradient[far], expected[far], rtol=0, atol=1e-11)


def test_gradient_on_the_surface_is_the_normal():
    surface = Mesh(trimesh.creation.icosphere(subdivisions=2)).surfaces[0]
    x, normals, _ = surface.points(0.5)
    torch.testing.assert_close(surface.gradient(x), normals, rtol=0, atol=1e-12)
    assert surface.level(x).abs().max() < ROUNDING


def test_near_is_told_by_the_distance():
    surface = Mesh(cube()).surfaces[0]
    x = uniform(2000)
    assert torch.equal(surface.near(x, 0.2), box_distance(x).abs() <= 0.2)
    radii = torch.linspace(0, 0.5, len(x), dtype=torch.float64)
    assert torch.equal(surface.near(x, radii), box_distance(x).abs() <= radii)


def test_float32_points_and_no_points_are_taken():
    mesh = Mesh(cube())
    x = uniform(1000).float()
    assert mesh.level(x).dtype == torch.float32
    torch.testing.assert_close(mesh.level(x), box_distance(x), rtol=0, atol=1e-6)
    none = torch.zeros(0, 3, dtype=torch.float64)
    assert mesh.level(none).shape == mesh.contains(none).shape == (0,)
    assert mesh.surfaces[0].gradient(none).shape == (0, 3)


# Points on the surface


@pytest.mark.parametrize("spacing", [2.0, 0.3, 0.05])
@pytest.mark.parametrize("merged", [True, False])
def test_weights_add_up_to_the_area(spacing, merged):
    for made in (trimesh.creation.icosphere(subdivisions=3), trimesh.creation.box((1, 2, 0.1))):
        surface = Mesh(made).surfaces[0]
        x, normals, weights = surface.points(spacing, merged)
        assert float(weights.sum()) == pytest.approx(made.area, rel=ROUNDING)
        assert weights.min() > 0
        torch.testing.assert_close(normals.norm(dim=1), torch.ones(len(x), dtype=torch.float64))
        assert surface.level(x).abs().max() < ROUNDING


def test_unmerged_points_integrate_the_normal_flux_exactly():
    mesh = Mesh(together(cube(2.0), cube(1.0, inward=True)))
    x, normals, weights = mesh.surfaces[0].points(0.3, merged=False)
    assert flux(x, normals, weights) == pytest.approx(7.0, rel=ROUNDING)
    assert (weights[:, None] * normals).sum(dim=0).abs().max() < ROUNDING


def test_every_place_of_the_surface_has_a_point_within_the_spacing():
    for subdivisions in (0, 2, 5):
        mesh = Mesh(trimesh.creation.icosphere(subdivisions=subdivisions))
        spacing = 0.2
        x = mesh.surfaces[0].points(spacing)[0]
        dense = mesh.surfaces[0].points(0.05, merged=False)[0]
        assert torch.cdist(dense, x).amin(dim=1).max() < spacing


def test_small_triangles_share_points():
    mesh = Mesh(trimesh.creation.icosphere(subdivisions=5))
    x, normals, weights = mesh.surfaces[0].points(0.2)
    assert len(x) < 6 * mesh.area / 0.2**2 < len(mesh.faces) / 10
    # Normals are those of the triangles, of angle 0.02 at most from the sphere's.
    assert (x * normals).sum(dim=1).min() > 0.995
    # A midpoint rule with cells of 0.14: (0.14² / 24) |f''| and the normals' offsets.
    assert flux(x, normals, weights) == pytest.approx(mesh.volume, rel=2e-3)
    assert float((weights * x[:, 0] ** 2).sum()) == pytest.approx(4 * torch.pi / 3, rel=5e-3)


def test_both_sides_of_a_thin_wall_keep_points_of_their_own():
    plate = trimesh.creation.box((1, 1, 0.01)).subdivide_to_size(0.05)
    x, normals, weights = Mesh(plate).surfaces[0].points(0.25)
    for side in (-1, 1):
        faced = normals[:, 2] * side > 0.9
        assert float(weights[faced].sum()) == pytest.approx(1.0, rel=ROUNDING)
        torch.testing.assert_close(
            x[faced, 2], torch.full_like(x[faced, 2], 0.005 * side), rtol=0, atol=ROUNDING
        )


def test_too_many_points_are_refused():
    with pytest.raises(ValueError, match="a spacing of 0.0001 takes more than 10,000,000 points"):
        Mesh(cube()).surfaces[0].points(1e-4)
    with pytest.raises(ValueError, match="spacing is 0; it must be positive"):
        Mesh(cube()).surfaces[0].points(0)


# Files


@pytest.mark.parametrize("ending", ["stl", "obj", "ply"])
def test_files_are_read(tmp_path, ending):
    made = trimesh.creation.torus(0.8, 0.3, major_sections=24, minor_sections=12)
    made.export(tmp_path / f"torus.{ending}")
    mesh = Mesh(tmp_path / f"torus.{ending}", name="ring")
    assert mesh.names == ("ring",)
    assert len(mesh.faces) == len(made.faces)
    # STL and PLY hold float32.
    assert mesh.volume == pytest.approx(made.volume, rel=1e-6)
    assert mesh.lower == pytest.approx(made.bounds[0].tolist(), abs=1e-7)
    x = uniform(2000)
    away = mesh.level(x).abs() > 1e-6
    assert torch.equal(mesh.contains(x)[away], Mesh(made).contains(x)[away])


def test_a_file_of_several_bodies_is_one_mesh(tmp_path):
    scene = trimesh.Scene([trimesh.Trimesh(*cube(1.0)), trimesh.Trimesh(*cube(1.0, (3, 0, 0)))])
    assert Mesh(scene).volume == pytest.approx(2.0, rel=ROUNDING)
    scene.export(tmp_path / "two.obj")
    assert Mesh(str(tmp_path / "two.obj")).volume == pytest.approx(2.0, rel=1e-7)


def test_corners_repeated_for_each_triangle_are_welded():
    corners = Mesh(cube()).vertices[Mesh(cube()).faces].reshape(-1, 3)
    rounded = corners + 1e-10 * uniform(len(corners))
    for vertices in (corners, rounded):
        mesh = Mesh((vertices.numpy(), np.arange(36).reshape(12, 3)))
        assert len(mesh.vertices) == 8
        assert mesh.volume == pytest.approx(8, rel=1e-9)


# What is wrong with a mesh


def test_an_open_mesh_is_refused_and_says_where():
    message = r"not watertight: 3 open edges \(of one triangle only\) near \(.*inside=\"winding\""
    with pytest.raises(ValueError, match=message):
        Mesh(without(cube(), 0))


def test_an_edge_of_four_triangles_is_refused():
    touching = together(cube(1.0), cube(1.0, (1, 1, 0)))
    with pytest.raises(ValueError, match=r"1 edges of more than two triangles .* near \(0.5, 0.5"):
        Mesh(touching)
    # As a union it is well defined.
    assert Mesh(touching, inside="winding").contains(torch.tensor([[1.0, 1, 0]])).all()


def test_inward_and_mixed_normals_are_turned():
    vertices, faces = cube()
    mixed = faces.copy()
    mixed[::3] = mixed[::3, ::-1]
    for turned in (faces[:, ::-1], mixed):
        mesh = Mesh((vertices, turned))
        x, normals, weights = mesh.surfaces[0].points(1.0)
        assert flux(x, normals, weights) == pytest.approx(8.0, rel=ROUNDING)
        assert mesh.contains(torch.zeros(1, 3)).all()


def test_a_body_in_another_with_outward_normals_is_a_cavity_with_a_warning():
    with pytest.warns(RuntimeWarning, match="lies inside another.*1 such.*taken as a cavity"):
        mesh = Mesh(together(cube(2.0), cube(1.0)))
    assert mesh.volume == pytest.approx(7.0, rel=ROUNDING)
    assert not mesh.contains(torch.zeros(1, 3)).any()


def test_a_klein_bottle_is_refused():
    # A lattice of 4 x 4 cells whose ends are joined, one pair the other way round.
    def node(i, j):
        return (i % 4) * 4 + ((j if i < 4 else -j) % 4)

    faces = []
    for i in range(4):
        for j in range(4):
            a, b, c, d = node(i, j), node(i + 1, j), node(i + 1, j + 1), node(i, j + 1)
            faces += [[a, b, c], [a, c, d]]
    vertices = uniform(16).numpy()
    with pytest.raises(ValueError, match="cannot be oriented"):
        Mesh((vertices, np.array(faces)))


def test_bodies_that_overlap_are_refused_and_united_by_winding_number():
    crossing = together(
        cube(2.0),
        (
            trimesh.creation.icosphere(subdivisions=3).vertices + 1.0,
            trimesh.creation.icosphere(subdivisions=3).faces,
        ),
    )
    with pytest.raises(ValueError, match="crosses itself, or bodies overlap"):
        Mesh(crossing)
    mesh = Mesh(crossing, inside="winding")
    x = uniform(5000, 2.1)
    away = (x - 1).norm(dim=1).sub(1).abs() > 0.01  # the sphere is a polyhedron
    expected = (x.abs() <= 1).all(dim=1) | ((x - 1).norm(dim=1) <= 1)
    assert torch.equal(mesh.contains(x)[away], expected[away])


def test_a_flat_mesh_has_no_volume():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="has no volume near"):
        Mesh((vertices, np.array([[0, 1, 2], [0, 2, 1]])))


def test_the_winding_number_closes_holes_with_a_warning():
    ball = trimesh.creation.icosphere(subdivisions=3)
    with pytest.warns(RuntimeWarning, match="open edges.*no points are taken on that part"):
        mesh = Mesh(without((ball.vertices, ball.faces), 5), inside="winding")
    x = uniform(5000)
    hole = torch.tensor(ball.triangles_center[5])
    away = ((x.norm(dim=1) - 1).abs() > 0.02) & ((x - hole).norm(dim=1) > 0.2)
    assert torch.equal(mesh.contains(x)[away], x.norm(dim=1)[away] <= 1)
    near = torch.from_numpy(np.delete(ball.triangles_center, 5, axis=0))
    assert mesh.contains(near * (1 - 1e-8)).all()
    assert not mesh.contains(near * (1 + 1e-8)).any()


def test_a_sheet_encloses_nothing():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="encloses nothing"):
        Mesh((vertices, np.array([[0, 1, 2]])), inside="winding")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "3 is no mesh; pass the path"),
        ((np.zeros((0, 3)), np.zeros((0, 3), int)), ValueError, "is empty"),
        ((np.zeros((4, 2)), np.zeros((1, 3), int)), ValueError, r"vertices \[4, 2\]"),
        ((np.zeros((4, 3)), np.zeros((1, 4), int)), ValueError, r"faces \[1, 4\]"),
        ((np.zeros((4, 3)), np.zeros((1, 3))), TypeError, "faces are float64"),
        ((np.zeros((4, 3)), np.array([[0, 1, 4]])), ValueError, "vertices 0 to 4, but there are 4"),
        ((np.full((4, 3), np.nan), np.array([[0, 1, 2]])), ValueError, "vertex 0 is"),
        ((np.zeros((4, 3)), np.array([[0, 1, 2]])), ValueError, "nothing is left"),
        ((["a"], ["b"]), TypeError, "must be arrays of numbers"),
        (Mesh, TypeError, "is the class Mesh"),
    ],
)
def test_what_is_no_mesh_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        Mesh(given)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Mesh(tmp_path / "missing.stl")
    (tmp_path / "bad.stl").write_text("not a mesh")
    with pytest.raises(ValueError, match="bad.stl is empty: it has no triangles"):
        Mesh(tmp_path / "bad.stl")
    (tmp_path / "bad.docx").write_text("not a mesh")
    with pytest.raises(ValueError, match="trimesh cannot read"):
        Mesh(tmp_path / "bad.docx")


def test_inside_is_one_of_two_words():
    with pytest.raises(ValueError, match='inside is \'rays\'; it must be "sign" or "winding"'):
        Mesh(cube(), inside="rays")


@pytest.mark.parametrize("missing", ["igl", "trimesh"])
def test_a_missing_package_is_named(missing, monkeypatch, tmp_path):
    trimesh.Trimesh(*cube()).export(tmp_path / "cube.stl")
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dinfgrid_cuda\[shapes\]'"):
        Mesh(tmp_path / "cube.stl")


# As a shape


def test_a_transformed_mesh_is_the_mesh_of_the_moved_corners():
    mesh = Mesh(trimesh.creation.torus(0.8, 0.3, major_sections=24, minor_sections=12), "ring")
    x = uniform(2000)
    moved = mesh.rotated(0.4, axis=(1, 1, 0)).scaled(2.0).moved(1, 2, 3)
    assert isinstance(moved, Mesh)
    assert moved.names == ("ring",)
    assert moved.volume == pytest.approx(8 * mesh.volume, rel=ROUNDING)
    y = Box((-1, -1, -1), (1, 1, 1)).rotated(0.4, axis=(1, 1, 0))._map.rotation @ x.t()
    places = 2 * y.t() + torch.tensor([1.0, 2, 3], dtype=torch.float64)
    torch.testing.assert_close(moved.level(places), 2 * mesh.level(x), rtol=0, atol=1e-12)


def test_a_mirrored_mesh_keeps_its_normals_outward():
    mesh = Mesh(cube()).moved(2, 0, 0)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    mirrored = mesh.transformed(mirror, torch.zeros(3, dtype=torch.float64), 1.0)
    assert mirrored.volume == pytest.approx(8.0, rel=ROUNDING)
    assert mirrored.contains(torch.tensor([[-2.0, 0, 0]])).all()


def test_meshes_combine_with_other_shapes():
    mesh = Mesh(cube(), name="block")
    shape = mesh - Ball((1, 1, 1), 0.8, name="bite") | Box((0, 0, 0), (1.5, 0.2, 0.2))
    x = uniform(20_000, 1.6)
    inside = (x.abs() <= 1).all(dim=1) & ((x - 1).norm(dim=1) > 0.8)
    inside |= ((x >= 0) & (x <= torch.tensor([1.5, 0.2, 0.2]))).all(dim=1)
    assert torch.equal(shape.contains(x), inside)
    assert shape.names[:2] == ("block", "bite")


def test_a_mesh_survives_pickling():
    mesh = Mesh(trimesh.creation.icosphere(subdivisions=2))
    x = uniform(1000)
    inside = mesh.contains(x)
    again = pickle.loads(pickle.dumps(mesh))
    assert torch.equal(again.contains(x), inside)
    assert torch.equal(again.level(x), mesh.level(x))


def test_triangles_without_area_are_left_out():
    # A corner on the edge of a face: the sliver between closes the surface.
    vertices, faces = cube()
    edge = faces[0][:2]
    vertices = np.concatenate([vertices, vertices[edge].mean(axis=0, keepdims=True)])
    sliver = [edge[0], 8, edge[1]]
    split = np.concatenate(
        [faces[1:], [[edge[0], 8, faces[0][2]], [8, edge[1], faces[0][2]], sliver[::-1]]]
    )
    mesh = Mesh((vertices, split))
    assert mesh.volume == pytest.approx(8.0, rel=ROUNDING)
    x = uniform(5000)
    torch.testing.assert_close(mesh.level(x), box_distance(x), rtol=0, atol=ROUNDING)
    assert mesh.surfaces[0].points(0.5)[1].isfinite().all()
