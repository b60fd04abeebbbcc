"""Balanced weights: boundary terms and data weigh as much as the equation near them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from dinfgrid_cuda.geometry.regions import Boundary, Interior, Points
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.term import Term

from .normal_operator import NormalOperator
from .unknowns import linear_field

# A weight that is wrong by a smaller factor changes neither the solution nor the condition much.
NOTICEABLE = 10.0


def balance_scales(normal: NormalOperator, objective: Objective) -> dict[int, float]:
    """Returns the scales that balance the weights of terms, by the terms' places.

    For an equation of order m the rows of a Dirichlet term must be scaled like h^(1/2 - m) for
    both to stay comparable as cells are refined: h^(-3/2) for order 2. The matrix itself knows
    more: coefficients, anisotropic cells, derivatives in the boundary condition. So the scale makes
    the mean diagonal entry that a term on `Boundary`, or one with data on `Points`, adds to a
    feature near it equal to that of the equations on `Interior`. The user's own weights are left
    out of this comparison and count on top of it. Data whose ``noise`` is known weigh no more than
    `_noise_limit`. Energies are left alone: there a weight is a penalty, whose size is the user's
    to choose.

    Args:
        normal: the problem linearised where it is to be balanced, at the objective's weights.
        objective: the problem; unless all of its terms are squares, nothing is balanced.
    """
    if not objective.squares:
        return {}
    terms = objective.problem.terms
    scales = equalising_scales(terms, lambda index: mean_diagonal(normal, index))
    for index in scales:
        if terms[index].noise is not None:
            limit = _noise_limit(normal, objective, index) / objective.weights[index]
            scales[index] = min(scales[index], limit)
    return scales


def equalising_scales(
    terms: Sequence[Term], mean_diagonal_of: Callable[[int], float]
) -> dict[int, float]:
    """Returns the scales that make mean diagonal entries alike, limits by noise left out.

    Args:
        terms: of the problem.
        mean_diagonal_of: gives that of a term's A' A, at its present weight, by its place.
    """
    sides, inside = sides_and_equations(terms)
    if not sides or not inside:
        return {}
    density = sum(mean_diagonal_of(i) / terms[i].weight for i in _weighted(terms, inside))
    densities = {index: mean_diagonal_of(index) for index in sides}
    return {
        index: terms[index].weight * density / side_density
        for index, side_density in densities.items()
        if side_density > 0 and density > 0
    }


def _weighted(terms: Sequence[Term], places: list[int]) -> list[int]:
    """Returns those of some places of terms whose weight is not zero."""
    return [index for index in places if terms[index].weight]


def balance(normal: NormalOperator, objective: Objective) -> None:
    """Balances the weights, in the matrix and in the objective, by `balance_scales`."""
    normal.scale_weights(objective, balance_scales(normal, objective))


def weigh_extension(normal: NormalOperator, objective: Objective) -> None:
    """Sets the weight of the extension of a field on a shape by the equations' rows."""
    if normal.extension is None:
        return
    terms = objective.problem.terms
    inside = [i for i, term in enumerate(terms) if not isinstance(term.region, Boundary)]
    sizes = [mean_diagonal(normal, index) for index in inside or range(len(terms))]
    normal.extension.extension.weigh(sum(sizes))


def noticeable(scales: dict[int, float]) -> bool:
    """Whether some weight is far from balanced."""
    return any(not 1 / NOTICEABLE <= scale <= NOTICEABLE for scale in scales.values())


def sides_and_equations(terms: Sequence[Term]) -> tuple[list[int], list[int]]:
    """Returns places of the terms to balance, and of the equations to compare them with.

    Without a term on `Interior` the terms that are not on `Boundary` are the equations.
    """
    on_boundary = [i for i, term in enumerate(terms) if isinstance(term.region, Boundary)]
    inside = [i for i, term in enumerate(terms) if isinstance(term.region, Interior)]
    if not inside:
        return on_boundary, [i for i in range(len(terms)) if i not in on_boundary]
    measured = [i for i, term in enumerate(terms) if has_data(term)]
    return sorted({*on_boundary, *measured}), inside


def has_data(term: Term) -> bool:
    """Whether a term compares u with measured values at points."""
    return isinstance(term.region, Points) and term.data is not None


def mean_diagonal(normal: NormalOperator, index: int) -> float:
    """Returns the mean diagonal entry of a term's A' A over the features that its points see."""
    traces = [operator.trace() for operator in normal.operators_of_terms[index]]
    return sum(trace for trace, _ in traces) / max(1, sum(seen for _, seen in traces))


def _noise_limit(normal: NormalOperator, objective: Objective, index: int) -> float:
    """Returns the largest weight of data with noise: weight (s / noise)^2 b_equation / b_data.

    b is the sum of a term's squared coefficients of D^alpha u over L^(2 |alpha|), L the sides of
    the box, and s the standard deviation of the data: an equation of order m of a function as
    large as the data leaves s^2 b in the loss if the function varies over the box, k^(2m) times as
    much if it varies k times as fast. With this weight the data are followed up to the k where
    k^m = s / noise, which is where the solution of an equation with a rough right-hand side falls
    below the noise (its coefficients fall like k^-m): there a Wiener filter ends as well.
    """
    terms, term = objective.problem.terms, objective.problem.terms[index]
    assert term.noise is not None
    inside = _weighted(terms, sides_and_equations(terms)[1])
    sizes = [_size_on_box(normal, objective, i) / terms[i].weight for i in inside]
    data_size = _size_on_box(normal, objective, index) / objective.weights[index]
    spread = _spread(objective, index)
    if not data_size > 0 or not spread > 0 or not sum(sizes) > 0:
        return math.inf
    return term.weight * (spread / term.noise) ** 2 * sum(sizes) / data_size


def _size_on_box(normal: NormalOperator, objective: Objective, index: int) -> float:
    """Returns the sum over a term's rows of squared slopes over L^(2 |alpha|)."""
    lengths, total = objective.problem.domain.lengths, 0.0
    for operator in normal.operators_of_terms[index]:
        slopes = operator.slopes
        squares = slopes.square().sum(dim=(0, 1, 3)) * (len(operator.x) / len(slopes))
        for alpha, square in zip(operator.alphas, squares.tolist(), strict=True):
            total += square / math.prod(
                length ** (2 * count) for length, count in zip(lengths, alpha, strict=True)
            )
    return total


@torch.no_grad()
def _spread(objective: Objective, index: int) -> float:
    """Returns the standard deviation of a data term's residual over its points at zero features."""
    field, term = linear_field(objective), objective.problem.terms[index]
    x, data, _ = objective.points(index, 0)
    zero = torch.zeros_like(field.gather(x, term.order))
    residual: Any = term.evaluate(x, field.decode(x, zero, term.order), data)
    residual = residual.reshape(len(x), -1)
    about_mean = residual - residual.mean(dim=0)
    spread = float(about_mean.abs().square().mean().sqrt())
    return spread if spread > 0 else float(residual.abs().square().mean().sqrt())
