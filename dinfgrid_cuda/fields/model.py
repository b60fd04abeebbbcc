"""Model: what a problem asks of a field, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from .jet import Jet


@runtime_checkable
class Model(Protocol):
    """A function u of the coordinates with its derivatives, and with parameters to train.

    `Field`, `FactorizedField`, `SlabField` and `CoordinateNetwork` are models; so is every
    ``torch.nn.Module`` with these members, which `solve` trains by each method that needs no more.

        class Wave(torch.nn.Module):
            dim, out_channels = 1, 1

            def __init__(self):
                super().__init__()
                self.speed = torch.nn.Parameter(torch.tensor(1.0))

            def forward(self, x):
                return torch.sin(self.speed * x)

            def jet(self, x, order):
                return dg.Jet.of(self.forward, x, order)

    A user's module may leave out ``dim`` and ``out_channels``; where it has a ``dim``, this is
    compared with the problem's.
    """

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        ...

    @property
    def out_channels(self) -> int:
        """Number of channels of u."""
        ...

    def jet(self, x: Tensor, order: int) -> Jet:
        """Returns u and its partial derivatives up to ``order`` at points x [N, dim]."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Returns an iterator over what is trained."""
        ...


@dataclass(frozen=True)
class Extent:
    """Where the grid of a field lies, in units of x.

    Attributes:
        lower, upper: its corners.
        periodic: per axis whether the grid repeats there.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: tuple[bool, ...]


def check_model(where: str, field: object) -> None:
    """Raises TypeError if ``field`` is no torch module with a method ``jet``."""
    if not isinstance(field, nn.Module) or not callable(getattr(field, "jet", None)):
        raise TypeError(
            f"{where}: field is a {type(field).__name__}; pass a Field, or an nn.Module with a "
            "method jet(x, order) that returns a Jet."
        )


def jet_of(field: nn.Module) -> Callable[[Tensor, int], Jet]:
    """The method ``jet`` of a field, (x [N, dim], order) -> Jet."""
    jet: Callable[[Tensor, int], Jet] = field.jet  # type: ignore[assignment]
    return jet


def extent_of(field: nn.Module) -> Extent | None:
    """Where the grid of a field lies; None for a field without a grid."""
    for module in (field, getattr(field, "grid", None)):
        extent = getattr(module, "extent", None)
        if isinstance(extent, Extent):
            return extent
    return None
