"""Pictures and tables of a temperature on a plane shape, at several times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dinfgrid_cuda import Shape
from dinfgrid_cuda.suite.tools.evaluation import relative_l2
from dinfgrid_cuda.suite.tools.plots import figure, png
from dinfgrid_cuda.suite.tools.shape_plots import draw_error, draw_slice, sampled
from dinfgrid_cuda.suite.tools.shape_samples import Evaluate

SHOWN, TIMES = 4, 41  # times of the picture, and of the table of errors
NODES = 301


def at_time(function: Evaluate, t: float) -> Evaluate:
    """Returns a function of (x, y, t) at one time, as a function of (x, y) [N, 2]."""

    def evaluate(x: Tensor) -> Tensor:
        return function(torch.cat([x, torch.full_like(x[:, :1], t)], dim=1))

    return evaluate


def snapshots(shape: Shape, end: float, u: Evaluate, exact: Evaluate, title: str) -> bytes:
    """Draws u at several times from 0 to the end, above its error there, as PNG data."""
    times = [float(t) for t in np.linspace(0.0, end, SHOWN)]
    found = [sampled(shape, at_time(u, t), NODES) for t in times]
    values = np.concatenate([part.values[np.isfinite(part.values)] for part in found])
    reach = float(np.abs(values).max())
    ratio = len(found[0].lattice.ticks[1]) / len(found[0].lattice.ticks[0])
    fig = figure(4.6 * SHOWN, 2 * (3.9 * min(1.3, max(0.35, ratio)) + 0.35) + 0.5)
    axes = fig.subplots(2, SHOWN, squeeze=False)
    for column, (t, part) in enumerate(zip(times, found, strict=True)):
        reference = part.of(at_time(exact, t))
        error = replace(part, values=part.values - reference.values)
        most = float(np.nanmax(np.abs(error.values), initial=0.0))
        draw_slice(axes[0, column], part, f"u, t = {t:.3g}", limits=(-reach, reach))
        draw_error(axes[1, column], error, f"|error|, t = {t:.3g}, at most {most:.1e}")
    fig.suptitle(title)
    return png(fig)


def write_errors(path: Path, x: Tensor, end: float, u: Evaluate, exact: Evaluate) -> None:
    """Writes the errors at points x [N, 2] over the time as CSV: relative L2, and the largest."""
    rows = []
    for t in np.linspace(0.0, end, TIMES):
        found, reference = at_time(u, float(t))(x), at_time(exact, float(t))(x)
        most = float((found - reference).abs().max())
        rows.append((t, relative_l2(found, reference), most))
    header = "time,relative_l2,max_error"
    np.savetxt(path, np.array(rows), fmt="%.9g", delimiter=",", header=header, comments="")
