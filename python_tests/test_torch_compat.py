"""The private functions of torch that the package uses still answer what they are asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from dinfgrid_cuda.kernels import torch_compat

ONE = torch.ones(3, dtype=torch.float64)


class Asked:
    """An identity that notes the answers to a question while it is evaluated."""

    def __init__(self, question: Callable[[], bool]) -> None:
        self.question = question
        self.answers: list[bool] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.answers.append(self.question())
        return x * x

    def answer(self) -> bool:
        """The one answer that all evaluations gave; forgets them."""
        (answer,) = set(self.answers)
        self.answers.clear()
        return answer


def jvp(function: Callable[[Tensor], Tensor], x: Tensor = ONE) -> Tensor:
    tangent: Tensor = torch.func.jvp(function, (x,), (torch.ones_like(x),))[1]
    return tangent


def test_fake_tensors_are_known() -> None:
    assert not torch_compat.is_fake(ONE)
    assert not torch_compat.is_fake(ONE.to("meta"))
    with FakeTensorMode():
        assert torch_compat.is_fake(torch.ones(3))


def test_tensors_computed_from_fake_ones_are_fake() -> None:
    with FakeTensorMode() as mode:
        assert torch_compat.is_fake(mode.from_tensor(ONE) * 2)


def test_batches_of_autograd_are_known() -> None:
    answers = []

    class Probe(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: object, grad: Tensor) -> Tensor:
            answers.append(torch_compat.is_batched_gradient(grad))
            return grad

    x = ONE.clone().requires_grad_()
    y = Probe.apply(x)
    torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
    torch.autograd.grad(y, x, torch.eye(3, dtype=y.dtype), is_grads_batched=True)
    assert answers == [False, True]


def test_batches_of_vmap_are_not_those_of_autograd() -> None:
    asked: list[bool] = []

    def function(x: Tensor) -> Tensor:
        asked.append(torch_compat.is_batched_gradient(x))
        return x

    torch.func.vmap(function)(ONE)
    assert asked == [False]


def test_forward_mode_is_noticed() -> None:
    asked = Asked(torch_compat.in_forward_mode)
    asked(ONE)
    torch.func.vmap(asked)(ONE)
    torch.func.grad(lambda x: asked(x).sum())(ONE)
    assert not asked.answer()
    jvp(asked)
    torch.func.jacfwd(asked)(ONE)
    jvp(lambda x: jvp(asked, x))
    with forward_ad.dual_level():
        asked(forward_ad.make_dual(ONE, ONE))
    assert asked.answer()
    asked(ONE)
    assert not asked.answer()


def test_forward_mode_inside_forward_mode_is_noticed() -> None:
    asked = Asked(torch_compat.in_nested_forward_mode)
    asked(ONE)
    jvp(asked)
    torch.func.jacfwd(asked)(ONE)
    torch.func.jacfwd(torch.func.jacrev(asked))(ONE)
    torch.func.vmap(lambda x: jvp(asked, x))(ONE)
    assert not asked.answer()
    jvp(lambda x: jvp(asked, x))
    torch.func.jacfwd(torch.func.jacfwd(asked))(ONE)
    jvp(lambda x: torch.func.vmap(lambda y: jvp(asked, y))(x))
    assert asked.answer()


def test_transforms_are_noticed() -> None:
    asked = Asked(torch_compat.in_transform)
    asked(ONE)
    asked(ONE.clone().requires_grad_())
    assert not asked.answer()
    torch.func.vmap(asked)(ONE)
    torch.func.grad(lambda x: asked(x).sum())(ONE)
    torch.func.vjp(asked, ONE)
    jvp(asked)
    with forward_ad.dual_level():
        asked(forward_ad.make_dual(ONE, ONE))
    assert asked.answer()
    asked(ONE)
    assert not asked.answer()


def test_changes_in_place_are_counted() -> None:
    x = ONE.clone()
    count = torch_compat.change_count(x)
    x + 1
    assert torch_compat.change_count(x) == count
    x.mul_(2)
    x[0] = 1
    assert torch_compat.change_count(x) > count


def test_nothing_private_of_torch_is_used_elsewhere() -> None:
    package = Path(torch_compat.__file__).resolve().parents[1]
    private = re.compile(
        r"\b(torch|forward_ad)(\.\w+)*\._[a-zA-Z]|from torch\._|\._version\b(?! import)"
    )
    for path in package.rglob("*.py"):
        if path.name != "torch_compat.py":
            assert not private.search(path.read_text(encoding="utf-8")), path
