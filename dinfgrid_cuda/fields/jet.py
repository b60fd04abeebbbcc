"""Jet: a field's value and all its partial derivatives up to an order, at a batch of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.checks import plain_int
from dinfgrid_cuda.kernels.multi_index import index_of, jet_size

from . import jet_algebra
from .jet_errors import NormalError, OrderError, no_channels, slice_text

OPERATORS = {
    "add": ("__add__", "__radd__"),
    "sub": ("__sub__", "__rsub__"),
    "mul": ("__mul__", "__rmul__"),
    "div": ("__truediv__", "__rtruediv__"),
    "true_divide": ("__truediv__", "__rtruediv__"),
    "truediv": ("__truediv__", "__rtruediv__"),
    # Tensor.__rsub__(tensor, jet) is jet - tensor.
    "__rsub__": ("__rsub__", "__sub__"),
    "__rtruediv__": ("__rtruediv__", "__truediv__"),
    "__rdiv__": ("__rtruediv__", "__truediv__"),
}


class Jet:
    """Partial derivatives D^alpha u of total order 0..order of a field with ``out`` channels.

    Sums, differences, products, quotients and integer powers of jets are jets of the lower of the
    two orders, by Leibniz' rule. A number or tensor ([N], [N, out], [out]) in such an expression
    counts as constant in x; for one that varies make a jet of it with `Jet.of`.

    Args:
        components: [N, J, out], J = multi_index.jet_size(dim, order), graded lexicographic.
        dim: number of coordinates.
        order: highest total order.
        normal: outward unit normals [N, dim] where the points lie on a boundary, else None.
    """

    __slots__ = ("_normal", "components", "dim", "order")

    def __init__(
        self, components: Tensor, dim: int, order: int, normal: Tensor | None = None
    ) -> None:
        if components.dim() != 3 or components.shape[1] != jet_size(dim, order):
            raise ValueError(
                f"jet: components have shape {tuple(components.shape)}, but a jet of order {order} "
                f"in {dim}-D needs [N, {jet_size(dim, order)}, out]."
            )
        self.components = components
        self.dim = dim
        self.order = order
        self._normal = normal

    @staticmethod
    def of(function: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Jet:
        """Jet of a function of the points x [N, dim], [N] or [N, out], each point on its own.

        Uses ``function.jet(x, order)`` where there is one, nested automatic differentiation
        otherwise. Differentiable in x and in whatever the function depends on.
        """
        jet = getattr(function, "jet", None)
        if callable(jet):
            result = jet(x, order)
            if not isinstance(result, Jet) or result.order < order:
                raise TypeError(f"jet: {function!r}.jet(x, {order}) did not return such a Jet.")
            return result.truncate(order)
        return Jet(jet_algebra.by_autograd(function, x, order), x.shape[1], order)

    @staticmethod
    def constant(value: Tensor, dim: int, order: int) -> Jet:
        """Jet of a field [N, out] that does not vary in x: all derivatives zero."""
        rest = value.new_zeros(value.shape[0], jet_size(dim, order) - 1, value.shape[1])
        return Jet(torch.cat([value[:, None], rest], dim=1), dim, order)

    @property
    def value(self) -> Tensor:
        """The values u [N, out]."""
        return self.components[:, 0]

    @property
    def gradient(self) -> Tensor:
        """First derivatives, [N, out, dim]."""
        self._need(1, "gradient")
        return self.components[:, 1 : 1 + self.dim].transpose(1, 2)

    @property
    def hessian(self) -> Tensor:
        """Second derivatives, [N, out, dim, dim], symmetric."""
        self._need(2, "hessian")
        slices = self.components.unbind(dim=1)
        axes = range(self.dim)
        lines = [torch.stack([slices[self._at(i, j)] for j in axes], dim=-1) for i in axes]
        return torch.stack(lines, dim=-2)

    @property
    def laplacian(self) -> Tensor:
        """Sum of the unmixed second derivatives, [N, out]."""
        self._need(2, "laplacian")
        slices = self.components.unbind(dim=1)
        return _total([slices[self._at(i, i)] for i in range(self.dim)])

    @property
    def bilaplacian(self) -> Tensor:
        """Laplacian of the Laplacian, sum over i, j of d^4 u / dx_i^2 dx_j^2, [N, out]."""
        self._need(4, "bilaplacian")
        slices = self.components.unbind(dim=1)
        axes = range(self.dim)
        pure = _total([slices[self._at(i, i, i, i)] for i in axes])
        mixed = [slices[self._at(i, i, j, j)] for i in axes for j in axes if i < j]
        return pure + 2 * _total(mixed) if mixed else pure

    @property
    def normal(self) -> Tensor:
        """Outward unit normals [N, dim] at points of a boundary, those of a `Boundary` term."""
        if self._normal is None:
            raise NormalError
        return self._normal

    @property
    def normal_derivative(self) -> Tensor:
        """First derivatives along the outward normals, [N, out]."""
        self._need(1, "normal_derivative")
        return (self.gradient * self.normal[:, None]).sum(dim=2)

    def with_normal(self, normal: Tensor) -> Jet:
        """Returns the same jet at points with these outward unit normals [N, dim]."""
        return Jet(self.components, self.dim, self.order, normal)

    def derivative(self, alpha: Sequence[int]) -> Tensor:
        """One partial derivative [N, out]; (2, 1) means d^3 u / dx_0^2 dx_1."""
        alpha = tuple(alpha)
        if len(alpha) != self.dim:
            raise ValueError(
                f"jet: the multi-index {alpha} has {len(alpha)} entries, but the field has "
                f"{self.dim} coordinates."
            )
        position = index_of(alpha)
        self._need(sum(alpha), f"derivative({alpha})")
        return self.components[:, position]

    def truncate(self, order: int) -> Jet:
        """The same field with derivatives up to a lower order only."""
        self._need(order, f"truncate({order})")
        if order == self.order:
            return self
        return self._like(self.components[:, : jet_size(self.dim, order)], order)

    def as_complex(self) -> Jet:
        """Returns m complex channels of 2m real ones.

        Channels 2i and 2i + 1 become real and imaginary part of channel i. Derivatives,
        arithmetic and numbers such as ``1j * jet`` are complex from there on.
        """
        out = self.components.shape[2]
        if self.components.is_complex():
            raise TypeError("jet: as_complex() takes a real jet; this one is complex already.")
        if out % 2:
            raise ValueError(
                f"jet: as_complex() pairs channels, but there are {out}; an even number is needed."
            )
        real, imaginary = self.components[:, :, ::2], self.components[:, :, 1::2]
        return self._like(torch.complex(real, imaginary))

    def __getitem__(self, channels: int | slice) -> Jet:
        """Some output channels; an integer keeps its axis, so that `value` stays [N, 1]."""
        channels = plain_int(channels)
        if not isinstance(channels, (int, slice)):
            raise TypeError(f"jet: channels are chosen by an integer or a slice, not {channels!r}.")
        out = self.components.shape[2]
        if isinstance(channels, int):
            if not -out <= channels < out:
                raise no_channels(f"channel {channels} does not exist", out)
            channels = slice(channels % out, channels % out + 1)
        elif max(channels.stop or 0, 0) > out or not len(range(out)[channels]):
            raise no_channels(f"channels {slice_text(channels)} do not exist", out)
        return self._like(self.components[:, :, channels])

    def __len__(self) -> int:
        """Number of output channels."""
        return self.components.shape[2]

    def __repr__(self) -> str:
        n, _, out = self.components.shape
        return f"Jet({n} points, {out} channels, dim={self.dim}, order={self.order})"

    # The operators call each other by name, not by symbol: under torch.compile a symbol between a
    # jet and a tensor goes through __torch_function__, which would call them again without end.

    def __add__(self, other: Jet | Tensor | float) -> Jet:
        a, b = self._aligned(other)
        return a._like(a.components + b.components)

    def __sub__(self, other: Jet | Tensor | float) -> Jet:
        a, b = self._aligned(other)
        return a._like(a.components - b.components)

    def __rsub__(self, other: Jet | Tensor | float) -> Jet:
        return self.__neg__().__add__(other)

    def __mul__(self, other: Jet | Tensor | float) -> Jet:
        if not isinstance(other, Jet):
            return self._like(self.components * self._multiplier(other))
        a, b = self._aligned(other)
        pair = (a.components.unbind(dim=1), b.components.unbind(dim=1))
        return a._of_slices(jet_algebra.leibniz(*pair, self.dim, a.order))

    def __truediv__(self, other: Jet | Tensor | float) -> Jet:
        if not isinstance(other, Jet):
            return self._like(self.components / self._multiplier(other))
        return self.__mul__(other._reciprocal())

    def __rtruediv__(self, other: Jet | Tensor | float) -> Jet:
        return self._reciprocal().__mul__(other)

    def __neg__(self) -> Jet:
        return self._like(-self.components)

    def __pow__(self, exponent: int) -> Jet:
        if not isinstance(exponent, int) or exponent < 1:
            raise ValueError(f"jet: powers are positive integers, not {exponent!r}.")
        result = self
        for _ in range(exponent - 1):
            result = result * self
        return result

    __radd__ = __add__
    __rmul__ = __mul__

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Sends ``tensor * jet`` and the like to the operators above; refuses everything else."""
        names = OPERATORS.get(func.__name__)
        if names is None or len(args) != 2 or kwargs:
            options = f" with {', '.join(kwargs)}" if kwargs else ""
            raise TypeError(
                f"jet: torch.{func.__name__}{options} does not take a Jet; use its value, gradient "
                "or another of its tensors, or the operators + - * / **."
            )
        first, second = args
        if isinstance(first, Jet):
            return getattr(first, names[0])(second)
        return getattr(second, names[1])(first)

    def _like(self, components: Tensor, order: int | None = None) -> Jet:
        """Returns a jet at the same points."""
        return Jet(components, self.dim, self.order if order is None else order, self._normal)

    def _of_slices(self, slices: Sequence[Tensor]) -> Jet:
        return self._like(torch.stack(tuple(slices), dim=1))

    def _reciprocal(self) -> Jet:
        slices = self.components.unbind(dim=1)
        return self._of_slices(jet_algebra.reciprocal(slices, self.dim, self.order))

    def _multiplier(self, other: Tensor | float) -> Tensor | float:
        """A constant in a shape that multiplies the components [N, J, out]."""
        if not isinstance(other, Tensor) or other.dim() == 0:
            return other
        n, _, out = self.components.shape
        if other.shape in ((n, out), (n, 1)):
            return other[:, None]
        if other.shape == (n,) and (n != out or out == 1):
            return other[:, None, None]
        if other.shape == (out,) and n != out:
            return other
        raise ValueError(
            f"jet: a factor of shape {tuple(other.shape)} does not fit {n} points with {out} "
            f"channels; pass a number, [N, 1] or [N, out]."
        )

    def _aligned(self, other: Jet | Tensor | float) -> tuple[Jet, Jet]:
        """This jet and ``other`` as a jet, both of the lower order."""
        if not isinstance(other, Jet):
            value = torch.ones_like(self.value)[:, None] * self._multiplier(other)
            return self, Jet.constant(value[:, 0], self.dim, self.order)
        if other.dim != self.dim:
            raise ValueError(f"jet: jets in {self.dim}-D and {other.dim}-D do not combine.")
        order = min(self.order, other.order)
        first, second = self.truncate(order), other.truncate(order)
        if self._normal is None and other._normal is not None:
            first = first.with_normal(other._normal)
        return first, second

    def _at(self, *axes: int) -> int:
        """Position of the derivative along these axes, one after the other."""
        position: int = index_of(tuple(axes.count(axis) for axis in range(self.dim)))
        return position

    def _need(self, order: int, what: str) -> None:
        if not 0 <= order <= self.order:
            raise OrderError(what, order, self.order)


def _total(summands: Sequence[Tensor]) -> Tensor:
    total = summands[0]
    for summand in summands[1:]:
        total = total + summand
    return total
