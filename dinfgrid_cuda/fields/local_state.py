"""The places of local levels in a state_dict, without which features say little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dinfgrid_cuda.kernels.spec import GridSpec


def places(spec: GridSpec) -> Tensor:
    """Returns start, cells and halvings of a grid's local levels, [levels, 3, dim]."""
    numbers = [(own.start, own.cells, own.halvings) for own in spec.local]
    return torch.tensor(numbers, dtype=torch.int64).reshape(-1, 3, spec.dim)


def check_features(
    spec: GridSpec, own: Tensor, loaded: Any, saved_places: Tensor | None, grid: str
) -> None:
    """Raises ValueError, which names the grid, for loaded features of another one.

    Args:
        own: the grid's features.
        loaded: features of a state; nothing is checked for what is no tensor.
        saved_places: of the state; None without local levels.
        grid: in words.
    """
    if not isinstance(loaded, Tensor):
        return
    if loaded.shape != own.shape:
        raise ValueError(
            f"grid: the state holds features {tuple(loaded.shape)}, but this grid has "
            f"{tuple(own.shape)} ({grid}); build the grid with the settings the state was saved "
            "with."
        )
    given = torch.zeros(0, 3, spec.dim).long() if saved_places is None else saved_places.cpu()
    if not torch.equal(given, places(spec)):
        raise ValueError(
            f"grid: the state holds features of other local levels than this grid ({grid}); build "
            "the grid with the boxes the state was saved with, or as grid.on(spec) with its spec."
        )
