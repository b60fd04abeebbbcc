"""What a checkpoint and the solve that resumes from it must have in common, besides the problem."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.factorized_grid import FactorizedGrid
from dinfgrid_cuda.kernels.spec import GridSpec
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.errors import CheckpointError


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
    found = {}
    for name, module in field.named_modules():
        spec = getattr(module, "spec", None)
        if isinstance(spec, GridSpec):
            prefix = f"{name}." if name else ""
            found.update({f"{prefix}{f.name}": repr(getattr(spec, f.name)) for f in fields(spec)})
        if isinstance(module, FactorizedGrid):
            found["products"] = repr(module.products)
    return found


def pairs(own: dict[str, str], saved: dict[str, str]) -> list[tuple[str, str, str]]:
    """(name, own, saved) of all settings of either; "nothing" where one has no such setting."""
    return [(name, own.get(name, "nothing"), saved.get(name, "nothing")) for name in own | saved]
