"""Solutions of a problem on other grids, beside the one whose error is looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.geometry.samplers import Sobol
from dinfgrid_cuda.problem.problem import Problem

from .choose import choose
from .diagnosis.error_sequence import (
    NEAR_ROUNDING,
    ROUNDING,
    SLOW,
    Estimate,
    by_order,
    found,
    from_sequence,
    total,
    unknown,
)
from .diagnosis.few_points import residuals_at_zero
from .diagnosis.report import Report, fresh_residuals
from .methods.least_squares import LeastSquares
from .methods.reference_field import Discretisation, of_field, reference, with_points
from .record.stopping import CONVERGED, Stop
from .solve import solve

# A grid is better where it differs from u by this part of what others differ.
CLEAR = 0.35
# Differences of this part of u are not trusted without a third grid.
ROUGH = 0.1
# Estimates by two finer grids that differ by more than this contradict each other.
APART = 5.0
# A grid of more cells has this many times the unknowns, on a line this many times the cells.
MORE, MORE_ON_LINE = 2.0, 1.5
# The coarser grid has this part of the cells of u on each axis.
LESS = 0.5
# Points at which fields are compared, and residuals are looked at; on a line more.
POINTS, LOOKED, LOOKED_ON_LINE = 1 << 13, 1 << 15, 1 << 18
POINTS_SEED, CHUNK = 11, 1 << 15
# Residuals that have fallen to this part, or to this part of those of u = 0, are fine.
FALLEN, SMALL = 0.9, 1e-3

# How notes of a report on what the terms leave open begin, and what they say of constants.
OPEN, CONSTANT = "u is not determined", "up to a constant"
# What a solve raises that is not possible.
FAILURES = (RuntimeError, ArithmeticError, MemoryError, ValueError, TypeError, IndexError)


@dataclass(frozen=True)
class Look:
    """Another solution of the problem.

    Attributes:
        values: u at the points of comparison [N, out], float64.
        parameters: the unknown numbers of the problem, by name.
        field: it.
        report: of its solve.
        ended: why it ended.
    """

    values: Tensor
    parameters: dict[str, Tensor]
    field: nn.Module
    report: Report
    ended: str

    @property
    def settled(self) -> bool:
        """Whether it is a solution."""
        return self.ended == CONVERGED or self.ended.startswith("stopped by rounding")


class Comparison:
    """The solutions of a problem on other grids, beside the one whose error is looked for."""

    def __init__(self, problem: Problem, field: Field | SlabField, seconds: float | None) -> None:
        self.problem, self.field = problem, field
        self.stop = None if seconds is None else Stop(seconds=seconds)
        self.spec = (field.part(0) if isinstance(field, SlabField) else field).grid.spec
        self.x = Interior(Sobol()).sample(POINTS, problem.domain, POINTS_SEED, dtype=torch.float64)
        self.u = self.values(field)
        self.known = {name: p.detach().clone() for name, p in problem.parameters.items()}
        self.flat = False

    def estimate(self) -> Estimate:
        """The error of u."""
        if not bool(self.u.isfinite().all()):
            return unknown("u is not finite")
        here = of_field(self.field)
        up = MORE_ON_LINE if self.spec.dim == 1 else MORE ** (1 / self.spec.dim)
        raised = here.raised()
        fine = self.solved(raised or here.scaled(up))
        obstacle = self.obstacle(fine)
        if obstacle:
            return unknown(obstacle)
        coarse = self.coarse(here)
        left_open = [_left_open(look) for look in (fine, coarse) if look is not None]
        if all(left_open):
            # One grid alone may say so of few cells with B-splines of high degree.
            return unknown("the terms do not determine u")
        result = self.judged(coarse, fine, 0.0 if raised else up)
        if result.rms is None:
            by = up if raised else up * up
            result = self.judged_by_three(coarse, fine, self.solved(here.scaled(by)), by, result)
        return self.finished(result, fine)

    def values(self, field: nn.Module) -> Tensor:
        """u at the points of comparison, float64 on the CPU."""
        sample = next(field.parameters())
        with torch.no_grad():
            parts = [field(x.to(sample)).double().cpu() for x in self.x.split(CHUNK)]
        return torch.cat(parts)

    def coarse(self, here: Discretisation) -> Look | None:
        """The solution on fewer cells; None where there is none."""
        try:
            look = self.solved(here.scaled(LESS))
        except FAILURES:
            return None
        return look if look.settled and bool(look.values.isfinite().all()) else None

    def solved(self, new: Discretisation) -> Look:
        """The solution by another discretisation, in float64 where the residuals allow that."""
        own = next(self.field.parameters()).dtype
        problem = with_points(self.problem, self.spec, new)
        try:
            return self._solved(problem, new, torch.float64)
        except FAILURES:
            if own == torch.float64 and problem is self.problem:
                raise
        # Residuals may hold a number for each of their points, or be of another precision.
        return self._solved(self.problem, new, own)

    def _solved(self, problem: Problem, new: Discretisation, dtype: torch.dtype) -> Look:
        other = reference(self.field, new, dtype)
        choice = choose(problem, other)
        method = "auto" if choice.linear else LeastSquares()
        guess = None if choice.linear else self.field
        result = solve(problem, other, method, guess=guess, stop=self.stop, progress=False)
        numbers = {name: p.detach().clone() for name, p in self.problem.parameters.items()}
        put_back(self.problem, self.known)
        return Look(self.values(other), numbers, other, result.report, result.reason)

    def obstacle(self, fine: Look) -> str:
        """Why the finer solution tells nothing; empty if it does."""
        if not fine.settled:
            return f"the solve on a finer grid ended so: {fine.ended}"
        if not bool(fine.values.isfinite().all()):
            return "the solution on a finer grid is not finite"
        self.flat = any(CONSTANT in note for note in fine.report.findings.notes)
        return self._residuals_stay(fine)

    def _residuals_stay(self, fine: Look) -> str:
        """Says so if the residuals are not smaller on the finer grid, and not small."""
        count = LOOKED_ON_LINE if self.spec.dim == 1 else LOOKED
        sample = next(fine.field.parameters())
        kind = (sample.dtype, sample.device)
        left_out = fine.report.findings.coupled
        there = fresh_residuals(self.problem, fine.field, *kind, left_out, count)
        own = next(self.field.parameters())
        here = fresh_residuals(self.problem, self.field, own.dtype, own.device, left_out, count)
        zero = residuals_at_zero(self.problem, fine.field)
        names = [name for name in there if name in here and name in zero]
        weights = fine.report.findings.weights

        def summed(values: dict[str, float]) -> float:
            return float(sum(weights.get(name, 1.0) * values[name] ** 2 for name in names) ** 0.5)

        after, before, nothing = summed(there), summed(here), summed(zero)
        if after > FALLEN * before and after > SMALL * nothing:
            return (
                f"the residuals between the points do not fall on a finer grid ({before:.0e} to "
                f"{after:.0e}): u has a limit that solves another problem, or details that the "
                "grids do not see"
            )
        return ""

    def apart(self, a: Tensor, b: Tensor) -> list[float]:
        """Root mean squares of the components of a difference, without its mean if u has none."""
        difference = a - b
        if self.flat:
            difference = difference - difference.mean(dim=0)
        return [float(one) for one in difference.square().mean(dim=0).sqrt()]

    @property
    def sizes(self) -> list[float]:
        """Root mean squares of the components of u."""
        return self.apart(self.u, torch.zeros_like(self.u))

    def judged(self, coarse: Look | None, fine: Look, up: float) -> Estimate:
        """The error by a coarser and a finer solution.

        Args:
            up: the finer one has so many times the cells on each axis; 0 if its degree is higher.
        """
        size, error = total(self.sizes), self.apart(self.u, fine.values)
        if total(error) <= ROUNDING * size:
            return from_sequence([error, error], self.sizes)
        if total(error) > ROUGH * size:
            return unknown(f"finer grids differ by {total(error) / size:.0e} of u")
        if coarse is None:
            return unknown("a coarser grid has no solution")
        below = self.apart(coarse.values, self.u)
        others = self.apart(coarse.values, fine.values)
        if min(total(error) / total(below), total(others) / total(error)) <= CLEAR:
            fits = [
                e <= SLOW * b or o <= SLOW * e for e, b, o in zip(error, below, others, strict=True)
            ]
            return found(_where(fits, error), total(error), size)
        return self._by_order(below, error, up, "") if up else _stuck(total(error) / size)

    def judged_by_three(
        self, coarse: Look | None, fine: Look, third: Look, up: float, otherwise: Estimate
    ) -> Estimate:
        """The error by a third solution too, with ``up`` times the cells on each axis."""
        if not third.settled or not bool(third.values.isfinite().all()):
            return otherwise
        size = total(self.sizes)
        first, second = self.apart(self.u, fine.values), self.apart(self.u, third.values)
        between = self.apart(fine.values, third.values)
        largest = [max(pair) for pair in zip(first, second, strict=True)]
        if total(between) <= CLEAR * min(total(first), total(second)):
            fits = [b <= SLOW * min(a, c) for a, b, c in zip(first, between, second, strict=True)]
            return found(_where(fits, largest), total(largest), size)
        if total(largest) <= NEAR_ROUNDING * size:
            reason = "finer grids differ by no less: rounding"
            return found(largest, total(largest), size, reason, True)
        if coarse is None or total(largest) > ROUGH * size:
            return otherwise
        limit = self._by_order(self.apart(coarse.values, self.u), second, up, otherwise.reason)
        if limit.rms is None or not 1 / APART <= limit.rms / total(first) <= APART:
            return otherwise
        return limit

    def _by_order(
        self, below: list[float], above: list[float], up: float, otherwise: str
    ) -> Estimate:
        """The error by the order of convergence from grid to grid."""
        size = total(self.sizes)
        whole = by_order(total(below), total(above), 1 / LESS, up)
        if whole is None:
            return unknown(otherwise) if otherwise else _stuck(total(above) / size)
        each = [by_order(b, a, 1 / LESS, up) for b, a in zip(below, above, strict=True)]
        return found(each, whole, size)

    def finished(self, result: Estimate, fine: Look) -> Estimate:
        """The estimate with what else is known of the error."""
        if result.rms is None:
            return result
        largest = self.u - fine.values
        remarks = []
        if self.flat:
            largest = largest - largest.mean(dim=0)
            remarks.append("up to a constant, which the terms leave open")
        if any(term.data is not None for term in self.problem.terms):
            remarks.append("of the discretisation, without that of the data")
        parameters = {
            name: float((p.double() - fine.parameters[name].double()).abs().max())
            for name, p in self.known.items()
        }
        return replace(
            result,
            largest=float(largest.abs().max()),
            parameters=parameters,
            remark="; ".join(remarks),
        )


def _where(sure: list[bool], errors: list[float]) -> list[float | None]:
    """The errors that are sure, None in place of others."""
    return [error if one else None for one, error in zip(sure, errors, strict=True)]


def _left_open(look: Look) -> bool:
    """Whether the report of a solution says that it is one of many that are no constant apart."""
    notes = look.report.findings.notes
    return any(note.startswith(OPEN) and CONSTANT not in note for note in notes)


def _stuck(part: float) -> Estimate:
    return unknown(f"grids do not converge yet: a finer one still differs by {part:.0e} of u")


def put_back(problem: Problem, values: dict[str, Tensor]) -> None:
    """Sets the unknown numbers of a problem."""
    with torch.no_grad():
        for name, value in values.items():
            problem.parameters[name].copy_(value)
