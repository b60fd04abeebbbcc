"""solve(): finds, or trains, a field that satisfies a problem."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dinfgrid_cuda.checks import check_whole
from dinfgrid_cuda.fields.field import Field
from dinfgrid_cuda.fields.slabs import SlabField
from dinfgrid_cuda.problem.fit import warn_of_misfits
from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.problem.reach import check_untrained
from dinfgrid_cuda.warn import warn_user

from .adapt import Adapt
from .adaptive import refine_and_solve
from .choose import NAMED, Choice, as_method, choose, for_field
from .errors import CheckpointError
from .linear.unknowns import unmix
from .loop import Loop
from .methods.first_guess import Guess, fit_guess
from .methods.least_squares import LeastSquares
from .methods.method import Method, State, check_savable, check_state, settings
from .old_options import Asked, translated
from .record.checkpoint import FILE_NAME, load, prepare_folder
from .record.output import Output
from .record.recorder import Recorder
from .record.stopping import Stop, Stopping
from .solution import Solution


@torch.inference_mode(False)
def solve(
    problem: Problem,
    field: nn.Module,
    method: str | Method = "auto",
    *,
    steps: int | None = None,
    stop: Stop | None = None,
    out: str | os.PathLike[str] | Output | None = None,
    resume: bool | str | os.PathLike[str] = False,
    seed: int = 0,
    guess: Guess | None = None,
    adapt: Adapt | None = None,
    progress: bool = True,
    **old: Any,
) -> Solution:
    """Finds, or trains, ``field`` in place until the problem's residuals are small.

        solution = dg.solve(problem, field)
        dg.solve(problem, field, dg.Adam(lr=5e-3, decay=(0.1, 5000)), stop=dg.Stop(seconds=60))

    Args:
        problem: the terms.
        field: a `Field`, or any module with ``jet(x, order)``.
        method: `LeastSquares`, `LBFGS`, `Adam`, `Alternating` or `TimeSlabs` with their options, or
            a short name for the defaults: "least-squares" solves for the features of a `Field`,
            best in float64; "lbfgs" (on fixed points) and "adam" (new points each step) train any
            field. "auto" finds out whether the residuals are squares of what is linear in the
            features, and takes one of these; ``solution.report`` says why.
        steps: in total, those before a resume included. By default 10,000 for Adam, 200 for L-BFGS,
            20 for least squares (a slab), 50 for a `FactorizedField`.
        stop: what ends the solve before its last step.
        out: folder for the checkpoint, or an `Output` that says how often.
        resume: True continues from the checkpoint in ``out``, a path from that file; bit for bit as
            if there had been no break, where the kernels are deterministic. All but the total of
            ``steps`` and ``stop`` must be as before: the terms too.
        seed: of the points. The field's initial features are seeded where it is built.
        guess: where to start: a number, a function of x ([N, dim] to [N, out], or to [N] for one
            channel), or another field, to which the features of a `Field` (of a `SlabField`: its
            first slab) are fitted. Without it a nonlinear least-squares solve fits the terms that
            are linear (data, boundary values) first, where that is the better start. Not used on a
            resume.
        adapt: refines the grid of a `Field` where that is needed, see `Adapt`: least squares only.
            The field's grid is replaced by one with local levels.
        progress: whether to show a bar with losses and time left on a terminal, a few lines
            elsewhere, and the report at the end.
        old: keywords of version 0.1 (lr, max_seconds, route, ...), which work for one release more.

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
    if adapt is not None:
        return _adapted(
            problem,
            field,
            adapt,
            method,
            resume,
            progress,
            guess,
            dict(steps=steps, stop=stop, out=out, seed=seed, **old),
        )
    if stop is not None and not isinstance(stop, Stop):
        raise TypeError(f"solve: stop is {stop!r}; pass Stop(...).")
    resume = False if resume is None else resume
    asked = Asked(method, stop, out)
    if old:
        asked = translated(asked, old, resumed=resume is not False)
    wanted, rules = as_method("solve", asked.method), asked.stop or Stop()
    if steps is not None:
        steps = check_whole("solve", "steps", steps, 0)
    seed = check_whole("solve", "seed", seed)
    output = asked.out
    if output is not None and not isinstance(output, Output):
        output = Output(output)
    path = None if output is None else prepare_folder(output.folder) / FILE_NAME
    saved = None if resume is False else _resume_path(resume, path)
    choice = _chosen(wanted, problem, field, asked.point_sum, saved)
    if isinstance(field, SlabField) and (rules.loss is not None or rules.patience is not None):
        raise ValueError(
            "solve: Stop(loss=...) and Stop(patience=...) compare the losses of steps, but with a "
            "SlabField these belong to one slab after the other; leave them out."
        )
    chosen = asked.refined(choice.method)
    if isinstance(chosen, LeastSquares) and (guess is not None or choice.linear):
        chosen = replace(chosen, fit=False)
    chosen = for_field(chosen, field)
    given, problem = problem, chosen.prepare(problem, field)
    point_sum = getattr(chosen, "point_sum", asked.point_sum)
    objective = Objective(problem, field, seed, chosen.resamples, point_sum)
    if saved is None and chosen.name == LeastSquares.name:
        unmix(field)
    if guess is not None:
        _start(guess, field, problem, saved)
    state = _first_state(chosen, objective, path is not None)
    loop = Loop(
        method=chosen,
        objective=objective,
        state=state,
        steps=_default_steps(chosen, field) if steps is None else steps,
        recorder=Recorder(
            problem=problem,
            field=field,
            seed=seed,
            method=chosen.name,
            settings=settings(chosen),
            path=path,
            extra={} if output is None else output.extra,
        ),
        stopping=Stopping(rules, objective.nonfinite),
        reason=choice.reason,
        every=60.0 if output is None else output.every,
    )
    if saved is not None:
        loop.resume(saved)
    warn_of_misfits(problem, field)
    check_untrained(problem, field, objective.dtype, objective.device)
    return replace(loop.run(progress), problem=given)


def _adapted(
    problem: Problem,
    field: nn.Module,
    adapt: Any,
    method: str | Method,
    resume: Any,
    progress: bool,
    guess: Guess | None,
    options: dict[str, Any],
) -> Solution:
    """Solves and refines by turns, see `Adapt`."""
    if not isinstance(adapt, Adapt):
        raise TypeError(f"solve: adapt is {adapt!r}; pass Adapt(error=...).")
    if not isinstance(field, Field):
        raise TypeError(
            f"solve: adapt refines the grid of a Field, but the field is a {type(field).__name__}."
        )
    if resume:
        raise ValueError("solve: a solve with adapt cannot be resumed; leave resume out.")
    wanted = as_method("solve", method)
    if wanted is None:
        wanted = choose(problem, field, None).method
    if not isinstance(wanted, LeastSquares):
        raise ValueError(
            "solve: adapt needs least squares, whose residuals tell where cells are too large, but "
            f"the method is {wanted.name!r}; refine by hand with grid.refined(boxes)."
        )
    tried = wanted

    def once() -> Solution:
        nonlocal guess, tried
        solution = solve(problem, field, tried, guess=guess, progress=False, **options)
        guess, tried = None, replace(wanted, fit=False)  # the next rounds start from this one
        return solution

    solution = refine_and_solve(problem, field, adapt, once, progress)
    if progress:
        print(solution.report, file=sys.stderr, flush=True)
    return solution


def _default_steps(method: Method, field: nn.Module) -> int:
    """The number of steps that a method takes by default, checked."""
    return check_whole(type(method).__name__, "default_steps", method.default_steps(field), 0)


def _first_state(method: Method, objective: Objective, saves: bool) -> State:
    """The state before the first step, checked.

    Args:
        saves: whether checkpoints will be written.
    """
    state = method.init(objective)
    check_state(method, "init", state)
    if saves:
        check_savable(method, state)
    return state


def _start(guess: Guess, field: nn.Module, problem: Problem, saved: Path | None) -> None:
    """Fits the field to a guess, unless it goes on from a checkpoint."""
    if saved is None:
        fit_guess(guess, field, problem.domain)
        return
    warn_user(
        f"solve: guess is not used, the solve goes on from the features in {saved}; leave it out."
    )


def _chosen(
    method: Method | None, problem: Problem, field: nn.Module, point_sum: Any, saved: Path | None
) -> Choice:
    """The method that is asked for, or that suits the problem.

    Args:
        method: None for "auto".
        saved: a checkpoint to resume from: its method is kept.
    """
    if method is not None:
        return Choice(method, "as asked")
    if saved is not None:
        name = load(saved).method
        if name not in NAMED:
            raise CheckpointError(f"{saved} was made by the method {name!r}; pass that method.")
        return Choice(NAMED[name](), "as in the checkpoint")
    return choose(problem, field, point_sum)


def _resume_path(resume: bool | str | os.PathLike[str], own: Path | None) -> Path:
    """The checkpoint to go on from."""
    if isinstance(resume, (str, os.PathLike)):
        return Path(resume)
    if own is None:
        raise ValueError("solve: resume=True needs out, the folder that holds the checkpoint.")
    return own
