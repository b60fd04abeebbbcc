"""The solution in a checkpoint, loaded into a field to be evaluated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.grid import FeatureGrid
from dinfgrid_cuda.solvers.errors import CheckpointError

from .checkpoint import load as read
from .checkpoint import restore_parameters
from .resuming import grid_settings, saved_local, shown


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint says of the solution that it holds.

    Attributes:
        method: by which it was found.
        steps: taken.
        seconds: spent on them.
        parameters: the problem's unknown numbers, by name.
        extra: as given to `solve`.
    """

    method: str
    steps: int
    seconds: float
    parameters: dict[str, Tensor]
    extra: dict[str, Any]


def load(
    path: str | os.PathLike[str],
    field: nn.Module,
    parameters: Mapping[str, nn.Parameter] | None = None,
) -> Loaded:
    """Puts the solution of a checkpoint into ``field``, to be evaluated or solved on from.

        field = Field(FeatureGrid(...), LinearDecoder(1))  # built as for the solve
        loaded = load("runs/mine", field)
        u = field(x)

    To continue a solve that was broken off, use ``solve(..., resume=path)``.

    Args:
        path: of the file, or of the folder that was ``out``.
        field: of the grid, decoder and dtype of the solve; on any device. The grid of a `Field` is
            replaced by one with the local levels of the solve, if it has others.
        parameters: the problem's unknown numbers by name, to be filled in too; some or all.

    Raises:
        TypeError: if ``field`` is no module.
        CheckpointError: if the file cannot be read, is damaged, or belongs to another field, or to
            a problem without these parameters. Nothing has been changed then.
    """
    if not isinstance(field, nn.Module):
        raise TypeError(f"load: field is a {type(field).__name__}; pass the field to fill.")
    saved = read(path)
    for name, own in grid_settings(field).items():
        other = saved.settings.get(name, own)
        if own != other and not (name == "grid.local" and _grid_of(field) is not None):
            raise CheckpointError(
                f"{path} was made with {name}={shown(other)}, this field has "
                f"{name}={shown(own)}; build the field as for the solve."
            )
    given = parameters or {}
    for name, parameter in given.items():
        _check_parameter(name, parameter, saved.unknowns, Path(path))
    before = _grid_of(field)
    try:
        if before is not None:
            field.grid = _refined(before, saved.settings)
        restore_parameters(field, saved, str(path))
    except CheckpointError:
        if before is not None:
            field.grid = before
        raise
    with torch.no_grad():
        for name, parameter in given.items():
            parameter.copy_(saved.unknowns[name])
    return Loaded(saved.method, saved.step, saved.seconds, saved.unknowns, saved.extra)


def _grid_of(field: nn.Module) -> FeatureGrid | None:
    """Returns the grid of a `Field`; None for other modules."""
    grid = getattr(field, "grid", None)
    return grid if isinstance(grid, FeatureGrid) else None


def _refined(grid: FeatureGrid, settings: Mapping[str, str]) -> FeatureGrid:
    """Returns a grid with the local levels of a checkpoint: itself, if it has these."""
    local = saved_local(settings.get("grid.local", "()"), grid.dim)
    if local == grid.spec.local:
        return grid
    return grid.on(replace(grid.spec, levels=grid.spec.global_levels + len(local), local=local))


def _check_parameter(name: str, parameter: Any, saved: dict[str, Tensor], path: Path) -> None:
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"load: parameter {name!r} is a {type(parameter).__name__}; pass the nn.Parameter."
        )
    if name not in saved:
        raise CheckpointError(
            f"{path} holds no parameter {name!r}; it holds {', '.join(saved) or 'none'}."
        )
    if parameter.shape != saved[name].shape:
        raise CheckpointError(
            f"{path} holds {name!r} as {list(saved[name].shape)}, not {list(parameter.shape)}."
        )
