"""Term: an equation, or an energy, on a region."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance, check_real, check_whole
from dinfgrid_cuda.fields.jet import Jet
from dinfgrid_cuda.fields.jet_errors import MORE_CHANNELS, channels_of
from dinfgrid_cuda.geometry.cell_points import BoundaryPoints, CellPoints
from dinfgrid_cuda.geometry.quadrature import GaussPoints
from dinfgrid_cuda.geometry.regions import Points
from dinfgrid_cuda.geometry.samplers import Lattice
from dinfgrid_cuda.geometry.shape import Shape

from .broadcast import is_broadcast
from .given import Numbers, OnBoundary, handed_over
from .residual_errors import explained

DEFAULT_POINTS = 4096
# A residual [N, k] with more columns than this for each number of the jet at a point is a mistake.
COLUMNS_PER_COMPONENT = 8
LOSSES = ("square", "mean", "integral")

Residual = Callable[..., Tensor]


class Region(Protocol):
    """What a term needs of a region; `Interior`, `Boundary` and `Points` are regions."""

    def sample(
        self,
        n: Any,
        domain: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns points [m, dim], reproducible from (seed, step)."""
        ...


@dataclass(frozen=True, eq=False)
class Term:
    """One equation: the mean square of its residual over the points of a region, times a weight.

    Or one energy: with ``loss="integral"`` the integral itself of a density over the region, with
    ``loss="mean"`` the integral divided by the volume (of a `Boundary` the area). They add up to an
    energy of inside and boundary as integrals only. Densities may be negative. Without
    a sampler least squares and L-BFGS take it as an integral, by Gauss points of the grid's cells.

    A mean that a residual itself takes over its points, as ``u.value.mean()``, is that of the
    points, all counted the same: on the lattice of least squares, whose ends lie on the faces, it
    differs from the mean over x by O(h). That takes points with weights:

        points = dg.GaussPoints(cells=16, per_cell=4)
        w = points.weights(box, dtype=torch.float64)[:, None]
        mean = lambda x, u: ((w * u.value).mean() - c).expand(len(x))
        dg.Term("mean", dg.Interior(points), mean)

    Args:
        name: of the term in reports; unique in its problem.
        region: where it holds: `Interior(...)`, `Boundary(...)` or `Points(x)`.
        residual: ``residual(x, u)`` with x [N, dim] and u the jet of the field there; with data,
            ``residual(x, u, data)``. Returns [N] or [N, k], real or complex.
        order: highest total order of the derivatives of u that the residual uses.
        weight: of the mean square in the loss, multiplies it; not negative.
        points: collocation points a step. None: all of `Points(x)`, 4096 elsewhere.
        data: [N, ...] tensor that belongs to the N points of `Points(x)`, such as measurements;
            where only some of the points take part in a step, the residual gets their data.
        loss: "square" for residuals; "integral" or "mean" for a real energy density [N] or [N, k].
        noise: standard deviation of the data's errors, in units of the residual, or None where the
            data are exact; least squares then follows them no further than that (see ``balance``).

    Raises:
        TypeError, ValueError: one line that names the term.
    """

    name: str
    region: Region
    residual: Residual
    order: int = 0
    weight: float = 1.0
    points: int | None = None
    data: Tensor | None = None
    loss: str = "square"
    noise: float | None = None
    _examined: set[int] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise ValueError(f"term: name is {self.name!r}; give each term a name.")
        if not callable(self.residual):
            raise TypeError(f"term {self.name!r}: residual must be a function residual(x, u).")
        check_instance(f"term {self.name!r}", "region", self.region)
        if not hasattr(self.region, "sample"):
            raise TypeError(
                f"term {self.name!r}: region is {type(self.region).__name__!r}; pass Interior(), "
                "Boundary() or Points(x)."
            )
        where = f"term {self.name!r}"
        object.__setattr__(self, "order", check_whole(where, "order", self.order, 0))
        object.__setattr__(self, "weight", check_real(where, "weight", self.weight))
        if self.points is not None:
            object.__setattr__(self, "points", check_whole(where, "points", self.points, 1))
        if self.loss not in LOSSES:
            raise ValueError(f"term {self.name!r}: loss is {self.loss!r}; pass one of {LOSSES}.")
        self._check_data()

    def _check_data(self) -> None:
        if self.noise is not None:
            noise = check_real(f"term {self.name!r}", "noise", self.noise, positive=True)
            object.__setattr__(self, "noise", noise)
        if self.data is None:
            return
        if not isinstance(self.region, Points):
            raise ValueError(
                f"term {self.name!r}: data belong to fixed points; use region=Points(x) with it."
            )
        if not isinstance(self.data, Tensor) or len(self.data) != len(self.region.x):
            kind = tuple(self.data.shape) if isinstance(self.data, Tensor) else type(self.data)
            raise ValueError(
                f"term {self.name!r}: data is {kind}, but there are {len(self.region.x)} points; "
                "pass a tensor with one entry per point."
            )

    @property
    def is_energy(self) -> bool:
        """Whether the loss is linear in what the residual's function gives, an energy's density."""
        return self.loss != "square"

    def measure(self, domain: Shape) -> float:
        """The factor of the mean in the loss: volume or area of the region for an integral, or 1.

        Raises:
            ValueError: for an integral over a region that has no volume or area, such as points.
        """
        if self.loss != "integral":
            return 1.0
        measure_of = getattr(self.region, "measure", None)
        if measure_of is None:
            raise ValueError(
                f"term {self.name!r}: an integral is over Interior() or Boundary(), not over "
                f'{self.region!r}; pass loss="mean" and a weight, the volume.'
            )
        return float(measure_of(domain))

    @property
    def fixed(self) -> bool:
        """Whether every step sees the same points."""
        if isinstance(self.region, Points):
            return self.points is None or self.points >= len(self.region.x)
        sampler = getattr(self.region, "sampler", None)
        regular = isinstance(sampler, (BoundaryPoints, CellPoints, GaussPoints, Lattice))
        return regular or getattr(self.region, "shape", None) is not None

    def draw(
        self, domain: Shape, seed: int, step: int, dtype: torch.dtype, device: torch.device
    ) -> tuple[Tensor, Numbers | None]:
        """Returns points [m, dim] and their normals or data [m, ...] of this seed and step."""
        points = self.points
        if points is None and not isinstance(self.region, Points):
            points = DEFAULT_POINTS
        x, normal = self._placed(points, domain, seed, step, dtype, device)
        if self.data is None:
            return x, None if normal is None else OnBoundary(normal)
        data = self.data
        if isinstance(self.region, Points) and points is not None and not self.fixed:
            data = data[self.region.choice(points, seed, step).to(data.device)]
        real = data.is_floating_point()
        data = data.to(device=device, dtype=dtype if real else data.dtype)
        return x, data if normal is None else OnBoundary(normal, data)

    def _placed(
        self,
        points: Any,
        domain: Shape,
        seed: int,
        step: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> tuple[Tensor, Tensor | None]:
        """Returns points [m, dim] of the region, and the normals there if it has any."""
        with_normals = getattr(self.region, "sample_with_normals", None)
        if with_normals is None or getattr(self.region, "normal", True) is None:
            return self.region.sample(points, domain, seed, step, dtype, device), None
        batch: tuple[Tensor, Tensor | None] = with_normals(
            points, domain, seed, step, dtype, device
        )
        return batch

    def point_weights(
        self, domain: Shape, dtype: torch.dtype, device: torch.device
    ) -> Tensor | None:
        """Returns weights [m] of the points of `draw`, 1 in the mean; None where all are equal.

        They are those of a quadrature, such as that of `GaussPoints`.
        """
        weights_of = getattr(self.region, "weights", None)
        if weights_of is None:
            return None
        weights: Tensor | None = weights_of(self.points or DEFAULT_POINTS, domain, dtype, device)
        return weights

    def evaluate(self, x: Tensor, u: Any, data: Numbers | None) -> Tensor:
        """Returns the residual [N] or [N, k], checked.

        Raises:
            TypeError, ValueError: if it is not such a tensor, or does not depend on the field.
        """
        residual = self.residual_at(x, u, data)
        if not isinstance(residual, Tensor) or not (
            residual.is_floating_point() or residual.is_complex()
        ):
            kind = residual.dtype if isinstance(residual, Tensor) else type(residual).__name__
            raise TypeError(f"term {self.name!r}: the residual is {kind}, not a floating tensor.")
        if self.is_energy and residual.is_complex():
            raise TypeError(f"term {self.name!r}: an energy density is real, not {residual.dtype}.")
        if not residual.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"term {self.name!r}: the residual does not depend on the field's parameters; "
                "compute it from u, without detach() or no_grad()."
            )
        self._check_shape(tuple(residual.shape), x, u, data)
        return residual

    def residual_at(self, x: Tensor, u: Any, data: Numbers | None) -> Any:
        """Returns what the residual's function does at points x, unchecked.

        Raises:
            ValueError, IndexError: that name the term, where the function asks too much of ``u``.
        """
        u, own = handed_over(u, data)
        with explained(self.name, self.order, u):
            return self.residual(x, u) if own is None else self.residual(x, u, own)

    def _check_shape(self, shape: tuple[int, ...], x: Tensor, u: Any, data: Numbers | None) -> None:
        n = x.shape[0]
        wide = n > 1 and len(shape) == 2 and shape[0] == n <= shape[1]
        if wide and self._is_broadcast(shape[1], x, u, data):
            raise ValueError(
                f"term {self.name!r}: the residual has shape {list(shape)} for {n} points, which "
                f"comes from broadcasting [{n}] with [{n}, 1]; give both sides the same shape, "
                "e.g. u.value[:, 0] - g(x) or u.value - g(x)[:, None]."
            )
        if shape == (n, 0):
            raise ValueError(
                f"term {self.name!r}: the residual has shape {list(shape)}, no columns"
                + (f"; the field has {channels_of(len(u))}: " if isinstance(u, Jet) else "; ")
                + f"{MORE_CHANNELS}."
            )
        if len(shape) not in (1, 2) or shape[0] != n:
            raise ValueError(
                f"term {self.name!r}: the residual has shape {list(shape)}, but it must be [N] or "
                f"[N, k] with N = {n} points."
            )

    def _is_broadcast(self, columns: int, x: Tensor, u: Any, data: Numbers | None) -> bool:
        """Whether a residual [N, k >= N] comes from broadcasting, and not from k columns.

        An operation that pairs [N, 1] with [N] tells, whether its numbers are data, functions of x
        or constants. What hides its operations (a compiled residual) is known by other signs: far
        more columns than the jet has numbers a point, or fewer columns for fewer points.
        Examined once for each N.
        """
        n = x.shape[0]
        if n in self._examined or not isinstance(u, Jet):
            return False
        if n > COLUMNS_PER_COMPONENT * math.prod(u.components.shape[1:]):
            return True
        if is_broadcast(lambda: self.residual_at(x, u, data), n):
            return True
        fewer = Jet(u.components[:-1], u.dim, u.order)
        try:
            shape = self.residual_at(x[:-1], fewer, None if data is None else data[:-1]).shape
        except (RuntimeError, IndexError, ValueError):
            shape = (n - 1, columns)  # constants of N points
        if len(shape) == 2 and shape[1] < columns:
            return True
        self._examined.add(n)
        return False
