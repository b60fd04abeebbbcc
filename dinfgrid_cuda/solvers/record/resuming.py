"""What a checkpoint and the solve that resumes from it must have in common, besides the problem."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.factorized_grid import FactorizedGrid
from dinfgrid_cuda.kernels.local_level import LocalLevel
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.errors import CheckpointError

# Of a grid: what follows from its other settings.
DERIVED = ("ints", "floats", "_offsets")
# Letters of a setting in an error message.
SHOWN = 200


@torch.no_grad()
def restore_unknowns(problem: Problem, saved: dict[str, Tensor], path: Path) -> None:
    """Puts values into the problem's parameters. Raises CheckpointError if they differ."""
    own = {name: tuple(p.shape) for name, p in problem.parameters.items()}
    other = {name: tuple(p.shape) for name, p in saved.items()}
    if own != other:
        raise CheckpointError(
            f"{path} was made with the problem's parameters {other}, this solve has {own}."
        )
    for name, value in saved.items():
        problem.parameters[name].copy_(value)


def grid_settings(field: nn.Module) -> dict[str, str]:
    """The fields of every GridSpec in ``field``: the same features mean another u on another grid.

    Tensor shapes and dtypes are compared where the parameters are restored.
    """
    settings = {}
    for name, module in field.named_modules():
        spec = getattr(module, "spec", None)
        if isinstance(spec, GridSpec):
            prefix = f"{name}." if name else ""
            values = {f.name: repr(getattr(spec, f.name)) for f in fields(spec) if f.init}
            values["levels"] = repr(spec.global_levels)  # as before there were local ones
            settings.update({f"{prefix}{own}": value for own, value in values.items()})
        if isinstance(module, FactorizedGrid):
            settings["products"] = repr(module.products)
    return settings


def pairs(own: dict[str, str], saved: dict[str, str]) -> list[tuple[str, str, str]]:
    """(name, own, saved) of all settings of either; "nothing" where one has no such setting.

    Left out is what older versions kept besides, and follows from the others. Before there were
    local levels, a grid had none.
    """
    names = [name for name in own | saved if name.rpartition(".")[2] not in DERIVED]
    missing = {name: "()" if name.rpartition(".")[2] == "local" else "nothing" for name in names}
    return [(name, own.get(name, missing[name]), saved.get(name, missing[name])) for name in names]


def shown(setting: str) -> str:
    """Returns a setting as an error message shows it: the first part of a long one."""
    return setting if len(setting) <= SHOWN else f"{setting[:SHOWN]}..."


def saved_local(setting: str, dim: int) -> tuple[LocalLevel, ...]:
    """Returns the local levels that a setting of `grid_settings` describes."""
    numbers = [int(number) for number in re.findall(r"\d+", setting)]
    per_level = [numbers[k : k + 3 * dim] for k in range(0, len(numbers), 3 * dim)]
    return tuple(
        LocalLevel(tuple(own[:dim]), tuple(own[dim : 2 * dim]), tuple(own[2 * dim :]))
        for own in per_level
    )
