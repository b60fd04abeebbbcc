"""Whether a residual [N, N] has N columns, or comes from broadcasting [N, 1] with [N]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Not elementwise: their vectors are weights and biases.
PRODUCTS = {"linear", "matmul", "mm", "mv", "addmm", "addmv", "addr", "outer", "bilinear"}
# Of what belongs to the field and what does not: a residual's two sides, and not a kernel's.
SUMS = {"add", "sub", "subtract", "rsub", "__add__", "__sub__", "__radd__", "__rsub__"}


class Watch(TorchFunctionMode):
    """Looks for operations that pair each of N points with each of N numbers.

    Such an operation takes a tensor [N] and a tensor [N, 1] and returns [N, N], which meets one
    number of the field at each point, at once or later. It says nothing of several channels,
    [N, k] with [k], nor of [N, 1] with [1, k], where pairs were meant.

    Args:
        points: N, above 1.

    Attributes:
        seen: whether there was one.
        sides: whether one was a sum or difference of what depends on the field and what does not.
    """

    def __init__(self, points: int) -> None:
        super().__init__()
        self.points = points
        self.seen = self.sides = False
        self._pairs: list[Tensor] = []  # [N, N] from such pairs, not yet of the field

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        square = isinstance(result, Tensor) and result.shape == (self.points, self.points)
        name = getattr(func, "__name__", "")
        if square and name not in PRODUCTS:
            self._note(name, list(_tensors((args, kwargs))), result)
        return result

    def _note(self, name: str, arguments: list[Tensor], result: Tensor) -> None:
        vectors = ((self.points,), (self.points, 1))
        paired = set(vectors) <= {tuple(tensor.shape) for tensor in arguments}
        earlier = any(tensor is pairs for tensor in arguments for pairs in self._pairs)
        of_field = sum(t.requires_grad and tuple(t.shape) in vectors for t in arguments)
        if (paired or earlier) and of_field:
            self.seen = True
            self.sides |= paired and of_field == 1 and name in SUMS
        elif (paired or earlier) and not result.requires_grad:
            self._pairs.append(result)


def is_broadcast(evaluate: Callable[[], Any], points: int) -> bool:
    """Whether evaluating a residual broadcasts [N, 1] with [N], N being the number of points."""
    watch = Watch(points)
    with torch.enable_grad(), watch:
        evaluate()
    return watch.seen


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _tensors(entry)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
