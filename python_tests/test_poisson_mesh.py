"""A harmonic function in a mesh: solves to a true error, files of a user, refusals, files."""

from dataclasses import replace

import pytest
from cases_of_models import check_model_takes_a_step
from cases_of_shape_problems import check_exact_solution_satisfies_all_terms, check_run

from dinfgrid_cuda.suite.cases.shape.poisson_mesh import PoissonMesh
from dinfgrid_cuda.suite.tools import shape_plots
from dinfgrid_cuda.suite.tools.case import CaseError

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")
pytest.importorskip("igl")
trimesh = pytest.importorskip("trimesh")

pytestmark = pytest.mark.usefixtures("one_thread")


def test_exact_solution_satisfies_equation_and_values():
    check_exact_solution_satisfies_all_terms(PoissonMesh(halvings=2))


def test_default_mesh_has_more_than_ten_thousand_triangles():
    assert "20,480 triangles" in PoissonMesh().caption


@pytest.mark.slow
def test_mesh_of_a_file_is_solved_with_files_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shape_plots, "NODES_IN_SPACE", 16)
    path = tmp_path / "ball.stl"
    trimesh.creation.icosphere(2, radius=30).apply_translation((100, 0, 0)).export(path)
    report = check_run(PoissonMesh(mesh=path, degree=5), 6, tmp_path / "a", monkeypatch, "xyz")
    assert report["metrics"]["relative_l2"]["value"] < 1e-2
    assert report["options"]["mesh"] == str(path.resolve())


def test_paper_configuration_takes_a_step():
    case = PoissonMesh(halvings=2)
    setup = replace(case.setup("paper"), cells=8, points=100)
    check_model_takes_a_step(case, setup, "grid")


def test_an_open_mesh_is_refused(tmp_path):
    box = trimesh.creation.box()
    box.update_faces([True] * 11 + [False])
    box.export(tmp_path / "open.ply")
    with pytest.raises(CaseError, match="open") as caught:
        PoissonMesh(mesh=tmp_path / "open.ply")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"), [("no.stl", "--mesh: there is no file"), ("text.stl", "--mesh .*text.stl")]
)
def test_files_that_hold_no_mesh_are_refused(name, message, tmp_path):
    (tmp_path / "text.stl").write_text("no mesh")
    with pytest.raises(CaseError, match=message) as caught:
        PoissonMesh(mesh=tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"), [({"halvings": 9}, "--halvings is 9"), ({"degree": 2}, "--degree is 2")]
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(CaseError, match=message):
        PoissonMesh(**options)
