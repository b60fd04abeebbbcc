"""Where a nonlinear solve starts: a guess of the user's, or a fit of the terms that are linear."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels.multi_index import multi_indices
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.errors import SolveError
from dinfgrid_cuda.solvers.linear.balance import (
    balance,
    has_data,
    mean_diagonal,
    sides_and_equations,
)
from dinfgrid_cuda.solvers.linear.linearity import Thinned, is_quadratic
from dinfgrid_cuda.solvers.linear.linearize import residual_slopes
from dinfgrid_cuda.solvers.linear.normal_operator import NormalOperator
from dinfgrid_cuda.solvers.linear.points import fitted
from dinfgrid_cuda.solvers.linear.routes import choose_route, make_system
from dinfgrid_cuda.solvers.linear.unknowns import Unknowns, linear_field

Guess = Callable[[Tensor], Tensor] | float

# What the terms of a fit do not see is made smooth: second derivatives, in units of the box, weigh
# this much of u where it is given, so that of a wave k times over the box k^4 of it is lost; and u
# itself, which second derivatives leave open, weighs less still.
BEND, SIZE = 1e-8, 1e-10
# Times this where a guess is given everywhere, and only features outside the box are hardly seen.
GIVEN = 1e-5
# Points per cell and axis, in one and two dimensions and in more. Two leave functions of the box's
# corners, which the basis nearly lacks, unseen between the points: 1e-4 of u, by features of 1e5.
PER_CELL, PER_CELL_3D = 3, 2
# With one factor: those after the first remove what it has lost to rounding.
FIT_STEPS = 3
# An equation whose coefficients grow by this from the first features to ones of size 1 vanishes at
# zero: what it says there is not what it says at the solution.
VANISHES = 1e2


def start_from_linear_terms(objective: Objective, balanced: bool) -> NormalOperator | None:
    """Fits the linear terms first where that is the better start of a nonlinear problem.

    From u = 0 the first Newton step sees an equation that may vanish there, such as (k u')' = f, or
    is infinite. So where there are data, or the equation vanishes or is infinite at the first
    features, the terms that are linear in them (data, boundary values) are fitted alone, smoothly;
    the features stay as they were if the whole loss, balanced at the fit, is no smaller there.

    Args:
        objective: squares on fixed points; its field is a `Field`.
        balanced: whether the weights are to be balanced.

    Returns:
        The problem linearised and balanced at the fit, or None where the start is left as it was.
    """
    if not objective.squares:
        return None
    unknowns, terms = Unknowns(objective), objective.problem.terms
    if not any(has_data(term) for term in terms) and not _vanishes_at_zero(objective, unknowns):
        return None
    places = _linear_places(objective)
    if not places or len(places) == len(terms):
        return None
    measured = any(has_data(terms[i]) for i in places)
    if not measured and not _vanishes_at_zero(objective, unknowns):
        return None
    before, weights = unknowns.values(), list(objective.weights)
    normal = None
    with contextlib.suppress(SolveError):
        _fit(linear_field(objective), objective.problem.domain, [terms[i] for i in places])
        normal = NormalOperator(objective)
        if balanced:
            balance(normal, objective)
        if not _better(objective, unknowns, before):
            normal = None
    if normal is None:
        unknowns.set(before)
        objective.weights = weights
    return normal


def fit_guess(guess: Guess, field: nn.Module, domain: Shape) -> None:
    """Fits the features of a field to a guess by least squares on a lattice.

    Args:
        guess: a function of x ([N, dim] to [N, out], or to [N] for one channel), such as another
            field, or a number.
        field: a `Field`, or a `SlabField`, whose first slab is fitted: each later one starts from
            the end of the one before.
        domain: where the guess is asked.

    Raises:
        TypeError, ValueError: for other guesses, or fields that are not linear in their features.
    """
    if isinstance(field, SlabField):
        fit_guess(guess, field.part(0), field.boxes[0])
        return
    if not isinstance(field, Field) or not isinstance(field.decoder, LinearDecoder):
        given = type(field.decoder if isinstance(field, Field) else field).__name__
        raise ValueError(
            f"solve: guess needs a Field or SlabField with a LinearDecoder, not a {given}; leave "
            "it out, or fit the field to your guess by a solve of its own."
        )
    points = _points(field.grid.spec)
    term = Term("guess", Interior(), lambda x, u: u.value - guessed(guess, x, field), points=points)
    _fit(field, domain, [term], GIVEN)


@torch.no_grad()
def guessed(guess: Guess, x: Tensor, field: Field) -> Tensor:
    """Values [N, out] of a guess at points x [N, dim], checked."""
    out = field.out_channels
    if isinstance(guess, Real) and not isinstance(guess, bool):
        values: Any = x.new_full((len(x), out), float(guess))
    elif isinstance(guess, nn.Module):
        sample = next(guess.parameters(), x)
        values = guess(x.to(sample))
    elif callable(guess):
        values = guess(x)
    else:
        raise TypeError(
            f"solve: guess is a {type(guess).__name__}; pass a number, a field, or a function of x."
        )
    if not isinstance(values, Tensor) or values.is_complex():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"solve: guess gave {kind}; it must give a real tensor [N, {out}].")
    if out == 1 and values.shape == (len(x),):
        values = values[:, None]
    if values.shape != (len(x), out):
        raise ValueError(
            f"solve: guess gave shape {list(values.shape)} at {len(x)} points; it must give [N, "
            f"{out}], one column for each channel of u."
        )
    if not bool(values.isfinite().all()):
        count = int((~values.isfinite()).any(dim=1).sum())
        raise ValueError(f"solve: guess is not finite at {count} of {len(x)} points of the box.")
    result: Tensor = values.to(x)
    return result


def _fit(field: Field, domain: Shape, terms: list[Term], factor: float = 1.0) -> None:
    """Sets the features to what fits some linear terms and is smooth where they see nothing.

    Each term weighs as much as the others on the features that it sees.

    Args:
        factor: of `BEND` and `SIZE`.

    Raises:
        SolveError: if that is not possible.
    """
    given = [replace(term, weight=1.0, noise=None) for term in terms]
    points = _points(field.grid.spec)
    bend = Term("first guess: bend", Interior(), lambda x, u: _bend(u, domain), 2, points=points)
    rest = [bend, Term("first guess: size", Interior(), lambda x, u: u.value, points=points)]
    problem = fitted(Problem(domain, [*given, *rest]), field.grid.spec)
    objective = Objective(problem, field, resample=False)
    normal = NormalOperator(objective)
    sizes = [mean_diagonal(normal, i) for i in range(len(problem.terms))]
    shares = [*[1 / size if size > 0 else 0.0 for size in sizes[:-2]], factor * BEND / sizes[-1]]
    objective.weights = [*shares, factor * SIZE / sizes[-1]]
    normal = NormalOperator(objective)
    system = make_system(choose_route(normal, squares=True), normal)
    unknowns = Unknowns(objective)
    for _ in range(FIT_STEPS):
        deadline.check()
        loss = float(objective.evaluate(0)[0])
        if not math.isfinite(loss):
            raise SolveError("solve: the linear terms are not finite at the first features.")
        change, _ = system.step(unknowns.gradient(), 0.0, loss)
        unknowns.set(unknowns.values(), change)


def _points(spec: GridSpec) -> int:
    """Returns the number of points of a lattice on the box."""
    per_cell = PER_CELL if spec.dim <= 2 else PER_CELL_3D
    return math.prod(per_cell * count for count in spec.cells)


def _bend(u: Jet, domain: Shape) -> Tensor:
    """Returns all second derivatives of all channels in units of the box's sides, [N, ...]."""
    lengths, second = domain.lengths, []
    for i in range(u.dim):
        for j in range(i + 1):
            alpha = [0] * u.dim
            alpha[i] += 1
            alpha[j] += 1
            second.append(lengths[i] * lengths[j] * u.derivative(tuple(alpha)))
    return torch.cat(second, dim=1)


def _linear_places(objective: Objective) -> list[int]:
    """Places of the terms whose residuals are affine in features and parameters."""
    field, problem, places = linear_field(objective), objective.problem, []
    for index, term in enumerate(problem.terms):
        alone = Problem(problem.domain, [term], problem.parameters)
        # A residual that cannot be tried on some of its points counts as nonlinear.
        with contextlib.suppress(RuntimeError, TypeError, ValueError, IndexError):
            if is_quadratic(alone, field):
                places.append(index)
    return places


def _vanishes_at_zero(objective: Objective, unknowns: Unknowns) -> bool:
    """Whether the equation says little, or nothing finite, at the first features.

    Its coefficients there are compared with those at a smooth function of size 1.
    """
    field, problem = linear_field(objective), objective.problem
    places = sides_and_equations(problem.terms)[1]
    thin = Objective(problem, field, objective.seed, resample=False, point_sum=Thinned())
    before = unknowns.values()
    try:
        first = sum(_coefficients(thin, index) for index in places)
        with torch.no_grad():
            field.grid.features.copy_(_smooth(field)[:, None].expand_as(field.grid.features))
        second = sum(_coefficients(thin, index) for index in places)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False  # the residual holds a number for each of its points
    finally:
        unknowns.set(before)
    return not math.isfinite(first) or second > VANISHES * first


def _coefficients(objective: Objective, index: int) -> float:
    """Mean square of a term's coefficients in units of the box; NaN if one is infinite."""
    field, term = linear_field(objective), objective.problem.terms[index]
    x, data, _ = objective.points(index, 0)
    slopes = residual_slopes(field, term, x, data, []).slopes
    units = field.gather(x[:1], 0).new_tensor(
        [
            math.prod(
                length**-count
                for length, count in zip(objective.problem.domain.lengths, alpha, strict=True)
            )
            for alpha in multi_indices(field.dim, term.order)
        ]
    )
    return float((slopes * units[:, None]).square().sum() / len(x))


def _smooth(field: Field) -> Tensor:
    """Features [total nodes] that grow smoothly to 1, with all their second derivatives.

    Along an axis (1 + t + t^2) / 3 at nodes t from 0 to 1.
    """
    spec, levels = field.grid.spec, []
    for level in range(spec.levels):
        values = field.grid.features.new_ones(())
        for count in spec.level_nodes(level):
            t = torch.linspace(0, 1, count, dtype=values.dtype, device=values.device)
            values = values[..., None] * ((1 + t + t.square()) / 3)
        levels.append(values.reshape(-1))
    return torch.cat(levels)


def _better(objective: Objective, unknowns: Unknowns, before: list[Tensor]) -> bool:
    """Whether the loss at the present features is finite and less than before; they are kept."""
    after = unknowns.values()
    here = float(objective.evaluate(0)[0])
    unknowns.set(before)
    there = float(objective.evaluate(0)[0])
    unknowns.set(after)
    return math.isfinite(here) and not there <= here
