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
    number of the field at each point, at once or later. Of several channels, [N, k] with [k], and
    of a row that was meant as one, [N, 1] with [1, k], it says nothing.

    Args:
        points: N, above 1.

    Attributes:
        found: whether there was one.
        sides: whether one was a sum or difference of what depends on the field and what does not.
    """

    def __init__(self, points: int) -> None:
        super().__init__()
        self.points = points
        self.found = self.sides = False
        self._made: list[Tensor] = []  # [N, N] from such pairs, not yet of the field

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

    def _note(self, name: str, given: list[Tensor], result: Tensor) -> None:
        vectors = ((self.points,), (self.points, 1))
        paired = set(vectors) <= {tuple(tensor.shape) for tensor in given}
        made = any(tensor is other for tensor in given for other in self._made)
        of_field = sum(t.requires_grad and tuple(t.shape) in vectors for t in given)
        if (paired or made) and of_field:
            self.found = True
            self.sides |= paired and of_field == 1 and name in SUMS
        elif (paired or made) and not result.requires_grad:
            self._made.append(result)


def is_broadcast(evaluate: Callable[[], Any], points: int) -> bool:
    """Whether evaluating a residual broadcasts [N, 1] with [N], N being the number of points."""
    watch = Watch(points)
    with torch.enable_grad(), watch:
        evaluate()
    return watch.found


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
