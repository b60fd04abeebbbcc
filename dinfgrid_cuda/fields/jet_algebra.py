"""Arithmetic of derivatives: products and compositions of jets, exact to the jet's order.

A jet is a tensor [N, J, out] with the partial derivatives D^alpha u, |alpha| <= order, along its
second axis (see `multi_index`). Functions here work on the list of its J slices [N, out].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from math import comb, factorial, prod

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.multi_index import MultiIndex, index_of, jet_size, multi_indices
from dinfgrid_cuda.kernels.torch_compat import in_transform

Slices = Sequence[Tensor]
Products = tuple[tuple[int, int, int], ...]


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def leibniz_products(
    dim: int, order: int, degree_a: int = 0, degree_b: int = 0, square: bool = False
) -> tuple[Products, ...]:
    """For each alpha the (beta, gamma, binomial) with beta + gamma = alpha, as positions.

    Only |beta| >= degree_a and |gamma| >= degree_b: jets known to start at that degree. For a
    ``square`` both orders of two different slices are one product.
    """
    return _leibniz_products(dim, order, degree_a, degree_b, square)


@cache
def _leibniz_products(
    dim: int, order: int, degree_a: int, degree_b: int, square: bool
) -> tuple[Products, ...]:
    def products(alpha: MultiIndex) -> Products:
        binomials: dict[tuple[int, int], int] = {}
        for beta in product(*(range(a + 1) for a in alpha)):
            gamma = tuple(a - b for a, b in zip(alpha, beta, strict=True))
            if sum(beta) >= degree_a and sum(gamma) >= degree_b:
                ways = prod(comb(a, b) for a, b in zip(alpha, beta, strict=True))
                i, j = index_of(beta), index_of(gamma)
                pair = (min(i, j), max(i, j)) if square else (i, j)
                binomials[pair] = binomials.get(pair, 0) + ways
        return tuple((i, j, ways) for (i, j), ways in binomials.items())

    return tuple(products(alpha) for alpha in multi_indices(dim, order))


def leibniz(
    a: Slices,
    b: Slices,
    dim: int,
    order: int,
    degree_a: int = 0,
    degree_b: int = 0,
    scale: float = 1.0,
    square: bool = False,
) -> list[Tensor]:
    """Jet of scale * a * b, D^alpha (a b) = sum C(alpha, beta) D^beta a D^(alpha-beta) b.

    ``degree_a`` and ``degree_b`` say below which total order a and b are zero; those slices are not
    read. ``square`` says that a and b are the same jet, which saves half of the products.
    """
    result = []
    for products in leibniz_products(dim, order, degree_a, degree_b, square):
        total = None
        for i, j, ways in products:
            coefficient = ways * scale
            if total is not None:
                total = torch.addcmul(total, a[i], b[j], value=coefficient)
            else:
                total = a[i] * b[j] if coefficient == 1 else coefficient * (a[i] * b[j])
        result.append(torch.zeros_like(a[-1] * b[-1]) if total is None else total)
    return result


def compose(u: Slices, derivatives: Sequence[Tensor], dim: int, order: int) -> list[Tensor]:
    """Jet of f(u) from f(u), f'(u), ..., f^(order)(u), each [N, out].

    With delta = u - u(x0), f(u) = sum_m f^(m)(u(x0)) delta^m / m!; delta^m has no derivatives of
    total order below m at x0, so the sum ends at ``order``. To order 2 this is the chain rule
    f' u_i and f'' u_i u_j + f' u_ij.
    """
    result = [derivatives[0]]
    if order:
        result += [derivatives[1] * slice_ for slice_ in u[1:]]
    power = u
    for m in range(2, order + 1):
        # power is delta^m / m!, so that at m = 2 every coefficient is 1.
        power = leibniz(power, u, dim, order, m - 1, 1, scale=1 / m, square=m == 2)
        for position in range(jet_size(dim, m - 1), len(u)):
            result[position] = torch.addcmul(result[position], derivatives[m], power[position])
    return result


def tanh_derivatives(u: Tensor, order: int) -> list[Tensor]:
    """The derivatives 0..order of tanh at u, each of the shape of u.

    With y = tanh u and s = y' = 1 - y^2 they are s q_m(y), q_1 = 1 and q_(m+1) = q_m' s - 2 y q_m.
    """
    y = torch.tanh(u)
    result = [y]
    if order:
        s = 1 - y * y
        result.append(s)
    q = [1.0]
    for _ in range(1, order):
        slope = [*[m * c for m, c in enumerate(q)][1:], 0.0, 0.0]
        q = [
            (slope[m] if m < len(slope) else 0.0)
            - (slope[m - 2] if m >= 2 else 0.0)
            - (2 * q[m - 1] if m else 0.0)
            for m in range(len(q) + 1)
        ]
        result.append(_horner(q, y) * s)
    return result


def _horner(coefficients: Sequence[float], y: Tensor) -> Tensor:
    """The polynomial with these coefficients, lowest first and two at the least, at y."""
    value = coefficients[-1] * y
    for coefficient in coefficients[-2:0:-1]:
        value = (value + coefficient if coefficient else value) * y
    return value + coefficients[0] if coefficients[0] else value


def reciprocal(u: Slices, dim: int, order: int) -> list[Tensor]:
    """Jet of 1/u, with f^(m)(u) = (-1)^m m! / u^(m+1)."""
    inverse = 1 / u[0]
    derivatives = [(-1) ** m * factorial(m) * inverse ** (m + 1) for m in range(order + 1)]
    return compose(u, derivatives, dim, order)


def by_autograd(function: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    """Jet [N, J, out] of any function of points x [N, dim] by nested reverse mode.

    ``function`` maps [N, dim] to [N, out] or [N], each point on its own. The result is
    differentiable in x (if x requires a gradient) and in everything the function depends on.
    """

    def checked(at: Tensor) -> Tensor:
        value = function(at)
        if not isinstance(value, Tensor):
            raise TypeError(
                f"jet: the function returned {value!r}; it must return a tensor [N] or [N, out]."
            )
        if value.dim() not in (1, 2) or value.shape[0] != x.shape[0]:
            raise ValueError(
                f"jet: the function returned shape {tuple(value.shape)} for {x.shape[0]} points; "
                "it must return [N] or [N, out]."
            )
        return value[:, None] if value.dim() == 1 else value

    # Inside a transform x carries more than requires_grad shows (a tangent, a batch, the gradient
    # of another level), which a detached copy would lose silently.
    if torch.compiler.is_compiling() or in_transform():
        return _by_functional_grad(checked, x, order)
    keep = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        at = x if x.requires_grad and keep else x.detach().clone().requires_grad_()
        slices: dict[int, Tensor] = {0: checked(at)}
        for position, alpha in enumerate(multi_indices(x.shape[1], order - 1) if order else []):
            ahead = [index_of(_raised(alpha, axis)) for axis in range(x.shape[1])]
            if any(index not in slices for index in ahead):
                slopes = _slopes(slices[position], at)
                for axis, index in enumerate(ahead):
                    slices.setdefault(index, slopes[axis])
        jet = torch.stack([slices[index] for index in range(len(slices))], dim=1)
    return jet if keep else jet.detach()


def _raised(alpha: MultiIndex, axis: int) -> MultiIndex:
    return (*alpha[:axis], alpha[axis] + 1, *alpha[axis + 1 :])


def _slopes(u: Tensor, x: Tensor) -> list[Tensor]:
    """First derivatives of u [N, out] along each axis, dim tensors [N, out]."""
    columns = [_slope(column, x) for column in u.unbind(dim=1)]
    return list(torch.stack(columns, dim=2).unbind(dim=1))


def _slope(column: Tensor, x: Tensor) -> Tensor:
    """The gradient [N, dim] of column [N], real or complex."""
    if column.is_complex():
        return torch.complex(_slope(column.real, x), _slope(column.imag, x))
    slope = None
    if column.requires_grad:
        (slope,) = torch.autograd.grad(column.sum(), x, create_graph=True, allow_unused=True)
    return torch.zeros_like(x) if slope is None else slope


def _by_functional_grad(function: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    """The jet by torch.func.grad: slower, but torch.compile and torch.func see through it."""

    def derivative(alpha: MultiIndex, at: Tensor) -> Tensor:
        axis = next((k for k, m in enumerate(alpha) if m), None)
        if axis is None:
            return function(at)
        below = (*alpha[:axis], alpha[axis] - 1, *alpha[axis + 1 :])

        def slope(channel: int, side: Callable[[Tensor], Tensor]) -> Tensor:
            total = lambda s: side(derivative(below, s)[:, channel]).sum()  # noqa: E731
            gradient: Tensor = torch.func.grad(total)(at)
            return gradient

        value = function(at)
        slopes = [slope(c, torch.real)[:, axis] for c in range(value.shape[1])]
        if value.is_complex():
            imaginary = [slope(c, torch.imag)[:, axis] for c in range(value.shape[1])]
            slopes = [torch.complex(a, b) for a, b in zip(slopes, imaginary, strict=True)]
        return torch.stack(slopes, dim=1)

    return torch.stack([derivative(a, x) for a in multi_indices(x.shape[1], order)], dim=1)
