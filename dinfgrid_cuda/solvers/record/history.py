"""The record of a solve: one row of losses per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class History:
    """Holds the losses of every step of a solve.

    Attributes:
        names: of the terms.
        steps: step numbers, from 0.
        totals: weighted sum of the terms, at each of the steps.
        terms: mean square (or mean) of each term, unweighted; rows in the order of ``steps``.
        seconds: since the start of the solve, interruptions not counted.
    """

    names: tuple[str, ...]
    steps: list[int] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    terms: list[tuple[float, ...]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, step: int, losses: list[float], seconds: float) -> None:
        """Appends ``losses`` [1 + terms]: the weighted sum, then the terms."""
        self.steps.append(step)
        self.totals.append(losses[0])
        self.terms.append(tuple(losses[1:]))
        self.seconds.append(seconds)

    def term(self, name: str) -> list[float]:
        """Mean squares, or means, of one term."""
        column = self.names.index(name)
        return [row[column] for row in self.terms]

    def last(self) -> list[float]:
        """Losses [1 + terms] of the last step, as they were added; empty before the first."""
        return [self.totals[-1], *self.terms[-1]] if self.totals else []

    @property
    def columns(self) -> tuple[Sequence[Any], ...]:
        """Returns all columns, each with one entry a step."""
        return self.steps, self.totals, self.terms, self.seconds

    def tensors(self) -> dict[str, Tensor]:
        """The record as float64 and int64 tensors, exact."""
        rows = torch.tensor(self.terms, dtype=torch.float64).reshape(-1, len(self.names))
        return {
            "steps": torch.tensor(self.steps, dtype=torch.int64),
            "totals": torch.tensor(self.totals, dtype=torch.float64),
            "terms": rows,
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
        }

    @staticmethod
    def from_tensors(names: tuple[str, ...], tensors: dict[str, Tensor]) -> History:
        """The inverse of `tensors`."""
        return History(
            names,
            tensors["steps"].tolist(),
            tensors["totals"].tolist(),
            [tuple(row) for row in tensors["terms"].tolist()],
            tensors["seconds"].tolist(),
        )
