"""FeatureGrid: the features of a multi-resolution grid as a torch module."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.checks import is_int, plain_int
from dinfgrid_cuda.geometry.box import Box
from dinfgrid_cuda.geometry.shape import Shape
from dinfgrid_cuda.kernels import functional
from dinfgrid_cuda.kernels.basis import Basis, Gaussian
from dinfgrid_cuda.kernels.held import taking_part
from dinfgrid_cuda.kernels.resolution import check_resolution
from dinfgrid_cuda.kernels.spec import MAX_DIM, GridSpec, per_axis

from .carry import carry
from .covering import covering
from .local_state import check_features, places
from .model import Extent
from .refinement import Refined, local_levels

INITIAL_RANGE = 1e-4


class FeatureGrid(nn.Module):
    """Features on co-located grids of several resolutions, interpolated with all derivatives.

    The parameter ``features`` is one tensor [total nodes, channels], finest level first; it starts
    uniform in (-1e-4, 1e-4), as the paper's.

    Args:
        dim: 1..4.
        cells: cells per axis of the finest level; one number or one per axis.
        levels: level s has ``cells >> s`` cells, so cells must be a multiple of 2^(levels-1).
        channels: features per node and level.
        basis: `Gaussian` (default, the paper's) or `BSpline`.
        boundary: "ghost", "clamp" or "periodic", one or one per axis (see `GridSpec`).
        lower, upper: corners of the box in units of x, one number or one per axis.
        dtype, device: of the features; float32 or float64, torch's default by default.
        seed: for the initial features; without it torch's global generator is used. Drawn on the
            CPU, so that the same seed gives the same features on every device.
        refine: boxes on which the finest level is refined: a `Box` halves the cells of the finest
            level that it lies in, `Refined` says how often they are halved along each axis. A box
            ends at cells of the levels around it; functions that would not vanish at its ends are
            held at zero (`mask`).

    Attributes:
        mask: 1 for each node [total nodes, 1] whose function takes part, 0 where it is held at
            zero; None without local levels, where all take part.

    Raises:
        TypeError, ValueError: one line that says what was given and what is possible.
        MemoryError: if the features cannot be allocated.
    """

    def __init__(
        self,
        dim: int,
        cells: int | Sequence[int],
        levels: int = 1,
        channels: int = 1,
        basis: Basis | None = None,
        boundary: str | Sequence[str] = "ghost",
        lower: float | Sequence[float] = -1.0,
        upper: float | Sequence[float] = 1.0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        seed: int | None = None,
        refine: Sequence[Box | Refined] = (),
    ) -> None:
        super().__init__()
        dim, channels = plain_int(dim), plain_int(channels)
        if not is_int(dim) or not 1 <= dim <= MAX_DIM:
            raise ValueError(f"grid: dim is {dim!r}, but it must be 1, 2, 3 or 4.")
        if not is_int(channels) or channels < 1:
            raise ValueError(f"grid: channels is {channels!r}; pass a positive integer.")
        dtype = dtype or torch.get_default_dtype()
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"grid: dtype is {dtype}, but features are float32 or float64.")
        spec = GridSpec(
            dim=dim,
            cells=per_axis(cells, dim, "cells"),
            levels=levels,
            basis=Gaussian() if basis is None else basis,
            boundary=per_axis(boundary, dim, "boundary"),
            lower=per_axis(lower, dim, "lower"),
            upper=per_axis(upper, dim, "upper"),
        )
        self.spec = spec = local_levels(spec, refine)
        random = None if seed is None else torch.Generator().manual_seed(plain_int(seed))
        try:
            start = torch.empty(spec.total_nodes, channels, dtype=dtype)
        except (RuntimeError, TypeError, OverflowError) as error:
            raise self._too_large(channels, dtype, "memory") from error
        check_resolution(spec, dtype)
        start.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=random)
        part = taking_part(spec)
        mask = None if part is None else part.to(dtype)[:, None]
        try:
            self.features = nn.Parameter((start if mask is None else start * mask).to(device))
            self.mask: Tensor | None
            self.register_buffer("mask", None if mask is None else mask.to(device), False)
        except torch.OutOfMemoryError as error:
            raise self._too_large(channels, dtype, f"memory of {device}") from error

    @classmethod
    def covering(
        cls,
        shape: Shape,
        cells: int | Sequence[int] = 32,
        levels: int = 1,
        channels: int = 1,
        basis: Basis | None = None,
        boundary: str | Sequence[str] = "ghost",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        seed: int | None = None,
        margin: int = 0,
        refine: Sequence[Box | Refined] = (),
    ) -> FeatureGrid:
        """Returns a grid on the box around a shape, with cells of equal edges, in float64.

            grid = dg.FeatureGrid.covering(disk, cells=32, basis=dg.BSpline(7))

        Args:
            shape: a `Disk`, a combination of shapes, a `Box`, ...
            cells: along the longest axis of the box; the other axes get as many of these cells as
                they need, and the grid reaches beyond the box by the same length on both sides
                where these are not whole. Or one number per axis: cells of other edges, on the
                very box. That is for axes of other units, such as time.
            levels, channels, basis, boundary, device, seed: as of the class. With levels the
                numbers of cells are rounded up to what can be halved. The length of the box on a
                "periodic" axis is the period: there the cells are the longer or shorter ones.
            dtype: of the features; by default float64, as least squares on shapes needs it.
            margin: cells beyond each end of the box, besides; not on a periodic axis.
            refine: as of the class; a box is cut where the grid ends.

        Raises:
            TypeError, ValueError: for what is no shape, one without end, and as the class itself.
        """
        around = covering(shape, cells, levels, boundary, margin)
        return cls(
            dim=len(around.cells),
            cells=around.cells,
            levels=levels,
            channels=channels,
            basis=basis,
            boundary=boundary,
            lower=around.lower,
            upper=around.upper,
            dtype=dtype or torch.float64,
            device=device,
            seed=seed,
            refine=refine,
        )

    @torch.no_grad()
    def refined(self, boxes: Sequence[Box | Refined]) -> FeatureGrid:
        """Returns a grid with more local levels, which carries the same functions on.

            finer = grid.refined([dg.Box((-0.25, -0.25), (0.25, 0.25))])

        Features are copied, and those of the new levels are zero, so that the field is the same to
        the last digit.

        Args:
            boxes: as ``refine`` of the class, within the grid's and each other's levels.

        Raises:
            TypeError, ValueError: as the class.
        """
        return self.on(local_levels(self.spec, boxes))

    @torch.no_grad()
    def on(self, spec: GridSpec) -> FeatureGrid:
        """Returns a grid with other local levels, which carries on what functions both have.

        Features of functions that this grid does not have are zero.

        Args:
            spec: of the grid, but for the local levels.
        """
        features = self.features
        check_resolution(spec, features.dtype)
        other = copy.copy(self)
        other._parameters, other._buffers = dict(self._parameters), dict(self._buffers)
        part = taking_part(spec)
        other.spec = spec
        other.mask = None if part is None else part.to(features)[:, None]
        carried = carry(self.active_features, self.spec, spec)
        if other.mask is not None:
            carried = carried * other.mask
        other.features = nn.Parameter(carried, features.requires_grad)
        return other

    def _too_large(self, channels: int, dtype: torch.dtype, where: str) -> MemoryError:
        nodes = self.spec.total_nodes
        return MemoryError(
            f"grid: {nodes:.3g} nodes with {channels} channels take "
            f"{nodes * channels * dtype.itemsize / 1e9:.3g} GB, more than the {where} can hold; "
            f"use fewer cells than {self.spec.cells}, or fewer channels."
        )

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.spec.dim

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower corner of the box."""
        return self.spec.lower

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper corner of the box."""
        return self.spec.upper

    @property
    def extent(self) -> Extent:
        """Where the grid lies, and along which axes it repeats."""
        periodic = tuple(boundary == "periodic" for boundary in self.spec.boundary)
        return Extent(self.lower, self.upper, periodic)

    @property
    def channels(self) -> int:
        """Features per node and level."""
        return self.features.shape[1]

    @property
    def out_channels(self) -> int:
        """Channels of `forward`, channels of all global levels."""
        return self.spec.global_levels * self.channels

    @property
    def active_features(self) -> Tensor:
        """The features [total nodes, channels], with zero where a function is held at zero."""
        return self.features if self.mask is None else self.features * self.mask

    @property
    def unknown_count(self) -> int:
        """How many features take part."""
        nodes = self.spec.total_nodes if self.mask is None else int(self.mask.sum())
        return nodes * self.channels

    def level(self, level: int) -> Tensor:
        """The features of one level, a view [*nodes, channels]."""
        nodes, offset = self.spec.level_nodes(level), self.spec.level_offset(level)
        features = self.features[offset : offset + math.prod(nodes)]
        return features.view(*nodes, self.channels)

    def gather(self, x: Tensor, order: int = 0, reduce: str = "concat") -> Tensor:
        """All partial derivatives up to ``order`` at points x [N, dim], in units of the box.

        Returns [N, J, levels * channels] for "concat", with the global levels side by side and the
        local ones added to the finest; [N, J, channels] for "sum"; see `functional.gather`.
        """
        y: Tensor = functional.gather(x, self.active_features, self.spec, order, reduce)
        return y

    def forward(self, x: Tensor) -> Tensor:
        """Interpolated features [N, out_channels] at points x [N, dim]."""
        return self.gather(x).squeeze(1)

    def extra_repr(self) -> str:
        """Names sizes, basis, boundary and box in one line."""
        spec = self.spec
        cells = "x".join(str(count) for count in spec.cells)
        box = " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(spec.lower, spec.upper, strict=True))
        same = len(set(spec.boundary)) == 1
        local = f" and {len(spec.local)} local" if spec.local else ""
        return (
            f"{cells} cells, levels={spec.global_levels}{local}, "
            f"channels={self.channels}, basis={spec.basis}, "
            f"boundary={spec.boundary[0] if same else spec.boundary}, box={box}, "
            f"nodes={spec.total_nodes}"
        )

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Saves the features, and the places of local levels, without which they say little."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.spec.local:
            destination[prefix + "local"] = places(self.spec)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Loads a state; raises ValueError, which names the grid, for features of another one."""
        loaded, saved = state_dict.get(prefix + "features"), state_dict.pop(prefix + "local", None)
        check_features(self.spec, self.features, loaded, saved, self.extra_repr())
        super()._load_from_state_dict(state_dict, prefix, *rest)
