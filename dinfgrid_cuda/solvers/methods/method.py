"""Methods as values: an object with its options, and frozen states that its steps lead through."""

from __future__ import annotations

import copy
import dataclasses
import weakref
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from dinfgrid_cuda.problem.objective import Objective
from dinfgrid_cuda.problem.problem import Problem
from dinfgrid_cuda.solvers.diagnosis.report import Findings
from dinfgrid_cuda.solvers.record.checkpoint import UnsavableError, pack
from dinfgrid_cuda.solvers.record.stopping import CONVERGED

# Of a field of a state: what can be formed again from the others, and is not saved.
UNSAVED = {"saved": False}
# Of an option: it may differ in a solve that resumes.
FREE = {"free": True}


@dataclass(frozen=True)
class State:
    """Where a solve stands after some steps, besides the parameters of field and problem.

    A state holds numbers, texts and tensors, alone or in lists, tuples and dicts, so that a
    checkpoint saves it without knowing which method it belongs to. Fields marked ``UNSAVED`` hold
    the tools of the work (factors, buffers), formed again from the rest where they are missing. A
    step may reuse the tensors of the state that it starts from.

    Attributes:
        losses: [1 + terms], the weighted sum and the loss of each term, as the last step left them
            (of Adam: as it met them); None before the first step.
        step: number of steps taken.
        converged: whether no further step can lower the loss.
        verdict: what ``converged`` means, for the user.
    """

    losses: Tensor | None = None
    step: int = 0
    converged: bool = False
    verdict: str = CONVERGED
    work: Any = field(default=None, repr=False, compare=False, metadata=UNSAVED)


AnyState = TypeVar("AnyState", bound=State)


class Place:
    """Remembers the state that some tools stand at, without keeping it.

    A state holds its tools: if they held it too, the factor of a solve that has ended would stay in
    memory until the next collection of cycles.
    """

    def __init__(self) -> None:
        self._state: weakref.ref[State] | None = None

    def is_at(self, state: State) -> bool:
        """Whether the tools stand at this very state."""
        return self._state is not None and self._state() is state

    def move_to(self, state: State) -> None:
        """Notes that the tools stand at a state now."""
        self._state = weakref.ref(state)

    def leave(self) -> None:
        """Notes that the tools stand at no state."""
        self._state = None


class Method(ABC):
    """How a field is found. Methods are frozen dataclasses, whose fields are their options.

    Attributes:
        name: in reports and checkpoints.
        resamples: whether random points are drawn anew for each step.
        moves_last: whether a step that is cut short leaves parameters and state as they were.
        reuses: whether a step changes the tensors of the state that it starts from.
        undoes: whether a step with a loss that is not finite leaves the parameters before it.
    """

    name: ClassVar[str]
    resamples: ClassVar[bool] = False
    moves_last: ClassVar[bool] = False
    reuses: ClassVar[bool] = False
    undoes: ClassVar[bool] = False

    def keeps_finite(self, objective: Objective) -> bool:
        """Whether a step with a loss that is not finite leaves finite parameters here."""
        return self.undoes

    @abstractmethod
    def default_steps(self, field: nn.Module) -> int:
        """The number of steps where none is asked for."""

    def prepare(self, problem: Problem, field: nn.Module) -> Problem:
        """The problem with the points that this method takes where the user leaves them open."""
        return problem

    @abstractmethod
    def init(self, objective: Objective) -> State:
        """The state before the first step.

        Raises:
            SolveError, ValueError: if the method cannot solve this problem for this field.
        """

    @abstractmethod
    def step(self, state: State) -> State:
        """One step: it changes the parameters in place and returns the state after it."""

    def findings(self, state: State) -> Findings:
        """What the method knows of the problem at the end, for the report."""
        return Findings()


def settings(method: Method) -> dict[str, str]:
    """The options that a resumed solve must have in common with this one, each as its repr.

    Raises:
        TypeError: if the method is not a dataclass.
    """
    kind = type(method).__name__
    if not dataclasses.is_dataclass(method):
        raise TypeError(f"solve: {kind} is no dataclass; put @dataclass(frozen=True) above it.")
    return {
        option.name: _described(getattr(method, option.name))
        for option in dataclasses.fields(method)
        if not option.metadata.get("free")
    }


def _described(option: Any) -> str:
    """The repr of an option; of a method inside, without what may differ."""
    if not isinstance(option, Method):
        return repr(option)
    values = ", ".join(f"{name}={value}" for name, value in settings(option).items())
    return f"{type(option).__name__}({values})"


def check_method(method: Method) -> None:
    """Whether a method has what `solve` asks of it.

    Raises:
        TypeError: if it has no name, or is not a dataclass.
    """
    name = getattr(method, "name", None)
    if not isinstance(name, str) or not name:
        kind = type(method).__name__
        raise TypeError(f"solve: {kind}.name is {name!r}; give the method a name, a text.")
    settings(method)


def check_state(method: Method, where: str, state: Any, term_count: int | None = None) -> None:
    """Whether ``init`` or ``step`` of a method has returned what it should.

    Args:
        where: "init" or "step".
        term_count: number of terms, where there must be losses.

    Raises:
        TypeError: one line that names the method and what it returned.
    """
    name = f"{type(method).__name__}.{where}"
    if not isinstance(state, State):
        given = type(state).__name__
        raise TypeError(f"solve: {name} returned a {given}; it must return a State.")
    if term_count is None:
        return
    losses = state.losses
    if not isinstance(losses, Tensor) or losses.shape != (1 + term_count,):
        given = f"of shape {list(losses.shape)}" if isinstance(losses, Tensor) else repr(losses)
        raise TypeError(
            f"solve: {name} returned a state whose losses are {given}; they must be a tensor "
            f"[{1 + term_count}], the weighted sum and the loss of each term."
        )


def check_savable(method: Method, state: State) -> None:
    """Whether a checkpoint can hold a state.

    Raises:
        TypeError: one line that names the field that it cannot hold.
    """
    for name, value in saved_fields(state).items():
        try:
            pack(value, name, {})
        except UnsavableError as error:
            raise TypeError(
                f"solve: {type(state).__name__}.{name} of {type(method).__name__} holds "
                f"{error.what}, which a checkpoint cannot; a state holds numbers, texts and real "
                "tensors, alone or in lists, tuples and dicts."
            ) from error


def saved_fields(state: State) -> dict[str, Any]:
    """The fields of a state that a checkpoint holds, by name; states inside it likewise."""
    return {
        name: saved_fields(value) if isinstance(value, State) else value
        for name, value in _fields(state).items()
    }


def restored(state: AnyState, saved: Any) -> AnyState:
    """A new state of the kind of ``state`` with the values of a checkpoint, and its tools.

    Args:
        state: as `Method.init` returns it.
        saved: what `saved_fields` returned.

    Raises:
        TypeError: if the values are not those of such a state.
    """
    own = _fields(state)
    if not isinstance(saved, dict) or set(saved) != set(own):
        raise TypeError(f"a {type(state).__name__} has the fields {', '.join(own)}")
    values = {}
    for name, value in saved.items():
        if isinstance(own[name], State):
            value = restored(own[name], value)
        elif own[name] is not None and value is not None and _kind(value) != _kind(own[name]):
            raise TypeError(f"{name} is a {type(value).__name__}")
        values[name] = value
    return dataclasses.replace(state, **values)


def _kind(value: Any) -> str:
    """What sort of value a state has, up to differences that a checkpoint does not keep."""
    kinds: dict[str, Any] = {
        "flag": bool,
        "number": (int, float),
        "text": str,
        "tensor": Tensor,
        "dict": dict,
    }
    for kind, types in kinds.items():
        if isinstance(value, types):
            return kind
    return type(value).__name__


def copied(state: AnyState) -> AnyState:
    """A state whose tensors are copies, so that a step cannot change them; the tools are shared."""
    copies: dict[str, Any] = {
        name: copied(value) if isinstance(value, State) else copy.deepcopy(value)
        for name, value in _fields(state).items()
    }
    return dataclasses.replace(state, **copies)


def _fields(state: State) -> dict[str, Any]:
    return {
        one.name: getattr(state, one.name)
        for one in dataclasses.fields(state)
        if one.metadata.get("saved", True)
    }
