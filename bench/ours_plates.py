"""Our side of `bench.shapes`: a round plate, in strong form and by its energy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

import dinfgrid_cuda as dg
from dinfgrid_cuda.suite.cases.shape.round_plate import (
    RoundPlate,
    bending_moment,
    clamped_wave,
    clamped_wave_load,
    energy_density,
)

from .ours_on_shapes import Bounded, Grid, solved

WAVE = (4.0, -2.0)


def _disk() -> dg.Shape:
    return dg.Disk((0, 0), 1.0, name="rim")


class Clamped(dg.ShapeConstraint):
    """Holds deflection and slope at 0: the factor of the deflection alone, squared."""

    def factor_jet(self, x: Tensor, order: int) -> dg.Jet:
        """The square and its derivatives."""
        factor = super().factor_jet(x, order)
        return factor * factor


def _deflection(x: Tensor, w: dg.Jet) -> Tensor:
    return w.value


def _slope(x: Tensor, w: dg.Jet) -> Tensor:
    return w.normal_derivative


def _equation(x: Tensor, w: dg.Jet) -> Tensor:
    return w.bilaplacian - 1


def _strong(second: dg.Term, equation: dg.Term) -> tuple[dg.Shape, Sequence[dg.Term]]:
    return _disk(), [equation, dg.Term("deflection", dg.Boundary("rim"), _deflection), second]


def _clamped() -> dg.Term:
    return dg.Term("slope", dg.Boundary("rim"), _slope, order=1)


def plate_strong(quick: bool) -> Bounded:
    """A clamped plate, D Δ²w = q: the solution is a polynomial that quintic splines hold."""
    equation = dg.Term("pde", dg.Interior(), _equation, order=4)
    exact = RoundPlate().deflection
    return solved(partial(_strong, _clamped(), equation), Grid(6, 5), quick, exact)


def plate_simple(quick: bool) -> Bounded:
    """A plate with w = 0 and M_n = 0 on its rim, a polynomial as well."""
    plate = RoundPlate(support="simple")

    def moment(x: Tensor, w: dg.Jet) -> Tensor:
        return bending_moment(w.hessian[:, 0], w.normal, plate.nu)[:, None]

    equation = dg.Term("pde", dg.Interior(), _equation, order=4)
    second = dg.Term("moment", dg.Boundary("rim"), moment, order=2)
    return solved(partial(_strong, second, equation), Grid(6, 5), quick, plate.deflection)


def plate_wave(quick: bool) -> Bounded:
    """A clamped plate whose deflection is no polynomial, at the points of a quadrature.

    These are exact in the cells that the rim cuts as well, which is worth a factor of five.
    """

    def equation(x: Tensor, w: dg.Jet) -> Tensor:
        return w.bilaplacian - clamped_wave_load(x, 1.0, WAVE)[:, None]

    inside = dg.Interior(dg.GaussPoints(per_cell=4))
    term = dg.Term("pde", inside, equation, order=4)

    def exact(x: Tensor) -> Tensor:
        return clamped_wave(x, 1.0, WAVE)

    return solved(partial(_strong, _clamped(), term), Grid(36), quick, exact)


def plate_energy(quick: bool) -> Bounded:
    """A clamped plate by its energy; the factor holds the rim, times a smooth function."""
    plate = RoundPlate()

    def energy(x: Tensor, w: dg.Jet) -> Tensor:
        return energy_density(w.value[:, 0], w.hessian[:, 0], plate.nu)[:, None]

    def problem() -> tuple[dg.Shape, Sequence[dg.Term]]:
        return _disk(), [dg.Term("energy", dg.Interior(), energy, order=2, loss="mean")]

    return solved(problem, Grid(8), quick, plate.deflection, constraint=Clamped(_disk()))
