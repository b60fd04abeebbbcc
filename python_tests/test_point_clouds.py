"""Columns of text files of oriented points: by the names in the header, else by position."""

from __future__ import annotations

import numpy as np
import pytest

from dinfgrid_cuda.suite.cases.eikonal.point_clouds import COLUMNS, load_cloud
from dinfgrid_cuda.suite.cases.eikonal.shapes import Sphere
from dinfgrid_cuda.suite.tools.case import CaseError

NAMES = COLUMNS.split()


def ball():
    """Columns by their names: points of a sphere about (5, 0, 0) with outward normals."""
    points, normals = Sphere(2.0).sample(500, np.random.default_rng(0))
    table = np.concatenate([points + np.array([5, 0, 0]), normals], axis=1)
    return {**dict(zip(NAMES, table.T, strict=True)), "red": np.arange(500.0)}


def write(path, names, header, delimiter=","):
    """A text file of columns in this order under a header."""
    columns = ball()
    table = np.stack([columns[name] for name in names], axis=1)
    np.savetxt(path, table, delimiter=delimiter, header=header, comments="", encoding="utf-8")
    return path


def by_position(tmp_path):
    return load_cloud(write(tmp_path / "plain.csv", NAMES, ""), 1000)


@pytest.mark.parametrize(
    ("names", "header"),
    [
        ("nx ny nz x y z", "nx,ny,nz,x,y,z"),
        ("z nx y ny x nz", "z,nx,y,ny,x,nz"),
        ("nx ny nz x y z", 'NX, NY, NZ, "X", "Y", "Z"'),
        ("red nx ny nz x y z", "red,nx,ny,nz,x,y,z"),
        ("nx ny nz x y z", "# nx,ny,nz,x,y,z"),
        ("nx ny nz x y z", "//nx,ny,nz,x,y,z"),
        ("nx ny nz x y z", "# made by a scanner\nnx,ny,nz,x,y,z"),
        ("nx ny nz x y z", "\ufeffnx,ny,nz,x,y,z"),
        ("x y z nx ny nz", "# made by a scanner"),
        ("x y z nx ny nz", "\ufeff# made by a scanner"),
    ],
)
def test_columns_are_those_that_the_header_names(tmp_path, names, header):
    found = load_cloud(write(tmp_path / "named.csv", names.split(), header), 1000)
    expected = by_position(tmp_path)
    np.testing.assert_array_equal(found.points, expected.points)
    np.testing.assert_array_equal(found.normals, expected.normals)
    # The sphere's own radius, seen from its centre.
    np.testing.assert_allclose(
        np.linalg.norm(found.to_user(found.points) - [5, 0, 0], axis=1), 2.0, rtol=1e-12
    )


def test_columns_apart_by_blanks_are_named_too(tmp_path):
    path = write(tmp_path / "named.xyz", [*NAMES[3:], *NAMES[:3]], "nx ny nz x y z", " ")
    np.testing.assert_array_equal(load_cloud(path, 1000).points, by_position(tmp_path).points)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,c,d,e,f", "names its columns a, b, c, d, e, f, which lacks x, y, z, nx, ny, nz"),
        ("x,y,z,nx,ny,normal_z", "lacks nz; the names x y z nx ny nz are needed"),
        ("x,y,z,nx,ny,x", "lacks nz"),
        ("x,y,z,nx,ny,nz,x", "has x twice"),
    ],
)
def test_names_that_do_not_tell_the_columns_are_refused(tmp_path, header, message):
    path = write(tmp_path / "odd.csv", [*NAMES, "red"][: header.count(",") + 1], header)
    with pytest.raises(CaseError, match=message) as caught:
        load_cloud(path, 1000)
    assert "\n" not in str(caught.value)


def test_points_without_normals_are_told_so_with_and_without_names(tmp_path):
    for header in ("", "z,x,y"):
        path = write(tmp_path / "bare.csv", NAMES[:3], header)
        with pytest.raises(CaseError, match="the points have no normals"):
            load_cloud(path, 1000)
