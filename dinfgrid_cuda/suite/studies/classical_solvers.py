"""Classical solvers of `elliptic` problems: their solutions and their floating-point work.

Work is counted, not measured, with a multiplication and an addition as two operations:

* sparse LU: sum over the columns of 2 nnz(column of L) nnz(row of U), and 2 nnz(L + U) to solve;
* a fast sine transform of n points: a real FFT of 2 (n + 1), 2.5 m log2 m for m numbers;
* multigrid: an iteration is a cycle (its complexity times 2 nnz(A)), a product with A, and 12 N of
  conjugate gradients (GMRES: 2 N for each earlier iteration); the coarse matrices are not counted,
  which takes as much as a few cycles;
* Chebyshev collocation: 2/3 N^3 for dense LU.

Assembly is not counted for any of them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import fft, linalg, sparse

from dinfgrid_cuda.suite.tools import chebyshev_points
from dinfgrid_cuda.suite.tools.measuring import Array, Watch, relative_l2
from dinfgrid_cuda.suite.tools.packages import package
from dinfgrid_cuda.suite.tools.sparse_lu import symmetric_lu

from .elliptic import Elliptic

TOLERANCE, MOST = 1e-10, 200
# Cycles of a hierarchy that may diverge.
CYCLES = 10
# Intervals per axis of the coarsest grid.
COARSEST = 4


@dataclass(frozen=True)
class SolverResult:
    """The error (relative L2) of a solver, its seconds, unknowns and floating-point operations.

    ``more`` holds the other columns of a row.
    """

    error: float
    seconds: float
    unknowns: int
    work: float
    more: dict[str, Any] = field(default_factory=dict)


def _points(x: Array, y: Array) -> torch.Tensor:
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    return torch.from_numpy(grid.reshape(-1, 2))


def _inner(count: int) -> Array:
    line: Array = np.linspace(0, 1, count + 1)[1:-1]
    return line


def _differences(problem: Elliptic, count: int) -> tuple[Any, Array]:
    """The matrix -(div a grad + k^2) of five-point differences in flux form, and -f."""
    h, m = 1 / count, count - 1
    middle = (np.arange(count) + 0.5) * h

    def along(axis: int) -> Any:
        faces = (middle, _inner(count)) if axis == 0 else (_inner(count), middle)
        a = problem.coefficient(_points(*faces))[:, 0].numpy()
        one = sparse.eye_array(m)
        step = sparse.diags_array([1.0, -1.0], offsets=[0, -1], shape=(count, m)) / h
        slope = sparse.kron(step, one) if axis == 0 else sparse.kron(one, step)
        return slope.T @ sparse.diags_array(a) @ slope

    matrix = along(0) + along(1) - problem.wavenumber**2 * sparse.eye_array(m * m)
    return matrix.tocsr(), -problem.source(_points(_inner(count), _inner(count))).numpy()


def _at_nodes(problem: Elliptic, u: Array, count: int) -> float:
    exact = problem.exact(_points(_inner(count), _inner(count))).numpy()
    return relative_l2(u.reshape(-1), exact)


def lu_work(factor: Any) -> float:
    """The operations of a sparse LU and of one solve with it."""
    columns = np.diff(factor.L.tocsc().indptr).astype(float)
    row_sizes = np.diff(factor.U.tocsr().indptr).astype(float)
    return float(2 * (columns @ row_sizes) + 2 * (columns.sum() + row_sizes.sum()))


def differences_lu(problem: Elliptic, count: int) -> SolverResult:
    """Solves by five-point differences and sparse LU."""
    watch = Watch()
    with watch.timed():
        matrix, right = _differences(problem, count)
        factor = symmetric_lu(matrix)
        u = factor.solve(right)
    return SolverResult(_at_nodes(problem, u, count), watch.seconds, len(u), lu_work(factor))


def differences_sine(problem: Elliptic, count: int) -> SolverResult | None:
    """Solves by five-point differences and fast sine transforms; None unless a is constant."""
    if problem.contrast != 1.0:
        return None
    watch, m = Watch(), count - 1
    with watch.timed():
        right = -problem.source(_points(_inner(count), _inner(count))).numpy().reshape(m, m)
        modes = (2 * count * np.sin(np.pi * np.arange(1, count) / (2 * count))) ** 2
        symbol = modes[:, None] + modes - problem.wavenumber**2
        u = fft.idstn(fft.dstn(right, type=1) / symbol, type=1)
    long = 2 * (m + 1)
    work = 4 * m * 2.5 * long * math.log2(long) + m * m
    return SolverResult(_at_nodes(problem, u, count), watch.seconds, u.size, work)


def _prolongation(count: int) -> Any:
    """The matrix of bilinear interpolation from count / 2 intervals per axis to count."""
    m, half = count - 1, count // 2 - 1
    line = sparse.lil_array((m, half))
    for j in range(half):
        line[2 * j, j], line[2 * j + 1, j], line[2 * j + 2, j] = 0.5, 1.0, 0.5
    line = line.tocsr()
    return sparse.kron(line, line)


def _narrow(matrix: Any) -> Any:
    """The matrix as CSR with 32-bit indices, which pyamg needs."""
    matrix = sparse.csr_array(matrix)
    matrix.indices, matrix.indptr = (
        part.astype(np.int32) for part in (matrix.indices, matrix.indptr)
    )
    return matrix


def _hierarchy(matrix: Any, count: int, geometric: bool) -> Any:
    amg = package("pyamg")
    if not geometric:
        return amg.ruge_stuben_solver(matrix)
    levels = []
    while True:
        level = amg.MultilevelSolver.Level()
        level.A = matrix
        levels.append(level)
        if count <= COARSEST:
            break
        level.P = _narrow(_prolongation(count))
        level.R = _narrow(level.P.T)
        matrix, count = _narrow(level.R @ matrix @ level.P), count // 2
    hierarchy = amg.MultilevelSolver(levels)
    smoother = ("gauss_seidel", {"sweep": "symmetric"})
    amg.relaxation.smoothing.change_smoothers(hierarchy, smoother, smoother)
    return hierarchy


def multigrid(problem: Elliptic, count: int, geometric: bool) -> SolverResult:
    """Solves five-point differences by conjugate gradients with a multigrid cycle.

    For Helmholtz, whose matrix is indefinite, the cycle is that of the Laplacian alone and
    preconditions GMRES: cycles of the matrix itself diverge, and GMRES with them ends at no
    solution (`indefinite`).

    Args:
        problem: see `elliptic`.
        count: intervals per axis, a power of two.
        geometric: bilinear interpolation from grids of twice the spacing, Galerkin's matrices,
            symmetric Gauss-Seidel; else Ruge and Stueben's algebraic multigrid.
    """
    amg = package("pyamg")
    watch = Watch()
    residuals: list[float] = []
    with watch.timed():
        matrix, right = _differences(problem, count)
        definite = matrix + problem.wavenumber**2 * sparse.eye_array(len(right))
        hierarchy = _hierarchy(_narrow(definite), count, geometric)
        krylov = amg.krylov.gmres if problem.wavenumber else amg.krylov.cg
        u, failed = krylov(
            _narrow(matrix),
            right,
            tol=TOLERANCE,
            maxiter=MOST,
            M=hierarchy.aspreconditioner(),
            residuals=residuals,
        )
    iterations = len(residuals) - 1
    vectors = 2 * iterations if problem.wavenumber else 12  # GMRES keeps all of them
    cycle = 2 * matrix.nnz * (hierarchy.cycle_complexity() + 1)
    work = iterations * (cycle + vectors * len(u))
    left = relative_l2(matrix @ u, right)
    more = {"iterations": iterations, "converged": failed == 0, "residual": left}
    return SolverResult(_at_nodes(problem, u, count), watch.seconds, len(u), work, more)


def indefinite(problem: Elliptic, count: int, geometric: bool) -> dict[str, Any]:
    """Measures multigrid's cycles of Helmholtz' matrix itself, which `multigrid` does not use.

    Returns:
        the factor by which a cycle multiplies the residual; what residual GMRES claims to reach
        with the cycle as preconditioner (its residual is the preconditioned one), and the true
        residual and error there. None where numbers overflow.
    """
    amg = package("pyamg")
    matrix, right = _differences(problem, count)
    narrow = _narrow(matrix)
    hierarchy = _hierarchy(narrow, count, geometric)
    kind = "geometric" if geometric else "algebraic"
    row: dict[str, Any] = {"method": f"{kind} multigrid, cycles of the matrix itself"}
    left: list[float] = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyamg warns that numbers overflow
        hierarchy.solve(right, tol=TOLERANCE, maxiter=CYCLES, residuals=left)
        row["growth"] = (left[-1] / left[0]) ** (1 / (len(left) - 1))
        row |= {"claimed": None, "residual": None, "error": None}
        left = []
        try:
            cycle = hierarchy.aspreconditioner()
            u, _ = amg.krylov.gmres(
                narrow, right, tol=TOLERANCE, maxiter=MOST, M=cycle, residuals=left
            )
        except ValueError:  # pyamg meets infinite numbers
            return row
    row |= {"claimed": left[-1] / left[0], "residual": relative_l2(matrix @ u, right)}
    return {**row, "error": _at_nodes(problem, u, count)}


def elements(problem: Elliptic, count: int, degree: int) -> SolverResult:
    """Solves by triangles of scikit-fem, polynomials of degree 1 or 2, and sparse LU."""
    fem = package("skfem", "scikit-fem")
    watch = Watch()

    def at(function: Callable[[torch.Tensor], torch.Tensor], w: Any) -> Any:
        x = torch.from_numpy(np.stack([w.x[0].ravel(), w.x[1].ravel()], axis=1))
        return function(x).numpy().reshape(w.x[0].shape)

    def operator(u: Any, v: Any, w: Any) -> Any:
        a = at(lambda x: problem.coefficient(x)[:, 0], w)
        slopes = a * (u.grad[0] * v.grad[0] + u.grad[1] * v.grad[1])
        return slopes - problem.wavenumber**2 * u * v

    with watch.timed():
        line = np.linspace(0, 1, count + 1)
        mesh = fem.MeshTri.init_tensor(line, line)
        basis = fem.Basis(mesh, getattr(fem, f"ElementTriP{degree}")())
        matrix = fem.BilinearForm(operator).assemble(basis)
        right = fem.LinearForm(lambda v, w: -at(problem.source, w) * v).assemble(basis)
        inside = basis.complement_dofs(basis.get_dofs())
        factor = symmetric_lu(matrix[inside][:, inside])
        u = np.zeros(basis.N)
        u[inside] = factor.solve(right[inside])
    x = np.asarray(basis.global_coordinates())
    points = torch.from_numpy(np.stack([x[0].ravel(), x[1].ravel()], axis=1))
    exact = problem.exact(points).numpy().reshape(x[0].shape)
    miss = np.asarray(basis.interpolate(u)) - exact
    error = math.sqrt((miss**2 * basis.dx).sum() / (exact**2 * basis.dx).sum())
    return SolverResult(error, watch.seconds, len(inside), lu_work(factor))


def chebyshev(problem: Elliptic, degree: int) -> SolverResult:
    """Solves by collocation of polynomials of a degree on each axis, and dense LU."""
    watch = Watch()
    with watch.timed():
        slope = 2 * chebyshev_points.derivative_matrix(
            degree
        )  # the unit interval is half as long as [-1, 1]
        x = (chebyshev_points.points(degree) + 1) / 2
        points = _points(x[1:-1], x[1:-1])
        a, ax, ay = problem.coefficient(points).numpy().T
        one = np.eye(degree - 1)
        first, second = slope[1:-1, 1:-1], (slope @ slope)[1:-1, 1:-1]
        matrix = a[:, None] * (np.kron(second, one) + np.kron(one, second))
        matrix += ax[:, None] * np.kron(first, one) + ay[:, None] * np.kron(one, first)
        matrix += problem.wavenumber**2 * np.eye(len(points))
        u = linalg.solve(matrix, problem.source(points).numpy())
    n = len(u)
    error = relative_l2(u, problem.exact(points).numpy())
    return SolverResult(error, watch.seconds, n, 2 / 3 * n**3)
