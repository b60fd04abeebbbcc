"""The loop of a solve: steps, readings, checkpoints, and the end."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path

import torch
from torch import Tensor

from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem import deadline
from dinfgrid_cuda.problem.objective import Objective

from .diagnosis.closing import End, closing_report, within_time
from .diagnosis.report import Findings
from .errors import CheckpointError, DivergedError
from .methods.method import Method, State, check_state, copied, restored, saved_fields
from .record.history import History
from .record.interrupt import InterruptGuard
from .record.progress import Progress, make_progress
from .record.recorder import Recorder
from .record.stopping import Stopping, used
from .solution import Interrupted, Solution

# Reading a loss waits for the GPU; there the losses of this many steps are read together.
STEPS_PER_READ = 50


@dataclass
class Loop:
    """A solve under way.

    Attributes:
        method, objective: what is solved, and how.
        state: where it stands.
        steps: to take in total, those before a resume included.
        recorder: of the checkpoints.
        stopping: of the rules that end it early.
        reason: why the method was chosen.
        every: seconds between the checkpoints on the way.
        done: number of steps taken.
        spent: seconds before a resume.
    """

    method: Method
    objective: Objective
    state: State
    steps: int
    recorder: Recorder
    stopping: Stopping
    reason: str
    every: float
    done: int = 0
    spent: float = 0.0
    history: History = default(init=False)
    started: float = 0.0
    unread: list[Tensor] = default(default_factory=list)
    signal: str = ""

    def __post_init__(self) -> None:
        self.history = History(self.objective.problem.names)
        at_once = self.objective.device.type == "cpu" or self.method.keeps_finite(self.objective)
        self.pace = 1 if at_once else STEPS_PER_READ

    def resume(self, path: Path) -> None:
        """Takes up a checkpoint. Raises CheckpointError if it belongs to another solve."""

        def take(state: object) -> None:
            self.state = restored(self.state, state)

        saved = self.recorder.resume(path, take)
        self.history, self.done, self.spent = saved.history, saved.step, saved.seconds
        self.stopping.replay(self.history)

    @property
    def seconds(self) -> float:
        """The time spent so far, before a resume included."""
        return self.spent + time.monotonic() - self.started

    def run(self, show: bool) -> Solution:
        """Takes steps until the end, an early stop or Ctrl-C."""
        self.started = time.monotonic()
        names = self.objective.problem.names
        progress = make_progress(show, names, self.done, self.steps)
        try:
            with InterruptGuard() as guard:
                reason = self._take_steps(progress, guard) or "took all steps"
                seconds = self.seconds
                saved = self.recorder.save_somewhere(*self._present())  # what follows may fail
                if guard.requested:
                    reason, self.signal = "interrupted", guard.by
        except DivergedError as error:
            raise DivergedError(f"{error} {self._keep_finite()}") from error
        finally:
            progress.close()
        solution = self._finish(reason, seconds, *saved)
        if show:
            print(solution.report, file=sys.stderr, flush=True)
        return solution

    def _take_steps(self, progress: Progress, guard: InterruptGuard) -> str:
        """Why the solve ends before its last step, or ""."""
        saved_at, reason = time.monotonic(), self._ended_before()
        while not reason and self.done < self.steps:
            reason = self._step()
            if reason:
                self._read(progress, at_once=True)
                break
            if guard.requested:
                reason, self.signal = "interrupted", guard.by
            elif self.state.converged:
                reason = self.state.verdict
            due = time.monotonic() - saved_at > self.every
            reason = self._read(progress, at_once=due or bool(reason)) or reason
            reason = self._ask_user() or reason
            if reason and self.unread:
                self._read(progress, at_once=True)
            if due and not reason:
                self.recorder.save_on_the_way(*self._present())
                saved_at = time.monotonic()
        return reason

    def _ended_before(self) -> str:
        """Why a solve that is resumed had ended before its last step, or ""."""
        if not self.done:
            return ""
        if self.state.converged:
            return self.state.verdict
        last, names = self.history.last(), self.objective.problem.names
        return self.stopping.reason(self.done - 1, last, names, self.spent)

    def _step(self) -> str:
        """One step, undone if time runs out in it; the reason to stop then, or ""."""
        asked = self.stopping.stop.seconds
        if asked is None or math.isinf(asked):
            self._take(self.method.step(self.state))
            return ""
        before = None
        if not self.method.moves_last:
            state = copied(self.state) if self.method.reuses else self.state
            before = (self._copies(), state)
        try:
            with deadline.until(asked - self.seconds):
                self._take(self.method.step(self.state))
        except deadline.OutOfTime as error:
            if before is not None:
                self._put_back(*before)
            return used(self.seconds, asked) + (f"; {error}" if str(error) else "")
        return ""

    def _take(self, state: State) -> None:
        check_state(self.method, "step", state, len(self.objective.problem.terms))
        assert state.losses is not None
        self.state, self.done = state, self.done + 1
        self.unread.append(state.losses)

    def _trained(self) -> list[Tensor]:
        return [*self.objective.field.parameters(), *self.objective.problem.parameters.values()]

    def _copies(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._trained()]

    @torch.no_grad()
    def _put_back(self, values: list[Tensor], state: State) -> None:
        for parameter, value in zip(self._trained(), values, strict=True):
            parameter.copy_(value)
        self.state = state

    def _ask_user(self) -> str:
        """Calls the user's function, its time not counted; returns a reason to stop, or ""."""
        when = self.stopping.stop.when
        if when is None:
            return ""
        began = time.monotonic()
        stop = when(self.done, self.seconds)
        self.started += time.monotonic() - began
        return "ended by the callback" if stop else ""

    def _read(self, progress: Progress, at_once: bool) -> str:
        """Reads the waiting losses if it is time; returns a reason to stop, or an empty string."""
        at_once = at_once or self.done == self.steps or len(self.unread) >= self.pace
        if not at_once or not self.unread:
            return ""
        losses_of_steps = torch.stack(self.unread).tolist()
        first = self.done - len(losses_of_steps)
        self.unread.clear()
        reason, names = "", self.objective.problem.names
        for step, losses in enumerate(losses_of_steps, start=first):
            seconds = self.seconds
            stop = self.stopping.reason(step, losses, names, seconds)
            self.history.add(step, losses, seconds)
            reason = reason or stop
        progress.update(self.done, losses_of_steps[-1])
        return reason

    def _present(self) -> tuple[int, float, dict[str, object], History]:
        """What a checkpoint holds of the loop."""
        return self.done, self.seconds, saved_fields(self.state), self.history

    def _keep_finite(self) -> str:
        """After a divergence: saves the last finite parameters, if the field still holds them."""
        if not self.method.keeps_finite(self.objective):
            return "The field was trained on with it; a checkpoint written before it is unchanged."
        self.done = len(self.history.steps)
        text = f"The field holds its last finite parameters, those after {self.done} steps"
        try:
            self.recorder.save(*self._present())
        except CheckpointError as error:
            return f"{text}, but {error}"
        path = self.recorder.path
        return f"{text}." if path is None else f"{text}, as does {path}."

    def _finish(self, reason: str, seconds: float, path: Path | None, trouble: str) -> Solution:
        """Returns the solution, with a report.

        Args:
            reason: why the solve ended.
            seconds: spent in total.
            path, trouble: of the last checkpoint, see `Recorder.save_somewhere`.
        """
        end = End(
            method=self.method.name,
            reason=self.reason,
            ended=reason,
            steps=self.done,
            seconds=seconds,
            losses=self.history.last(),
        )
        whole = not isinstance(self.objective.field, SlabField)
        report = closing_report(end, self.objective, self._examine, whole)
        field, history = self.objective.field, self.history
        solution = Solution(field, history, self.done, seconds, reason, path, report)
        if end.broken_off:
            raise Interrupted(self._how_to_go_on(path, trouble), solution, trouble)
        if trouble:
            raise CheckpointError(f"{trouble} This error's .solution holds the solution.", solution)
        return solution

    def _examine(self) -> Findings:
        return within_time(
            lambda: self.method.findings(self.state), self.seconds, self.stopping.stop.seconds
        )

    def _how_to_go_on(self, path: Path | None, trouble: str) -> str:
        """What to tell the user of a solve that was interrupted."""
        by = f" by {self.signal}" if self.signal else ""
        message = f"interrupted{by} at step {self.done}; "
        if trouble:
            return message + trouble
        if path is None:
            return message + "nothing was saved, pass out=FOLDER to be able to resume."
        return message + f"resume with resume={str(path)!r}."
