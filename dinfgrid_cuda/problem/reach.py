"""What a residual is computed from: the trainable tensors that its gradient graph reaches."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from dinfgrid_cuda.fields.model import jet_of
from dinfgrid_cuda.warn import warn_user

from .broadcast import Watch
from .given import Numbers
from .problem import Problem
from .term import Term

# Points of a term on which its residual is tried.
SAMPLE = 4096
# Functions that call functions that call ...: as deep as names are looked for.
DEPTH = 4


def leaves(residual: Tensor) -> list[Tensor]:
    """Returns the tensors with requires_grad that ``residual`` is computed from, each once.

    Those are the leaves of autograd's graph: parameters, and tensors made by requires_grad_().
    """
    if residual.grad_fn is None:
        return [residual] if residual.requires_grad else []
    tensors: list[Tensor] = []
    seen, waiting = {residual.grad_fn}, [residual.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if hasattr(node, "variable"):
            tensors.append(node.variable)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return tensors


def check_untrained(
    problem: Problem, field: nn.Module, dtype: torch.dtype, device: torch.device
) -> None:
    """Refuses trainable tensors that no solve would train; warns of parameters without effect.

    Each residual is evaluated once. What raises there is left to the solve.

    Raises:
        ValueError: if a residual holds a tensor with requires_grad that belongs neither to the
            field nor to the problem's parameters, which the message names, or if it broadcasts
            [N, 1] with [N] before a sum.
    """
    known = {id(p) for p in (*field.parameters(), *problem.parameters.values())}
    reached: set[int] = set()
    complete = True
    for index, term in enumerate(problem.terms):
        x, data = problem.draw(index, 0, 0, dtype, device)
        trial = _tried(term, field, x, data)
        if trial is None:
            complete = False
            continue
        if trial.sides and trial.residual.dim() and trial.residual[0].numel() < trial.points:
            _check_pairs(term, field, x[: trial.points - 1], data)
        used = leaves(trial.residual)
        reached |= {id(leaf) for leaf in used}
        strange = [leaf for leaf in used if id(leaf) not in known]
        if strange:
            trained = {id(p) for p in problem.parameters.values()}
            again = _tried(term, field, x, data)
            lasting = [] if again is None else leaves(again.residual)
            _refuse_lasting(term, strange, {id(leaf) for leaf in lasting}, trained)
    unused = [name for name, p in problem.parameters.items() if id(p) not in reached]
    if unused and complete:
        warn_user(
            f"solve: no residual uses the parameter {', '.join(map(repr, unused))}, which stays as "
            "it is; use the torch.nn.Parameter itself in a residual, not a copy or its value."
        )


@dataclass(frozen=True)
class Trial:
    """Holds a residual evaluated once.

    Attributes:
        residual: unchecked.
        points: their number.
        sides: whether a sum or difference on the way broadcast [N, 1] with [N] (see `Watch`).
    """

    residual: Tensor
    points: int
    sides: bool


def _tried(term: Term, field: nn.Module, x: Tensor, data: Numbers | None) -> Trial | None:
    """The residual on some of the points, or on all where some will not do; None if it raises."""
    for count in dict.fromkeys((min(len(x), SAMPLE), len(x))):
        some = x[:count].clone()
        numbers = None if data is None else data[:count]
        try:
            u: Any = jet_of(field)(some, term.order)
            with torch.random.fork_rng(devices=[]), Watch(count) as watch:
                residual = term.residual_at(some, u, numbers)
        except Exception:  # the user's function: the solve will tell what is wrong
            continue
        if isinstance(residual, Tensor):
            return Trial(residual, count, count > 1 and watch.sides)
    return None


def _check_pairs(term: Term, field: nn.Module, fewer: Tensor, data: Numbers | None) -> None:
    """Raises if [N, 1] is broadcast with [N] on fewer points too: the numbers belong to the points.

    Constants that are as many as the points only once may be others than the points'.
    """
    trial = _tried(term, field, fewer, data)
    if trial is not None and trial.points == len(fewer) and trial.sides:
        raise ValueError(
            f"term {term.name!r}: inside the residual a sum or difference broadcasts [N] with "
            "[N, 1] to [N, N], every point with every other; give both sides the same shape, e.g. "
            "u.value[:, 0] - g(x), or u.value[:, 0][:, None] - g(x)[None] if pairs are meant."
        )


def _refuse_lasting(
    term: Term, strange: list[Tensor], lasting: set[int], trained: set[int]
) -> None:
    """Raises if a tensor outlives the residual's call: others are made anew each time.

    The rest of a module of which some parameters are ``trained`` was left out with a purpose, or
    forgotten: that is a warning.

    Args:
        strange: leaves of the residual that no solve trains.
        lasting: ids of the leaves of the residual evaluated once more.
        trained: ids of the problem's parameters.
    """
    untrained = [leaf for leaf in strange if id(leaf) in lasting]
    if not untrained:
        return
    variables = list(_variables(term.residual, DEPTH, set()))
    more = f" and {len(untrained) - 1} more" if len(untrained) > 1 else ""
    use = f"term {term.name!r}: its residual uses {_name_of(untrained[-1], variables)}{more}, "
    modules = [
        {id(p) for p in module.parameters()}
        for _, value in variables
        for module in _modules(value, DEPTH)
    ]
    chosen = set().union(*(module for module in modules if module & trained))
    if all(id(leaf) in chosen for leaf in untrained):
        warn_user(
            f"{use}which stays as it is, while other parts of the same module are trained; pass "
            "it in Problem(parameters={...}) too, or call .requires_grad_(False) on it."
        )
        return
    raise ValueError(
        f"{use}which would stay untrained: a trainable tensor that belongs neither to the field "
        "nor to the problem's parameters; pass it in Problem(parameters={...}), of a network "
        "dict(net.named_parameters()), or call .requires_grad_(False) on it to hold it."
    )


def _name_of(tensor: Tensor, variables: list[tuple[str, Any]]) -> str:
    """Says how to get to a tensor from one of the variables, and its shape."""
    shape = f"of shape {list(tensor.shape)}"
    for name, value in variables:
        path = _path(tensor, value)
        if path is not None:
            return f"{name + path!r} ({shape})"
    return f"a {type(tensor).__name__} {shape}"


def _path(tensor: Tensor, value: Any, depth: int = DEPTH) -> str | None:
    """How to get from a value to the tensor inside it: "", ".weight", "[0]"; None if it is not."""
    if value is tensor:
        return ""
    if not depth:
        return None
    if isinstance(value, nn.Module):
        names = (f".{name}" for name, held in value.named_parameters() if held is tensor)
        return next(names, None)
    for step, held in _entries(value):
        further = _path(tensor, held, depth - 1)
        if further is not None:
            return step + further
    return None


def _modules(value: Any, depth: int) -> Iterator[nn.Module]:
    """Yields the torch modules that a value is or holds."""
    if isinstance(value, nn.Module):
        yield value
    elif depth:
        for _, held in _entries(value):
            yield from _modules(held, depth - 1)


def _entries(value: Any) -> list[tuple[str, Any]]:
    """What a container or an object holds, and how to get there."""
    if isinstance(value, (ModuleType, type)) or inspect.isroutine(value):
        return []
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", held) for key, held in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{place}]", held) for place, held in enumerate(value)]
    return [(f".{name}", held) for name, held in getattr(value, "__dict__", {}).items()]


def _variables(function: Any, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yields names and values that a function can see, and those of the functions it calls."""
    if id(function) in seen or depth < 0:
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        yield from function.keywords.items()
        yield from ((f"argument {place}", value) for place, value in enumerate(function.args))
        yield from _variables(function.func, depth, seen)
        return
    if inspect.ismethod(function):
        yield "self", function.__self__
        function = function.__func__
    elif not inspect.isfunction(function):
        yield type(function).__name__, function
        call = getattr(function, "forward", None) or vars(type(function)).get("__call__")
        function = getattr(call, "__func__", call)
    function = inspect.unwrap(function) if callable(function) else function
    if not inspect.isfunction(function):
        return
    held = _seen_by(function)
    yield from held
    for _, value in held:
        if inspect.isroutine(value) or isinstance(value, functools.partial):
            yield from _variables(value, depth - 1, seen)


def _seen_by(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Closure, defaults and globals of a Python function, those of functions inside it too."""
    held: list[tuple[str, Any]] = []
    code: CodeType = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            held.append((name, cell.cell_contents))
        except ValueError:  # not assigned yet
            continue
    held += [
        (name, parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    ]
    names = _global_names(code)
    held += [(name, function.__globals__[name]) for name in names if name in function.__globals__]
    return held


def _global_names(code: CodeType) -> list[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [*code.co_names, *(name for nested in inner for name in _global_names(nested))]
