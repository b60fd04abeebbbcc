"""The report at the end of a solve, from what its method knows and what the residuals say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

from .energy_check import fresh_energy, looked_at
from .few_points import notes_on_points
from .notes import warn
from .report import FRESH, Findings, Report, estimated_error, fresh_residuals, root_mean_squares

CUT = "the solve was cut short"


@dataclass(frozen=True)
class End:
    """How a solve has ended.

    Attributes:
        method, reason: name of the method, and why it was chosen.
        ended: why the solve ended.
        steps, seconds: in total.
        losses: [1 + terms], the last ones; empty if no step was taken.
    """

    method: str
    reason: str
    ended: str
    steps: int
    seconds: float
    losses: list[float]

    @property
    def broken_off(self) -> bool:
        """Whether the user has interrupted the solve."""
        return self.ended == "interrupted"


def closing_report(
    end: End, objective: Objective, examine: Callable[[], Findings], whole: bool
) -> Report:
    """Makes the report of a solve that has ended, a short one after Ctrl-C.

    Args:
        end: how the solve ended.
        objective: of the whole solve.
        examine: returns the findings of the method.
        whole: whether the points of the objective are those of the solve, not of one slab in turn.
    """
    problem, field = objective.problem, objective.field
    findings, fresh = Findings(), {}
    if not end.broken_off:
        findings = examine()
    if not end.broken_off and end.losses:
        sample = next(field.parameters())
        fresh = fresh_residuals(problem, field, sample.dtype, sample.device, findings.coupled)
        notes: list[str] = []
        if findings.unknown != CUT:
            notes = _notes(end, objective, fresh, findings, whole)
        if whole:
            findings = replace(findings, looked=looked_at(objective, FRESH) or "")
        for note in notes:
            warn(note)
        findings = replace(findings, notes=(*findings.notes, *notes))
    return Report(
        method=end.method,
        reason=end.reason,
        ended=end.ended,
        steps=end.steps,
        seconds=end.seconds,
        rms=root_mean_squares(problem, end.losses) if end.losses else {},
        fresh=fresh,
        error=estimated_error(problem, fresh, findings, end.ended == CONVERGED),
        findings=findings,
    )


def within_time(examine: Callable[[], Findings], seconds: float, asked: float | None) -> Findings:
    """Returns what the method knows, as far as there is time to find it out.

    Args:
        examine: returns the findings of the method.
        seconds: spent so far.
        asked: how long the solve may take; None for no limit.
    """
    limit = math.inf if asked is None else asked
    if seconds >= limit:
        return Findings(unknown=CUT)
    try:
        with deadline.until(limit - seconds + deadline.allowance(limit) / 2):
            findings = examine()
            if isinstance(findings, Findings):
                return findings
            return Findings(unknown="the method returned no findings")
    except deadline.OutOfTime:
        return Findings(unknown=CUT)
    except (RuntimeError, ArithmeticError, MemoryError, ValueError) as error:
        # The answer stands without them.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return Findings(unknown=f"the problem could not be examined ({first})")


def _notes(
    end: End, objective: Objective, fresh: dict[str, float], findings: Findings, whole: bool
) -> list[str]:
    """Returns notes on residuals and energies between the points."""
    problem = objective.problem
    notes = notes_on_points(
        problem,
        objective.field,
        root_mean_squares(problem, end.losses),
        fresh,
        converged=end.ended == CONVERGED,
        left_out=findings.coupled,
        weights=findings.weights,
    )
    if whole:
        energies = [fresh_energy(objective, place) for place in range(len(problem.terms))]
        notes += [note for note in energies if note is not None]
    return notes
