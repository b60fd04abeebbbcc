"""Regions: the parts of a domain that get collocation points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dinfgrid_cuda.checks import check_instance

from .boundary import Boundary
from .box import Box
from .cell_points import CellPoints, gauss_on, lattice_around, volume_of
from .filled import Filled
from .inside import points_inside
from .quadrature import PER_CELL, GaussPoints
from .samplers import Sampler, Stratified, mix
from .shape import Shape

__all__ = ["Boundary", "Interior", "Points"]


# A normal that is longer or shorter than 1 by more than this is a mistake.
UNIT = 1e-3


@dataclass(frozen=True)
class Interior:
    """The inside of the domain, as the region of a term.

    Args:
        sampler: places the points; on a shape it fills the box around it, and those inside are
            kept. None leaves that to the solver: stratified points, new ones each step, for Adam;
            a regular lattice that is as fine as the grid for least squares; for an energy
            (``loss="integral"`` or "mean") the Gauss points of the grid's cells, with weights.
    """

    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        check_instance("Interior", "sampler", self.sampler)

    def sample(
        self,
        n: int,
        domain: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns at most ``n`` points [m, dim]; lattice samplers may return fewer.

        On another shape than a box lattice samplers return about ``n``. A sampler with a shape of
        its own returns the points of that shape, whatever ``n``.
        """
        sampler = self.sampler or Stratified()
        if isinstance(sampler, (CellPoints, Filled)):
            return sampler(n, domain, seed, step, dtype, device)
        if isinstance(domain, Box):
            return sampler(n, domain, seed, step, dtype, device)
        if isinstance(sampler, GaussPoints):
            rule = gauss_on(sampler, n, domain)
            return rule.x.to(dtype=dtype or torch.get_default_dtype(), device=device)
        return points_inside(sampler, n, domain, seed, step, dtype, device)

    def measure(self, domain: Shape) -> float:
        """Returns the volume of the domain, in the plane its area, on a line its length."""
        if isinstance(domain, Box):
            return math.prod(domain.lengths)
        return float(volume_of(domain, lattice_around(domain), PER_CELL).weights.sum())

    def weights(
        self, n: int, domain: Shape, dtype: torch.dtype, device: torch.device
    ) -> Tensor | None:
        """Returns weights [m] of the points in a mean, 1 in the mean; None where all are 1."""
        if isinstance(self.sampler, CellPoints):
            return self.sampler.weights(domain, dtype, device)
        if not isinstance(self.sampler, GaussPoints):
            return None
        if isinstance(domain, Box):
            return self.sampler.weights(domain, n, dtype, device)
        weights = gauss_on(self.sampler, n, domain).weights
        return (weights / weights.mean()).to(dtype=dtype, device=device)


class Points:
    """Given points as a region, such as those of measurements or of a surface.

    Args:
        x: [N, dim], finite.
        normal: outward unit normals [N, dim] where the points lie on a boundary: then jets there
            have ``u.normal`` and ``u.normal_derivative``.

    Raises:
        TypeError, ValueError: unless ``x`` is a finite floating [N, dim] tensor with N > 0, and
            ``normal`` one of unit vectors of the same shape.
    """

    def __init__(self, x: Tensor, normal: Tensor | None = None) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise TypeError(
                f"Points: pass a floating tensor [N, dim], not {_named(x)}; "
                "torch.as_tensor(x, dtype=torch.float64) makes one."
            )
        if x.dim() != 2 or x.shape[0] == 0:
            raise ValueError(f"Points: x has shape {tuple(x.shape)}; pass [N, dim] with N > 0.")
        if not bool(torch.isfinite(x).all()):
            bad = int((~torch.isfinite(x)).any(dim=1).sum())
            raise ValueError(f"Points: {bad} of {x.shape[0]} points are NaN or infinite.")
        self.x = x
        self.normal = None if normal is None else _checked_normal(normal, x)

    def __repr__(self) -> str:
        return f"Points({self.x.shape[0]} points in {self.x.shape[1]}-D)"

    def sample(
        self,
        n: int | None,
        domain: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Returns all points in order if ``n`` is None or at least N, else a random ``n`` of them.

        The choice is `Points.choice`, so that data that go with the points can follow it.
        """
        return self.sample_with_normals(n, domain, seed, step, dtype, device)[0]

    def sample_with_normals(
        self,
        n: int | None,
        domain: Shape,
        seed: int = 0,
        step: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the points of `sample`, and their normals if there are any, both [m, dim]."""
        if self.x.shape[1] != domain.dim:
            raise ValueError(
                f"Points: the points are {self.x.shape[1]}-D, but the domain is {domain.dim}-D."
            )
        x, normal = self.x, self.normal
        if n is not None and n < len(x):
            rows = self.choice(n, seed, step)
            x, normal = x[rows], None if normal is None else normal[rows]
        x = x.to(device=device, dtype=dtype)
        return x, None if normal is None else normal.to(x)

    def choice(self, n: int, seed: int = 0, step: int = 0) -> Tensor:
        """Indices [n] of the points that `sample` takes at this seed and step, each once."""
        random = torch.Generator().manual_seed(mix(seed, step))
        indices = torch.randperm(self.x.shape[0], generator=random)[:n]
        return indices.to(self.x.device)


def _named(value: object) -> str:
    return f"a {value.dtype} tensor" if isinstance(value, Tensor) else repr(type(value).__name__)


def _checked_normal(normal: Tensor, x: Tensor) -> Tensor:
    """Returns unit vectors, made exactly so."""
    if not isinstance(normal, Tensor) or normal.shape != x.shape:
        kind = tuple(normal.shape) if isinstance(normal, Tensor) else type(normal).__name__
        raise ValueError(f"Points: normal is {kind}; pass a tensor of shape {tuple(x.shape)}.")
    lengths = normal.norm(dim=1, keepdim=True)
    if not bool(((lengths - 1).abs() < UNIT).all()):
        raise ValueError("Points: normal must hold unit vectors; divide each by its length.")
    unit: Tensor = normal / lengths
    return unit
