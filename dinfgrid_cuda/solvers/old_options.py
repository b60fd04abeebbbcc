"""The keywords that `solve` had before methods were values: they work for one release more."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
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
OWN = ("problem", "field", "method", "steps", "stop", "out", "resume", "seed", "guess", "progress")
KEYWORDS = (*OWN, *STOP, *OUTPUT, *METHOD)
JOINT: dict[str, bool | str] = {"alternating": False, "joint": True, "auto": "auto"}


@dataclass(frozen=True)
class Asked:
    """What `solve` is asked for, in its new form.

    Attributes:
        method, stop, out: as in `solve`.
        point_sum: where the points are summed, whatever method is chosen.
        options: of least squares, should it be chosen.
    """

    method: Any
    stop: Stop | None
    out: Any
    point_sum: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def refined(self, method: Method) -> Method:
        """A method that was chosen, with the options."""
        if not self.options or not isinstance(method, LeastSquares):
            return method
        return _squares(method, self.options)


def translated(asked: Asked, old: dict[str, Any]) -> Asked:
    """Puts old keywords into their new places, each with a warning.

    Raises:
        TypeError: for a keyword that never was one, with the nearest that is.
        ValueError: for an option that the method does not have.
    """
    for name in old:
        if name not in KEYWORDS:
            near = difflib.get_close_matches(name, KEYWORDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise TypeError(f"solve: there is no argument {name!r}{hint}")
        place = METHOD.get(name)
        if name in STOP:
            place = f"stop=Stop({STOP[name]}=...)"
        elif name in OUTPUT:
            place = f"out=Output(folder, {OUTPUT[name]}=...)"
        warn_user(f"solve: {name}=... will go in the next release; use {place}.", FutureWarning)
    stop, out = asked.stop, asked.out
    rules = {STOP[name]: value for name, value in old.items() if name in STOP}
    if rules:
        stop = replace(stop or Stop(), **rules)
    options = {OUTPUT[name]: value for name, value in old.items() if name in OUTPUT}
    if options:
        output = replace(out if isinstance(out, Output) else Output(out or "."), **options)
        out = None if out is None else output
    given = {name: value for name, value in old.items() if name in METHOD and value is not None}
    if asked.method == AUTO and not {"lr", "decay"} & set(given):
        return Asked(AUTO, stop, out, given.get("point_sum"), given)
    return Asked(_method(asked.method, given), stop, out, given.get("point_sum"))


def _method(method: Any, options: dict[str, Any]) -> Any:
    """A method with the options that once were keywords."""
    if isinstance(method, str) and method == AUTO:
        method = "adam"  # a learning rate is given
    full = as_method("solve", method)
    if isinstance(full, (LeastSquares, Alternating)):
        for name in ("lr", "decay"):
            if name in options:
                raise ValueError(
                    "solve: least-squares has no learning rate; leave lr and decay out."
                )
        return _squares(full, options)
    if isinstance(full, LBFGS):
        if "decay" in options:
            raise ValueError("solve: decay belongs to Adam; L-BFGS finds its step by line search.")
        kept = ("lr", "memory", "point_sum")
        return replace(full, **{name: v for name, v in options.items() if name in kept})
    if isinstance(full, Adam):
        kept = ("lr", "decay", "point_sum")
        return replace(full, **{name: v for name, v in options.items() if name in kept})
    return full


def _squares(method: LeastSquares | Alternating, options: dict[str, Any]) -> Method:
    """Least squares with an old route: "alternating" and "joint" belong to products."""
    route, balance = options.get("route", AUTO), options.get("balance", method.balance)
    if isinstance(method, Alternating) or route in ("alternating", "joint"):
        return Alternating(joint=JOINT[route], balance=balance)
    return replace(method, linear=route, balance=balance)
