"""Adapt: what a solve that refines its own grid is to reach."""

from __future__ import annotations

from dataclasses import dataclass

from dinfgrid_cuda.checks import check_real, check_whole


@dataclass(frozen=True)
class Adapt:
    """Refines the grid where the residuals between the points are large, round after round.

        dg.solve(problem, field, adapt=dg.Adapt(error=1e-6))
        dg.solve(problem, field, adapt=dg.Adapt(unknowns=50_000, seconds=30))

    Each round solves, looks at the residuals in every cell, adds local levels over the cells that
    hold most of the loss, and goes on from the solution. It ends with the first of these.

    Args:
        error: root mean square error of u, relative to u itself, by how far u moves from round to
            round.
        unknowns: largest number of features that a grid may get.
        seconds: time after which no further round begins; None for any.
        rounds: largest number of solves.

    Raises:
        TypeError, ValueError: one line that names the argument; also where neither ``error`` nor
            ``unknowns`` nor ``seconds`` says when to end.
    """

    error: float | None = None
    unknowns: int | None = None
    seconds: float | None = None
    rounds: int = 40

    def __post_init__(self) -> None:
        if self.error is None and self.unknowns is None and self.seconds is None:
            raise ValueError("Adapt: nothing says when to end; pass error, unknowns or seconds.")
        for name in ("error", "seconds"):
            if getattr(self, name) is not None:
                check_real("Adapt", name, getattr(self, name), positive=True)
        for name in ("unknowns", "rounds"):
            if getattr(self, name) is not None:
                value = check_whole("Adapt", name, getattr(self, name), 1)
                object.__setattr__(self, name, value)
