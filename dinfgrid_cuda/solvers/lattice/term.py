"""What a linearised term on a lattice holds, as the products along the axes need it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from dinfgrid_cuda.kernels.multi_index import MultiIndex

from .axes import Axes


class LatticeTerm(Protocol):
    """A linearised term; ``axes`` is None where its points are no lattice."""

    @property
    def axes(self) -> Axes | None:
        """Positions on each axis, whose product the points are."""
        ...

    @property
    def alphas(self) -> list[MultiIndex]:
        """The derivatives that occur, A of them."""
        ...

    @property
    def slopes(self) -> Tensor:
        """Slopes by these, [N, k, A, levels * C], or [1, k, ...] where all points share them."""
        ...

    @property
    def columns(self) -> Tensor:
        """Slopes by the problem's parameters, [N * k, parameters]."""
        ...

    @property
    def constant(self) -> bool:
        """Whether all points share their slopes."""
        ...
