"""What a classical solver returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """The error that a solver reached, and what it took.

    Attributes:
        error: relative L2 at the solver's own nodes, in space and time where there is time; for
            images the PSNR in dB.
        seconds: assembly and solve; imports and the measurement of the error are not counted.
        unknowns: numbers solved for, or carried from one time to the next.
    """

    error: float
    seconds: float
    unknowns: int
