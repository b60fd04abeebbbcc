"""The private functions of torch that this package uses, one question each.

python_tests/test_torch_compat.py asks them all inside and outside of what they look for, so that a
torch that changes one of them fails there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad


def is_fake(x: Tensor) -> bool:
    """Whether a tensor has a shape but no numbers, as while torch.compile or torch.export trace."""
    return isinstance(x, FakeTensor)


def is_batched_gradient(x: Tensor) -> bool:
    """Whether a tensor is a batch of torch.autograd.grad(is_grads_batched=True), without memory."""
    batched: bool = torch._C._functorch.is_legacy_batchedtensor(x)
    return batched


def change_count(x: Tensor) -> int:
    """How often a tensor has been changed in place, for what was computed from it before."""
    return x._version


def in_forward_mode() -> bool:
    """Whether a derivative by forward mode is being taken: jvp, jacfwd or forward_ad.dual_level."""
    return bool(forward_ad._current_level >= 0)


def in_nested_forward_mode() -> bool:
    """Whether a jvp or jacfwd of torch.func is taken inside another one."""
    stack = torch._C._functorch.get_interpreter_stack() or []
    forward = torch._C._functorch.TransformType.Jvp
    return sum(level.key() == forward for level in stack) > 1


def in_transform() -> bool:
    """Whether a transform of torch.func (vmap, grad, vjp, jvp) or a forward mode is active."""
    return bool(torch._C._functorch.get_interpreter_stack()) or in_forward_mode()
