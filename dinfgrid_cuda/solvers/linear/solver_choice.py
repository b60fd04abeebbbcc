"""The linear solvers of least squares, as values that `LeastSquares` takes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Direct:
    """A sparse Cholesky factor of the normal matrix, refined by conjugate gradients on the rows.

    It needs memory: `LeastSquares` says how much before it starts.
    """


@dataclass(frozen=True)
class MatrixFree:
    """Conjugate gradients without a matrix.

    On lattices fast diagonalisation preconditions: it needs the memory of a few vectors, and few
    iterations where coefficients vary little. On shapes overlapping boxes of features and a coarse
    grid do: about ten times the memory of the features' rows, and some hundred iterations.
    """


LinearSolver = Direct | MatrixFree
AUTO = "auto"
NAMES: dict[str, LinearSolver | str] = {
    AUTO: AUTO,
    "direct": Direct(),
    "matrix-free": MatrixFree(),
}


def linear_solver(where: str, value: Any) -> LinearSolver | str:
    """Returns the linear solver that a value or name stands for; "auto" stays as it is.

    Raises:
        ValueError: for another name, with the nearest.
        TypeError: for another kind of value, such as a class in place of an instance.
    """
    if isinstance(value, LinearSolver):
        return value
    if isinstance(value, str):
        if value in NAMES:
            return NAMES[value]
        near = difflib.get_close_matches(value, NAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"{where}: linear is {value!r}, but it must be one of {(*NAMES,)}{hint}")
    given = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
    raise TypeError(f"{where}: linear is {given}; pass Direct(), MatrixFree() or 'auto'.")


def route_name(solver: LinearSolver | str) -> str:
    """Returns the name of the route that goes with a linear solver, for reports."""
    return next(name for name, known in NAMES.items() if known == solver)
