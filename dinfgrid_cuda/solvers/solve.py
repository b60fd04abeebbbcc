"""solve(): trains a field on a problem."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dinfgrid_cuda.checks import check_decay, check_extra, check_real, check_whole
from dinfgrid_cuda.fields.field import FactorizedField, Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.geometry.regions import Interior
from dinfgrid_cuda.problem.fit import warn_of_misfits
from dinfgrid_cuda.problem.objective import Objective, PointSum
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.reach import check_untrained
from dinfgrid_cuda.solvers.diagnosis.report import Choice
from dinfgrid_cuda.solvers.linear.linearity import is_a_mean
from dinfgrid_cuda.solvers.linear.points import fitted, fitted_energies, fitted_mean
from dinfgrid_cuda.solvers.linear.product_rows import scattered
from dinfgrid_cuda.solvers.linear.unknowns import unmix
from dinfgrid_cuda.solvers.methods.adam import AdamRunner
from dinfgrid_cuda.solvers.methods.alternating import AlternatingRunner
from dinfgrid_cuda.solvers.methods.first_guess import Guess, fit_guess
from dinfgrid_cuda.solvers.methods.gauss_newton import LeastSquaresRunner
from dinfgrid_cuda.solvers.methods.lbfgs import LbfgsRunner
from dinfgrid_cuda.solvers.methods.method import Runner
from dinfgrid_cuda.solvers.methods.time_slabs import MarchRunner
from dinfgrid_cuda.solvers.record.checkpoint import FILE_NAME, load, prepare_folder
from dinfgrid_cuda.solvers.record.history import History
from dinfgrid_cuda.solvers.record.stopping import Stopping
from dinfgrid_cuda.warn import warn_user

from .choose import choose
from .loop import Callback, Loop
from .solution import Solution

METHODS = ("auto", "least-squares", "lbfgs", "adam")
DEFAULT_STEPS = {"adam": 10_000, "lbfgs": 200, "least-squares": 20}
FACTORIZED_STEPS = 50
# Reading a loss waits for the GPU; there Adam's losses of this many steps are read together.
STEPS_PER_READ = 50


@torch.inference_mode(False)
def solve(
    problem: Problem,
    field: nn.Module,
    method: str = "auto",
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
    callback: Callback | None = None,
    point_sum: PointSum | None = None,
    route: str = "auto",
    balance: bool = True,
    guess: Guess | None = None,
) -> Solution:
    """Solves for, or trains, ``field`` in place until the problem's residuals are small.

    Args:
        problem: the terms.
        field: a `Field`, or any module with ``jet(x, order)``.
        method: "least-squares" solves linear problems for the features of a `Field` in one go, and
            nonlinear ones and energies by damped (Gauss-)Newton steps; best in float64. The factors
            of a `FactorizedField` are found in turn, or together, in more steps. "adam"
            draws new points each step, "lbfgs" keeps those of step 0: they train any field. "auto"
            finds out whether the residuals are squares of what is linear in the features, and
            takes least squares, Gauss-Newton or one of the others; ``solution.report`` says why.
        steps: in total, those before a resume included. Default 10,000 for Adam, 200 for L-BFGS,
            20 for least squares (a `FactorizedField`: 50).
        lr: learning rate; default 5e-3 for Adam, 1 (the quasi-Newton step) for L-BFGS.
        decay: (factor, interval) of the learning rate, Adam only: (0.1, 5000) divides it by ten
            every 5000 steps.
        memory: pairs of vectors that L-BFGS keeps, each pair twice as large as the parameters.
        seed: of the points. The field's initial features are seeded where it is built.
        out: folder for the checkpoint, written at the end, on Ctrl-C, SIGTERM and now and then.
        resume: True continues from the checkpoint in ``out``, a path from that file; bit for bit
            as if there had been no break, where the kernels are deterministic. All but the total
            of ``steps`` and the stopping rules must be as before: the terms too.
        progress: a bar with losses and time left on a terminal, a few lines elsewhere.
        target_loss: stop at a loss this low.
        patience: stop after this many steps in which the loss fell by less than ``min_decrease``.
        min_decrease: as a fraction of the loss.
        max_seconds: stop after this time, steps before a resume included; it is looked at inside
            steps too, and a step that is cut short is undone.
        checkpoint_seconds: between the checkpoints on the way.
        extra: JSON data to store in the checkpoint.
        callback: called after each step with (steps done, seconds spent); True ends the solve. Its
            own time is not counted, so that it may measure an error.
        point_sum: where the points are summed; this process by default.
        route: of least squares: "direct" factorises a sparse matrix, "matrix-free" iterates with
            conjugate gradients; "auto" goes by memory and work. Of a `FactorizedField`:
            "alternating", "joint" (all factors at once) or "auto", see `AlternatingRunner`.
        balance: whether least squares scales the terms on `Boundary`, and those with data on
            `Points`, on top of their weights, so that they weigh as much as the equation in the
            cells next to them; data with ``noise`` no more than their noise allows. Of a nonlinear
            equation the weights may be changed again on the way, and the total loss with them.
        guess: where to start: a number, a function of x ([N, dim] to [N, out], or to [N] for one
            channel), or another field. The features of a `Field` (of a `SlabField`: its first
            slab) are fitted to it first. Without it a nonlinear least-squares solve fits the terms
            that are linear (data, boundary values) first where that is the better start. Not used
            on a resume.

    Raises:
        TypeError, ValueError: for arguments or residuals that do not fit, a grid that does not
            cover the problem's box, or a trainable tensor in a residual that nobody trains.
        DivergedError: if the loss becomes NaN or infinite. On the CPU the field then keeps its last
            finite parameters, which are also written to ``out``.
        CheckpointError: if ``out`` cannot be written, or ``resume`` cannot be read or is of another
            solve. If only the last checkpoint cannot be written, the error's ``solution`` is the
            `Solution`, and the message says where the checkpoint was saved instead, if it was.
        Interrupted: on Ctrl-C or SIGTERM, after the step under way and a checkpoint.
    """
    if method not in METHODS:
        raise ValueError(
            f"solve: method is {method!r}, but it must be one of {', '.join(METHODS)}."
        )
    if steps is not None:
        steps = check_whole("solve", "steps", steps, 0)
    seed = check_whole("solve", "seed", seed)
    if checkpoint_seconds != math.inf:
        check_real("solve", "checkpoint_seconds", checkpoint_seconds)
    check_extra(extra or {})
    stopping = Stopping(target_loss, patience, min_decrease, max_seconds)
    if out is not None and not os.fspath(out):
        raise ValueError("solve: out is ''; name a folder for the checkpoint, or leave it out.")
    folder = None if out is None else prepare_folder(out)
    path = None if folder is None else folder / FILE_NAME
    saved = None if resume is False else _resume_path(resume, path)
    choice = Choice(method, "as asked")
    if method == "auto":
        given = lr is not None or decay is not None
        choice = _choose(problem, field, point_sum, given, saved)
        method = choice.method
    if method == "least-squares" and isinstance(field, Field):
        problem = fitted(_with_means(problem, field), field.grid.spec)
    if method == "lbfgs" and isinstance(field, Field):
        problem = fitted_energies(problem, field.grid.spec)
    if method == "least-squares" and isinstance(field, FactorizedField):
        problem = scattered(problem, field)
    if isinstance(field, SlabField) and (target_loss is not None or patience is not None):
        raise ValueError(
            "solve: target_loss and patience compare the losses of steps, but with a SlabField "
            "these belong to one slab after the other; leave them out."
        )
    objective = Objective(problem, field, seed, method == "adam", point_sum)
    fit = guess is None and not choice.linear
    if method == "least-squares" and saved is None:
        unmix(field)
    if guess is not None:
        _start(guess, field, problem, saved)
    stopping.explain = objective.nonfinite
    runner = _runner(method, objective, lr, decay, memory, route, balance, fit)
    loop = Loop(
        problem=problem,
        field=field,
        method=method,
        seed=seed,
        steps=_default_steps(method, field) if steps is None else steps,
        runner=runner,
        history=History(problem.names),
        stopping=stopping,
        path=path,
        checkpoint_seconds=checkpoint_seconds,
        extra=extra or {},
        callback=callback,
        pace=1 if runner.keeps_finite else STEPS_PER_READ,
        choice=choice,
    )
    if saved is not None:
        loop.resume(saved)
    warn_of_misfits(problem, field)
    check_untrained(problem, field, objective.dtype, objective.device)
    return loop.run(progress)


def _start(guess: Guess, field: nn.Module, problem: Problem, saved: Path | None) -> None:
    if saved is None:
        fit_guess(guess, field, problem.domain)
        return
    warn_user(
        f"solve: guess is not used, the solve goes on from the features in {saved}; leave it out."
    )


def _choose(
    problem: Problem,
    field: nn.Module,
    point_sum: PointSum | None,
    trained: bool,
    saved: Path | None,
) -> Choice:
    """What "auto" stands for.

    Args:
        trained: whether a learning rate is given.
        saved: a checkpoint to resume from: its method is kept.
    """
    if saved is not None:
        return Choice(load(saved).method, "as in the checkpoint")
    if trained:
        return Choice("adam", "a learning rate is given")
    return choose(problem, field, point_sum)


def _with_means(problem: Problem, field: Field) -> Problem:
    """The problem with Gauss points where a residual is a mean over points left to the solver."""
    terms = [
        fitted_mean(term, problem.domain, field.grid.spec)
        if isinstance(term.region, Interior)
        and term.region.sampler is None
        and term.loss == "square"
        and is_a_mean(problem, field, index)
        else term
        for index, term in enumerate(problem.terms)
    ]
    return Problem(problem.domain, terms, problem.parameters)


def _default_steps(method: str, field: nn.Module) -> int:
    if method == "least-squares" and isinstance(field, FactorizedField):
        return FACTORIZED_STEPS
    slabs = len(field.parts) if isinstance(field, SlabField) else 1
    return slabs * DEFAULT_STEPS[method]


def _runner(
    method: str,
    objective: Objective,
    lr: float | None,
    decay: tuple[float, int] | None,
    memory: int,
    route: str,
    balance: bool,
    fit: bool,
) -> Runner:
    if lr is not None:
        lr = check_real("solve", "lr", lr, positive=True)
    memory = check_whole("solve", "memory", memory, 1)
    if method == "least-squares":
        if lr is not None or decay is not None:
            raise ValueError("solve: least-squares has no learning rate; leave lr and decay out.")
        if isinstance(objective.field, SlabField):
            parts = objective.problem, objective.field, objective.seed
            return MarchRunner(*parts, route, balance, fit)
        if isinstance(objective.field, FactorizedField):
            return AlternatingRunner(objective, route, balance)
        return LeastSquaresRunner(objective, route, balance, fit)
    if isinstance(objective.field, SlabField):
        raise ValueError(f"solve: a SlabField is solved by least-squares, not by {method}.")
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
