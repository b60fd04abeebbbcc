"""Algebraic multigrid with pyamg, as preconditioner of conjugate gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dinfgrid_cuda.suite.tools.measuring import Watch, relative_l2
from dinfgrid_cuda.suite.tools.packages import package

from . import formulas
from .finite_differences import helmholtz_matrix
from .result import Result

TOLERANCE = 1e-10


def helmholtz_box(waves: Sequence[float], count: int, wavenumber: float = 1.0) -> Result:
    """Solves Delta u + k^2 u = q on [-1, 1]^d, second-order differences, k^2 < d pi^2 / 4.

    Args:
        waves: a_i of `formulas.box_wave`.
        count: intervals per axis.
        wavenumber: k.

    Raises:
        ValueError: if the operator is indefinite, where conjugate gradients fail.
    """
    dim = len(waves)
    if wavenumber**2 >= dim * np.pi**2 / 4:
        raise ValueError(f"k = {wavenumber:g} makes the operator indefinite in {dim} dimensions.")
    amg = package("pyamg")
    axes = [np.linspace(-1, 1, count + 1)[1:-1]] * dim
    watch = Watch()
    with watch.timed():
        matrix = -helmholtz_matrix(dim, count, wavenumber).tocsr()
        # pyamg takes scipy's matrices only with 32-bit indices.
        matrix.indices, matrix.indptr = (
            part.astype(np.int32) for part in (matrix.indices, matrix.indptr)
        )
        hierarchy = amg.ruge_stuben_solver(matrix)
        source = -formulas.box_source(axes, waves, wavenumber).ravel()
        u = hierarchy.solve(source, tol=TOLERANCE, accel="cg", maxiter=100)
    return Result(relative_l2(u, formulas.box_wave(axes, waves).ravel()), watch.seconds, len(u))
