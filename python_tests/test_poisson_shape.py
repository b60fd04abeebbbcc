"""Poisson's equation on shapes: names and files, solves to a true error, refusals, files."""

import json
from dataclasses import replace

import pytest
import torch
from cases_of_models import check_model_takes_a_step
from cases_of_shape_problems import (
    check_exact_solution_satisfies_all_terms,
    check_run,
    solved,
)

from dinfgrid_cuda.suite.cases.shape import named
from dinfgrid_cuda.suite.cases.shape.poisson_shape import PoissonShape
from dinfgrid_cuda.suite.run.models import adapt
from dinfgrid_cuda.suite.run.results import read
from dinfgrid_cuda.suite.run.run import Request
from dinfgrid_cuda.suite.tools.case import CaseError

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")
pytest.importorskip("shapely")

pytestmark = pytest.mark.usefixtures("one_thread")

HOUSE = [[10, 20], [16, 20], [16, 24], [13, 26], [10, 24], [10, 20]]
DOOR = [[12, 21], [12, 22.5], [13.5, 22.5], [13.5, 21], [12, 21]]
DRAWING = "<svg xmlns='http://www.w3.org/2000/svg'><path d='M 0 0 L 40 0 L 40 30 Z'/></svg>"
TETRAHEDRON = """OFF
4 4 0
0 0 0
1 0 0
0 1 0
0 0 1
3 0 2 1
3 0 1 3
3 1 2 3
3 0 3 2
"""


@pytest.fixture
def house(tmp_path):
    """A file with a polygon that has a hole, far from the origin and large."""
    path = tmp_path / "house.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [HOUSE, DOOR]}))
    return path


@pytest.mark.parametrize("shape", named.NAMED)
def test_exact_solution_satisfies_equation_and_conditions(shape):
    if shape == "four-holes":
        pytest.skip("its series is not for automatic derivatives; see test_shape_exact.py")
    check_exact_solution_satisfies_all_terms(PoissonShape(shape=shape, conditions="robin"))


@pytest.mark.parametrize("shape", ["annulus", "gear", "l"])
def test_mixed_conditions_hold_on_all_pieces_once(shape):
    case = PoissonShape(shape=shape, conditions="mixed")
    check_exact_solution_satisfies_all_terms(case)
    terms = case.problem(case.setup("default")).terms
    assert [term.name for term in terms] == ["equation", "values", "fluxes"]
    held = [name for term in terms[1:] for name in term.region.faces]
    assert sorted(held) == sorted(case.body.names)


@pytest.mark.parametrize(
    ("options", "cells", "most"),
    [
        ({}, 16, 1e-7),
        ({"conditions": "robin"}, 16, 1e-7),
        ({"shape": "disk", "degree": 5}, 12, 1e-5),
        ({"shape": "annulus", "conditions": "mixed"}, 16, 1e-7),
        ({"shape": "four-holes"}, 24, 1e-3),
    ],
)
def test_shapes_are_solved(options, cells, most, tmp_path, monkeypatch):
    monkeypatch.setattr(PoissonShape, "pictures", lambda self, field, title: {})
    monkeypatch.setattr(PoissonShape, "exports", lambda self, field: {})
    report = solved(PoissonShape(**options), cells, tmp_path)
    assert report["metrics"]["relative_l2"]["value"] < most


def test_a_polygon_from_a_file_is_solved_with_files_of_it(house, tmp_path, monkeypatch):
    case = PoissonShape(shape=str(house), conditions="mixed")
    assert case.body.names == ("polygon", "hole 0")
    report = check_run(case, 16, tmp_path / "out", monkeypatch)
    assert report["metrics"]["relative_l2"]["value"] < 1e-6
    assert report["fingerprint"]["shape"]
    # The cells along the longest edge; 1.5 of margin per axis at the most.
    box = case.grid_box(replace(case.setup("default"), cells=16))
    assert box.lengths[0] == pytest.approx(6)
    house.write_text(json.dumps({"type": "Polygon", "coordinates": [HOUSE, DOOR[::-1]]}))
    with pytest.raises(CaseError, match="have changed"):
        read(tmp_path / "out")


def test_files_in_the_plane_and_in_space_are_told_by_their_suffix(tmp_path):
    pytest.importorskip("svgelements")
    pytest.importorskip("igl")
    (tmp_path / "drawing.SVG").write_text(DRAWING)
    (tmp_path / "solid.off").write_text(TETRAHEDRON)
    plane = PoissonShape(shape=str(tmp_path / "drawing.SVG"))
    assert plane.body.dim == 2
    assert (plane.given.centre, plane.given.size) == ((20.0, -15.0), 20.0)
    solid = PoissonShape(shape=str(tmp_path / "solid.off"))
    assert solid.body.dim == 3
    assert solid.setup("default").cells < plane.setup("default").cells
    check_exact_solution_satisfies_all_terms(plane)
    check_exact_solution_satisfies_all_terms(solid)


def test_paths_of_files_are_kept_in_full(house, monkeypatch):
    monkeypatch.chdir(house.parent)
    assert PoissonShape(shape="house.geojson").options()["shape"] == str(house.resolve())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "dsk"}, "did you mean 'disk'.*pass a file"),
        ({"shape": "teapot-of-utah"}, "there are disk, star"),
        ({"shape": "a/part.step"}, r"files of kind \.step are not read; these are: \.geojson"),
        ({"shape": "missing.geojson"}, "--shape: there is no file missing.geojson"),
        ({"conditions": "periodic"}, "--conditions is 'periodic'"),
        ({"conditions": "mixed"}, "several pieces, but that of --shape star is one, 'star'"),
        ({"degree": 4}, "--degree is 4"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message) as caught:
        PoissonShape(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".geojson", "{}", "no geometry"),
        (".geojson", '{"type": "Point", "coordinates": [0, 0]}', "Point"),
        (".svg", "<svg", "no SVG"),
        (".off", TETRAHEDRON.replace("4 4 0", "4 3 0").replace("3 0 3 2\n", ""), "open"),
    ],
)
def test_what_a_file_lacks_is_told_in_one_line(suffix, text, message, tmp_path):
    path = tmp_path / f"shape{suffix}"
    path.write_text(text)
    with pytest.raises(CaseError, match=message) as caught:
        PoissonShape(shape=str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("model", ["grid", "siren"])
def test_models_take_a_step_of_adam(model):
    case = PoissonShape(shape="annulus")
    setup = replace(case.setup("paper"), cells=8, points=100)
    check_model_takes_a_step(case, adapt(setup, model, "adam"), model)


def test_cells_are_squares_along_the_longest_edge(tmp_path):
    case = PoissonShape(shape="gear")
    setup = replace(case.setup("default"), cells=20)
    box, cells = case.grid_box(setup), case.grid_cells(setup)
    sizes = [length / count for length, count in zip(box.lengths, cells, strict=True)]
    assert sizes[0] == pytest.approx(sizes[1])
    assert max(case.body.lengths) / sizes[0] == pytest.approx(20)
    assert Request(case, cells=20, out=tmp_path).setup().points == (3 * 20) ** 2


def test_a_lattice_that_misses_the_shape_is_refused():
    case = PoissonShape(shape="annulus")

    class Nothing:
        lower, upper = case.body.lower, case.body.upper

        def contains(self, x):
            return torch.zeros(len(x), dtype=torch.bool)

    from dinfgrid_cuda.suite.cases.shape.shape_case import inside

    with pytest.raises(CaseError, match="no node of 9 along the longest axis is inside"):
        inside(Nothing(), 9)
