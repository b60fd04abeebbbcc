"""SlabField: a field in space and time, cut along time into slabs with a grid each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.kernels.multi_index import jet_size

from .field import Field
from .jet import Jet
from .model import Extent

# Of a slab's length: as near to its end as rounding leaves the points there.
AT_END = 1e-6


class SlabField(nn.Module):
    """A field in slabs: fields one after the other along axis 0, which is time.

    `solve` finds them in this order, each from the end of the one before, so that only one slab's
    matrix is in memory at a time, and a nonlinear problem starts each slab near its solution.

    Args:
        make: gives the field of a slab from its box; all alike, on a grid that fills the box. The
            later ones get the decoder of the first.
        box: time first, then space.
        slabs: their number, equally long.

    Attributes:
        parts: the fields, in the order of time.
        present: the slab that a solve is in, or was in last; its end belongs to it, since the next
            one is not known yet. None before.

    Raises:
        TypeError, ValueError: if ``make`` gives no `Field` of the slab's box, or slabs < 1.
    """

    def __init__(self, make: Callable[[Box], Field], box: Box, slabs: int) -> None:
        super().__init__()
        if isinstance(slabs, bool) or not isinstance(slabs, int) or slabs < 1:
            raise ValueError(f"SlabField: slabs is {slabs!r}; pass a positive integer.")
        self.box = box
        self.present: int | None = None
        self.boxes = [_slab(box, slabs, index) for index in range(slabs)]
        self.parts = nn.ModuleList([_checked(make(slab), slab) for slab in self.boxes])
        for part in self.parts[1:]:
            _make_alike(self.part(0), part)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.box.dim

    @property
    def out_channels(self) -> int:
        """Number of channels of u."""
        return self.part(0).out_channels

    @property
    def extent(self) -> Extent:
        """Where the grids of all slabs together lie, and along which axes they repeat."""
        first = self.part(0).grid.extent
        start, end = self.box.lower[0], self.box.upper[0]
        return Extent((start, *first.lower[1:]), (end, *first.upper[1:]), first.periodic)

    def part(self, index: int) -> Field:
        """The field of a slab, counted from the first."""
        field = self.parts[index]
        assert isinstance(field, Field)
        return field

    def forward(self, x: Tensor) -> Tensor:
        """u [N, out] at points x [N, dim]; a point between two slabs belongs to the later one."""
        result = x.new_zeros(x.shape[0], self.out_channels)
        for index, members in self._shares(x):
            result = result.index_copy(0, members, self.parts[index](x[members]))
        return result

    def jet(self, x: Tensor, order: int) -> Jet:
        """u and its partial derivatives up to ``order`` at points x [N, dim]."""
        size = jet_size(self.dim, order)
        result = x.new_zeros(x.shape[0], size, self.out_channels)
        for index, members in self._shares(x):
            jet = self.part(index).jet(x[members], order)
            result = result.index_copy(0, members, jet.components)
        return Jet(result, self.dim, order)

    def _shares(self, x: Tensor) -> list[tuple[int, Tensor]]:
        """The slabs that have points, each with the indices of its points."""
        if x.dim() != 2 or x.shape[1] != self.dim:
            raise ValueError(
                f"SlabField: x has shape {tuple(x.shape)}, but points have shape [N, {self.dim}]."
            )
        edges = x.new_tensor([slab.lower[0] for slab in self.boxes[1:]])
        t = x[:, 0].detach().contiguous()
        owner = torch.searchsorted(edges, t, right=True)
        if self.present is not None and self.present < len(edges):
            near = AT_END * self.boxes[self.present].lengths[0]
            owner[(t - edges[self.present]).abs() <= near] = self.present
        return [(index, (owner == index).nonzero()[:, 0]) for index in owner.unique().tolist()]

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def extra_repr(self) -> str:
        """Names the number of slabs and the time they cover."""
        return f"{len(self.boxes)} slabs, t in [{self.box.lower[0]:g}, {self.box.upper[0]:g}]"


def _slab(box: Box, slabs: int, index: int) -> Box:
    """The box of a slab, all equally long; the last ends where the box does, to the last digit."""
    length = box.lengths[0] / slabs
    start = box.lower[0] + index * length
    end = box.upper[0] if index == slabs - 1 else box.lower[0] + (index + 1) * length
    return Box((start, *box.lower[1:]), (end, *box.upper[1:]))


def _make_alike(first: Field, later: nn.Module) -> None:
    """Copies the decoder; u would jump from slab to slab with another one."""
    assert isinstance(later, Field)
    a, b = first.grid.spec, later.grid.spec
    same = (a.cells, a.levels, a.basis, a.boundary) == (b.cells, b.levels, b.basis, b.boundary)
    try:
        if not same or first.grid.channels != later.grid.channels:
            raise RuntimeError("another grid")
        later.decoder.load_state_dict(first.decoder.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "SlabField: make must return fields with the same cells, levels, channels, basis and "
            f"decoder for all slabs; they differ ({str(error).splitlines()[0]})."
        ) from error


def _checked(field: Field, slab: Box) -> Field:
    if not isinstance(field, Field):
        raise TypeError(
            f"SlabField: make returned a {type(field).__name__}; it must return a Field."
        )
    spec = field.grid.spec
    if (spec.lower[0], spec.upper[0]) != (slab.lower[0], slab.upper[0]):
        raise ValueError(
            f"SlabField: make({slab}) returned a grid over t in [{spec.lower[0]:g}, "
            f"{spec.upper[0]:g}]; pass the box's lower and upper corner to FeatureGrid."
        )
    return field
