"""solve(): trains a field on a problem."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from torch import nn

from .adam import AdamRunner
from .arguments import check_decay, check_extra, check_real, check_whole
from .checkpoint import FILE_NAME, prepare_folder
from .history import History
from .lbfgs import LbfgsRunner
from .least_squares import LeastSquaresRunner
from .loop import Loop, Runner, Solution
from .objective import Objective, PointSum
from .problem import Problem
from .stopping import Stopping

METHODS = ("adam", "lbfgs", "least-squares")
DEFAULT_STEPS = {"adam": 10_000, "lbfgs": 200, "least-squares": 20}
# Reading a loss waits for the GPU; there Adam's losses of this many steps are read together.
STEPS_PER_READ = 50


def solve(
    problem: Problem,
    field: nn.Module,
    method: str = "adam",
    *,
    steps: int | None = None,
    lr: float | None = None,
    decay: tuple[float, int] | None = None,
    memory: int = 10,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool | str | os.PathLike[str] = False,
    progress: bool = True,
    target_loss: float | None = None,
    patience: int | None = None,
    min_decrease: float = 1e-3,
    max_seconds: float | None = None,
    checkpoint_seconds: float = 60.0,
    extra: dict[str, Any] | None = None,
    point_sum: PointSum | None = None,
) -> Solution:
    """Trains ``field`` in place until the problem's residuals are small.

    Args:
        problem: the terms.
        field: a `Field`, or any module with ``jet(x, order)``.
        method: "adam" draws new points each step; "lbfgs" and "least-squares" keep those of step 0.
            The last solves linear problems for the features of a `Field` directly, and nonlinear
            ones and energies by damped (Gauss-)Newton steps; it suits one level in float64.
        steps: in total, those before a resume included. Default 10,000 for Adam, 200 for L-BFGS,
            20 for least squares.
        lr: learning rate; default 5e-3 for Adam, 1 (the quasi-Newton step) for L-BFGS.
        decay: (factor, interval) of the learning rate, Adam only: (0.1, 5000) divides it by ten
            every 5000 steps.
        memory: pairs of vectors that L-BFGS keeps, each pair twice as large as the parameters.
        seed: of the points. The field's initial features are seeded where it is built.
        out: folder for the checkpoint, written at the end, on Ctrl-C and now and then.
        resume: True continues from the checkpoint in ``out``, a path from that file; bit for bit
            as if there had been no break, where the kernels are deterministic. All but the total
            of ``steps`` and the stopping rules must be as before.
        progress: a bar with losses and time left on a terminal, a few lines elsewhere.
        target_loss: stop at a loss this low.
        patience: stop after this many steps in which the loss fell by less than ``min_decrease``.
        min_decrease: as a fraction of the loss.
        max_seconds: stop after this time, steps before a resume included.
        checkpoint_seconds: between the checkpoints on the way.
        extra: JSON data to store in the checkpoint.
        point_sum: where the points are summed; this process by default.

    Raises:
        TypeError, ValueError: for arguments or residuals that do not fit.
        DivergedError: if the loss becomes NaN or infinite. On the CPU the field then keeps its last
            finite parameters, which are also written to ``out``.
        CheckpointError: if ``out`` cannot be written or ``resume`` cannot be read.
        Interrupted: on Ctrl-C, after the step under way and a checkpoint.
    """
    if method not in METHODS:
        raise ValueError(
            f"solve: method is {method!r}, but it must be one of {', '.join(METHODS)}."
        )
    total = DEFAULT_STEPS[method] if steps is None else steps
    check_whole("solve", "steps", total, 0)
    check_whole("solve", "seed", seed)
    if checkpoint_seconds != math.inf:
        check_real("solve", "checkpoint_seconds", checkpoint_seconds)
    check_extra(extra or {})
    stopping = Stopping(target_loss, patience, min_decrease, max_seconds)
    folder = None if out is None else prepare_folder(out)
    objective = Objective(problem, field, seed, method == "adam", point_sum)
    runner = _runner(method, objective, lr, decay, memory)
    loop = Loop(
        problem=problem,
        field=field,
        method=method,
        seed=seed,
        steps=total,
        runner=runner,
        history=History(problem.names),
        stopping=stopping,
        path=None if folder is None else folder / FILE_NAME,
        checkpoint_seconds=checkpoint_seconds,
        extra=extra or {},
        pace=1 if runner.keeps_finite else STEPS_PER_READ,
    )
    if resume is not False:
        loop.resume(_resume_path(resume, loop.path))
    return loop.run(progress)


def _runner(
    method: str,
    objective: Objective,
    lr: float | None,
    decay: tuple[float, int] | None,
    memory: int,
) -> Runner:
    if lr is not None:
        check_real("solve", "lr", lr, positive=True)
    check_whole("solve", "memory", memory, 1)
    if method == "least-squares":
        if lr is not None or decay is not None:
            raise ValueError("solve: least-squares has no learning rate; leave lr and decay out.")
        return LeastSquaresRunner(objective)
    if method == "lbfgs":
        if decay is not None:
            raise ValueError("solve: decay belongs to Adam; L-BFGS finds its step by line search.")
        return LbfgsRunner(objective, 1.0 if lr is None else lr, memory)
    if decay is not None:
        check_decay(decay)
    return AdamRunner(objective, 5e-3 if lr is None else lr, decay)


def _resume_path(resume: bool | str | os.PathLike[str], own: Path | None) -> Path:
    if isinstance(resume, (str, os.PathLike)):
        return Path(resume)
    if own is None:
        raise ValueError("solve: resume=True needs out, the folder that holds the checkpoint.")
    return own
