"""What a run is going to take, printed before it starts: unknowns, points, memory, time."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import torch

from dinfgrid_cuda import GridSpec, LeastSquares
from dinfgrid_cuda.kernels.spec import per_axis
from dinfgrid_cuda.solvers.linear.factor_estimate import estimate
from dinfgrid_cuda.solvers.linear.matrix_free import LIMIT
from dinfgrid_cuda.solvers.linear.memory import free_memory
from dinfgrid_cuda.solvers.linear.routes import QUICK, SLOW
from dinfgrid_cuda.suite.tools.case import Case, CaseError, Setup

from .models import RATES

# Bytes per collocation point, at least: iterations of least squares took 530 to 900 (150,000
# residuals in 2-D, 42,000 in 3-D), Adam 600 for the heat equation. Second derivatives and several
# channels take more: 2,000 for the energy of a plate, 3,100 for the cloth's, 8,400 for complex
# waves. A network keeps its layers' derivatives, 98,000 to the second.
POINT_BYTES, NETWORK_POINT_BYTES = 600.0, 50_000.0
# Vectors of the length of the features, such as Adam's two and the gradient.
VECTORS = {"adam": 4, "lbfgs": 24, "least-squares": 12}
# Per second and thread: multiplications of a band's factorisation, and nodes of sums at points
# with their transposes, values and first derivatives. Second derivatives take four times as long.
# Measured so, the paper's setups of the problems are forecast within a factor of two.
FACTOR_RATE, NODE_RATE, SECOND_ORDER = 3e10, 3e8, 4.0
# Seconds of a step that do not depend on its points, and of a point of a network on one thread.
STEP_SECONDS, NETWORK_SECONDS = 0.01, 1e-4
# Of a lattice on which a result is measured: bytes per number, and numbers per point in addition to
# its coordinates (u, exact, error and their squares).
LATTICE_BYTES, LATTICE_ARRAYS = 8.0, 4
# A forecast is printed for runs of so many seconds, where progress is shown and where it is not.
SHORT, LONG = 20.0, 60.0


@dataclass(frozen=True)
class Forecast:
    """The expected size, memory and time of a run, within a small factor.

    Attributes:
        unknowns, points: of a slab or step.
        slabs: of time.
        least, most: bytes at the peak, by the route that needs least and by that with a factor.
        seconds: of a whole run; by least squares of one step per slab, all that a linear problem
            takes.
        linear: whether the seconds are those of one step.
    """

    unknowns: int
    points: int
    slabs: int
    least: float
    most: float
    seconds: float
    linear: bool

    def __str__(self) -> str:
        slabs = f" in each of {self.slabs} slabs" if self.slabs > 1 else ""
        more = ", more if the equation is not linear" if self.linear else ""
        return (
            f"about {number(self.unknowns)} unknowns and {number(self.points)} points{slabs}; up "
            f"to about {gigabytes(self.most)} and {duration(self.seconds)}{more}"
        )


def number(count: float) -> str:
    """A count of any size as text: "12,345", "1e+18"."""
    return f"{count:,.0f}" if count < 1e9 else f"{count:.2g}"


def gigabytes(size: float) -> str:
    """A number of bytes as text in GB, to two digits."""
    size = max(size / 1e9, 0.01)
    return f"{size:.2g} GB" if size < 100 else f"{number(size)} GB"


def duration(seconds: float) -> str:
    """A time as text in seconds, minutes or hours, to two digits."""
    unit, size = "s", 1.0
    for name, length in (("minutes", 60.0), ("hours", 3600.0)):
        if seconds >= 1.5 * length:
            unit, size = name, length
    count = seconds / size
    return f"{count:.2g} {unit}" if count < 100 else f"{number(count)} {unit}"


def forecast(case: Case, setup: Setup, model: str, order: int = 1) -> Forecast:
    """Returns what solving a case takes, from its setup alone: nothing is allocated.

    Args:
        case: the problem.
        setup: how it is solved.
        model: of `MODELS`.
        order: highest of the derivatives.

    Raises:
        CaseError: for a grid that cannot be.
    """
    threads, limit = torch.get_num_threads(), setup.stop.seconds or math.inf
    if model in RATES:
        needed = NETWORK_POINT_BYTES * setup.points
        seconds = min(limit, setup.steps * NETWORK_SECONDS * setup.points / threads)
        return Forecast(0, setup.points, 1, needed, 2 * needed, seconds, False)
    spec = _spec(case, setup)
    channels = setup.channels * (case.out_channels if setup.decoder == "sum" else 1)
    size = estimate(spec, channels)
    word = 4 if setup.dtype == "float32" else 8
    vectors = word * VECTORS[setup.method.name] * size.unknown_count
    least = POINT_BYTES * setup.points + vectors
    more = (3 if order > 1 else 1) * case.out_channels**2
    most = more * POINT_BYTES * setup.points + vectors
    nodes = float(setup.points) * setup.levels * channels * spec.basis.nodes**spec.dim
    step = (SECOND_ORDER if order > 1 else 1.0) * nodes / (NODE_RATE * threads)
    linear = isinstance(setup.method, LeastSquares)
    if not linear:
        seconds = setup.steps * (step + STEP_SECONDS)
    elif size.work <= SLOW and least + size.bytes <= free_memory():
        least += size.bytes if size.work <= QUICK else 0.0  # then it is computed in any case
        most += size.bytes
        seconds = setup.slabs * (step + size.work / (FACTOR_RATE * threads))
    else:
        seconds = setup.slabs * LIMIT * step
    return Forecast(
        size.unknown_count, setup.points, setup.slabs, least, most, min(limit, seconds), linear
    )


def _spec(case: Case, setup: Setup) -> GridSpec:
    """The grid of a setup, without its features."""
    box = case.grid_box(setup)
    try:
        return GridSpec(
            box.dim,
            per_axis(case.grid_cells(setup), box.dim, "cells"),
            setup.levels,
            setup.basis,
            per_axis(setup.boundary, box.dim, "boundary"),
            box.lower,
            box.upper,
        )
    except ValueError as error:
        raise CaseError(str(error)) from error


def check(expected: Forecast) -> None:
    """Raises CaseError where a run needs more memory than this process may have."""
    free = free_memory()
    if expected.least > free:
        raise CaseError(
            f"{number(expected.unknowns)} unknowns and {number(expected.points)} points need about "
            f"{gigabytes(expected.least)}, but {gigabytes(free)} may be used; choose fewer --cells "
            "or --points, or options of the problem that need fewer."
        )


def check_resolution(case: Case, resolution: int) -> None:
    """Raises CaseError for a lattice whose points and values do not fit into the memory."""
    dim, free = case.box().dim, free_memory()
    needed = LATTICE_BYTES * (dim + LATTICE_ARRAYS) * float(resolution) ** dim
    if needed > free:
        points = number(float(resolution) ** dim)
        raise CaseError(
            f"--resolution {resolution} makes {points} points, which need about "
            f"{gigabytes(needed)}, but {gigabytes(free)} may be used; choose a lower one."
        )


def announce(expected: Forecast, progress: bool) -> None:
    """Prints on stderr what a run will take, if it is long."""
    if expected.seconds > (SHORT if progress else LONG):
        print(expected, file=sys.stderr, flush=True)
