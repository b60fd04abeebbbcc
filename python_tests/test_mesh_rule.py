"""Integrals over a mesh, cell by cell: exact for polynomials, positive, inside."""

import itertools

import numpy as np
import pytest
import torch

from dinfgrid_cuda.geometry.shapes.mesh import Mesh
from dinfgrid_cuda.geometry.shapes.mesh_moments import split_by_cells, triangle_rule

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("igl")


def cells_around(mesh, count, shift=0.013):
    size = max(mesh.lengths) * 1.05 / count
    return [
        torch.arange(low - shift, high + size, size, dtype=torch.float64)
        for low, high in zip(mesh.lower, mesh.upper, strict=True)
    ]


def by_divergence(mesh, primitive):
    """The integral of dF/dz over a mesh, from F on its triangles; exact to degree 22."""
    shares, weights = map(torch.from_numpy, triangle_rule(12))
    corners = mesh.vertices[mesh.faces]
    points = torch.einsum("qc,pcd->pqd", shares, corners)
    crosses = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(((primitive(points) * weights).sum(dim=1) * crosses[:, 2]).sum()) / 2


def smooth(x):
    return torch.cos(3 * x[..., 0]) * torch.exp(x[..., 1]) * torch.cos(2 * x[..., 2])


def smooth_primitive(x):
    return torch.cos(3 * x[..., 0]) * torch.exp(x[..., 1]) * torch.sin(2 * x[..., 2]) / 2


def shell():
    outer, inner = (
        trimesh.creation.icosphere(subdivisions=s, radius=r) for s, r in ((3, 1), (2, 0.5))
    )
    inner.invert()
    return trimesh.util.concatenate([outer, inner])


MESHES = {
    "turned box": lambda: Mesh(trimesh.creation.box((1.3, 1, 0.8))).rotated(0.5, axis=(1, 2, 3)),
    "shell": lambda: Mesh(shell()),
    "torus": lambda: Mesh(trimesh.creation.torus(0.8, 0.3, major_sections=24, minor_sections=12)),
    "thin plate": lambda: Mesh(trimesh.creation.box((1, 1, 0.02))).rotated(0.3, axis=(1, 1, 0)),
}


@pytest.mark.parametrize("make", MESHES.values(), ids=MESHES)
def test_polynomials_are_integrated_exactly(make):
    mesh, count = make(), 2
    rule = mesh.cell_rule(cells_around(mesh, 6), count)
    for powers in itertools.product(range(4), repeat=3):
        if sum(powers) <= 2 * count - 1:
            degrees = torch.tensor(powers)
            found = float((rule.weights * (rule.x**degrees).prod(dim=-1)).sum())
            exact = by_divergence(
                mesh, lambda x, p=degrees: (x**p).prod(-1) * x[..., 2] / (p[2] + 1)
            )
            # The misfit that is accepted: 1e-10 of a cell's volume in each cut cell.
            assert found == pytest.approx(exact, abs=1e-9 * mesh.volume + 1e-10)


@pytest.mark.parametrize("make", MESHES.values(), ids=MESHES)
def test_points_are_inside_in_their_cells_with_positive_weights(make):
    mesh = make()
    edges = cells_around(mesh, 6)
    rule = mesh.cell_rule(edges, 2)
    assert rule.weights.min() > 0
    assert mesh.contains(rule.x).all()
    places = [
        torch.searchsorted(each, rule.x[:, k].contiguous()) - 1 for k, each in enumerate(edges)
    ]
    counts = [len(each) - 1 for each in edges]
    assert torch.equal(rule.cells, (places[0] * counts[1] + places[1]) * counts[2] + places[2])
    assert (rule.cells.diff() >= 0).all()
    assert rule.cells.bincount().max() <= 20  # polynomials of degree 3


def test_a_smooth_function_is_integrated_to_six_digits():
    mesh = MESHES["torus"]()
    exact = by_divergence(mesh, smooth_primitive)
    errors = []
    for cells in (5, 10):
        rule = mesh.cell_rule(cells_around(mesh, cells), 3)
        errors.append(abs(float((rule.weights * smooth(rule.x)).sum()) / exact - 1))
    # Degree 5 leaves h^6: a factor 64 between them, of which signs that differ may leave a quarter.
    assert errors[1] < min(1e-6, errors[0] / 16)


def test_faces_in_planes_between_cells_leave_whole_cells():
    mesh = Mesh(trimesh.creation.box((2, 2, 2)))
    edges = [torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)] * 3
    rule = mesh.cell_rule(edges, 2)
    assert len(rule.x) == 4**3 * 2**3
    assert float(rule.weights.sum()) == pytest.approx(8, rel=1e-14)


def test_what_lies_outside_the_cells_is_left_out():
    mesh = Mesh(trimesh.creation.box((2, 2, 2))).rotated(0.5, axis=(1, 2, 3))
    edges = [torch.linspace(low, 0.9, 5, dtype=torch.float64) for low in (-0.3, -0.2, 0.1)]
    rule = mesh.cell_rule(edges, 2)
    # The same cells as a part of a lattice around the whole.
    wide = [torch.cat([torch.tensor([-3.0]), each, torch.tensor([3.0])]) for each in edges]
    whole = mesh.cell_rule(wide, 2)
    index = np.stack(np.unravel_index(whole.cells.numpy(), (6, 6, 6)), axis=1)
    within = torch.from_numpy(((index >= 1) & (index <= 4)).all(axis=1))
    expected = float(whole.weights[within].sum())
    assert float(rule.weights.sum()) == pytest.approx(expected, rel=1e-9)
    assert float(whole.weights.sum()) == pytest.approx(8, rel=1e-9)


def test_pieces_of_triangles_cover_them_and_cross_no_plane():
    mesh = MESHES["shell"]()
    edges = tuple(each.numpy() for each in cells_around(mesh, 5))
    pieces = split_by_cells(mesh.vertices.numpy()[mesh.faces.numpy()], edges)
    sides = np.cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0])
    assert np.linalg.norm(sides, axis=1).sum() / 2 == pytest.approx(mesh.area, rel=1e-12)
    for axis, planes in enumerate(edges):
        low, high = pieces[:, :, axis].min(axis=1), pieces[:, :, axis].max(axis=1)
        first = np.searchsorted(planes, low, side="right")
        assert (np.searchsorted(planes, high, side="left") <= first).all()


def test_rules_over_triangles_are_exact_to_their_degree():
    for count in (1, 2, 4):
        shares, weights = triangle_rule(count)
        for i, j in itertools.product(range(2 * count - 1), repeat=2):
            if i + j <= 2 * count - 2:
                # 2 i! j! / (i + j + 2)!
                exact = 2 * np.prod(np.arange(1, i + 1)) / np.prod(np.arange(j + 1, i + j + 3))
                found = (weights * shares[:, 1] ** i * shares[:, 2] ** j).sum()
                assert found == pytest.approx(exact, rel=1e-13)


def test_other_edges_and_open_surfaces_are_refused():
    mesh = Mesh(trimesh.creation.box((2, 2, 2)))
    edges = cells_around(mesh, 3)
    with pytest.raises(ValueError, match="edges of 2 axes were given, not of 3"):
        mesh.cell_rule(edges[:2])
    with pytest.raises(ValueError, match=r"edges\[1\] must be two or more, ascending"):
        mesh.cell_rule([edges[0], edges[1].flip(0), edges[2]])
    with pytest.raises(ValueError, match="count is 0; it must be >= 1"):
        mesh.cell_rule(edges, 0)
    wound = Mesh(trimesh.creation.box((2, 2, 2)), inside="winding")
    with pytest.raises(ValueError, match='a closed surface, but inside is "winding"'):
        wound.cell_rule(edges)


def test_a_cell_without_points_inside_is_reported(monkeypatch):
    mesh = MESHES["turned box"]()
    # As if no point of one corner were found to be inside.
    monkeypatch.setattr(
        type(mesh.surfaces[0].voxels), "contains", lambda self, x: x.sum(axis=1) < 0.6
    )
    with pytest.warns(RuntimeWarning, match="integrals may be off by .* of the volume"):
        mesh.cell_rule(cells_around(mesh, 5), 2)
