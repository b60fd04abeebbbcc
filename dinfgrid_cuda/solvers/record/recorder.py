"""The checkpoints of one solve: written on the way and at the end, and taken up again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.errors import CheckpointError
from dinfgrid_cuda.warn import warn_user

from .atomic import elsewhere
from .checkpoint import Checkpoint, load, restore_parameters, save
from .fingerprint import Facts, Probes, difference, fingerprint
from .history import History
from .resuming import grid_settings, pairs, restore_unknowns, shown

# What a method raises that is given the state of another one.
UNUSABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)


@dataclass
class Recorder:
    """Writes and reads the checkpoints of one solve.

    Attributes:
        problem, field, seed, method: of the solve.
        settings: options of the method that a resumed solve must share, each as its repr.
        path: the checkpoint's file, or None.
        extra: JSON data to store.
    """

    problem: Problem
    field: nn.Module
    seed: int
    method: str
    settings: dict[str, str]
    path: Path | None = None
    extra: dict[str, Any] = default(default_factory=dict)
    _probes: Probes = default(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = {**self.settings, **grid_settings(self.field)}

    def resume(self, path: Path, take: Callable[[Any], None]) -> Checkpoint:
        """Puts the parameters of a checkpoint into field and problem.

        Args:
            take: takes the state of the method.

        Raises:
            CheckpointError: if it belongs to another solve; field and problem are unchanged then.
        """
        saved = load(path)
        if not saved.resumable:
            raise CheckpointError(
                f"{path} was written by an older version, which kept other things to go on with; "
                "start again, or take its field with dinfgrid_cuda.load."
            )
        for name, own, other in (
            ("method", repr(self.method), repr(saved.method)),
            ("seed", repr(self.seed), repr(saved.seed)),
            ("terms", repr(list(self.problem.names)), repr(list(saved.history.names))),
            *pairs(self.settings, saved.settings),
        ):
            if own != other:
                raise CheckpointError(
                    f"{path} was made with {name}={shown(other)}, this solve has "
                    f"{name}={shown(own)}; use the same to resume."
                )
        with _Unchanged(self.field, self.problem):
            restore_parameters(self.field, saved, str(path))
            restore_unknowns(self.problem, saved.unknowns, path)
            self._check_problem(saved, path)
            try:
                take(saved.optimizer)
            except UNUSABLE as error:
                raise CheckpointError(
                    f"{path} holds no usable state of {self.method}: {error}."
                ) from error
        return saved

    def _check_problem(self, saved: Checkpoint, path: Path) -> None:
        """Whether the terms are those of the checkpoint, whose field and parameters are here."""
        dtype = next(self.field.parameters()).dtype
        other = difference(self._fingerprint(), saved.problem, dtype)
        if other:
            raise CheckpointError(f"{path} was made with {other}; use the same to resume.")

    def _fingerprint(self) -> dict[str, Facts]:
        return fingerprint(self.problem, self.field, self.seed, self._probes)

    def save(self, step: int, seconds: float, state: Any, history: History) -> None:
        """Writes the solve as it stands; nothing without a path.

        Args:
            state: nested numbers and tensors of the method.

        Raises:
            CheckpointError: if it cannot be written.
        """
        if self.path is not None:
            save(self._checkpoint(step, seconds, state, history), self.path)

    def save_on_the_way(self, step: int, seconds: float, state: Any, history: History) -> None:
        """Writes the solve as it stands; a failure costs nothing yet, and becomes a warning."""
        try:
            self.save(step, seconds, state, history)
        except CheckpointError as error:
            warn_user(f"{error} The solve goes on.")

    def save_somewhere(
        self, step: int, seconds: float, state: Any, history: History
    ) -> tuple[Path | None, str]:
        """The last checkpoint: where it is, and what went wrong, if anything, as a sentence.

        If it cannot be written where it should be, a folder next to it is tried, then one for
        temporary files.
        """
        if self.path is None:
            return None, ""
        checkpoint = self._checkpoint(step, seconds, state, history)
        try:
            save(checkpoint, self.path)
        except CheckpointError as error:
            place = None
            if isinstance(error.__cause__, OSError):
                place = elsewhere(self.path, lambda path: save(checkpoint, path))
            where = "it was not saved." if place is None else f"it was saved as {place} instead."
            return place, f"{str(error).removesuffix('.')}; {where}"
        return self.path, ""

    def _checkpoint(self, step: int, seconds: float, state: Any, history: History) -> Checkpoint:
        return Checkpoint(
            method=self.method,
            seed=self.seed,
            settings=self.settings,
            step=step,
            seconds=seconds,
            parameters=dict(self.field.state_dict()),
            unknowns={name: p.detach() for name, p in self.problem.parameters.items()},
            optimizer=state,
            history=history,
            extra=self.extra,
            problem=self._fingerprint(),
        )


class _Unchanged:
    """Puts field and problem back if an error leaves the block."""

    def __init__(self, field: nn.Module, problem: Problem) -> None:
        self.field, self.problem = field, problem
        self.state = copy.deepcopy(field.state_dict())
        self.unknowns: dict[str, Tensor] = {
            name: p.detach().clone() for name, p in problem.parameters.items()
        }

    def __enter__(self) -> None:
        pass

    @torch.no_grad()
    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            return
        self.field.load_state_dict(self.state)
        for name, value in self.unknowns.items():
            self.problem.parameters[name].copy_(value)
