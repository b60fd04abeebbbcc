"""Fields: grid, decoder and hard constraint together, a function of the coordinates."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import check_instance
from dinfgrid_cuda.kernels import functional

from .constraints import Constraint
from .decoders import Decoder, IdentityDecoder, LinearDecoder
from .factorized_grid import FactorizedGrid
from .grid import FeatureGrid
from .jet import Jet


class FieldBase(nn.Module):
    """Base of the fields on grids: u(x) = decoder(grid(x)), under a hard constraint if given.

    It computes in the precision of the grid under autocast as well: features that are rounded to
    bfloat16 and then differentiated twice lose every digit.

    Attributes:
        dim: number of coordinates.
    """

    grid: nn.Module
    decoder: Decoder
    constraint: Constraint | None

    def __init__(
        self,
        grid: FeatureGrid | FactorizedGrid,
        decoder: Decoder | None,
        constraint: Constraint | None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        decoder = self._default_decoder(grid) if decoder is None else decoder
        check_instance(name, "decoder", decoder)
        check_instance(name, "constraint", constraint)
        if not isinstance(decoder, Decoder):
            raise TypeError(
                f"{name}: decoder is a {type(decoder).__name__}; pass a LinearDecoder or "
                "MLPDecoder."
            )
        if constraint is not None and not isinstance(constraint, Constraint):
            raise TypeError(
                f"{name}: constraint is a {type(constraint).__name__}; pass a BoxConstraint."
            )
        features = next(grid.parameters())
        decoder.bind(grid.out_channels, features.dtype, features.device)
        self.grid = grid
        self.decoder = decoder
        self.constraint = constraint
        self.dim = grid.dim
        if constraint is not None:
            constraint.bind(grid.dim, grid.lower, grid.upper)
            constraint.to(dtype=features.dtype, device=features.device)

    @staticmethod
    def _default_decoder(grid: FeatureGrid | FactorizedGrid) -> Decoder:
        return LinearDecoder(1)

    @property
    def out_channels(self) -> int:
        """Number of channels of u."""
        return self.decoder.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """u [N, out] at points x [N, dim]; differentiable in x and the parameters by autograd.

        As often as `max_order` of the grid allows; derivatives in x cost less by `jet`.
        """
        x = self._points(x)
        with _full_precision(x.device.type):
            net = self._network(x, 0)[:, 0]
            if self.constraint is None:
                return net
            constrained: Tensor = self.constraint(x, net)
            return constrained

    def jet(self, x: Tensor, order: int) -> Jet:
        """u and its partial derivatives up to ``order`` at points x [N, dim], in one pass.

        Args:
            order: 0..5, on a full grid in 4-D 0..3. Differentiating the jet in x once more needs
                one order more.
        """
        x = self._points(x)
        with _full_precision(x.device.type):
            return self._constrained(x, self._network(x, order), order)

    def gather(self, x: Tensor, order: int) -> Tensor:
        """The jet of the grid's features at points x [N, dim], [N, J, channels]."""
        raise NotImplementedError

    def decode(self, x: Tensor, y: Tensor, order: int) -> Jet:
        """u at points x [N, dim] from the jet of the grid's features there, y [N, J, channels].

        ``field.decode(x, field.gather(x, order), order)`` is ``field.jet(x, order)``.
        """
        return self._constrained(x, self.decoder.jet(y, self.dim, order), order)

    def _constrained(self, x: Tensor, net: Tensor, order: int) -> Jet:
        jet = Jet(net, self.dim, order)
        return jet if self.constraint is None else self.constraint.jet(x, jet)

    def _points(self, x: Tensor) -> Tensor:
        """Returns x, checked; under autocast half precision becomes the grid's."""
        features = next(self.grid.parameters())
        if not isinstance(x, Tensor):
            raise TypeError(f"field: x is a {type(x).__name__}; pass a tensor [N, {self.dim}].")
        if x.dim() != 2 or x.shape[1] != self.dim:
            raise ValueError(
                f"field: x has shape {tuple(x.shape)}, but points of this field have shape "
                f"[N, {self.dim}]."
            )
        if x.device != features.device:
            raise ValueError(
                f"field: x is on {x.device} and the field on {features.device}; move one by .to()."
            )
        if (
            x.dtype in functional.HALF
            and not x.is_meta
            and torch.is_autocast_enabled(x.device.type)
        ):
            return x.to(features.dtype)
        if x.dtype != features.dtype:
            raise TypeError(
                f"field: x is {_name(x.dtype)}, but the field is {_name(features.dtype)}; pass "
                f"x.to(torch.{_name(features.dtype)}), or convert the field with .to()."
            )
        return x

    def _network(self, x: Tensor, order: int) -> Tensor:
        """The jet of decoder(grid(x)), [N, J, out]."""
        return self.decoder.jet(self.gather(x, order), self.dim, order)

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class Field(FieldBase):
    """The field u(x) = decoder(grid(x)), under a hard constraint if there is one.

    Args:
        grid: the features.
        decoder: `LinearDecoder` or `MLPDecoder`; it is bound to the grid's channels here, its
            parameters take the grid's dtype and device. None: u has the grid's channels, an
            `IdentityDecoder`, or of a grid with one channel ``LinearDecoder(1)``.
        constraint: a `BoxConstraint` or other `Constraint`, or None; it learns the box here.

    Raises:
        TypeError, ValueError: for arguments of the wrong type, or a decoder of another grid.
    """

    grid: FeatureGrid

    def __init__(
        self,
        grid: FeatureGrid,
        decoder: Decoder | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        if isinstance(grid, FactorizedGrid):
            raise TypeError("Field: grid is a FactorizedGrid; make a FactorizedField of it.")
        check_instance("Field", "grid", grid)
        if not isinstance(grid, FeatureGrid):
            raise TypeError(f"Field: grid is a {type(grid).__name__}; pass a FeatureGrid.")
        super().__init__(grid, decoder, constraint)

    @staticmethod
    def _default_decoder(grid: FeatureGrid | FactorizedGrid) -> Decoder:
        assert isinstance(grid, FeatureGrid)
        return LinearDecoder(1) if grid.channels == 1 else IdentityDecoder(grid.channels)

    def gather(self, x: Tensor, order: int) -> Tensor:
        """The jet of the grid's features at points x [N, dim], [N, J, levels * channels]."""
        return self.grid.gather(x, order)

    def _network(self, x: Tensor, order: int) -> Tensor:
        decoder, grid = self.decoder, self.grid
        if isinstance(decoder, LinearDecoder) and self._folds(x.shape[0]):
            nodes = [grid.spec.level_size(level) for level in range(grid.spec.levels)]
            folded = decoder.fold(grid.active_features, nodes)
            return decoder.add_bias(functional.gather(x, folded, grid.spec, order, reduce="sum"))
        return super()._network(x, order)

    def _folds(self, points: int) -> bool:
        """Whether multiplying the decoder into the grid first takes fewer operations.

        Folding multiplies every node's channels by the weights once; then points read out_channels
        per node instead of channels. Not folding multiplies every point's levels * channels. A
        graph that torch.export or torch.compile traces serves any number of points: there it is
        decided for many.
        """
        spec, channels, out = self.grid.spec, self.grid.channels, self.out_channels
        if torch.compiler.is_compiling():
            nodes = spec.levels * spec.basis.nodes**spec.dim
            return bool(nodes * out <= nodes * channels + spec.levels * channels * out)
        reads = points * spec.levels * spec.basis.nodes**spec.dim
        fold = spec.total_nodes * channels * out + reads * out
        return bool(fold <= reads * channels + points * spec.levels * channels * out)


class FactorizedField(FieldBase):
    """The field u(x) = decoder(grid(x)) of a `FactorizedGrid`; otherwise as `Field`.

    `solve` finds it by alternating least squares where u enters linearly and the decoder is
    linear, and trains it by Adam otherwise.

    Args:
        grid: the products.
        decoder: `LinearDecoder` (default, one channel), which adds the products up, or
            `MLPDecoder`.
        constraint: as for `Field`.

    Raises:
        TypeError, ValueError: for arguments of the wrong type, or a decoder of another grid.
    """

    grid: FactorizedGrid

    def __init__(
        self,
        grid: FactorizedGrid,
        decoder: Decoder | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        if not isinstance(grid, FactorizedGrid):
            raise TypeError(
                f"FactorizedField: grid is a {type(grid).__name__}; pass a FactorizedGrid."
            )
        super().__init__(grid, decoder, constraint)

    def gather(self, x: Tensor, order: int) -> Tensor:
        """The jet of the products at points x [N, dim], [N, J, products * levels * channels]."""
        return self.grid.gather(x, order)


def _full_precision(device: str) -> AbstractContextManager[None]:
    """Switches autocast off, except on devices without one (meta), which do not know the switch."""
    if device == "meta" or not torch.is_autocast_enabled(device):
        return nullcontext()
    off: AbstractContextManager[None] = torch.autocast(device, enabled=False)
    return off


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
