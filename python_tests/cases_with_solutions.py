"""Checks that problems share whose solution is a formula and whose conditions are soft terms."""

import json
import math
from dataclasses import replace

import numpy as np
import torch
from cases_in_time import check_image, solved

from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.suite.run.results import read
from dinfgrid_cuda.suite.run.run import Request, run


def small(case, cells, **changes):
    """The default setup with other cells, and points that fit."""
    points = math.prod(2 * count for count in cells)
    return replace(case.setup("default"), cells=cells, points=points, **changes)


def error(case, cells, **changes):
    """Relative L2 error of a solve with these cells."""
    return case.measure(solved(case, small(case, cells, **changes)))["relative_l2"].value


def check_exact_solution_satisfies_all_terms(case):
    """By automatic derivatives; up to the rounding of the largest of them."""
    setup = case.setup("default")
    problem = case.problem(setup)
    for index, term in enumerate(problem.terms):
        x, _ = problem.draw(index, 0, 0, torch.float64, torch.device("cpu"))
        jet = Jet.of(case.exact, x[:2000], term.order)
        largest = max(1.0, jet.components.abs().max().item())
        assert term.residual(x[:2000], jet).abs().max() < 1e-12 * largest, term.name


def check_exports(case, field, folder, dimensions):
    """The files of errors over time and of the field in space and time hold what they should."""
    import pyvista

    for name, write in case.exports(field).items():
        write(folder / name)
    columns = ["time", "mean_error", "max_error", "relative_l2"]
    table = np.genfromtxt(folder / "errors.csv", delimiter=",", names=True)
    assert list(table.dtype.names) == columns
    assert (table["time"][0], table["time"][-1]) == (case.box().lower[0], case.box().upper[0])
    assert all(np.isfinite(table[name]).all() for name in columns)
    image = pyvista.read(folder / f"{case.name}.vti")
    assert image.dimensions == dimensions
    check_image(image, case, field, case.exact)


def check_run(case, folder, cells, files):
    """A whole run on a tiny grid: figures, files, and the result read again."""
    report = run(Request(case, cells=cells, out=folder, progress=False))
    assert list(report["metrics"])[:3] == ["relative_l2", "max_error", "mean_error"]
    assert report["files"] == files
    assert report["not_written"] == {}
    assert all((folder / name).stat().st_size for name in files)
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == report["metrics"]
    again = read(folder, case.name)
    found = again.case.measure(again.field)["relative_l2"].value
    assert found == report["metrics"]["relative_l2"]["value"]
    return report
