"""Results rebuilt from their checkpoint, to be measured, drawn and exported again."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dinfgrid_cuda import CheckpointError
from dinfgrid_cuda.solvers import load
from dinfgrid_cuda.solvers.record.checkpoint import Checkpoint, restore_parameters
from dinfgrid_cuda.suite.cases import case_class
from dinfgrid_cuda.suite.tools.case import Case, CaseError, Setup

from .models import make_model
from .run import Request, title_of


@dataclass(frozen=True)
class Result:
    """A trained field and where it came from.

    Attributes:
        case: the problem with its options.
        setup: how the field was built and trained.
        field: in evaluation, on the CPU.
        checkpoint: all that was saved.
    """

    case: Case
    setup: Setup
    field: nn.Module
    checkpoint: Checkpoint

    @property
    def title(self) -> str:
        """The title of a picture, one line."""
        saved = self.checkpoint
        return title_of(self.case, saved.extra["model"], saved.step, saved.seconds)


def read(path: Path, problem: str | None = None) -> Result:
    """Returns the result of a checkpoint file, or of the folder that holds it.

    Args:
        path: of the file or folder.
        problem: name that the checkpoint must have, if any.

    Raises:
        CheckpointError: if it cannot be read, is of another problem, or of no problem of the suite.
        CaseError: if a file that the problem needs is gone or has changed.
    """
    checkpoint = load(path)
    extra = checkpoint.extra
    name = extra.get("problem")
    if name is None or not {"options", "fingerprint", "config", "model"} <= set(extra):
        raise CheckpointError(
            f"{path} was made by a solve of your own, not by `dinfgrid solve`; build its field "
            "and take dinfgrid_cuda.solvers.load(path).parameters."
        )
    if problem not in (None, name):
        raise CheckpointError(f"{path} is of the problem {name!r}, not {problem!r}.")
    case = make_case(name, extra["options"])
    if case.fingerprint() != extra["fingerprint"]:
        raise CaseError(f"the files that {path} was made from have changed: {case.options()}.")
    request = Request(
        case,
        extra["config"],
        extra["model"],
        extra.get("method"),
        cells=extra.get("cells"),
        points=extra.get("points"),
    )
    setup = request.setup()
    field = make_model(case, setup, request.model)
    restore_parameters(field, checkpoint, str(path))
    return Result(case, setup, field.eval(), checkpoint)


def make_case(name: str, options: dict[str, Any]) -> Case:
    """Returns a case from its options as JSON data.

    Raises:
        CaseError: for a problem or an option that does not exist.
    """
    kind = case_class(name)
    names = {field.name for field in dataclasses.fields(kind)}
    for option in options:
        if option not in names:
            raise CaseError(f"{name} has no option {option!r}; it has {sorted(names)}.")
    types = typing.get_type_hints(kind)
    return kind(
        **{
            key: Path(value) if value is not None and Path in _members(types[key]) else value
            for key, value in options.items()
        }
    )


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) or (kind,)
