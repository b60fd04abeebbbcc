"""The unknowns of a least-squares solve as one vector: features, then the problem's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.solvers.errors import SolveError

from .unknown_nodes import unknown_nodes

Array = npt.NDArray[np.float64]


def linear_field(objective: Objective) -> Field:
    """Returns the field of an objective, whose features the residuals depend on linearly.

    Raises:
        SolveError: for any other field than a `Field`.
    """
    field = objective.field
    if not isinstance(field, Field):
        raise SolveError(
            f"solve: least-squares needs a Field, whose features enter linearly, not a "
            f"{type(field).__name__}; use method='adam' or 'lbfgs'."
        )
    return field


@dataclass(frozen=True)
class VectorLayout:
    """Where features and parameters lie in a vector of all unknowns.

    Attributes:
        feature_count: number of features, nodes * channels; they come first.
        parameter_count: number of the problem's parameters.
        channels: of the features.
    """

    feature_count: int
    parameter_count: int
    channels: int

    @classmethod
    def of(cls, objective: Objective) -> VectorLayout:
        """Returns the layout of an objective's unknowns."""
        grid = linear_field(objective).grid
        parameter_count = sum(p.numel() for p in objective.problem.parameters.values())
        return cls(grid.features.numel(), parameter_count, grid.channels)

    def on(self, spec: GridSpec) -> VectorLayout:
        """Returns the layout for the features of another grid, without parameters."""
        return replace(self, feature_count=spec.total_nodes * self.channels, parameter_count=0)

    @property
    def size(self) -> int:
        """The number of unknowns."""
        return self.feature_count + self.parameter_count

    def split(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Returns views of a vector [size]: features [nodes, channels], parameters [n]."""
        return v[: self.feature_count].reshape(-1, self.channels), v[self.feature_count :]


class Unknowns:
    """The features of the grid, then the parameters of the problem one by one, as one vector.

    Args:
        objective: its field is a `Field`.

    Attributes:
        feature_count, parameter_count: numbers of either kind.
    """

    def __init__(self, objective: Objective) -> None:
        layout = VectorLayout.of(objective)
        self.feature_count, self.parameter_count = layout.feature_count, layout.parameter_count
        features = linear_field(objective).grid.features
        self.tensors: list[Tensor] = [features, *objective.problem.parameters.values()]
        free = unknown_nodes(linear_field(objective).grid.spec)
        self._free = None if free is None else np.repeat(free.numpy(), layout.channels)

    def gradient(self) -> Array:
        """Returns what the last evaluation has left in ``.grad``, [unknowns].

        Features that are not solved for have none.
        """
        slopes = gradient(self.tensors)
        if self._free is not None:
            slopes[: self.feature_count] *= self._free
        return slopes

    def values(self) -> list[Tensor]:
        """Returns copies of the features and of each parameter."""
        return [t.detach().clone() for t in self.tensors]

    def set(self, values: list[Tensor], change: Array | None = None) -> None:
        """Sets the unknowns to values, plus a change [unknowns]."""
        assign(self.tensors, values, change)

    def features_only(self, gradient: Array) -> Array:
        """Returns the gradient with the parameters' entries set to zero."""
        kept: Array = gradient.copy()
        kept[self.feature_count :] = 0.0
        return kept

    def leaps(self, change: Array) -> bool:
        """Whether a change [unknowns] moves a parameter by more than its own size."""
        sizes = np.abs(flatten(self.tensors[1:]))
        return bool((np.abs(change[self.feature_count :]) > sizes).any())


def flatten(tensors: Sequence[Tensor]) -> Array:
    """Returns the entries of some tensors one after the other, [n] in float64."""
    flat: Array = np.concatenate([t.detach().double().cpu().numpy().reshape(-1) for t in tensors])
    return flat


def gradient(tensors: Sequence[Tensor]) -> Array:
    """Returns what the last evaluation has left in ``.grad`` of some tensors, [n] in float64."""
    return flatten([torch.zeros_like(t) if t.grad is None else t.grad for t in tensors])


@torch.no_grad()
def assign(
    tensors: Sequence[Tensor], values: Sequence[Tensor], change: Array | None = None
) -> None:
    """Sets tensors to values, plus the entries of a change [n] in the order of `flatten`."""
    start = 0
    for tensor, value in zip(tensors, values, strict=True):
        if change is None:
            tensor.copy_(value)
        else:
            entries = torch.from_numpy(change[start : start + tensor.numel()])
            tensor.copy_(value + entries.reshape(tensor.shape).to(tensor))
        start += tensor.numel()


@torch.no_grad()
def unmix(field: nn.Module) -> None:
    """Gives a field whose linear decoder mixes several outputs orthonormal weights, u unchanged.

    Only where the weights are free (``requires_grad``), as are the features; of a `SlabField` in
    all slabs. See `LinearDecoder.orthogonalise`.
    """
    if isinstance(field, SlabField):
        for slab in field.parts:
            unmix(slab)
        return
    if not isinstance(field, Field) or not isinstance(field.decoder, LinearDecoder):
        return
    free = field.decoder.layer.weight.requires_grad and field.grid.features.requires_grad
    if field.out_channels == 1 or not free:
        return
    spec, features = field.grid.spec, field.grid.features
    nodes = [spec.level_size(level) for level in range(spec.levels)]
    features.copy_(field.decoder.orthogonalise(features, nodes))
