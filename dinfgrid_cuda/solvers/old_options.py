"""The keywords that `solve` had before methods were values: they work for one release more."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dinfgrid_cuda.warn import warn_user

from .choose import AUTO, as_method
from .methods.adam import Adam
from .methods.alternating import Alternating
from .methods.lbfgs import LBFGS
from .methods.least_squares import LeastSquares
from .methods.method import Method
from .record.output import Output
from .record.stopping import Stop

# Old keyword: new place, and the name there.
STOP = {
    "target_loss": "loss",
    "patience": "patience",
    "min_decrease": "min_decrease",
    "max_seconds": "seconds",
    "callback": "when",
}
OUTPUT = {"checkpoint_seconds": "every", "extra": "extra"}
METHOD = {
    "lr": "Adam(lr=...) or LBFGS(lr=...)",
    "decay": "Adam(decay=...)",
    "memory": "LBFGS(memory=...)",
    "point_sum": "Adam(point_sum=...) or LBFGS(point_sum=...)",
    "route": "LeastSquares(linear=...) or Alternating(joint=...)",
    "balance": "LeastSquares(balance=...)",
}
# Where each old keyword belongs now.
PLACES = {
    **METHOD,
    **{old: f"stop=Stop({new}=...)" for old, new in STOP.items()},
    **{old: f"out=Output(folder, {new}=...)" for old, new in OUTPUT.items()},
}
OWN = ("problem", "field", "method", "steps", "stop", "out", "resume", "seed", "guess", "progress")
# What belongs to an object, and is no keyword of `solve`.
ELSEWHERE = {
    **{new: f"stop=Stop({new}=...)" for new in STOP.values()},
    "every": "out=Output(folder, every=...)",
    "linear": "LeastSquares(linear=...)",
    "fit": "LeastSquares(fit=...)",
    "joint": "Alternating(joint=...)",
    "learning_rate": "Adam(lr=...)",
}
ROUTES = ("auto", "direct", "matrix-free", "alternating", "joint")
JOINT: dict[str, bool | str] = {"alternating": False, "joint": True, "auto": "auto"}


@dataclass(frozen=True)
class Asked:
    """What `solve` is asked for, in its new form.

    Attributes:
        method, stop, out: as in `solve`.
        point_sum: where the points are summed, whatever method is chosen.
        options: of the method that will be chosen, as far as it has them.
    """

    method: Any
    stop: Stop | None
    out: Any
    point_sum: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def refined(self, method: Method) -> Method:
        """A method that was chosen, with the options that it has."""
        return _with_options(method, self.options) if self.options else method


def translated(asked: Asked, old: dict[str, Any], resumed: bool = False) -> Asked:
    """Puts old keywords into their new places, each with a warning.

    Args:
        resumed: whether "auto" stands for the method of a checkpoint.

    Raises:
        TypeError: for a keyword that never was one, or for one that belongs into an object that is
            passed as well.
        ValueError: for an option that the method does not have.
    """
    for name in old:
        _announce(name)
    _check_objects(asked, old)
    stop, out = asked.stop, asked.out
    rules = {STOP[name]: value for name, value in old.items() if name in STOP}
    if rules:
        stop = Stop(**rules)
    options = {OUTPUT[name]: value for name, value in old.items() if name in OUTPUT}
    if options:
        options["extra"] = options.get("extra") or {}
        output = Output("." if out is None else out, **options)
        out = None if out is None else output
    given = {name: value for name, value in old.items() if name in METHOD and value is not None}
    _check_values(given)
    point_sum = given.get("point_sum")
    if asked.method != AUTO:
        full = as_method("solve", asked.method)
        assert full is not None
        return Asked(_with_options(full, given), stop, out, point_sum)
    if {"lr", "decay"} & set(given) and not resumed:
        return Asked(_with_options(Adam(), given), stop, out, point_sum)
    return Asked(AUTO, stop, out, point_sum, given)


def _announce(name: str) -> None:
    """Warns of an old keyword; raises TypeError for one that never was."""
    if name in PLACES:
        place = PLACES[name]
        warn_user(f"solve: {name}=... will go in the next release; use {place}.", FutureWarning)
        return
    near = difflib.get_close_matches(name, OWN, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    if name in ELSEWHERE:
        hint = f"; pass {ELSEWHERE[name]}."
    raise TypeError(f"solve: there is no argument {name!r}{hint}")


def _check_objects(asked: Asked, old: dict[str, Any]) -> None:
    """Raises TypeError where an old keyword belongs into an object that is passed as well."""
    for keywords, given in (
        (STOP, asked.stop),
        (OUTPUT, asked.out if isinstance(asked.out, Output) else None),
        (METHOD, asked.method if isinstance(asked.method, Method) else None),
    ):
        twice = [name for name in old if name in keywords]
        if given is not None and twice:
            kind = type(given).__name__
            raise TypeError(f"solve: {twice[0]}=... belongs into the {kind}(...) that is passed.")


def _check_values(options: dict[str, Any]) -> None:
    """Whether options have values that some method takes, whichever will be chosen."""
    route = options.get("route", AUTO)
    if route not in ROUTES:
        raise ValueError(f"solve: route is {route!r}, but it must be one of {', '.join(ROUTES)}.")
    if "memory" in options:
        LBFGS(memory=options["memory"])


def _with_options(method: Method, options: dict[str, Any]) -> Method:
    """A method with those of the old keywords that it has.

    Raises:
        ValueError: for a learning rate of least squares, or a decay of L-BFGS.
    """
    if isinstance(method, LeastSquares):
        if "lr" in options or "decay" in options:
            raise ValueError("solve: least-squares has no learning rate; leave lr and decay out.")
        route, balance = options.get("route", AUTO), options.get("balance", method.balance)
        if route in ("alternating", "joint"):
            return Alternating(joint=JOINT[route], balance=balance)
        return replace(method, linear=route, balance=balance)
    if not isinstance(method, (LBFGS, Adam)):
        return method
    if isinstance(method, LBFGS) and "decay" in options:
        raise ValueError("solve: decay belongs to Adam; L-BFGS finds its step by line search.")
    names = {option.name for option in fields(method)}
    return replace(method, **{name: value for name, value in options.items() if name in names})
