"""Points of terms with an `Adaptive` sampler: drawn where the residual is large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.geometry.adaptive import Adaptive
from dinfgrid_cuda.geometry.samplers import generator, mix

from .given import Numbers
from .point_sum import PointSum
from .problem import Problem
from .term import DEFAULT_POINTS, Term

# torch.multinomial takes no more.
MOST_CANDIDATES = 2**24
# Apart from the seeds of the candidates themselves.
DRAW = 0x5EED


def sampler_of(term: Term) -> Adaptive | None:
    """The `Adaptive` sampler of a term, or None."""
    sampler = getattr(term.region, "sampler", None)
    return sampler if isinstance(sampler, Adaptive) else None


def check_adaptive(problem: Problem, resample: bool) -> None:
    """Raises ValueError where a term's `Adaptive` sampler cannot be followed.

    Args:
        resample: whether new points are drawn for each step.
    """
    for term in problem.terms:
        sampler = sampler_of(term)
        if sampler is None:
            continue
        if not resample:
            raise ValueError(
                f"term {term.name!r}: Adaptive(...) draws new points for each step, but this "
                "method keeps its points; solve with method=dg.Adam(), or leave the sampler out."
            )
        if term.is_energy and not sampler.unbiased:
            raise ValueError(
                f"term {term.name!r}: the mean of an energy over points of another density is "
                "another energy; pass Adaptive(unbiased=True)."
            )
        count = sampler.candidates * (term.points or DEFAULT_POINTS)
        if count > MOST_CANDIDATES:
            raise ValueError(
                f"term {term.name!r}: Adaptive would choose among {count} candidates, more than "
                f"{MOST_CANDIDATES}; ask for fewer points or candidates."
            )


class AdaptivePoints:
    """Draws the points of a problem's terms with an `Adaptive` sampler.

    A draw depends on the seed, the step and the residuals at the last step that is a multiple of
    ``every``: with `residuals` in a checkpoint a resumed solve draws the same points.

    Args:
        problem: the terms.
        seed: of the points.
        point_sum: where points are summed; each process evaluates its share of the candidates.

    Attributes:
        residuals: by the place of the term, moduli of its residual at the candidates, [M]; never
            changed in place.
    """

    def __init__(self, problem: Problem, seed: int, point_sum: PointSum) -> None:
        self.problem, self.seed, self.point_sum = problem, seed, point_sum
        self.residuals: dict[int, Tensor] = {}
        self._steps: dict[int, int] = {}
        self._candidates: dict[int, tuple[Tensor, Numbers | None]] = {}

    def restore(self, residuals: dict[int, Tensor], step: int) -> None:
        """Goes on with the residuals of a checkpoint written after ``step`` steps."""
        self.residuals, self._candidates = dict(residuals), {}
        self._steps = {index: self._refreshed(index, max(0, step - 1)) for index in self.residuals}

    def draw(
        self, index: int, step: int, jet: Callable[[Tensor, int], Any], like: Tensor
    ) -> tuple[Tensor, Numbers | None, Tensor | None]:
        """Returns points [n, dim] of a term at a step, normals, and weights [n] in its mean.

        Args:
            index: place of the term.
            step: of the solve.
            jet: of the field as it is now.
            like: a tensor of the dtype and on the device of the points.
        """
        term = self.problem.terms[index]
        sampler = sampler_of(term)
        assert sampler is not None
        refreshed = self._refreshed(index, step)
        if self._steps.get(index) != refreshed:
            self._candidates.pop(index, None)
        if index not in self._candidates:
            self._candidates[index] = self._drawn(index, sampler, refreshed, like)
        x, numbers = self._candidates[index]
        count = term.points or DEFAULT_POINTS
        if len(x) <= count:  # the ends of a line
            return x, numbers, None
        if self._steps.get(index) != refreshed:
            self.residuals = {**self.residuals, index: self._evaluated(index, count, jet)}
            self._steps[index] = refreshed
        probabilities = sampler.probabilities(self.residuals[index].to(x.device))
        random = generator(mix(self.seed, index, DRAW), step, x.device)
        chosen = torch.multinomial(probabilities, count, sampler.unbiased, generator=random)
        weights = None
        if sampler.unbiased:
            weights = (1 / (len(x) * probabilities[chosen])).to(x.dtype)
        return x[chosen], None if numbers is None else numbers[chosen], weights

    def _refreshed(self, index: int, step: int) -> int:
        """The step at which the residual is evaluated for a step."""
        sampler = sampler_of(self.problem.terms[index])
        return 0 if sampler is None else step - step % sampler.every

    def _drawn(
        self, index: int, sampler: Adaptive, step: int, like: Tensor
    ) -> tuple[Tensor, Numbers | None]:
        """The candidates of a term, those of its region, and normals there."""
        term = self.problem.terms[index]
        more = replace(term, points=sampler.candidates * (term.points or DEFAULT_POINTS))
        seed = mix(self.seed, index)
        return more.draw(self.problem.domain, seed, step, like.dtype, like.device)

    @torch.no_grad()
    def _evaluated(self, index: int, count: int, jet: Callable[[Tensor, int], Any]) -> Tensor:
        """Moduli [M] of a term's residual at its candidates, ``count`` at a time."""
        term, (x, numbers) = self.problem.terms[index], self._candidates[index]
        mine = self.point_sum.share(torch.arange(len(x), device=x.device))
        sizes = x.new_zeros(len(x))
        for places in mine.split(count):
            points = x[places]
            own = None if numbers is None else numbers[places]
            residual = term.evaluate(points, jet(points, term.order), own)
            squares = residual.abs().square().reshape(len(points), -1)
            sizes[places] = squares.sum(dim=1).sqrt().to(sizes.dtype)
        self.point_sum.add_up([sizes])
        return sizes
