"""A whole run of a case: files, resume, results read again, requests that cannot be met."""

import json

import pytest

from dinfgrid_cuda.solvers import CheckpointError
from dinfgrid_cuda.suite.cases import PROBLEMS, case_class
from dinfgrid_cuda.suite.cases.image.poisson_image import PoissonImage
from dinfgrid_cuda.suite.cases.in_time.ode.ode import Ode
from dinfgrid_cuda.suite.run.results import make_case, read
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools.case import CaseError

Pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")


pytestmark = pytest.mark.usefixtures("one_thread")


def small_request(folder, size=24, supervise="gradient", **changes):
    case = PoissonImage(size=size, supervise=supervise)
    method = "lbfgs" if changes.get("model", "grid") == "grid" else None  # takes all the steps
    common = {"steps": 4, "out": folder, "progress": False, "method": method}
    return Request(case, **{**common, **changes})


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
    assert (written["config"], written["model"]) == ("default", "grid")
    for measure in written["metrics"].values():
        assert set(measure) == {"value", "unit", "meaning"}
    for key in ("parameters", "versions", "seconds", "setup", "options"):
        assert written[key]


def test_resumed_run_ends_as_the_uninterrupted_one(tmp_path):
    whole = run(small_request(tmp_path / "a", steps=8))
    run(small_request(tmp_path / "b", steps=4))
    parts = run(small_request(tmp_path / "b", steps=8, resume=True))
    assert parts["loss"] == whole["loss"]
    assert parts["metrics"] == whole["metrics"]


def test_resume_with_other_options_is_refused(tmp_path):
    run(small_request(tmp_path))
    with pytest.raises(CheckpointError, match="config 'default', this run has 'paper'"):
        run(small_request(tmp_path, config="paper", resume=True))
    with pytest.raises(CheckpointError, match="made with options"):
        run(small_request(tmp_path, size=25, resume=True))
    with pytest.raises(CheckpointError, match="made with model 'grid', this run has 'mlp'"):
        run(small_request(tmp_path, model="mlp", resume=True))


@pytest.mark.parametrize("model", ["grid", "siren"])
def test_result_read_again_measures_the_same(model, tmp_path):
    report = run(small_request(tmp_path, model=model))
    result = read(tmp_path, "poisson-image")
    measures = result.case.measure(result.field)
    for name, measure in report["metrics"].items():
        assert measures[name].value == pytest.approx(measure["value"], rel=1e-6)
    assert result.checkpoint.step == 4


def test_checkpoint_of_another_problem_is_refused(tmp_path):
    run(small_request(tmp_path))
    with pytest.raises(CheckpointError, match="is of the problem 'poisson-image', not 'plate'"):
        read(tmp_path, "plate")


def test_result_whose_image_has_changed_is_refused(tmp_path):
    image = tmp_path / "image.png"
    Pillow.linear_gradient("L").resize((16, 16)).save(image)
    run(Request(PoissonImage(image=image), steps=2, out=tmp_path / "a", progress=False))
    Pillow.radial_gradient("L").resize((16, 16)).save(image)
    with pytest.raises(CaseError, match="have changed"):
        read(tmp_path / "a")


def test_unwritable_folder_is_found_before_the_solve(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("dinfgrid_cuda.suite.run.run.solve", None)
    with pytest.raises(CheckpointError, match="cannot write to the folder"):
        run(small_request(tmp_path / "file"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": "best"}, "--config is 'best'"),
        ({"model": "rnn"}, "--model is 'rnn'"),
        ({"method": "sgd"}, "--method is 'sgd'"),
        ({"model": "siren", "method": "least-squares"}, "--model siren takes adam or lbfgs"),
        ({"steps": 0}, "--steps is 0"),
        ({"points": 0}, "--points is 0"),
        ({"max_seconds": -1.0}, "--max-seconds is -1.0"),
        ({"max_seconds": float("inf")}, "--max-seconds is inf"),
        ({"seed": 10**23}, "--seed is 1000.*must lie in 0..4294967295"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_unusable_requests_are_refused(changes, message, tmp_path):
    with pytest.raises(CaseError, match=message) as caught:
        run(small_request(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_unusable_options_are_refused(tmp_path):
    with pytest.raises(CaseError, match="size is 4"):
        run(small_request(tmp_path, size=4))
    with pytest.raises(CaseError, match="--supervise is 'values'"):
        PoissonImage(supervise="values")
    with pytest.raises(CaseError, match="has no option 'colour'"):
        make_case("poisson-image", {"colour": True})


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_every_problem_has_a_class_of_its_name(name):
    kind = case_class(name)
    assert kind.name == name
    assert kind.__doc__


SMALL = {
    "poisson-image": ({"size": 16}, {}),
    "eikonal": ({"samples": 3000}, {"cells": 16, "points": 1000}),
    "zalesak": ({}, {"cells": 8}),
    "plate": ({}, {"cells": 8}),
    "cloth": ({}, {"cells": 8}),
    "helmholtz": ({}, {"cells": 48}),
    "burgers": ({}, {"cells": 12}),
    "allen-cahn": ({}, {"cells": 12}),
    "flow-mixing": ({"end": 0.5}, {"cells": 8}),
    "klein-gordon": ({"end": 1.0}, {}),  # one slab
    "heat-shape": ({"shape": "annulus", "end": 0.5}, {"cells": 8}),
    "poisson-mesh": ({"halvings": 2}, {"cells": 8}),
    "corner": ({}, {"cells": 12}),
}


@pytest.mark.slow
@pytest.mark.parametrize("config", ["default", "paper"])
@pytest.mark.parametrize("name", list(PROBLEMS))
def test_every_problem_is_solved_resumed_and_read_again(name, config, tmp_path, monkeypatch):
    kind = case_class(name)
    monkeypatch.setattr(kind, "pictures", lambda self, field, title: {})
    monkeypatch.setattr(kind, "exports", lambda self, field: {})
    monkeypatch.setattr(kind, "measure", lambda self, field, resolution=None: {})
    options, changes = SMALL.get(name, ({}, {}))
    common = {"config": config, "out": tmp_path, "progress": False, "points": 500, **changes}
    if config == "default":
        del common["points"]
    run(Request(kind(**options), steps=1, **common))
    first = read(tmp_path)
    report = run(Request(kind(**options), steps=2, resume=True, **common))
    assert 1 <= report["steps"] <= 2
    result = read(tmp_path, name)
    assert result.case == kind(**options)
    assert result.setup.config == config
    assert result.checkpoint.step >= first.checkpoint.step


@pytest.mark.slow
def test_more_cells_alone_make_the_result_better(tmp_path):
    """Points follow the cells: else the features would not be determined."""
    errors = []
    for cells in (40, 400):
        report = run(Request(Ode(), cells=cells, out=tmp_path / str(cells), progress=False))
        errors.append(report["metrics"]["max_error"]["value"])
    assert errors[1] < 1e-3 * errors[0]


def test_cells_of_a_network_are_refused(tmp_path):
    with pytest.raises(CaseError, match="--cells belongs to a grid, but --model is siren"):
        run(Request(Ode(), cells=40, model="siren", out=tmp_path, progress=False))


@pytest.mark.slow
def test_files_of_an_earlier_run_go_and_its_checkpoint_stays(tmp_path):
    run(small_request(tmp_path))
    step = read(tmp_path).checkpoint.step
    (tmp_path / "notes.txt").write_text("mine")
    run(Request(Ode(), out=tmp_path, progress=False))
    names = {path.name for path in tmp_path.iterdir()}
    assert "poisson-image.png" not in names
    assert {"ode.png", "notes.txt", "checkpoint.old.safetensors"} <= names
    assert read(tmp_path / "checkpoint.old.safetensors").checkpoint.step == step


def test_figures_are_written_before_a_picture_can_fail(tmp_path, monkeypatch):
    def fails(self, field, title):
        raise CheckpointError("no space")

    monkeypatch.setattr(PoissonImage, "pictures", fails)
    with pytest.raises(CheckpointError, match="no space"):
        run(small_request(tmp_path))
    assert json.loads((tmp_path / "metrics.json").read_text())["metrics"]["ssim"]


def test_unknown_problem_gets_a_suggestion():
    with pytest.raises(CaseError, match="did you mean 'helmholtz'"):
        case_class("helmholz")
