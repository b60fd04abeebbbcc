"""One resolution against several: S = 1, 2, 4, 6 levels on an image, a wave and a distance.

By Adam (the paper's basis, decoder and learning rate): steps and seconds to a fixed error, as the
median of three seeds; smaller grids than the paper's, so that a CPU gets there. By least squares
without a matrix: iterations of conjugate gradients, which the levels precondition (all S have the
same solution); for the distance, which is nonlinear, the error after Gauss-Newton's steps.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from torch import nn

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.cases.eikonal.eikonal import Eikonal
from dinfgrid_cuda.suite.cases.helmholtz.helmholtz import Helmholtz
from dinfgrid_cuda.suite.cases.image.poisson_image import PoissonImage
from dinfgrid_cuda.suite.run.models import make_model
from dinfgrid_cuda.suite.run.run import Request
from dinfgrid_cuda.suite.tools import plots
from dinfgrid_cuda.suite.tools.case import Case, Setup
from dinfgrid_cuda.suite.tools.evaluation import lattice

from .record import Record, Row

LEVELS, SEEDS = (1, 2, 4, 6), (0, 1, 2)
SECONDS, QUICK_SECONDS = 60.0, 1.0


@dataclass(frozen=True)
class Target:
    """A problem and the error to reach by Adam.

    Attributes:
        label: for the figure.
        case, cells: what is solved; None leaves the cells to the case.
        metric, value: to reach; a PSNR in dB is better the higher it is.
        resolution: points per axis that errors are measured at, None for the case's own.
        every: steps between two measurements.
        direct_cells: for least squares; None leaves them to the case.
    """

    label: str
    case: Case
    cells: int | None
    metric: str
    value: float
    resolution: int | None
    every: int
    direct_cells: int | None

    def reached(self, value: float) -> bool:
        """Whether an error is small, or a PSNR high, enough."""
        return value >= self.value if self.metric.startswith("psnr") else value <= self.value

    def error(self, field: nn.Module) -> float:
        """Measures the error of a field, in the target's metric."""
        case = self.case
        if isinstance(case, Eikonal):  # `measure` extracts the surface too, which takes long
            assert self.resolution is not None
            assert case.exact is not None
            u = case.volume(field, self.resolution).ravel()
            exact = case.exact.distance(lattice(case.box(), self.resolution + 1).numpy())
            return float(abs(u - exact).mean())
        return float(case.measure(field, self.resolution)[self.metric].value)


def targets(quick: bool) -> tuple[Target, ...]:
    """The three problems with their errors to reach."""
    size = 32 if quick else 128
    samples = 4096 if quick else 32**3
    wave, sphere = Helmholtz(wavenumber=5.0), Eikonal(shape="sphere", samples=samples)
    return (
        Target("image, 28 dB", PoissonImage(size=size), None, "psnr_rescaled", 28, None, 10, None),
        Target("wave, k = 5, error 0.5", wave, 32, "relative_l2", 0.5, 65, 10, 32),
        Target("distance to a sphere, error 0.2", sphere, 32, "mean_error", 0.2, 32, 20, 16),
    )


def study(record: Record) -> Any:
    """Records a row per solve; draws steps and seconds to the target against the levels."""
    known = targets(record.quick)
    levels = LEVELS[:2] if record.quick else LEVELS
    seeds = SEEDS[:1] if record.quick else SEEDS
    limit = QUICK_SECONDS if record.quick else SECONDS
    for target in known:
        for count in levels:
            for seed in seeds:
                label = f"{target.label}, Adam, S = {count}, seed {seed}"
                record.part(label, partial(trained, target, count, seed, limit))
            label = f"{target.label}, least squares, S = {count}"
            record.part(label, partial(solved, target, count))
    for row in record.rows:
        keys = ("reached", "steps", "seconds", "error", "iterations")
        record.summary[row["part"]] = {key: row[key] for key in keys if key in row}
    return draw(record.rows, known, levels)


def trained(target: Target, levels: int, seed: int, limit: float) -> list[Row]:
    """Trains by Adam until the target is reached, or for ``limit`` seconds."""
    base = Request(target.case, config="paper", cells=target.cells).setup()
    setup = replace(base, levels=levels)
    if isinstance(target.case, Eikonal):
        setup = replace(setup, points=min(setup.points, 4096))
    field = make_model(target.case, setup, "grid", seed)
    errors: list[float] = []

    def measure(step: int, _seconds: float) -> bool:
        if step % target.every:
            return False
        errors.append(target.error(field))
        return target.reached(errors[-1])

    solution = dg.solve(
        target.case.problem(setup),
        field,
        setup.method,
        steps=setup.steps,
        stop=dg.Stop(seconds=limit, when=measure),
        seed=seed,
        progress=False,
    )
    error = errors[-1] if errors else target.error(field)
    about = _about(target, "Adam", levels, seed)
    reached = target.reached(error)
    rate = {"reached": reached, "steps": solution.steps, "seconds": solution.seconds}
    return [{**about, **rate, "error": error}]


def solved(target: Target, levels: int) -> list[Row]:
    """Solves by least squares, matrix-free where it is linear; the row says where it fails."""
    case = target.case
    about = _about(target, "least squares", levels, 0)
    nonlinear = isinstance(case, Eikonal)
    try:
        request = Request(case, cells=target.direct_cells, method="least-squares")
        setup = _with_levels(request.setup(), levels)
        field = make_model(case, setup, "grid", 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solution = dg.solve(
                case.problem(setup),
                field,
                dg.LeastSquares(linear="auto" if nonlinear else dg.MatrixFree()),
                steps=10 if nonlinear else 2,
                progress=False,
            )
    except (ValueError, dg.SolveError) as error:
        return [{**about, "failed": str(error).split("\n")[0]}]
    figures = {"steps": solution.steps, "seconds": solution.seconds, "error": target.error(field)}
    return [{**about, **figures, "iterations": solution.report.findings.iterations}]


def _with_levels(setup: Setup, levels: int) -> Setup:
    """The setup with several levels, added up; cells are rounded up to fit the coarsest."""
    unit = 1 << (levels - 1)
    cells = setup.cells if isinstance(setup.cells, tuple) else (setup.cells,)
    rounded = tuple(-(-count // unit) * unit for count in cells)
    return replace(setup, levels=levels, cells=rounded if len(rounded) > 1 else rounded[0])


def _about(target: Target, method: str, levels: int, seed: int) -> Row:
    return {"problem": target.label, "method": method, "levels": levels, "seed": seed}


def draw(rows: list[Row], known: tuple[Target, ...], levels: tuple[int, ...]) -> Any:
    """Draws Adam's steps and seconds to the target above, and what least squares takes below."""
    fig = plots.figure(13.0, 7.4)
    axes = fig.subplots(2, len(known))
    for column, target in enumerate(known):
        series = [row for row in rows if row["problem"] == target.label]
        _draw_adam(axes[0, column], [r for r in series if r["method"] == "Adam"], levels)
        axes[0, column].set_title(f"{target.label}: Adam", fontsize="medium")
        _draw_direct(axes[1, column], [r for r in series if r["method"] != "Adam" and "error" in r])
    fig.suptitle("What several levels of resolution gain")
    return fig


def _draw_adam(axes: Any, rows: list[Row], levels: tuple[int, ...]) -> None:
    """Draws medians with the range of the seeds; open circles did not reach the target."""
    for name, colour in (("steps", "C0"), ("seconds", "C1")):
        groups = [[r[name] for r in rows if r["levels"] == count] for count in levels]
        middle = [median(group) for group in groups]
        spread = [
            [m - min(g) for m, g in zip(middle, groups, strict=True)],
            [max(g) - m for m, g in zip(middle, groups, strict=True)],
        ]
        axes.errorbar(levels, middle, spread, fmt="-o", color=colour, capsize=3, label=name)
    for row in rows:
        if not row["reached"]:
            text = {"label": "time is up"} if row is rows[0] else {}
            axes.plot(row["levels"], row["seconds"], "o", mfc="white", color="C1", ms=9, **text)
    axes.set(yscale="log", xticks=levels)
    axes.margins(0.1, 0.15)
    axes.legend(fontsize="small")
    axes.grid(visible=True, alpha=0.25)


def _draw_direct(axes: Any, rows: list[Row]) -> None:
    iterative = any(row["iterations"] for row in rows)
    name = "iterations" if iterative else "steps"
    axes.plot(*_columns(rows, name), "-s", color="C2", label=name)
    axes.plot(*_columns(rows, "seconds"), "-s", color="C1", label="seconds")
    axes.set(yscale="log", xlabel="levels S", xticks=LEVELS)
    for row in rows:
        unit = " dB" if "dB" in row["problem"] else ""
        text = f"{row['error']:.3g}{unit}"
        if row[name]:
            axes.annotate(text, (row["levels"], row[name]), (0, 6), textcoords="offset points")
    kind = "conjugate gradients" if iterative else "Gauss-Newton"
    axes.set_title(f"least squares, {kind}; beside it the error", fontsize="medium")
    axes.margins(0.2, 0.4)
    axes.legend(fontsize="small")
    axes.grid(visible=True, alpha=0.25)


def _columns(rows: list[Row], name: str) -> tuple[list[int], list[Any]]:
    return [row["levels"] for row in rows], [row[name] for row in rows]
