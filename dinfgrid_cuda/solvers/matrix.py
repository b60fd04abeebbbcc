"""The matrix of a term, for a user's own solver."""

from __future__ import annotations

import math
from typing import Any

import torch

from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.term import Term
from dinfgrid_cuda.solvers.linear.points import fitted
from dinfgrid_cuda.solvers.linear.rows import exact_rows
from dinfgrid_cuda.solvers.linear.term_operators import term_operators


def term_matrix(field: Field, term: Term, domain: Box | None = None, seed: int = 0) -> Any:
    """Returns the derivative of a term's residuals by the features, at the present features.

    Args:
        field: a `Field` with any decoder and constraint.
        term: of squares; without a sampler its points are as for least squares (`solve`).
        domain: the box of the term; by default that of the grid.
        seed: of random points.

    Returns:
        scipy CSR [N * k, total_nodes * channels], float64: row i * k + j is residual j at point i,
        column node * channels + channel. Rows are neither weighted nor scaled, except by the roots
        of the weights that points have: those of a quadrature (`GaussPoints`), and those on a grid
        with local levels. Columns of features that are held at zero there (`FeatureGrid.mask`) are
        empty.

    Raises:
        TypeError, ValueError: for a term that does not fit the field, or an energy.
    """
    from scipy.sparse import vstack

    if term.is_energy:
        raise ValueError(f"term {term.name!r} is an energy; only residuals have rows.")
    spec = field.grid.spec
    problem = fitted(Problem(domain or Box(spec.lower, spec.upper), [term]), spec)
    objective = Objective(problem, field, seed, resample=False)
    objective.weights = [1.0]
    operators, channels = term_operators(objective, 0), field.grid.channels
    blocks = [block for operator in operators for block in exact_rows(operator, spec, channels)]
    point_count = sum(len(operator.x) for operator in operators)
    x, data, _ = objective.points(0, 0)
    with torch.no_grad():
        first_data = None if data is None else data[:2]
        residual = term.evaluate(x[:2], field.jet(x[:2], term.order), first_data)
    k = math.prod(residual.shape[1:])  # a complex residual has two rows for each
    return vstack(blocks, format="csr") * (point_count * k / 2) ** 0.5
