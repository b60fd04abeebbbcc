"""What products along the axes need to know of a linearised term whose points form a lattice."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from dinfgrid_cuda.kernels.multi_index import MultiIndex

from .axes import Axes


class LatticeOperator(Protocol):
    """A linearised term; ``axes`` is None where its points are no lattice."""

    @property
    def axes(self) -> Axes | None:
        """The positions on each axis, whose product the points are."""
        ...

    @property
    def alphas(self) -> list[MultiIndex]:
        """The A derivatives that occur, as multi-indices."""
        ...

    @property
    def slopes(self) -> Tensor:
        """The slopes by these, [N, k, A, levels * C], or [1, k, ...] if all points share them."""
        ...

    @property
    def columns(self) -> Tensor:
        """The slopes by the problem's parameters, [N * k, parameter_count]."""
        ...

    @property
    def constant(self) -> bool:
        """Whether all points share their slopes."""
        ...
