"""The loop of a solve: steps, readings, checkpoints, and the end."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import field as default
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.diagnosis.energy_check import fresh_energy, looked_at
from dinfgrid_cuda.solvers.diagnosis.few_points import notes_on_points
from dinfgrid_cuda.solvers.diagnosis.notes import warn
from dinfgrid_cuda.solvers.diagnosis.report import (
    FRESH,
    Choice,
    Findings,
    Report,
    estimated_error,
    fresh_residuals,
    root_mean_squares,
)
from dinfgrid_cuda.solvers.methods.method import Examined, Runner
from dinfgrid_cuda.solvers.record.atomic import elsewhere
from dinfgrid_cuda.solvers.record.checkpoint import Checkpoint, load, restore_parameters, save
from dinfgrid_cuda.solvers.record.fingerprint import Facts, Probes, difference, fingerprint
from dinfgrid_cuda.solvers.record.history import History
from dinfgrid_cuda.solvers.record.interrupt import InterruptGuard
from dinfgrid_cuda.solvers.record.progress import Progress, make_progress
from dinfgrid_cuda.solvers.record.resuming import grid_settings, pairs, restore_unknowns
from dinfgrid_cuda.solvers.record.stopping import CONVERGED, Stopping, used
from dinfgrid_cuda.warn import warn_user

from .errors import CheckpointError, DivergedError
from .solution import Interrupted, Solution

# What a runner raises that is given the state of another one.
UNUSABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)
Callback = Callable[[int, float], bool | None]
CUT = "the solve was cut short"


@dataclass
class Loop:
    """A solve under way."""

    problem: Problem
    field: nn.Module
    method: str
    seed: int
    steps: int
    runner: Runner
    history: History
    stopping: Stopping
    path: Path | None
    checkpoint_seconds: float
    extra: dict[str, Any]
    pace: int
    choice: Choice
    callback: Callback | None = None
    done: int = 0
    spent: float = 0.0
    started: float = 0.0
    unread: list[Tensor] = default(default_factory=list)
    signal: str = ""
    probes: Probes = default(default_factory=dict)
    kept: Any = None  # the optimizer's state before a step that was cut short

    def resume(self, path: Path) -> None:
        """Takes up a checkpoint. Raises CheckpointError if it belongs to another solve."""
        saved = load(path)
        if not saved.resumable:
            raise CheckpointError(
                f"{path} was written by an older version, without what tells whether this is the "
                "same problem; start again, or take its field with dinfgrid_cuda.load."
            )
        for name, own, other in (
            ("method", repr(self.method), repr(saved.method)),
            ("seed", repr(self.seed), repr(saved.seed)),
            ("terms", repr(list(self.problem.names)), repr(list(saved.history.names))),
            *pairs(self._settings(), saved.settings),
        ):
            if own != other:
                raise CheckpointError(
                    f"{path} was made with {name}={other}, this solve has {name}={own}; use the "
                    "same to resume."
                )
        before = copy.deepcopy(self.field.state_dict())
        unknowns = {name: p.detach().clone() for name, p in self.problem.parameters.items()}
        try:
            restore_parameters(self.field, saved, str(path))
            restore_unknowns(self.problem, saved.unknowns, path)
            self._check_problem(saved, path)
            if saved.step:  # before it, there is no state to take up
                self._restore_runner(saved, path)
        except BaseException:
            self.field.load_state_dict(before)
            restore_unknowns(self.problem, unknowns, path)
            raise
        self.history, self.done, self.spent = saved.history, saved.step, saved.seconds
        self.stopping.replay(self.history)

    def _check_problem(self, saved: Checkpoint, path: Path) -> None:
        """Whether the terms are those of the checkpoint, whose field and parameters are here."""
        dtype = next(self.field.parameters()).dtype
        other = difference(self._fingerprint(), saved.problem, dtype)
        if other:
            raise CheckpointError(f"{path} was made with {other}; use the same to resume.")

    def _fingerprint(self) -> dict[str, Facts]:
        return fingerprint(self.problem, self.field, self.seed, self.probes)

    def _restore_runner(self, saved: Checkpoint, path: Path) -> None:
        try:
            self.runner.load_state(saved.optimizer)
        except UNUSABLE as error:
            raise CheckpointError(f"{path} holds no usable state of {self.method}.") from error

    @property
    def seconds(self) -> float:
        """Spent so far, before a resume included."""
        return self.spent + time.monotonic() - self.started

    def run(self, show: bool) -> Solution:
        """Steps until the end, an early stop or Ctrl-C."""
        self.started = saved_at = time.monotonic()
        progress = make_progress(show, self.problem.names, self.done, self.steps)
        reason = self._ended_before()
        try:
            with InterruptGuard() as guard:
                while not reason and self.done < self.steps:
                    reason = self._step()
                    if reason:
                        self._read(progress, at_once=True)
                        break
                    if guard.requested:
                        reason, self.signal = "interrupted", guard.by
                    elif self.runner.converged:
                        reason = self.runner.verdict
                    due = time.monotonic() - saved_at > self.checkpoint_seconds
                    reason = self._read(progress, at_once=due or bool(reason)) or reason
                    reason = self._call_back() or reason
                    if reason and self.unread:
                        self._read(progress, at_once=True)
                    if due and not reason:
                        self._save_on_the_way()
                        saved_at = time.monotonic()
        except DivergedError as error:
            raise DivergedError(f"{error} {self._keep_finite()}") from error
        finally:
            progress.close()
        solution = self._finish(reason or "took all steps")
        if show:
            print(solution.report, file=sys.stderr, flush=True)
        return solution

    def _ended_before(self) -> str:
        """Why a solve that is resumed had ended before its last step, or ""."""
        if not self.done:
            return ""
        if self.runner.converged:
            return self.runner.verdict
        last, names = self.history.last(), self.problem.names
        return self.stopping.reason(self.done - 1, last, names, self.spent)

    def _step(self) -> str:
        """One step, undone if time runs out in it; the reason to stop then, or ""."""
        asked = self.stopping.max_seconds
        if asked is None or math.isinf(asked):
            self.unread.append(self.runner.step(self.done))
            self.done += 1
            return ""
        before = None if self.runner.moves_last else self._copy()
        try:
            with deadline.until(asked - self.seconds):
                self.unread.append(self.runner.step(self.done))
        except deadline.OutOfTime as error:
            if before is not None:
                self._put_back(*before)
            why = f"; {error}" if str(error) else ""
            return used(self.seconds, asked) + why
        self.done += 1
        return ""

    def _copy(self) -> tuple[list[Tensor], Any]:
        """Parameters and the optimizer's state, which a step may change before it ends."""
        return [p.detach().clone() for p in self._trained()], copy.deepcopy(self.runner.state())

    def _trained(self) -> list[Tensor]:
        return [*self.field.parameters(), *self.problem.parameters.values()]

    @torch.no_grad()
    def _put_back(self, values: list[Tensor], state: Any) -> None:
        for parameter, value in zip(self._trained(), values, strict=True):
            parameter.copy_(value)
        self.kept = state

    def _call_back(self) -> str:
        """Calls the user's function, its time not counted; returns a reason to stop, or ""."""
        if self.callback is None:
            return ""
        began = time.monotonic()
        stop = self.callback(self.done, self.seconds)
        self.started += time.monotonic() - began
        return "ended by the callback" if stop else ""

    def _read(self, progress: Progress, at_once: bool) -> str:
        """Reads the waiting losses if it is time; returns a reason to stop, or an empty string."""
        at_once = at_once or self.done == self.steps or len(self.unread) >= self.pace
        if not at_once or not self.unread:
            return ""
        rows = torch.stack(self.unread).tolist()
        first = self.done - len(rows)
        self.unread.clear()
        reason = ""
        for step, losses in enumerate(rows, start=first):
            seconds = self.seconds
            stop = self.stopping.reason(step, losses, self.problem.names, seconds)
            self.history.add(step, losses, seconds)
            reason = reason or stop
        progress.update(self.done, rows[-1])
        return reason

    def _save(self) -> None:
        if self.path is not None:
            save(self._checkpoint(), self.path)

    def _checkpoint(self) -> Checkpoint:
        """The solve as it stands."""
        return Checkpoint(
            method=self.method,
            seed=self.seed,
            settings=self._settings(),
            step=self.done,
            seconds=self.seconds,
            parameters=dict(self.field.state_dict()),
            unknowns={name: p.detach() for name, p in self.problem.parameters.items()},
            optimizer=self.runner.state() if self.kept is None else self.kept,
            history=self.history,
            extra=self.extra,
            problem=self._fingerprint(),
        )

    def _settings(self) -> dict[str, str]:
        """What a checkpoint and the solve that resumes from it have in common."""
        return {**self.runner.settings(), **grid_settings(self.field)}

    def _keep_finite(self) -> str:
        """After a divergence: saves the last finite parameters, if the field still holds them."""
        if not self.runner.keeps_finite:
            return "The field was trained on with it; a checkpoint written before it is unchanged."
        self.done = len(self.history.steps)
        text = f"The field holds its last finite parameters, those after {self.done} steps"
        try:
            self._save()
        except CheckpointError as error:
            return f"{text}, but {error}"
        return f"{text}." if self.path is None else f"{text}, as does {self.path}."

    def _save_on_the_way(self) -> None:
        """A checkpoint that fails here costs nothing yet: say so and go on."""
        try:
            self._save()
        except CheckpointError as error:
            warn_user(f"{error} The solve goes on.")

    def _finish(self, reason: str) -> Solution:
        seconds = self.seconds
        path, trouble = self._save_somewhere()  # what follows may fail
        report = self._report(reason, seconds)
        solution = Solution(self.field, self.history, self.done, seconds, reason, path, report)
        if reason == "interrupted":
            by = f" by {self.signal}" if self.signal else ""
            message = f"interrupted{by} at step {self.done}; "
            if trouble:
                message += trouble
            elif path is None:
                message += "nothing was saved, pass out=FOLDER to be able to resume."
            else:
                message += f"resume with resume={str(path)!r}."
            raise Interrupted(message, solution, trouble)
        if trouble:
            raise CheckpointError(f"{trouble} This error's .solution holds the solution.", solution)
        return solution

    def _save_somewhere(self) -> tuple[Path | None, str]:
        """The last checkpoint: where it is, and what went wrong, if anything, as a sentence.

        If it cannot be written where it should be, a folder beside it is tried, then one for
        temporary files.
        """
        if self.path is None:
            return None, ""
        try:
            self._save()
        except CheckpointError as error:
            found = None
            if isinstance(error.__cause__, OSError):
                found = elsewhere(self.path, lambda path: save(self._checkpoint(), path))
            where = "it was not saved." if found is None else f"it was saved as {found} instead."
            return found, f"{str(error).removesuffix('.')}; {where}"
        return self.path, ""

    def _findings(self) -> Findings:
        """What the optimizer knows, as far as there is time to find it out."""
        asked, cut = self.stopping.max_seconds, Findings(unknown=CUT)
        limit = math.inf if asked is None else asked
        if self.seconds >= limit:
            return cut
        if not isinstance(self.runner, Examined):
            return Findings()
        try:
            with deadline.until(limit - self.seconds + deadline.allowance(limit) / 2):
                return self.runner.findings()
        except deadline.OutOfTime:
            return cut
        except (RuntimeError, ArithmeticError, MemoryError, ValueError) as error:
            # The answer stands without them.
            first = (str(error).splitlines() or [type(error).__name__])[0]
            return Findings(unknown=f"the problem could not be examined ({first})")

    def _report(self, reason: str, seconds: float) -> Report:
        """What there is to say at the end; little after Ctrl-C."""
        findings, fresh = Findings(), {}
        if reason != "interrupted":
            findings = self._findings()
        last = self.history.last()
        if reason != "interrupted" and last:
            sample = next(self.field.parameters())
            fresh = fresh_residuals(
                self.problem, self.field, sample.dtype, sample.device, findings.coupled
            )
            found: list[str] = []
            if findings.unknown != CUT:
                found = self._notes(reason, last, fresh, findings)
            objective = getattr(self.runner, "objective", None)
            if isinstance(objective, Objective):
                findings = replace(findings, looked=looked_at(objective, FRESH) or "")
            for note in found:
                warn(note)
            findings = replace(findings, notes=(*findings.notes, *found))
        return Report(
            method=self.method,
            reason=self.choice.reason,
            ended=reason,
            steps=self.done,
            seconds=seconds,
            rms=root_mean_squares(self.problem, last) if last else {},
            fresh=fresh,
            error=estimated_error(self.problem, fresh, findings, reason == CONVERGED),
            findings=findings,
        )

    def _notes(
        self, reason: str, last: list[float], fresh: dict[str, float], findings: Findings
    ) -> list[str]:
        """What residuals and energies between the points say."""
        found = notes_on_points(
            self.problem,
            self.field,
            root_mean_squares(self.problem, last),
            fresh,
            converged=reason == CONVERGED,
            left_out=findings.coupled,
            weights=findings.weights,
        )
        objective = getattr(self.runner, "objective", None)
        if isinstance(objective, Objective):
            places = range(len(objective.problem.terms))
            energies = [fresh_energy(objective, index) for index in places]
            found += [note for note in energies if note is not None]
        return found
