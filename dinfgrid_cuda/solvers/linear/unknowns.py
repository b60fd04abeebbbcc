"""The unknowns of a least-squares solve as one vector: features, then the problem's parameters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.decoders import LinearDecoder
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem.objective import Objective

Array = npt.NDArray[np.float64]


class Unknowns:
    """Features of the grid [nodes * channels], then the parameters of the problem, one by one.

    Args:
        objective: its field is a `Field`.
    """

    def __init__(self, objective: Objective) -> None:
        field = objective.field
        assert isinstance(field, Field)
        self.tensors: list[Tensor] = [field.grid.features, *objective.problem.parameters.values()]
        self.features = field.grid.features.numel()
        self.parameters = sum(t.numel() for t in self.tensors[1:])

    def gradient(self) -> Array:
        """What the last evaluation has left in ``.grad``."""
        parts = [torch.zeros_like(t) if t.grad is None else t.grad for t in self.tensors]
        return _flat(parts)

    def values(self) -> list[Tensor]:
        """Copies."""
        return [t.detach().clone() for t in self.tensors]

    @torch.no_grad()
    def set(self, values: list[Tensor], change: Array | None = None) -> None:
        """Takes values, plus a change [features + parameters]."""
        start = 0
        for tensor, value in zip(self.tensors, values, strict=True):
            if change is None:
                tensor.copy_(value)
            else:
                part = torch.from_numpy(change[start : start + tensor.numel()])
                tensor.copy_(value + part.reshape(tensor.shape).to(tensor))
            start += tensor.numel()

    def features_only(self, gradient: Array) -> Array:
        """The gradient with the parameters' entries zero."""
        kept: Array = gradient.copy()
        kept[self.features :] = 0.0
        return kept

    def leaps(self, change: Array) -> bool:
        """Whether a change [features + parameters] moves a parameter by more than its own size."""
        own = np.abs(_flat(self.tensors[1:]))
        return bool((np.abs(change[self.features :]) > own).any())


@torch.no_grad()
def unmix(field: nn.Module) -> None:
    """Gives a field whose linear decoder mixes several outputs orthonormal weights, u unchanged.

    Only where the weights are free (``requires_grad``), as are the features; of a `SlabField` in
    all slabs. See `LinearDecoder.orthogonalise`.
    """
    if isinstance(field, SlabField):
        for part in field.parts:
            unmix(part)
        return
    if not isinstance(field, Field) or not isinstance(field.decoder, LinearDecoder):
        return
    free = field.decoder.layer.weight.requires_grad and field.grid.features.requires_grad
    if field.out_channels == 1 or not free:
        return
    spec, features = field.grid.spec, field.grid.features
    nodes = [spec.level_size(level) for level in range(spec.levels)]
    features.copy_(field.decoder.orthogonalise(features, nodes))


def _flat(tensors: list[Tensor]) -> Array:
    parts = [t.detach().double().cpu().numpy().reshape(-1) for t in tensors]
    flat: Array = np.concatenate(parts)
    return flat
