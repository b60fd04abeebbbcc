"""One-dimensional tables of a basis: positions, nodes, weights and their derivatives.

Matrices are assembled from `axis_tables`; `reference` builds the definition of the kernels on them.
A point x has grid coordinate t = (x - lower) * cells / (upper - lower) and belongs to cell
floor(t); points outside belong to the edge cell and keep its analytic functions. The 2 rho nodes
around the cell take part on each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from functools import reduce as fold
from math import comb, factorial, perm

import torch
from torch import Tensor

from .basis import Basis, BSpline
from .multi_index import MultiIndex, multi_indices
from .spec import GridSpec


def locate(t: Tensor, cells: int) -> Tensor:
    """Cell 0..cells-1 of each grid coordinate [...], int64; NaN belongs to cell 0."""
    return torch.nan_to_num(t.detach(), nan=0.0).floor().clamp(0, cells - 1).long()


def axis_scale(spec: GridSpec, level: int, axis: int) -> float:
    """Cells of a level per unit of x along one axis, 1 / h."""
    return spec.level_scale(level)[axis]


def axis_position(x: Tensor, spec: GridSpec, level: int, axis: int) -> tuple[Tensor, Tensor]:
    """Position in the cell [N] and cell [N] of each point x [N, dim] along one axis."""
    return _position(x[:, axis], spec, level, axis)


def _position(x_axis: Tensor, spec: GridSpec, level: int, axis: int) -> tuple[Tensor, Tensor]:
    cells = spec.level_cells(level)[axis]
    if spec.local_level(level) is not None:
        x_axis = wrapped(x_axis, spec, axis)
    t = (x_axis - spec.level_box(level)[0][axis]) * axis_scale(spec, level, axis)
    if spec.level_boundary(level)[axis] == "periodic":
        t = t - cells * (t.detach() / cells).floor()
    cell = locate(t, cells)
    return t - cell.to(t.dtype), cell


def wrapped(x_axis: Tensor, spec: GridSpec, axis: int) -> Tensor:
    """Coordinates [N] along an axis, a periodic one's brought into the box by whole periods."""
    if spec.boundary[axis] != "periodic":
        return x_axis
    lower, period = spec.lower[axis], spec.upper[axis] - spec.lower[axis]
    return x_axis - period * ((x_axis.detach() - lower) / period).floor()


def within(x: Tensor, spec: GridSpec, level: int) -> Tensor | None:
    """Whether each point x [N, dim] lies in a level's box [N]; None for a level without limits.

    The lower ends belong to the box, the upper ones do not. A NaN lies in every box.
    """
    opens, (lower, upper) = spec.level_open(level), spec.level_box(level)
    outside = None
    for axis, (open_below, open_above) in enumerate(opens):
        if open_below and open_above:
            continue
        at = wrapped(x[:, axis].detach(), spec, axis)
        beyond = torch.zeros_like(at, dtype=torch.bool)
        if not open_below:
            beyond = beyond | (at < at.new_tensor(lower[axis]))
        if not open_above:
            beyond = beyond | (at >= at.new_tensor(upper[axis]))
        outside = beyond if outside is None else outside | beyond
    return None if outside is None else ~outside


def axis_nodes(cell: Tensor, spec: GridSpec, level: int, axis: int) -> tuple[Tensor, Tensor]:
    """Storage index [N, 2 rho] of the nodes around each cell [N], and their place from the cell."""
    rho, cells = spec.basis.rho, spec.level_cells(level)[axis]
    place = torch.arange(2 * rho, device=cell.device) - (rho - 1)
    position = cell[:, None] + place
    boundary = spec.level_boundary(level)[axis]
    if boundary == "ghost":
        return position + (rho - 1), place.expand_as(position)
    if boundary == "clamp":
        position = position.clamp(0, cells)
        return position, position - cell[:, None]
    return position % cells, place.expand_as(position)


def window(d: Tensor, rho: int) -> Tensor:
    """The smooth window exp(-z^4 / (1 - z^2)) at z = d / rho, zero for |z| >= 1.

    Where 1 - z^2 < 1e-3 the window is below exp(-998), zero in every float type; it is set to zero
    there before the division can produce an infinity, so that all derivatives are zero as well.
    """
    z2 = (d / rho) ** 2
    inside = z2 < 1 - 1e-3
    z2 = torch.where(inside, z2, 0.0)
    return torch.where(inside, torch.exp(-(z2**2) / (1 - z2)), 0.0)


@cache
def _bspline_polynomials(degree: int) -> list[list[float]]:
    """Coefficients [power][k] of the B-splines on one cell, from truncated powers.

    Spline k starts degree - k cells to the left, so with q = degree - k it is
    sum_{j<=q} (-1)^j C(degree + 1, j) (f + q - j)^degree / degree!, expanded in exact fractions.
    """

    def coefficient(power: int, q: int) -> float:
        addends = (
            (-1) ** j * comb(degree + 1, j) * comb(degree, power) * (q - j) ** (degree - power)
            for j in range(q + 1)
        )
        return float(Fraction(sum(addends), factorial(degree)))

    count = degree + 1
    return [[coefficient(power, degree - k) for k in range(count)] for power in range(count)]


def bspline_weights(f: Tensor, degree: int, m: int = 0) -> Tensor:
    """The m-th derivatives [..., degree + 1] of the B-splines at positions f in the cell, [0, 1].

    Outside the cell the polynomials continue.
    """
    powers = torch.stack([f**power for power in range(degree + 1)], dim=-1)
    slopes = [
        [perm(power, m) * coefficient for coefficient in coefficients]
        for power, coefficients in enumerate(_bspline_polynomials(degree))
    ][m:]
    slopes += [[0.0] * (degree + 1)] * min(m, degree + 1)
    return powers @ f.new_tensor(slopes)


def basis_weights(f: Tensor, place: Tensor, basis: Basis) -> Tensor:
    """Weights [N, 2 rho] of one axis at positions f [N] in the cell, nodes at ``place`` [N, 2 rho].

    A normalised Gaussian may be multiplied by any constant; the largest exponent is taken out so
    that points far outside the box do not divide 0 by 0.
    """
    if isinstance(basis, BSpline):
        return bspline_weights(f, basis.degree)
    d = f[:, None] - place
    exponent = -((basis.epsilon * d) ** 2)
    if basis.normalize and basis.window is None:
        exponent = exponent - exponent.detach().amax(dim=1, keepdim=True)
    weights = torch.exp(exponent)
    if basis.window == "smooth":
        weights = weights * window(d, basis.rho)
    if basis.normalize:
        weights = weights / weights.sum(dim=1, keepdim=True)
    return weights


def basis_tables(f: Tensor, place: Tensor, basis: Basis, order: int) -> list[Tensor]:
    """Derivatives 0..order by f of `basis_weights`, each [N, 2 rho].

    Polynomials are differentiated as such, Gaussians by nested forward mode.
    """
    if isinstance(basis, BSpline):
        return [bspline_weights(f, basis.degree, m) for m in range(order + 1)]

    def derivative(m: int, at: Tensor) -> Tensor:
        if m == 0:
            return basis_weights(at, place, basis)
        one = torch.ones_like(at)
        tangent: Tensor = torch.func.jvp(lambda s: derivative(m - 1, s), (at,), (one,))[1]
        return tangent

    return [derivative(m, f) for m in range(order + 1)]


# The names of version 0.1.
axis_weights, axis_rows = basis_weights, basis_tables


def axis_tables(
    x_axis: Tensor, spec: GridSpec, level: int, axis: int, order: int = 0
) -> tuple[Tensor, list[Tensor]]:
    """The nodes that points see along one axis of a level, and the tables of their weights.

    Args:
        x_axis: coordinates [N] of the points along the axis, in units of x.
        order: highest derivative.

    Returns:
        Storage indices [N, 2 rho] along the axis, which name a node more than once where a
        neighbourhood is clamped or wraps around; and derivatives 0..order of the weights, each
        [N, 2 rho], per unit of x.
    """
    f, cell = _position(x_axis, spec, level, axis)
    nodes, place = axis_nodes(cell, spec, level, axis)
    scale = axis_scale(spec, level, axis)
    tables = basis_tables(f, place, spec.basis, order)
    return nodes, [table * scale**m for m, table in enumerate(tables)]


def outer(per_axis: list[Tensor]) -> Tensor:
    """Products over the axes of tensors [N, 2 rho], [N, (2 rho)^dim], last axis fastest."""
    return fold(lambda a, b: (a[:, :, None] * b[:, None, :]).flatten(1), per_axis)


def neighbours(x: Tensor, spec: GridSpec, level: int) -> Tensor:
    """Positions [N, (2 rho)^dim] in the feature array of the nodes that points see on one level."""
    index = torch.zeros(x.shape[0], 1, dtype=torch.long, device=x.device)
    for axis, count in enumerate(spec.level_nodes(level)):
        _, cell = axis_position(x, spec, level, axis)
        nodes, _ = axis_nodes(cell, spec, level, axis)
        index = (index[:, :, None] * count + nodes[:, None, :]).flatten(1)
    return index + spec.level_offset(level)


def weights(x: Tensor, spec: GridSpec, level: int, order: int = 0) -> Tensor:
    """Derivatives of the weights of one level, per unit of x: [N, J, (2 rho)^dim]."""
    return derivatives(x, spec, level, multi_indices(spec.dim, order))


def derivatives(x: Tensor, spec: GridSpec, level: int, alphas: Sequence[MultiIndex]) -> Tensor:
    """Some derivatives of the weights of one level, per unit of x: [N, A, (2 rho)^dim].

    They are zero for points outside the level.

    Args:
        alphas: at least one.
    """
    per_axis = [
        axis_tables(x[:, axis], spec, level, axis, max(alpha[axis] for alpha in alphas))[1]
        for axis in range(spec.dim)
    ]
    products = [outer([per_axis[axis][m] for axis, m in enumerate(alpha)]) for alpha in alphas]
    result = torch.stack(products, dim=1)
    inside = within(x, spec, level)
    return result if inside is None else torch.where(inside[:, None, None], result, 0.0)
