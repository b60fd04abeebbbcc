"""What problems in time share: values over time, errors, animations, files; time is axis 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from dinfgrid_cuda import (
    Boundary,
    Box,
    BoxConstraint,
    Constraint,
    Interior,
    Jet,
    Lattice,
    LeastSquares,
    Stratified,
    Term,
)
from dinfgrid_cuda.geometry.box import Face
from dinfgrid_cuda.suite.tools.case import Measure, Setup, Writer, option
from dinfgrid_cuda.suite.tools.evaluation import component, lattice
from dinfgrid_cuda.suite.tools.vtk import write_image

Array = npt.NDArray[np.float64]
Function = Callable[[Tensor], Tensor]
Residual = Callable[[Tensor, Jet], Tensor]

CONDITIONS = ("polynomial", "distance", "soft")
CONDITIONS_HELP = (
    "How initial and boundary values hold: exactly, by a polynomial factor or the paper's "
    "(distance), or softly, as terms of the loss; by default distance with --config paper, "
    "otherwise {}."
)
FRAMES = 36


def conditions_option(default: str = "polynomial") -> Any:
    """The option --conditions of a case, with its help."""
    return option(None, CONDITIONS_HELP.format(default), choices=CONDITIONS)


def is_paper(setup: Setup) -> bool:
    """Whether a setup goes back to the paper's."""
    return setup.config == "paper"


def conditions_of(conditions: str | None, setup: Setup, default: str = "polynomial") -> str:
    """The conditions that hold in a setup, where the user may have left the choice open."""
    return conditions or ("distance" if is_paper(setup) else default)


def box_constraint(conditions: str, value: Function, faces: Sequence[Face]) -> Constraint | None:
    """The hard constraint of one of `CONDITIONS`, or None where they are soft."""
    return None if conditions == "soft" else BoxConstraint(value, faces, factor=conditions)


def lattice_shape(setup: Setup, dim: int) -> tuple[int, ...]:
    """The numbers of points per axis, about ``setup.points`` in all, in proportion to the cells.

    At least two per cell and axis for a direct solve: fewer do not determine the features.
    """
    cells = setup.cells_per_axis(dim)
    scale = (setup.points / math.prod(cells)) ** (1 / dim)
    if isinstance(setup.method, LeastSquares):
        scale = max(2.0, scale)
    return tuple(max(1, round(n * scale)) for n in cells)


def interior(shape: tuple[int, ...], conditions: str, setup: Setup) -> Interior:
    """The region inside with its points: new ones each step for Adam, else a regular lattice.

    Regular ones go from face to face: next to a face a polynomial factor hides the features. Under
    the distance factor, whose slope is zero on a face, no features satisfy an equation there: then
    the points keep half a spacing away.
    """
    if setup.method.resamples:
        return Interior(Stratified(shape))
    return Interior(Lattice(shape, ends=conditions != "distance"))


def equation(
    residual: Residual, order: int, shape: tuple[int, ...], conditions: str, setup: Setup
) -> Term:
    """The term of the equation, of squares; in the paper's code the mean modulus at random points.

    Args:
        residual: of the equation.
        order: of its derivatives.
        shape: points per axis.
        conditions: of `CONDITIONS`.
    """
    if not (is_paper(setup) and setup.method.resamples):
        return Term("equation", interior(shape, conditions, setup), residual, order)

    def modulus(x: Tensor, u: Jet) -> Tensor:
        return residual(x, u).abs()

    random = Interior(Stratified())
    return Term("equation", random, modulus, order, points=setup.points, loss="mean")


def faces(chosen: Sequence[Face], shape: tuple[int, ...], setup: Setup) -> Boundary:
    """The region of some faces, each with the points of a lattice of ``shape``, an axis less."""
    sampler = Stratified(shape) if setup.method.resamples else Lattice(shape, ends=True)
    return Boundary(tuple(chosen), sampler)


def soft_weight(setup: Setup) -> float:
    """The weight of terms for given values; least squares balances them by itself."""
    return 1.0 if isinstance(setup.method, LeastSquares) else 100.0


class FromFaces:
    """A function that takes given values on faces, and is blended between them (Coons).

    With the projector of an axis, (P f)(x) = sum over its faces of (1 - s) f(x moved to the face),
    s the distance to the face in lengths of the box, it is 1 - (1 - P_1)(1 - P_2)... applied to f
    (Gordon and Hall, Numer. Math. 21, 1973). f is never asked for away from the faces.

    Args:
        box: the box.
        faces: pairs (axis, "lower" | "upper").
        values: f(x) [N] at points x [N, dim] of the faces.
    """

    def __init__(self, box: Box, faces: Sequence[Face], values: Function) -> None:
        self.values = values
        self.axes: dict[int, list[tuple[float, float]]] = {}
        for axis, side in faces:
            at = (box.lower if side == "lower" else box.upper)[axis]
            inward = 1.0 if side == "lower" else -1.0
            self.axes.setdefault(axis, []).append((at, inward / box.lengths[axis]))

    def __call__(self, x: Tensor) -> Tensor:
        """The values [N] at points x [N, dim]."""
        return self._blend(x, tuple(self.axes))

    def _blend(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """The blend P_a (1 - R) + R = 1 - (1 - P_a)(1 - R), R being that of the other axes."""
        axis, *rest = axes
        others = tuple(rest)
        total = self._blend(x, others) if others else x.new_zeros(len(x))
        for at, scale in self.axes[axis]:
            moved = x.index_fill(1, x.new_tensor([axis]).long(), at)
            value = self.values(moved)
            if others:
                value = value - self._blend(moved, others)
            total = total + (1 - scale * (x[:, axis] - at)) * value
        return total


@dataclass(frozen=True)
class Samples:
    """A field and its reference on a lattice from face to face.

    Attributes:
        box: of (t, x, ...).
        u, exact: [times, *space].
    """

    box: Box
    u: Array
    exact: Array

    @cached_property
    def error(self) -> Array:
        """The difference u - exact, [times, *space]."""
        return self.u - self.exact

    @property
    def times(self) -> Array:
        """The times, [times]."""
        return np.linspace(self.box.lower[0], self.box.upper[0], len(self.u))

    @property
    def points(self) -> Array:
        """The positions on the first axis of space."""
        return np.linspace(self.box.lower[1], self.box.upper[1], self.u.shape[1])

    def over_time(self) -> dict[str, Array]:
        """The columns of errors at each time: mean and largest modulus, relative L2."""
        error = np.abs(self.error.reshape(len(self.u), -1))
        size = np.linalg.norm(self.exact.reshape(len(self.exact), -1), axis=1)
        nonzero = size > 1e-12 * size.max()  # a bump may have left the box
        relative = np.full(len(size), np.nan)
        np.divide(np.linalg.norm(error, axis=1), size, out=relative, where=nonzero)
        return {
            "time": self.times,
            "mean_error": error.mean(axis=1),
            "max_error": error.max(axis=1),
            "relative_l2": relative,
        }

    def measures(self, unit: str = "1") -> dict[str, Measure]:
        """The errors over all of space and time."""
        error = np.abs(self.error)
        where = " x ".join(map(str, self.u.shape)) + " lattice of time and space"
        relative = float(np.linalg.norm(self.error) / np.linalg.norm(self.exact))
        return {
            "mean_error": Measure(float(error.mean()), unit, f"mean |found - exact|, {where}"),
            "relative_l2": Measure(relative, "1", f"||found - exact|| / ||exact||, {where}"),
            "max_error": Measure(float(error.max()), unit, f"largest |found - exact|, {where}"),
        }


def sample(field: nn.Module, exact: Function, box: Box, shape: tuple[int, ...]) -> Samples:
    """Samples a field and the exact function [N] of the points on a lattice of this shape."""
    values = exact(lattice(box, shape)).reshape(shape).numpy()
    return Samples(box, component(field, box, shape), values)


def csv_writer(columns: dict[str, Array]) -> Writer:
    """A function that writes columns of equal length with their names, as CSV."""

    def write(path: Path) -> None:
        table = np.stack(list(columns.values()), axis=1)
        np.savetxt(path, table, fmt="%.9g", delimiter=",", header=",".join(columns), comments="")

    return write


def vti_writer(samples: Samples) -> Writer:
    """A function that writes u, exact and error as a VTK image: axes x, (y,) t, time last."""

    def write(path: Path) -> None:
        box, axes = samples.box, [*range(1, samples.box.dim), 0]
        arrays = {"found": samples.u, "exact": samples.exact, "error": samples.error}
        single = {name: array.transpose(axes).astype(np.float32) for name, array in arrays.items()}
        write_image(path, [box.lower[a] for a in axes], [box.upper[a] for a in axes], single)

    return write
