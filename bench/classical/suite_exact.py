"""Burgers' and the Allen-Cahn equation as in the suite, measured against the suite's references."""

from __future__ import annotations

from functools import partial
from math import pi
from typing import Any

import numpy as np
import torch

from dinfgrid_cuda.suite.tools.measuring import Array

from . import finite_differences, fourier
from .result import Result

VISCOSITY = 0.01 / pi


def exact(problem: str, options: dict[str, float], t: Array, x: Array) -> Array:
    """The exact u of a problem of the suite at t and x that broadcast."""
    from dinfgrid_cuda.suite.run.results import make_case

    case: Any = make_case(problem, options)
    times, places = np.broadcast_arrays(t, x)
    points = torch.from_numpy(np.stack([times.ravel(), places.ravel()], axis=1))
    u: Array = case.exact(points).numpy().reshape(times.shape)
    return u


def burgers_by_differences(count: int, steps: int, viscosity: float = VISCOSITY) -> Result:
    """Solves Burgers' equation from -sin(pi x) by `finite_differences.burgers`."""
    reference = partial(exact, "burgers", {"viscosity": viscosity})
    return finite_differences.burgers(reference, count, steps, viscosity)


def burgers_by_fourier(count: int, steps: int, viscosity: float = VISCOSITY) -> Result:
    """Solves Burgers' equation by `fourier.burgers` from -sin(pi x), which is odd and periodic."""
    reference = partial(exact, "burgers", {"viscosity": viscosity})
    return fourier.burgers(reference, count, steps, viscosity, lambda t, x: -np.sin(pi * x))


def allen_cahn_by_fourier(count: int, steps: int) -> Result:
    """Solves the Allen-Cahn equation by `fourier.allen_cahn` from x^2 cos(pi x)."""
    reference = partial(exact, "allen-cahn", {})
    return fourier.allen_cahn(reference, count, steps, lambda t, x: x**2 * np.cos(pi * x))
