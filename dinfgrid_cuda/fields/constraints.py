"""Hard constraints: boundary values that hold exactly, u = B net + (1 - B) g.

B is a function that vanishes where u must equal g and is 1 (or positive) away from it. The paper's
is B = 1 - exp(-dist^2 / sigma), the product of one such function per face. Derivatives follow by
Leibniz' rule from the jets of B, net and g, to any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from dinfgrid_cuda.geometry.box import Face, check_faces
from dinfgrid_cuda.kernels.multi_index import multi_indices

from . import jet_algebra
from .jet import Jet

Values = float | Sequence[float] | Tensor | Callable[[Tensor], Tensor]
SIGMA = 0.01


def check_width(sigma: float) -> float:
    number = isinstance(sigma, (int, float)) and not isinstance(sigma, bool)
    if not number or not math.isfinite(sigma) or sigma <= 0:
        raise ValueError(f"constraint: sigma is {sigma!r}; pass a positive number.")
    return float(sigma)


def bell_derivatives(s: Tensor, sigma: float, order: int) -> list[Tensor]:
    """The derivatives 0..order of exp(-s^2/sigma) by s, each of the shape of s.

    E' = -2 s E / sigma, hence E^(m+1) = -(2/sigma) (s E^(m) + m E^(m-1)).
    """
    derivatives = [torch.exp(-s * s / sigma)]
    for m in range(order):
        below = m * derivatives[m - 1] if m else 0.0
        derivatives.append(-(2 / sigma) * (s * derivatives[m] + below))
    return derivatives


class Constraint(nn.Module):
    """Base of the hard constraints u = B net + (1 - B) g; subclasses give B as a jet.

    Args:
        value: g, the values to hold: a number, one per output channel, or a function of the points
            [N, dim] that returns [N] or [N, out] (if it has a method ``jet(x, order)`` that returns
            a `Jet`, that is used; otherwise its derivatives come from automatic differentiation).
    """

    constant: Tensor

    def __init__(self, value: Values = 0.0) -> None:
        super().__init__()
        self.function: Callable[[Tensor], Tensor] | None = None
        if callable(value) and not isinstance(value, Tensor):
            self.function = value
            return
        constant = torch.as_tensor(value, dtype=torch.float64).detach().clone()
        if constant.dim() > 1 or not bool(torch.isfinite(constant).all()):
            raise ValueError(
                f"constraint: value is {value!r}; pass a finite number, one per output channel, or "
                "a function of the points."
            )
        self.register_buffer("constant", constant, persistent=False)
        self.zero = not bool(constant.any())

    def bind(self, dim: int, lower: Sequence[float], upper: Sequence[float]) -> None:
        """Takes over the box of the field; a `Field` calls it once."""

    def factor(self, x: Tensor) -> Tensor:
        """B at points x [N, dim], [N, 1]; differentiable in x to any order."""
        raise NotImplementedError

    def factor_jet(self, x: Tensor, order: int) -> Jet:
        """B and its derivatives up to ``order`` at points x [N, dim], one channel."""
        return Jet.of(self.factor, x, order)

    def _constant_like(self, x: Tensor, out: int) -> Tensor:
        """The values g [N, out] where they do not depend on x."""
        values = self.constant
        if values.dim() == 1 and values.shape[0] not in (1, out):
            raise ValueError(
                f"constraint: value has {values.shape[0]} entries, but the field has {out} output "
                "channels; pass one number or one per channel."
            )
        return values.expand(x.shape[0], out)

    def forward(self, x: Tensor, net: Tensor) -> Tensor:
        """The field u [N, out] at points x [N, dim] from the network's output net [N, out]."""
        b = self.factor(x)
        if self.function is None:
            return (
                b * net if self.zero else b * net + (1 - b) * self._constant_like(x, net.shape[1])
            )
        g = _tensor(self.function(x), "value")
        g = g[:, None] if g.dim() == 1 else g
        self._check_function(g, x, net.shape[1])
        return b * net + (1 - b) * g

    def jet(self, x: Tensor, net: Jet) -> Jet:
        """The jet of u at points x [N, dim] from that of the network, to the same order."""
        b = self.factor_jet(x, net.order)
        if self.function is None:
            if self.zero:
                return net * b
            # B net + (1 - B) g = B (net - g) + g
            g = self._constant_like(x, len(net))
            return (net - g) * b + g
        target = Jet.of(self.function, x, net.order)
        self._check_function(target.value, x, len(net))
        return (net - target) * b + target

    @staticmethod
    def _check_function(g: Tensor, x: Tensor, out: int) -> None:
        if g.shape not in ((x.shape[0], out), (x.shape[0], 1)):
            raise ValueError(
                f"constraint: the value function returned shape {tuple(g.shape)}; for "
                f"{x.shape[0]} points and {out} channels it must return [N] or [N, {out}]."
            )


def _tensor(result: object, name: str) -> Tensor:
    if not isinstance(result, Tensor):
        raise TypeError(
            f"constraint: the {name} function returned {result!r}; it must return a tensor [N]."
        )
    return result


class BoxConstraint(Constraint):
    """Holds values on faces of the field's box.

    Args:
        value: g, see `Constraint`.
        faces: pairs (axis, "lower" | "upper"); None means all faces.
        sigma: width of the paper's factor 1 - exp(-s^2 / sigma), s the distance to a face, in units
            of x squared (0.01 if None). Only that factor has one, so that a sigma without a factor
            stands for it.
        factor: "polynomial", the default: s / L per face, L the length of the box (4 s (L - s) /
            L^2 if both faces of an axis are held). The gradient on the face is free, and any smooth
            u that has these values can be reached. "distance" is the paper's: its slope is zero on
            a face, so that the gradient of u is that of g there, which few solutions have:
            Poisson's equation on 128 cells ends at 1e-2 with it, at 1e-12 with the other. Away from
            the faces, at 3 sqrt(sigma), B is 1 to 1e-4.
    """

    def __init__(
        self,
        value: Values = 0.0,
        faces: Iterable[Face] | None = None,
        sigma: float | None = None,
        factor: str | None = None,
    ) -> None:
        super().__init__(value)
        if factor is None:
            factor = "polynomial" if sigma is None else "distance"
        if factor not in ("distance", "polynomial"):
            raise ValueError(f"constraint: factor is {factor!r}; pass 'distance' or 'polynomial'.")
        self.faces = None if faces is None else tuple(faces)
        self.sigma = check_width(SIGMA if sigma is None else sigma)
        self.kind = factor
        self.dim = 0
        self._box: tuple[tuple[float, ...], tuple[float, ...]] | None = None
        self._axes: dict[int, list[tuple[float, float]]] = {}

    def bind(self, dim: int, lower: Sequence[float], upper: Sequence[float]) -> None:
        """Takes over the box; faces and positions are checked here.

        Raises:
            ValueError: for faces that the box does not have, or if another box is known already.
        """
        box = (tuple(lower), tuple(upper))
        if self._box not in (None, box):
            raise ValueError(
                f"constraint: it holds the box {self._box} of another field, but this one's is "
                f"{box}; make a constraint for each field."
            )
        self.dim, self._axes, self._box = dim, {}, box
        for axis, side in check_faces(self.faces, dim):
            position = lower[axis] if side == "lower" else upper[axis]
            inward = 1.0 if side == "lower" else -1.0
            # Distances are counted in box lengths for the polynomial, in units of x otherwise.
            scale = 1.0 if self.kind == "distance" else 1.0 / (upper[axis] - lower[axis])
            self._axes.setdefault(axis, []).append((position, inward * scale))

    def _face_derivatives(self, s: Tensor, slope: float, order: int) -> list[Tensor]:
        """Derivatives 0..order by x of one face's factor at s = slope * (x - face), each [N]."""
        if self.kind == "polynomial":
            linear = [s, torch.full_like(s, slope)]
            return [*linear, *[torch.zeros_like(s)] * (order - 1)][: order + 1]
        bell = bell_derivatives(s, self.sigma, order)
        return [1 - bell[0], *[-(slope**m) * derivative for m, derivative in enumerate(bell)][1:]]

    def _axis_derivatives(self, x: Tensor, axis: int, order: int) -> list[Tensor]:
        """Derivatives 0..order of the product over the faces of one axis, each [N]."""
        product: list[Tensor] | None = None
        for position, slope in self._axes[axis]:
            face = self._face_derivatives(slope * (x[:, axis] - position), slope, order)
            product = face if product is None else jet_algebra.leibniz(product, face, 1, order)
        assert product is not None
        both = self.kind == "polynomial" and len(self._axes[axis]) == 2
        return [4 * derivative for derivative in product] if both else product

    def factor(self, x: Tensor) -> Tensor:
        """B at points x [N, dim], [N, 1]; differentiable in x to any order."""
        return self.factor_jet(x, 0).value

    def factor_jet(self, x: Tensor, order: int) -> Jet:
        """B and its derivatives up to ``order``, products of one-dimensional ones over the axes."""
        if not self._axes:
            raise RuntimeError("constraint: it knows no box yet; pass it to Field(constraint=...).")
        per_axis = {axis: self._axis_derivatives(x, axis, order) for axis in self._axes}
        zero = torch.zeros_like(x[:, 0])
        slices = []
        for alpha in multi_indices(self.dim, order):
            product: Tensor | None = None
            for axis, m in enumerate(alpha):
                derivative = per_axis[axis][m] if axis in per_axis else (zero if m else None)
                if derivative is not None:
                    product = derivative if product is None else product * derivative
            slices.append(torch.zeros_like(zero) if product is None else product)
        return Jet(torch.stack(slices, dim=1)[:, :, None], self.dim, order)

    def extra_repr(self) -> str:
        """Names the faces, the factor and its width."""
        faces = "all" if self.faces is None else self.faces
        return f"faces={faces}, factor={self.kind!r}, sigma={self.sigma:g}"


class DistanceConstraint(Constraint):
    """Holds values where a distance vanishes, by the paper's factor for any shape.

    Args:
        distance: smooth signed function of the points [N, dim] returning the distance [N], in
            units of x; it is squared here, and its derivatives come from automatic differentiation.
            Do not take its modulus: ``abs`` has slope 0 at 0 for torch, so that the jet on the
            surface itself would lack B'' = 2 / sigma. A norm has no slope at its centre: NaN there.
            For a circle ``(x.square().sum(1) - r**2) / (2 * r)`` has neither fault.
        value: g, see `Constraint`.
        sigma: width, in units of x squared.
    """

    def __init__(
        self,
        distance: Callable[[Tensor], Tensor],
        value: Values = 0.0,
        sigma: float = SIGMA,
    ) -> None:
        super().__init__(value)
        if not callable(distance):
            raise TypeError(f"constraint: distance is {distance!r}; pass a function of the points.")
        self.distance = distance
        self.sigma = check_width(sigma)

    def factor(self, x: Tensor) -> Tensor:
        """B at points x [N, dim], [N, 1]; differentiable in x where the distance is."""
        distance = _tensor(self.distance(x), "distance")
        if distance.shape not in ((x.shape[0],), (x.shape[0], 1)):
            raise ValueError(
                f"constraint: the distance function returned shape {tuple(distance.shape)} for "
                f"{x.shape[0]} points; it must return [N]."
            )
        distance = distance.reshape(x.shape[0], 1)
        return 1 - torch.exp(-(distance**2) / self.sigma)
