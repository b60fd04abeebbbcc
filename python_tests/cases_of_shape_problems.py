"""Checks that the problems on shapes share."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.suite.run.results import read
from dinfgrid_cuda.suite.run.run import Request, run
from dinfgrid_cuda.suite.tools import shape_plots


def check_exact_solution_satisfies_all_terms(case):
    """By automatic derivatives at random points, up to the rounding of the largest of them.

    torch divides by the factors of a product: points where u is nearly 0 are left out.
    """
    problem = case.problem(case.setup("paper"))  # which has random points
    for index, term in enumerate(problem.terms):
        x, data = problem.draw(index, 0, 0, torch.float64, torch.device("cpu"))
        jet = Jet.of(case.exact, x, term.order)
        largest = max(1.0, float(jet.components.detach().abs().max()))
        residual = term.residual_at(x, jet, data).detach().reshape(len(x), -1)
        size = jet.value.detach().abs()[:, 0]
        held = residual[size > 0.01 * size.max()]
        assert len(held) > len(x) / 2 or len(x) == 1
        assert float(held.abs().max()) < 1e-12 * largest, term.name


def solved(case, cells, folder, **changes):
    """The metrics of a whole run on a coarse grid, without pictures."""
    return run(Request(case, cells=cells, out=folder, progress=False, **changes))


def check_run(case, cells, folder, monkeypatch, axes="xy", nodes=41):
    """A whole run: figures, picture, files that hold the shape only, and the result read again."""
    monkeypatch.setattr(shape_plots, "NODES", nodes)
    pyvista = pytest.importorskip("pyvista")
    report = solved(case, cells, folder)
    assert report["not_written"] == {}
    assert {f"{case.name}.png", f"{case.name}.vtu", f"{case.name}.csv"} <= set(report["files"])
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == report["metrics"]
    with Image.open(folder / f"{case.name}.png") as picture:
        assert picture.width > 1000
    most = report["metrics"]["relative_max"]["value"]
    check_table(case, folder / f"{case.name}.csv", axes, most)
    check_vtk(case, pyvista.read(folder / f"{case.name}.vtu"), most)
    again = read(folder, case.name)
    found = again.case.measure(again.field)["relative_l2"].value
    assert found == report["metrics"]["relative_l2"]["value"]
    return report


def check_table(case, path, axes, most):
    """The points of the table are inside, and its errors those that are reported."""
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert table.dtype.names == (*axes, "u", "exact", "error")
    x = torch.from_numpy(np.stack([table[axis] for axis in axes], axis=1))
    assert len(x) > 100
    # Texts of twelve digits move points on a face by as much.
    assert float(case.body.level(x).max()) < 1e-10
    np.testing.assert_allclose(table["exact"], case.exact(x).numpy(), rtol=0, atol=1e-9)
    assert np.abs(table["error"]).max() <= 2 * most * np.abs(table["exact"]).max()


def check_vtk(case, mesh, most):
    """The file holds cells of the shape alone, its boundary within a cell, and small errors."""
    points = torch.from_numpy(np.array(mesh.points, dtype=np.float64)[:, : case.body.dim])
    length = max(case.body.lengths)
    assert mesh.n_cells > 100
    assert float(case.body.level(points).max()) < 0.02 * length
    assert np.abs(mesh["error"]).max() < max(100 * most, 1e-4) * np.abs(mesh["exact"]).max()
    for axis in range(case.body.dim):
        reach = points[:, axis].max() - points[:, axis].min()
        assert float(reach) == pytest.approx(case.body.lengths[axis], rel=0.05)
