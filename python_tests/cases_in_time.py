"""Checks that the problems in time share."""

import io

import numpy as np
import torch
from PIL import Image

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.geometry.samplers import Uniform
from dinfgrid_cuda.problem import Objective
from dinfgrid_cuda.solvers import Adam, solve
from dinfgrid_cuda.suite.run.models import MODELS, adapt, make_model


def solved(case, setup):
    """The field of a case, solved as its setup says."""
    field = make_model(case, setup, "grid")
    solve(case.problem(setup), field, setup.method, steps=setup.steps, progress=False)
    return field


def residual_of_exact(case, setup, exact, points=2000):
    """Largest modulus of the equation's residual at the exact solution, by automatic derivatives.

    And the largest modulus of a single first derivative there, which says what is small.
    """
    term = case.problem(setup).terms[0]
    x = Uniform()(points, case.box(), 3, 0, torch.float64)
    jet = Jet.of(exact, x, term.order)
    return term.residual(x, jet).abs().max().item(), jet.gradient.abs().max().item()


def check_models_take_a_step(case, setup):
    """Three steps of Adam give each model finite losses and other parameters."""
    for model in MODELS:
        own = adapt(setup, model, "adam")
        field = make_model(case, own, model)
        problem = case.problem(own)
        drawn = [problem.draw(0, 0, step, torch.float32, torch.device("cpu"))[0] for step in (0, 1)]
        assert not torch.equal(*drawn), model
        before = torch.cat([p.detach().flatten().clone() for p in field.parameters()])
        history = solve(problem, field, Adam(lr=1e-4), steps=3, progress=False).history
        after = torch.cat([p.detach().flatten() for p in field.parameters()])
        assert len(history.totals) == 3
        assert np.isfinite(history.totals).all()
        assert (after != before).double().mean() > 0.3, model


def first_loss(case, setup):
    """The loss of the field as it is made."""
    return Objective(case.problem(setup), make_model(case, setup, "grid")).evaluate(0)[0].item()


def check_files(case, field, tmp_path, columns):
    """Pictures and exports are valid, small, and hold what they should; returns the VTK image."""
    pictures = case.pictures(field, "a title")
    assert next(iter(pictures)) == f"{case.name}.png"
    with Image.open(io.BytesIO(pictures[f"{case.name}.png"])) as picture:
        assert picture.width > 1000
    gif = pictures[f"{case.name}.gif"]
    assert len(gif) < 1_500_000
    with Image.open(io.BytesIO(gif)) as animation:
        assert 2.0 <= animation.n_frames * animation.info["duration"] / 1000 <= 3.0
    for name, write in case.exports(field).items():
        write(tmp_path / name)
    with (tmp_path / "errors.csv").open() as file:
        assert file.readline().strip().split(",") == columns
    table = np.loadtxt(tmp_path / "errors.csv", delimiter=",", skiprows=1)
    assert table.shape[1] == len(columns)
    assert np.isfinite(table).all()
    assert table[0, 0] == case.box().lower[0]
    assert table[-1, 0] == case.box().upper[0]
    import pyvista

    return pyvista.read(tmp_path / f"{case.name}.vti")


def check_image(image, case, field, exact):
    """The VTK image holds the field and the exact solution at its points (x, (y,) t)."""
    dim = case.box().dim
    some = np.random.default_rng(0).integers(0, image.n_points, 50)
    places = torch.from_numpy(np.asarray(image.points[some], dtype=np.float64))
    x = torch.cat([places[:, dim - 1 : dim], places[:, : dim - 1]], dim=1)
    with torch.no_grad():
        found = field(x.to(next(field.parameters()).dtype))[:, 0].double()
    for name, values in (("found", found), ("exact", exact(x))):
        given = torch.from_numpy(np.asarray(image.point_data[name][some], dtype=np.float64))
        torch.testing.assert_close(given, values, atol=1e-4, rtol=1e-4)
